/**
Identities and addresses of node processes: nodes start together, swap addresses, return on other ports, lose their data
folders, or run from a copied one. No such case may remove a member, split the cluster or lose acknowledged messages.
*/
import {chmodSync, cpSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {freePorts, type Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {publishTexts, readTexts, withClient} from './support/brokers.ts';
import {newCluster} from './support/clusters.ts';
import {jsonAt, runAt, type Finished} from './support/command.ts';
import {
	eventCounts,
	hasLeader,
	hasVoters,
	isMember,
	isMessage,
	isReady,
	isSubscribed,
	waitForAll,
} from './support/events.ts';

type Status = {
	readonly leader: string | null;
	readonly term: number;
	readonly topics: readonly unknown[];
	readonly members: ReadonlyArray<{readonly id: string; readonly address: string; readonly voter: boolean}>;
};
const statusOf = (cluster: Cluster, node: NodeProcess): Promise<Status> => jsonAt(cluster, node, 'status');
const waitUntilHealthy = (cluster: Cluster, node: NodeProcess): Promise<unknown> =>
	expect
		.poll(async () => (await runAt(cluster, node, 'check')).stdout.toString(), {timeout: 20_000, interval: 200})
		.toMatch(/^healthy/);
/** Copies a data folder of the cluster, without the files of a running process. */
const copyData = (cluster: Cluster, from: string, to: string): void =>
	cpSync(join(cluster.folder, from), join(cluster.folder, to), {
		recursive: true,
		filter: path => !/lock|pid$|\.new$/.test(path),
	});

/** Three nodes whose folders do not depend on their ports, so that a node can start with its data on another port. */
async function threeVoters(cluster: Cluster): Promise<{
	readonly nodes: NodeProcess[];
	readonly ports: number[];
	start(index: number, port: number, flags?: readonly string[]): NodeProcess;
}> {
	const ports = await freePorts(3);
	const start = (index: number, port: number, flags: readonly string[] = []): NodeProcess =>
		cluster.startAlone(port, flags, `node${index}`);
	const nodes: NodeProcess[] = [];
	for (const [index, port] of ports.entries()) {
		nodes.push(start(index, port, index === 0 ? [] : ['--bootstrap', String(ports[0])]));
		await nodes[index]!.waitFor(isReady, 'ready');
	}

	await waitForAll(nodes, hasVoters(3), 'three voters');
	return {nodes, ports, start};
}

describe('nodes that start together found one cluster', () => {
	const together: ReadonlyArray<readonly [string, (ports: readonly number[], index: number) => readonly string[]]> = [
		['with the same seed list for all, which includes the node itself', ports => ['--bootstrap', ports.join(',')]],
		[
			'with a seed list of the other nodes',
			(ports, index) => ['--bootstrap', ports.filter((_, other) => other !== index).join(',')],
		],
		[
			'with the expected number of nodes and one seed',
			(ports, index) => ['--expect', '3', ...(index === 0 ? [] : ['--bootstrap', String(ports[0])])],
		],
	];
	test.each(together)(
		'%s',
		async (_name, flags) => {
			const cluster = newCluster();
			const ports = await freePorts(3);
			const nodes = ports.map((port, index) => cluster.startAlone(port, flags(ports, index)));
			await waitForAll(nodes, hasVoters(3), 'three voters');
			const reports = await Promise.all(nodes.map(node => statusOf(cluster, node)));
			for (const {members} of reports)
				expect(members.map(({id}) => id)).toEqual(nodes.map(({id}) => id).toSorted());
			await Promise.all(nodes.map(node => waitUntilHealthy(cluster, node)));
		},
		60_000,
	);

	test('a node refuses to start with the advertised address of another node, and names that node', async () => {
		const cluster = newCluster();
		const ports = await freePorts(2);
		const first = cluster.startAlone(ports[0]!, []);
		await first.waitFor(hasVoters(1), 'its own cluster');
		const second = cluster.startAlone(ports[1]!, [
			'--bootstrap',
			String(ports[0]),
			'--advertise',
			`127.0.0.1:${ports[0]}`,
		]);
		expect(await second.exited).toBe(1);
		expect(second.stderr).toContain(
			`Expected --advertise to be the address at which other nodes reach this node, got 127.0.0.1:${ports[0]}, where node ${first.id} answers`,
		);
	}, 60_000);

	test('a publisher at a node that is not a member yet gets an error, and the node stores nothing', async () => {
		const cluster = newCluster();
		const ports = await freePorts(2);
		const waiting = cluster.startAlone(ports[0]!, ['--expect', '2']);
		await waiting.waitFor(event => event.type === 'waiting', 'the reason to wait');
		expect(await runAt(cluster, waiting, 'publish', 'news', 'word')).toMatchObject({
			code: 11,
			stderr: expect.stringMatching(/This node is not a member of a cluster yet\. Nothing was stored/) as string,
		});
		expect((await statusOf(cluster, waiting)).topics).toEqual([]);
	}, 60_000);

	test('a node whose seeds do not answer founds no cluster, and reports the address for which it waits', async () => {
		const cluster = newCluster();
		const ports = await freePorts(2);
		const waiting = cluster.startAlone(ports[0]!, ['--bootstrap', String(ports[1])]);
		await waiting.waitFor(isReady, 'ready');
		await expect
			.poll(async () => (await runAt(cluster, waiting, 'status')).stdout.toString(), {timeout: 10_000})
			.toMatch(new RegExp(`joining: .*127.0.0.1:${ports[1]}`));
		cluster.startAlone(ports[1]!);
		await waiting.waitFor(hasLeader, 'a leader');
	}, 60_000);
});

describe('an address is not an identity', () => {
	test('two voters that swap their addresses stay members', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		const ids = nodes.map(({id}) => id).toSorted();
		await Promise.all([nodes[1]!.kill('SIGTERM'), nodes[2]!.kill('SIGTERM')]);
		const second = start(1, ports[2]!);
		await second.waitFor(hasLeader, 'a leader');
		const third = start(2, ports[1]!);
		await third.waitFor(hasLeader, 'a leader');
		const all = [nodes[0]!, second, third];
		await Promise.all(all.map(node => waitUntilHealthy(cluster, node)));
		const moved = ids.map(id => [
			id,
			true,
			`127.0.0.1:${id === second.id ? ports[2] : id === third.id ? ports[1] : ports[0]}`,
		]);
		await expect
			.poll(
				async () =>
					(await statusOf(cluster, nodes[0]!)).members.map(({id, voter, address}) => [id, voter, address]),
				{timeout: 10_000},
			)
			.toEqual(moved);
	}, 90_000);

	test('when all nodes return at other addresses, with each other as seeds, they have a quorum again', async () => {
		const cluster = newCluster();
		const {nodes, start} = await threeVoters(cluster);
		await Promise.all(nodes.map(node => node.kill('SIGTERM')));
		const ports = await freePorts(3);
		const back = ports.map((port, index) =>
			start(index, port, ['--bootstrap', ports.filter(other => other !== port).join(',')]),
		);
		await Promise.all(back.map(node => node.waitFor(hasLeader, 'a leader')));
		await Promise.all(back.map(node => waitUntilHealthy(cluster, node)));
		const moved = back
			.map(({id, port}) => [id, `127.0.0.1:${port}`] as const)
			.toSorted(([a], [b]) => (a < b ? -1 : 1));
		await expect
			.poll(async () => (await statusOf(cluster, back[0]!)).members.map(({id, address}) => [id, address]), {
				timeout: 10_000,
			})
			.toEqual(moved);
	}, 90_000);

	test('a new node at the address of a stopped voter replaces no member, and the voter can return at another address', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		await nodes[2]!.kill('SIGTERM');
		const [elsewhere] = await freePorts(1);
		const newcomer = cluster.startAlone(ports[2]!, ['--bootstrap', String(ports[0])], 'newcomer');
		await newcomer.waitFor(hasLeader, 'a leader');
		const back = start(2, elsewhere!);
		await back.waitFor(hasLeader, 'a leader');
		await Promise.all([nodes[0]!, nodes[1]!, newcomer, back].map(node => waitUntilHealthy(cluster, node)));
		const {members} = await statusOf(cluster, nodes[0]!);
		expect(members.map(({id}) => id)).toEqual([...nodes.map(({id}) => id), newcomer.id].toSorted());
		// The voter proposes its new address once it follows a leader.
		await expect
			.poll(async () => (await statusOf(cluster, nodes[0]!)).members.find(({id}) => id === back.id), {
				timeout: 10_000,
			})
			.toMatchObject({voter: true, address: `127.0.0.1:${elsewhere}`});
	}, 90_000);

	test('a node whose data folder was emptied replaces its former member', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		await nodes[2]!.kill('SIGKILL');
		rmSync(join(cluster.folder, 'node2'), {recursive: true});
		const fresh = start(2, ports[2]!, ['--bootstrap', String(ports[0])]);
		await fresh.waitFor(hasVoters(3), 'three voters');
		await waitUntilHealthy(cluster, nodes[0]!);
		expect((await statusOf(cluster, nodes[0]!)).members.map(({id}) => id)).toEqual(
			[nodes[0]!.id, nodes[1]!.id, fresh.id].toSorted(),
		);
	}, 90_000);

	test('a lost data folder without a resignation removes no member: the operator decides', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		await nodes[2]!.kill('SIGKILL');
		rmSync(join(cluster.folder, 'node2'), {recursive: true});
		rmSync(join(cluster.folder, 'state'), {recursive: true});
		const fresh = start(2, ports[2]!, ['--bootstrap', String(ports[0])]);
		await fresh.waitFor(hasLeader, 'a leader');
		// First the address refused connections. The other nodes detect the new node there a little later.
		const check = (): Promise<Finished> => runAt(cluster, nodes[0]!, 'check');
		await expect
			.poll(async () => (await check()).stdout.toString(), {timeout: 10_000})
			.toContain(`(127.0.0.1:${ports[2]}, another node answers at its address) is unreachable`);
		expect((await check()).code).toBe(10);
		expect((await statusOf(cluster, nodes[0]!)).members.map(({id}) => id)).toEqual(
			[...nodes.map(({id}) => id), fresh.id].toSorted(),
		);
	}, 90_000);
});

describe('a copied data folder', () => {
	test.each([
		['of a running node', false],
		['of a node that starts at the same moment', true],
	])(
		'%s: the second process is refused, and the reports name both addresses',
		async (_name, isTogether) => {
			const cluster = newCluster({topics: ['news']});
			const {nodes, ports, start} = await threeVoters(cluster);
			if (isTogether) await nodes[2]!.kill('SIGTERM');
			copyData(cluster, 'node2', 'node9');
			const [port] = await freePorts(1);
			const first = isTogether ? start(2, ports[2]!) : nodes[2]!;
			const copy = start(9, port!);
			const ended = await Promise.race([
				copy.exited.then(code => ['copy', code] as const),
				...(isTogether ? [first.exited.then(code => ['first', code] as const)] : []),
			]);
			const [refused, kept] = ended[0] === 'copy' ? [copy, first] : [first, copy];
			expect(ended[1]).toBe(1);
			expect(refused.stderr).toContain(`127.0.0.1:${kept.port}`);
			expect(refused.stderr).toContain(`127.0.0.1:${refused.port}`);
			expect(refused.stderr).toContain('copy of its data folder');
			const reportsBoth = (event: JsonEvent): boolean =>
				event.type === 'duplicate' &&
				event['address'] === `127.0.0.1:${kept.port}` &&
				event['other'] === `127.0.0.1:${refused.port}`;
			await kept.waitFor(reportsBoth, 'the report of the second process');
			await Promise.any(
				[nodes[0]!, nodes[1]!].map(node => node.waitFor(reportsBoth, 'the report of the second process')),
			);
			// Messages of the process that continues arrive everywhere.
			await withClient(cluster, kept, broker => publishTexts(broker, 'news', ['still here']));
			const texts = await withClient(cluster, nodes[0]!, reader => readTexts(reader, 'news', 1));
			expect(texts).toEqual(['still here']);
		},
		90_000,
	);

	test('messages that two processes of one identity acknowledge are delivered to all subscribers', async () => {
		const cluster = newCluster({topics: ['news'], messages: true});
		const {nodes, start} = await threeVoters(cluster);
		copyData(cluster, 'node2', 'node9');
		// A node emits message events once it subscribes.
		await Promise.all(nodes.map(node => node.waitFor(isSubscribed(node), 'its own subscription')));
		const [port] = await freePorts(1);
		const acknowledged: string[] = [];
		const copy = start(9, port!);
		/** Publishes at the node from the start of the copy to its end. */
		const publish = async (to: number): Promise<void> => {
			for (let count = 0; copy.isRunning; count++) {
				const text = `${to} ${count}`;
				const {code} = await runAt(cluster, {port: to}, 'publish', 'news', text, '--timeout', '1s');
				if (code === 0) acknowledged.push(text);
			}
		};
		await Promise.all([publish(port!), publish(port!), publish(nodes[2]!.port)]);
		expect(await copy.exited).toBe(1);
		expect(acknowledged.some(text => text.startsWith(`${nodes[2]!.port} `))).toBe(true);
		for (const node of nodes)
			for (const text of acknowledged) await node.waitFor(isMessage(text), `the message ${text}`);
	}, 60_000);

	test('an older copy of the folder is refused, and the crash of the newer copy is still reported as a crash', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		const {id} = nodes[2]!;
		await nodes[2]!.kill('SIGKILL');
		cpSync(join(cluster.folder, 'node2'), join(cluster.folder, 'node9'), {recursive: true});
		chmodSync(join(cluster.folder, 'node9'), 0o700);
		const [port] = await freePorts(1);
		const copy = start(9, port!);
		const starts = eventCounts(nodes);
		await copy.waitFor(hasVoters(3), 'the voters in its log');
		// The copy reports the voters of its log only after it has received a message of the leader.
		expect(copy.events.find(({type}) => type === 'leader' || type === 'voters')).toMatchObject({type: 'leader'});
		const others = nodes.slice(0, 2);
		const isAliveAtCopy = (event: JsonEvent): boolean =>
			isMember({id}, 'alive')(event) && event['address'] === `127.0.0.1:${port}`;
		await waitForAll(others, isAliveAtCopy, 'the copy, which is the node now', starts);
		await waitUntilHealthy(cluster, nodes[0]!);
		const beforeCrash = eventCounts(nodes);
		await copy.kill('SIGKILL');
		await waitForAll(others, isMember({id}, 'down'), 'the crash', beforeCrash);
		const afterCrash = eventCounts(nodes);
		const old = start(2, ports[2]!);
		expect(await old.exited).toBe(1);
		expect(old.stderr).toContain('uses an older copy of it');
		for (const node of others) {
			const {stdout} = await runAt(cluster, node, 'check');
			expect(stdout.toString()).toMatch(/connection refused\) is down for/);
			expect(stdout.toString()).not.toContain('stopped on purpose');
		}

		for (const [index, node] of others.entries())
			expect(
				node.events.slice(afterCrash[index]).filter(event => event.type === 'member' && event['id'] === id),
			).toEqual([]);
	}, 90_000);
});
