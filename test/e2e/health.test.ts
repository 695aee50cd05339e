/**
Healthy means usable: the reports of every node when a part of the network between the nodes fails. Fault injection cuts
the link between two of three nodes; network namespaces block TCP and UDP of one node.
*/
import {hostname} from 'node:os';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, NodeProcess} from '../../bench/cluster.ts';
import type {Broker, NodeId, Snapshot} from '../../core/index.ts';
import {defaultName} from '../../core/node-name.ts';
import {publishTexts} from './support/brokers.ts';
import {cli, jsonAt, run, runAt} from './support/command.ts';
import {eventCounts, isMember, isMessage, isQuorum, isReady, isSubscribed, waitForAll} from './support/events.ts';
import {writeForeignSecret} from './support/folders.ts';
import {canFilter, Network, sayNotRun, type Host} from './support/namespaces.ts';
import {removeNetwork, startVoters} from './support/network-cluster.ts';
import {pollUntil} from './support/poll.ts';

sayNotRun('test/e2e/health.test.ts', true);

/** The state of a member, with its reason if there is one. */
const stateOf = (snapshot: Snapshot, id: string): string => {
	const member = snapshot.members.find(one => one.id === id)!;
	return `${member.state}${member.why === '' ? '' : `: ${member.why}`}`;
};

describe('the leader and one follower are cut off from each other, and the third node reaches both', () => {
	let cluster: Cluster;
	let leader: NodeProcess;
	let follower: NodeProcess;
	let third: NodeProcess;
	let brokers: Broker[];
	beforeAll(async () => {
		cluster = new Cluster({cli, topics: ['news'], messages: true, flags: ['--faults']});
		await cluster.startAll(3);
		leader = cluster.leader()!;
		[follower, third] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
		brokers = await Promise.all([leader, follower, third].map(node => cluster.client(node)));
	}, 60_000);
	afterAll(async () => {
		await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
		await cluster[Symbol.asyncDispose]();
	});

	test.each(['both', 'in', 'out'] as const)(
		'direction %s: the follower keeps its leader, agreement works at the follower, and every node reports these two members as degraded',
		async direction => {
			const [atLeader, atFollower] = brokers as [Broker, Broker];
			const before = (await atLeader.snapshot()).raft;
			await atFollower.fault({type: 'cut', peers: [leader.id as NodeId], direction, forMs: 60_000});
			if (direction === 'both')
				await atLeader.fault({type: 'cut', peers: [follower.id as NodeId], direction, forMs: 60_000});
			const showsCut = (snapshot: Snapshot): boolean =>
				snapshot.cuts.length === 1 && snapshot.cuts[0]!.via === third.id;
			const views = await Promise.all(
				brokers.map(broker =>
					pollUntil(
						() => broker.snapshot(),
						showsCut,
						`the cut of ${leader.id} and ${follower.id}, served through ${third.id}`,
					),
				),
			);
			for (const view of views) {
				expect(view.cuts[0]).toMatchObject({
					between: [leader.id, follower.id].toSorted(),
					blamed: [leader.id, follower.id].toSorted(),
				});
				expect(Object.fromEntries(view.members.map(({id, state}) => [id, state]))).toEqual({
					[leader.id]: 'degraded',
					[follower.id]: 'degraded',
					[third.id]: 'alive',
				});
				expect(view.raft).toMatchObject({
					quorum: 'held',
					hasQuorum: true,
					reachableVoters: 3,
					term: before.term,
				});
			}

			expect(stateOf(views[1]!, leader.id)).toMatch(
				new RegExp(`served through ${defaultName(hostname(), third.port)}`),
			);
			// Agreement through the follower, which has no link to the leader.
			const name = `relayed-${direction}`;
			await pollUntil(
				() => brokers[1]!.snapshot(),
				({raft}) => raft.leader === before.leader,
				'the leader, known to the follower',
			);
			await brokers[1]!.subscribeNode(name);
			await waitForAll([leader, third], isSubscribed(follower, name), `the subscription of ${name}`);
			await publishTexts(brokers[0]!, 'news', [name]);
			await follower.waitFor(isMessage(name), 'a live message');
			for (const node of [leader, follower, third]) {
				const checked = await runAt(cluster, node, 'check');
				expect(checked.code).toBe(10);
				expect(checked.stdout.toString()).toContain(`served through ${defaultName(hostname(), third.port)}`);
			}

			await Promise.all(brokers.map(broker => broker.fault({type: 'heal'})));
			const healed = await Promise.all(
				brokers.map(broker =>
					pollUntil(
						() => broker.snapshot(),
						({cuts, members}) => cuts.length === 0 && members.every(({state}) => state === 'alive'),
						'all members alive',
					),
				),
			);
			// The cut caused no election.
			for (const {raft} of healed) expect([raft.leader, raft.term]).toEqual([before.leader, before.term]);
		},
		90_000,
	);
});

describe.runIf(canFilter)('a node with a firewall that blocks TCP or UDP', () => {
	let network: Network;
	let cluster: Cluster;
	let hosts: Host[];
	let nodes: NodeProcess[];
	const flags = (index: number): string[] => [
		'-o',
		'json',
		...cluster.clientFlags,
		'--server',
		`${hosts[index]!.v4}:5000`,
	];
	const peers = async (
		index: number,
	): Promise<Array<{id: string; address: string; state: string; why: string; rttMs: number | null}>> =>
		JSON.parse((await hosts[index]!.run(['peers', ...flags(index)])).stdout) as [];
	const check = async (
		index: number,
	): Promise<{code: number | null; verdict: string; findings: Array<{problem: string; advice: string}>}> => {
		const {code, stdout} = await hosts[index]!.run(['check', ...flags(index)]);
		return {code, ...(JSON.parse(stdout) as {verdict: string; findings: []})};
	};
	const quorumAt = async (index: number): Promise<unknown> =>
		(JSON.parse((await hosts[index]!.run(['status', ...flags(index)])).stdout) as {quorum: unknown}).quorum;
	/** Resolves when check passes at every node. */
	const expectHealthy = async (): Promise<void> => {
		await Promise.all(
			nodes.map((_, index) =>
				pollUntil(
					() => check(index),
					({code}) => code === 0,
					'a healthy cluster',
				),
			),
		);
	};
	beforeAll(async () => {
		network = new Network();
		cluster = new Cluster({cli});
		hosts = [network.host(), network.host(), network.host()];
		nodes = await startVoters(cluster, hosts);
		await expectHealthy();
	}, 90_000);
	afterAll(() => removeNetwork(network, cluster, nodes));

	test('blocked TCP: the node is degraded and does not count for the quorum, the reports have the reason and a remedy, and it recovers when TCP works again', async () => {
		const starts = eventCounts(nodes);
		const unblock = network.block({protocol: 'tcp', from: hosts[2]!});
		for (const index of [0, 1]) {
			// Until this node detects the failure itself, it repeats the report of the other node, with another reason.
			const isBlocked = ({id, state, why}: {id: string; state: string; why: string}): boolean =>
				id === nodes[2]!.id &&
				state === 'degraded' &&
				/^TCP blocked: datagrams arrive, no link for [\d.]+ s/.test(why);
			const members = await pollUntil(
				() => peers(index),
				all => all.some(row => isBlocked(row)),
				'a degraded member, with the reason',
			);
			const {code, findings} = await pollUntil(
				() => check(index),
				answer => answer.code === 10,
				'exit code 10',
			);
			expect(findings.map(({problem}) => problem).join('\n')).toContain(
				members.find(({id}) => id === nodes[2]!.id)!.address,
			);
			expect(findings.map(({advice}) => advice).join('\n')).toMatch(/TCP port 5000/);
			expect(code).toBe(10);
		}

		expect(await quorumAt(0)).toMatchObject({has: true, reachable: 2});
		// The blocked node has no leader, and reports the lost quorum.
		const own = await pollUntil(
			() => check(2),
			answer => answer.code === 11,
			'exit code 11 at the blocked node',
		);
		expect(own.findings[0]!.problem).toMatch(/No quorum: 1 of 3 voters reachable, 2 needed/);
		await nodes[0]!.waitFor(
			event => isMember(nodes[2]!, 'degraded')(event) && /TCP blocked/.test(event['why'] as string),
			'the event',
			starts[0],
		);
		const lost = await nodes[2]!.waitFor(isQuorum(false), 'the loss of the quorum', starts[2]);
		expect(lost).toMatchObject({state: 'lost', reachable: 1, voters: 3});
		unblock();
		await expectHealthy();
	}, 120_000);

	test('blocked UDP: the node is degraded, the reports have the reason and a remedy but no round-trip time, and it keeps the quorum', async () => {
		const unblock = network.block({protocol: 'udp', from: hosts[1]!});
		for (const index of [0, 2]) {
			// Until this node detects the failure itself, it repeats the report of another node, with another reason.
			await pollUntil(
				() => peers(index),
				all => {
					const {state, rttMs, why} = all.find(({id}) => id === nodes[1]!.id)!;
					const isBlocked = /^UDP blocked: no datagram for [\d.]+ s, TCP works/.test(why);
					return state === 'degraded' && rttMs === null && isBlocked;
				},
				'a degraded member without a round-trip time, with the reason',
			);
			const {findings, code} = await check(index);
			expect(code).toBe(10);
			expect(findings.map(({advice}) => advice).join('\n')).toMatch(/UDP port 5000/);
		}

		expect(await quorumAt(1)).toMatchObject({has: true});
		unblock();
		await expectHealthy();
	}, 120_000);
});

describe('three nodes that stop and start', () => {
	let cluster: Cluster;
	type Member = {readonly id: string; readonly state: string; readonly why: string};
	const peersOf = (node: NodeProcess): Promise<readonly Member[]> => jsonAt(cluster, node, 'peers');
	beforeAll(async () => {
		cluster = new Cluster({cli});
		await cluster.startAll(3);
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	test('each quorum event agrees with its own numbers, and the last event of each node reports that the quorum is held', async () => {
		for (const node of cluster.nodes) {
			await node.waitFor(isQuorum(true), 'the quorum');
			const events = node.events.filter(({type}) => type === 'quorum');
			for (const {held, state, reachable, voters} of events) {
				expect(held).toBe(state === 'held');
				expect(state === 'lost').toBe(Number(reachable) * 2 <= Number(voters));
			}

			expect(events.at(-1)).toMatchObject({held: true});
		}
	});

	test('a member with another secret is degraded with that reason on both sides, and check gives the remedy', async () => {
		const [one, , three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		await three.kill('SIGTERM');
		await pollUntil(
			() => peersOf(one),
			members => members.some(({id, state}) => id === three.id && state === 'left'),
			'a member that left',
		);
		const secret = writeForeignSecret(cluster.folder);
		const changed = new NodeProcess(
			three.port,
			[
				cli,
				'--headless',
				'-o',
				'jsonl',
				'--port',
				String(three.port),
				'--cluster',
				cluster.name,
				'--config',
				`${cluster.folder}/config.json`,
				'--secret-file',
				secret,
				'--data',
				`${cluster.folder}/${three.port}`,
			],
			false,
			process.execPath,
			cluster.env,
		);
		try {
			await changed.waitFor(isReady, 'ready');
			const members = await pollUntil(
				() => peersOf(one),
				all => all.some(({id, state}) => id === three.id && state === 'degraded'),
				'a degraded member',
			);
			expect(members.find(({id}) => id === three.id)!.why).toMatch(/^has another secret than this node/);
			const checked = await runAt(cluster, one, 'check');
			expect(checked.code).toBe(10);
			expect(checked.stdout.toString()).toMatch(
				/has another secret than this node.*\n.*Give all nodes the same secret file/,
			);
			const reported = await changed.waitFor(isMember(one, 'degraded'), 'the mismatch, on the other side');
			expect(reported['why']).toMatch(/^has another secret than this node/);
			// All nodes run, so no advice is to restart or remove a node, or to recover from a lost quorum.
			const lost = await pollUntil(
				() =>
					run([
						'check',
						'--server',
						String(three.port),
						'--cluster',
						cluster.name,
						'--config',
						`${cluster.folder}/config.json`,
						'--secret-file',
						secret,
					]),
				({code, stdout}) => code === 11 && stdout.toString().match(/has another secret/g)?.length === 4,
				'a lost quorum, with the reason for both members',
			);
			for (const text of [checked.stdout.toString(), lost.stdout.toString()]) {
				expect(text).toContain(
					'Give all nodes the same secret file (--secret-file), and restart the one that has another.',
				);
				expect(text).not.toMatch(/recover|peer remove|Start it again|missing nodes again/);
			}
		} finally {
			await changed.kill('SIGKILL');
		}

		const back = cluster.start(three.port);
		await back.waitFor(isQuorum(true), 'the quorum');
		await pollUntil(
			() => peersOf(one),
			all => all.every(({state}) => state === 'alive'),
			'all alive',
		);
	}, 60_000);

	test('the only running node reports the loss of the quorum, also after its restart', async () => {
		const [one, two, three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const start = one.events.length;
		await Promise.all([two.kill('SIGKILL'), three.kill('SIGKILL')]);
		expect(
			await one.waitFor(
				event => isQuorum(false)(event) && event['state'] === 'lost',
				'the loss of the quorum',
				start,
			),
		).toMatchObject({reachable: 1, voters: 3});
		const checked = await runAt(cluster, one, 'check');
		expect([checked.code, checked.stdout.toString()]).toEqual([
			11,
			expect.stringContaining('No quorum: 1 of 3 voters reachable, 2 needed'),
		]);
		await one.kill('SIGKILL');
		const again = cluster.startAlone(one.port);
		const lost = await again.waitFor(({type}) => type === 'quorum', 'a quorum event');
		expect(lost).toMatchObject({held: false, state: 'lost', reachable: 1, voters: 3});
		const status = await runAt(cluster, again, 'status');
		expect(status.stdout.toString()).toContain('LOST: 1 of 3 voters reachable, 2 needed');
		const subscribed = await runAt(cluster, again, 'subscribe', 'news', '--count', '1');
		expect([subscribed.code, subscribed.stderr]).toEqual([
			11,
			expect.stringContaining('no quorum: 1 of 3 voters reachable'),
		]);
	}, 60_000);
});
