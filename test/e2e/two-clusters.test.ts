/**
Two clusters with one name and one secret, founded separately, that meet: both are unhealthy, and both give a remedy.
Clusters never merge automatically.
*/
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess, type JsonEvent} from '../../bench/cluster.ts';
import type {Broker} from '../../core/index.ts';
import {separateDiscovery} from './support/clusters.ts';
import {cli, jsonAt, nodeFlags, runAt} from './support/command.ts';
import {isLeader, isReady} from './support/events.ts';

type Status = {
	readonly clusterId: string;
	readonly foreign: ReadonlyArray<{
		readonly clusterId: string;
		readonly address: string;
		readonly heardMsAgo: number;
	}>;
	readonly members: ReadonlyArray<{readonly id: string}>;
};
type CheckResult = {
	readonly code: number | null;
	readonly findings: ReadonlyArray<{readonly code: string; readonly problem: string; readonly advice: string}>;
};

const settle = {timeout: 25_000, interval: 100};

let cluster: Cluster;
let ports: number[];
beforeEach(async () => {
	ports = await freePorts(2);
	cluster = new Cluster({cli, settings: await separateDiscovery(200, false)});
});
afterEach(() => cluster[Symbol.asyncDispose]());

const at = (node: NodeProcess): string => `127.0.0.1:${node.port}`;
const statusOf = (node: NodeProcess): Promise<Status> => jsonAt(cluster, node, 'status');
const check = async (node: NodeProcess): Promise<CheckResult> => {
	const {code, stdout} = await runAt(cluster, node, 'check', '-o', 'json');
	return {code, ...(JSON.parse(stdout.toString()) as {findings: []})};
};

const isForeign = ({type, foreign}: JsonEvent): boolean => type === 'discovered' && foreign === true;

const waitUntilAlone = (nodes: readonly NodeProcess[]): Promise<unknown> =>
	Promise.all(nodes.map(node => node.waitFor(isLeader(node), 'its own leadership')));

/**
Starts a node with a list of running nodes of its own. A node without a leader connects to the nodes in this list, so a
shared list would make the clusters meet.
*/
function startSeparately(port: number, flags: readonly string[] = []): NodeProcess {
	const env = {...cluster.env, XDG_STATE_HOME: join(cluster.folder, `state-${port}`)};
	const command = [cli, '--headless', '-o', 'jsonl', ...nodeFlags(cluster, port), ...flags];
	const node = new NodeProcess(port, command, false, process.execPath, env);
	cluster.nodes.push(node);
	return node;
}

/** Two nodes that do not know each other: each founds a cluster. */
async function foundSeparately(): Promise<{readonly nodes: readonly NodeProcess[]; readonly ids: readonly string[]}> {
	const nodes = ports.map(port => startSeparately(port));
	await waitUntilAlone(nodes);
	const all = await Promise.all(nodes.map(node => statusOf(node)));
	expect(all.map(({foreign}) => foreign)).toEqual([[], []]);
	for (const node of nodes) expect(await check(node)).toMatchObject({code: 0, findings: []});
	const ids = all.map(({clusterId}) => clusterId);
	expect(ids[0]).not.toBe(ids[1]);
	return {nodes, ids};
}

/**
On both sides check is unhealthy and names both clusters with their addresses, status lists the other cluster, and an
event reports it. Neither cluster has admitted the node of the other.
*/
async function expectConflict(nodes: readonly NodeProcess[], ids: readonly string[]): Promise<void> {
	await Promise.all(
		nodes.map(async (node, index) => {
			const other = nodes[1 - index]!;
			const [ownId, otherId] = [ids[index]!, ids[1 - index]!];
			expect(await node.waitFor(isForeign, 'the event about the other cluster')).toMatchObject({
				cluster: cluster.name,
				clusterId: otherId,
				address: at(other),
			});
			await expect
				.poll(() => check(node), settle)
				.toMatchObject({
					code: 10,
					findings: [
						{
							code: 'unhealthy',
							problem: `Two clusters have the name ${cluster.name}: ${ownId.slice(0, 8)} (this node, ${at(node)}) and ${otherId.slice(0, 8)} (${at(other)})`,
							advice: expect.stringContaining(
								`start its nodes with empty data folders and --bootstrap ${at(node)}`,
							) as string,
						},
					],
				});
			const {clusterId, foreign, members} = await statusOf(node);
			expect(clusterId).toBe(ownId);
			expect(foreign).toEqual([
				{clusterId: otherId, address: at(other), heardMsAgo: expect.any(Number) as number},
			]);
			expect(members.map(({id}) => id)).toEqual([node.id]);
			const text = await runAt(cluster, node, 'status');
			expect(text.stdout.toString()).toContain(
				`another cluster of the name ${cluster.name}: ${otherId.slice(0, 8)} at ${at(other)}`,
			);
		}),
	);
}

test("two clusters with one name are unhealthy when they hear each other's beacons, and each names the other", async () => {
	const {nodes, ids} = await foundSeparately();
	await Promise.all(nodes.map(node => node.kill('SIGTERM')));
	const back = ports.map(port => startSeparately(port, ['--discovery']));
	await waitUntilAlone(back);
	await expectConflict(back, ids);
}, 60_000);

test('two clusters with one name are unhealthy while a seed list connects them, also without discovery, and the advice of check solves it', async () => {
	const {
		nodes: [first, second],
		ids,
	} = await foundSeparately();
	await second!.kill('SIGTERM');
	const bootstrap = ['--bootstrap', String(first!.port)];
	const back = startSeparately(second!.port, bootstrap);
	await waitUntilAlone([back]);
	await expectConflict([first!, back], ids);
	// The conflict continues: each node hears from the other repeatedly, so `heardMsAgo` falls again.
	await Promise.all(
		[first!, back].map(async node => {
			let oldest = 0;
			await expect
				.poll(async () => {
					const [other] = (await statusOf(node)).foreign;
					const hasFallen = other !== undefined && other.heardMsAgo < oldest;
					oldest = Math.max(oldest, other?.heardMsAgo ?? 0);
					return hasFallen;
				}, settle)
				.toBe(true);
		}),
	);
	await expectConflict([first!, back], ids);

	await back.kill('SIGTERM');
	rmSync(join(cluster.folder, String(back.port)), {recursive: true});
	const fresh = startSeparately(back.port, bootstrap);
	await fresh.waitFor(isReady, 'ready');
	await Promise.all(
		[first!, fresh].map(async node => {
			await expect
				.poll(async () => (await statusOf(node)).members.map(({id}) => id), settle)
				.toEqual([first!.id, fresh.id].toSorted());
			await expect.poll(() => check(node), settle).toMatchObject({code: 0, findings: []});
			expect(await statusOf(node)).toMatchObject({clusterId: ids[0], foreign: []});
		}),
	);
}, 90_000);

test('beacons of a cluster with another name count as ignored, without a refusal, warning or event', async () => {
	const settings = await separateDiscovery(100);
	await using one = new Cluster({cli, settings});
	await using other = new Cluster({cli, settings});
	const nodes = [one.startAlone(ports[0]!), other.startAlone(ports[1]!)];
	await waitUntilAlone(nodes);
	const ignored = async (broker: Broker): Promise<number> =>
		(await broker.snapshot()).counters.ignored['beacon-foreign'] ?? 0;
	for (const [index, where] of [one, other].entries()) {
		await using broker = await where.client();
		await expect.poll(() => ignored(broker), settle).toBeGreaterThan(20);
		const {counters, foreign} = await broker.snapshot();
		expect([counters.rejected, foreign]).toEqual([{}, []]);
		expect(
			nodes[index]!.events.filter(({type}) => ['refused', 'warning', 'rejected', 'discovered'].includes(type)),
		).toEqual([]);
	}
}, 60_000);
