/** The short forms of the library, with real nodes: no setting but ports and the addresses of others. */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, expect, test, vi} from 'vitest';
import {freePorts} from '../../bench/cluster.ts';
import {connect, follow, openBroker, untilReady} from '../../core/library.ts';

const folder = mkdtempSync(join(tmpdir(), 'dapss-library-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));
afterEach(() => vi.unstubAllEnvs());

const discovery = {enabled: false};

test('two nodes, a client and a follower need no more than addresses', async () => {
	for (const name of ['CONFIG', 'DATA', 'STATE']) vi.stubEnv(`XDG_${name}_HOME`, join(folder, name));
	vi.stubEnv('XDG_RUNTIME_DIR', '');
	const [port, otherPort] = (await freePorts(2)) as [number, number];
	await using joining = await openBroker({port: otherPort, bootstrap: [`localhost:${port}`], discovery});
	await expect(untilReady(joining, {timeoutMs: 100})).rejects.toMatchObject({
		code: 'timeout',
		message: expect.stringMatching(/^The node has no quorum: waiting for .*, after 100 ms$/u) as string,
	});
	await using first = await openBroker({port, discovery});
	await untilReady(first);
	await untilReady(joining);
	const subscription = joining.subscribe(['weather']);
	await subscription.agreed;

	await using client = await connect(`localhost:${port}`);
	expect(client.server).toBe(`localhost:${port}`);
	await client.publish('weather', ['rain']);
	for await (const deliveries of subscription) {
		expect(deliveries.map(({body}) => Buffer.from(body).toString())).toEqual(['rain']);
		break;
	}

	await using follower = await follow(`localhost:${port},localhost:${otherPort}`);
	for await (const deliveries of follower.subscribe(['weather'], {from: 'beginning'})) {
		expect(deliveries).toHaveLength(1);
		break;
	}

	// The same mistakes are refused in the same way by a node and by its clients.
	for (const broker of [first, client, follower]) {
		const usage = {code: 'usage'};
		await expect(broker.publish('a*', ['rain'])).rejects.toMatchObject(usage);
		await expect(broker.publish('', ['rain'])).rejects.toMatchObject(usage);
		await expect(broker.subscribe(['a*']).agreed).rejects.toMatchObject(usage);
		await expect(broker.subscribeNode('a*')).rejects.toMatchObject(usage);
		await expect(broker.unsubscribeNode('a*')).rejects.toMatchObject(usage);
		await expect(broker.createTopic('a*')).rejects.toMatchObject(usage);
		await expect(broker.deleteTopic('a*')).rejects.toMatchObject(usage);
		await expect(broker.transferLeadership('nobody')).rejects.toMatchObject(usage);
		await expect(broker.removeMember('nobody')).rejects.toMatchObject(usage);
		// @ts-expect-error -- a text instead of a list
		await expect(broker.publish('weather', 'rain')).rejects.toMatchObject(usage);
		// @ts-expect-error -- a text instead of a list
		expect(() => broker.subscribe('weather')).toThrow('Expected a list of topic names, got "weather"');
	}

	// A client of this user finds a node by itself.
	await using found = await connect();
	expect([port, otherPort].map(one => `127.0.0.1:${one}`)).toContain(found.server);
	await joining[Symbol.asyncDispose]();
	await expect(untilReady(joining)).rejects.toMatchObject({code: 'closed'});
}, 60_000);
