/**
What an operator does to a cluster of real processes: hand the lead over, take a node out, and go on alone when the quorum is gone.
*/
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, type NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli, run} from './command.ts';

const server = (cluster: Cluster, node: NodeProcess): string[] => [...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`];
const json = (stdout: Buffer): Record<string, unknown> => JSON.parse(stdout.toString()) as Record<string, unknown>;

describe('a planned hand-over', () => {
	let cluster: Cluster;
	beforeAll(async () => {
		cluster = new Cluster({cli});
		await cluster.startAll(3);
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	test('goes to the node that was named, asked through any', async () => {
		const leader = cluster.leader()!;
		const [next, other] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		const {code, stdout} = await run(['leader', 'transfer', String(next.port), '-o', 'json', ...server(cluster, other)]);
		expect(code).toBe(0);
		expect(json(stdout)).toMatchObject({leader: next.id, address: `127.0.0.1:${next.port}`});
		expect(await run(['leader', 'transfer', String(next.port), ...server(cluster, other)])).toMatchObject({code: 1, stderr: expect.stringContaining('leads already') as string});
	});

	test('goes round and round, and every node sees it', async () => {
		const brokers = await Promise.all(cluster.nodes.map(node => cluster.client(node)));
		const tookMs: number[] = [];
		for (let round = 0; round < 20; round++) {
			const startMs = performance.now();
			const leader = await brokers[round % 3]!.transferLeadership();
			tookMs.push(performance.now() - startMs);
			await Promise.all(cluster.nodes.map(node => node.waitFor(event => event.type === 'leader' && event['leader'] === leader, 'the new leader', 0)));
			expect(leader).toBeDefined();
			await brokers[0]!.readIndex();
		}

		const sorted = tookMs.toSorted((a, b) => a - b);
		console.log(`leader transfer: median ${sorted[10]!.toFixed(0)} ms, worst ${sorted.at(-1)!.toFixed(0)} ms of 20`);
		await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
	});

	test('a removal without a quorum of the rest is refused, another is done, and the removed node stops', async () => {
		const leader = cluster.leader()!;
		const [one, two] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		await one.kill('SIGKILL');
		await leader.waitFor(event => event.type === 'member' && event['id'] === one.id && event['state'] === 'dead', 'the death');
		const refused = await run(['peer', 'remove', String(two.port), ...server(cluster, leader)]);
		expect(refused).toMatchObject({code: 1, stderr: expect.stringContaining(`of the 2 other voters ${one.id} cannot be reached`) as string});
		// Taken out while it is down, asked through the one that does not lead; it hears of it when it comes back.
		const oldId = one.id;
		const {code, stdout} = await run(['peer', 'remove', String(one.port), '-o', 'json', ...server(cluster, two)]);
		expect([code, json(stdout)]).toEqual([0, {removed: oldId, address: `127.0.0.1:${one.port}`}]);
		const back = cluster.start(one.port);
		expect(await back.exited).toBe(1);
		expect(back.stderr).toContain('this node was removed from the cluster');
	});
});

test('when the quorum is gone for good, one node goes on alone, and the old ones are kept out', {timeout: 120_000}, async () => {
	await using cluster = new Cluster({cli, topics: ['kept'], messages: true});
	await cluster.startAll(3);
	const [a, b, c] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const before = await cluster.client(a);
	await before.publish('kept' as Topic, [Buffer.from('before')]);
	await before[Symbol.asyncDispose]();
	for (const node of [b, c]) await node.waitFor(({type}) => type === 'message', 'the message');
	await Promise.all([b, c].map(node => node.kill('SIGKILL')));
	await a.waitFor(event => event.type === 'quorum' && event['held'] === false, 'the loss of the quorum');
	expect(await run(['check', ...server(cluster, a)])).toMatchObject({code: 11});
	const recover = ['recover', '--data', `${cluster.folder}/${a.port}`, '--cluster', cluster.name, '--config', `${cluster.folder}/config.json`, '-o', 'json'];
	expect(await run([...recover, '--confirm', cluster.name])).toMatchObject({code: 1, stderr: expect.stringContaining('is in use by another node') as string});
	await a.kill('SIGKILL');
	expect(await run([...recover, '--confirm', 'dapss'])).toMatchObject({code: 2, stderr: expect.stringContaining('nothing was changed') as string});
	const {code, stdout} = await run([...recover, '--confirm', cluster.name]);
	expect(code).toBe(0);
	expect(json(stdout)).toMatchObject({node: a.id, formerVoters: [a.id, b.id, c.id].toSorted()});

	const alone = cluster.start(a.port);
	await alone.waitFor(event => event.type === 'leader' && event['leader'] === a.id, 'the lead');
	expect(await run(['check', ...server(cluster, alone)])).toMatchObject({code: 0});
	const {stdout: kept} = await run(['subscribe', 'kept', '--from', 'beginning', '--count', '1', ...server(cluster, alone)]);
	expect(kept.toString()).toBe('before\n');

	// A node of the old cluster is refused, and neither side is harmed.
	const old = cluster.start(b.port);
	await old.waitFor(event => event.type === 'warning' && String(event['text']).includes('another cluster'), 'the refusal');
	expect(old.isRunning).toBe(true);
	await old.kill('SIGKILL');

	const [port] = await freePorts(1);
	const fresh = cluster.start(port!);
	await fresh.waitFor(event => event.type === 'leader' && event['leader'] === a.id, 'the leader, on a new node');
	const broker = await cluster.client(alone);
	await fresh.waitFor(event => event.type === 'subscribed' && event['topic'] === 'kept' && event['node'] === fresh.id, 'its subscription');
	await broker.publish('kept' as Topic, [Buffer.from('after')]);
	await fresh.waitFor(event => event.type === 'message' && event['payload'] === 'after', 'a message');
	await broker[Symbol.asyncDispose]();
});
