/** Every interface normalizes the name of a topic: the command line, the settings, and a client of the library. */
import {expect, test} from 'vitest';
import {Cluster} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {publishTexts} from './support/brokers.ts';
import {cli, run, runAt} from './support/command.ts';

const composed = 'z\u00FCrich';
const decomposed = 'zu\u0308rich' as Topic;

test('composed and decomposed letters name the same topic, and wildcards are refused with a hint', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	await using broker = await cluster.client(node);
	await broker.subscribeNode(decomposed);
	await using subscription = broker.subscribe([decomposed], {from: 'beginning'});
	await subscription.agreed;
	expect(await publishTexts(broker, decomposed, ['from the library'])).toMatchObject({topic: composed});
	expect(await runAt(cluster, node, 'publish', decomposed, 'from the command line')).toMatchObject({code: 0});
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
	expect(await runAt(cluster, node, 'subscribe', 'sensors/+/t')).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('without * > # +') as string,
	});
	expect(await run(['--headless', '--topics', 'sensors/#', ...cluster.clientFlags])).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('there are no wildcards yet') as string,
	});
}, 60_000);
