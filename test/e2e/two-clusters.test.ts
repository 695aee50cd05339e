/**
Two clusters of one name and one secret, founded separately, that meet: both are unhealthy, and both give a remedy.
Nothing is merged automatically.
*/
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {Broker} from '../../core/index.ts';
import {cli, run} from './support/command.ts';

type Status = {
	readonly clusterId: string;
	readonly foreign: ReadonlyArray<{
		readonly clusterId: string;
		readonly address: string;
		readonly heardMsAgo: number;
	}>;
	readonly members: ReadonlyArray<{readonly id: string}>;
};
type Checked = {
	readonly code: number | null;
	readonly findings: ReadonlyArray<{readonly code: string; readonly problem: string; readonly advice: string}>;
};

const settle = {timeout: 25_000, interval: 100};

let cluster: Cluster;
let ports: number[];
beforeEach(async () => {
	const [beaconPort, ...rest] = (await freePorts(3)) as [number, number, number];
	ports = rest;
	cluster = new Cluster({cli, settings: {discovery: {enabled: false, port: beaconPort, interval_ms: 200}}});
});
afterEach(() => cluster[Symbol.asyncDispose]());

const at = (node: NodeProcess): string => `127.0.0.1:${node.port}`;
const flagsOf = (node: NodeProcess): string[] => ['-o', 'json', '--server', at(node), ...cluster.clientFlags];
const statusOf = async (node: NodeProcess): Promise<Status> =>
	JSON.parse((await run(['status', ...flagsOf(node)])).stdout.toString()) as Status;
const check = async (node: NodeProcess): Promise<Checked> => {
	const {code, stdout} = await run(['check', ...flagsOf(node)]);
	return {code, ...(JSON.parse(stdout.toString()) as {findings: []})};
};

const isForeign = ({type, foreign}: JsonEvent): boolean => type === 'discovered' && foreign === true;

/** Two nodes that know nothing of each other: each is a cluster. */
async function foundApart(): Promise<{readonly nodes: readonly NodeProcess[]; readonly ids: readonly string[]}> {
	const nodes = ports.map(port => cluster.startAlone(port));
	await Promise.all(
		nodes.map(node =>
			node.waitFor(event => event.type === 'leader' && event['leader'] === node.id, 'to lead alone'),
		),
	);
	const all = await Promise.all(nodes.map(node => statusOf(node)));
	expect(all.map(({foreign}) => foreign)).toEqual([[], []]);
	for (const node of nodes) expect(await check(node)).toMatchObject({code: 0, findings: []});
	const ids = all.map(({clusterId}) => clusterId);
	expect(ids[0]).not.toBe(ids[1]);
	return {nodes, ids};
}

/**
On both sides: check is unhealthy and names both clusters and addresses, status has the other one, an event reports it.
Neither took the other in.
*/
async function expectMet(nodes: readonly NodeProcess[], ids: readonly string[]): Promise<void> {
	await Promise.all(
		nodes.map(async (node, index) => {
			const other = nodes[1 - index]!;
			const [ownId, otherId] = [ids[index]!, ids[1 - index]!];
			expect(await node.waitFor(isForeign, 'the event that another cluster was met')).toMatchObject({
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
			const text = await run(['status', '--server', at(node), ...cluster.clientFlags]);
			expect(text.stdout.toString()).toContain(
				`another cluster of the name ${cluster.name}: ${otherId.slice(0, 8)} at ${at(other)}`,
			);
		}),
	);
}

test("two clusters of one name that hear each other's beacons are both unhealthy and name each other", async () => {
	const {nodes, ids} = await foundApart();
	await Promise.all(nodes.map(node => node.kill('SIGTERM')));
	const back = ports.map(port => cluster.startAlone(port, ['--discovery']));
	await Promise.all(
		back.map(node =>
			node.waitFor(event => event.type === 'leader' && event['leader'] === node.id, 'to lead alone'),
		),
	);
	await expectMet(back, ids);
}, 60_000);

test('two clusters of one name that meet by a seed list, without discovery, are both unhealthy as long as the list connects them, and the advice of check solves it', async () => {
	const {
		nodes: [first, second],
		ids,
	} = await foundApart();
	await second!.kill('SIGTERM');
	const bootstrap = ['--bootstrap', String(first!.port)];
	const back = cluster.startAlone(second!.port, bootstrap);
	await back.waitFor(event => event.type === 'leader' && event['leader'] === back.id, 'to lead alone');
	await expectMet([first!, back], ids);
	// It is no matter of the first moment: each hears of the other again and again.
	await Promise.all(
		[first!, back].map(async node => {
			let oldest = 0;
			await expect
				.poll(async () => {
					const [met] = (await statusOf(node)).foreign;
					const isAgain = met !== undefined && met.heardMsAgo < oldest;
					oldest = Math.max(oldest, met?.heardMsAgo ?? 0);
					return isAgain;
				}, settle)
				.toBe(true);
		}),
	);
	await expectMet([first!, back], ids);

	await back.kill('SIGTERM');
	rmSync(join(cluster.folder, String(back.port)), {recursive: true});
	const fresh = cluster.startAlone(back.port, bootstrap);
	await fresh.waitFor(({type}) => type === 'ready', 'ready');
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

test('beacons of a cluster with another name are counted as ignored, without a refusal, warning or event', async () => {
	const [beaconPort, ...both] = (await freePorts(3)) as [number, number, number];
	const settings = {discovery: {enabled: true, port: beaconPort, interval_ms: 100}};
	await using one = new Cluster({cli, settings});
	await using other = new Cluster({cli, settings});
	const nodes = [one.startAlone(both[0]), other.startAlone(both[1])];
	await Promise.all(
		nodes.map(node =>
			node.waitFor(event => event.type === 'leader' && event['leader'] === node.id, 'to lead alone'),
		),
	);
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
