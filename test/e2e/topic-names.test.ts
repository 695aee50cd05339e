/**
One spelling of a topic's name in every interface (case 28): the command line, settings, and a client of the library.
*/
import {expect, test} from 'vitest';
import {Cluster} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli, run} from './support/command.ts';

const composed = 'z\u00FCrich';
const decomposed = 'zu\u0308rich' as Topic;

test('composed and decomposed letters name one topic; wildcards are refused with a hint', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	const where = ['--server', String(node.port), ...cluster.clientFlags];
	await using broker = await cluster.client(node);
	await broker.subscribeNode(decomposed);
	await using subscription = broker.subscribe([decomposed], {from: 'beginning'});
	await subscription.agreed;
	expect(await broker.publish(decomposed, [Buffer.from('from the library')])).toMatchObject({topic: composed});
	expect(await run(['publish', decomposed, 'from the command line', ...where])).toMatchObject({code: 0});
	const bodies: string[] = [];
	for await (const deliveries of subscription) {
		for (const {topic, body} of deliveries) bodies.push(`${topic}: ${Buffer.from(body).toString()}`);
		if (bodies.length >= 2) break;
	}

	expect(bodies).toEqual([`${composed}: from the library`, `${composed}: from the command line`]);
	expect((await broker.snapshot()).topics.map(({name}) => name)).toEqual([composed]);
	await broker.unsubscribeNode(decomposed);

	const refusal = {code: 'usage', message: expect.stringContaining('there are no wildcards yet') as string};
	await expect(broker.publish('a/*', [Buffer.from('x')])).rejects.toMatchObject(refusal);
	await expect(broker.subscribeNode('a.>')).rejects.toMatchObject(refusal);
	await expect(broker.subscribe(['a/#']).agreed).rejects.toMatchObject(refusal);
	expect(await run(['subscribe', 'sensors/+/t', ...where])).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('without * > # +') as string,
	});
	expect(await run(['--headless', '--topics', 'sensors/#', ...cluster.clientFlags])).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('there are no wildcards yet') as string,
	});
}, 60_000);
