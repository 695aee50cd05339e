/**
Healthy means usable: the reports of real nodes, on every side, when a part of the network between them is broken. Fault
injection cuts a link between two of three nodes; network namespaces block TCP and UDP of one node.
*/
import {writeFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, NodeProcess, type JsonEvent} from '../../bench/cluster.ts';
import type {Broker, NodeId, Snapshot} from '../../core/index.ts';
import {defaultName} from '../../core/node-name.ts';
import {cli, run} from './support/command.ts';
import {canFilter, Network, sayNotRun, type Host} from './support/namespaces.ts';

sayNotRun('test/e2e/health.test.ts', true);

const settleMs = 20_000;

/** Asks until the answer is as expected. */
async function until<Answer>(
	ask: () => Promise<Answer>,
	isRight: (answer: Answer) => boolean,
	what: string,
): Promise<Answer> {
	const untilMs = Date.now() + settleMs;
	for (;;) {
		const answer = await ask();
		if (isRight(answer)) return answer;
		if (Date.now() > untilMs) throw new Error(`Expected ${what}, got ${JSON.stringify(answer)}`);
	}
}

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
	const server = (node: NodeProcess): string[] => [...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`];
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
		'%s ways: the follower keeps its leader, agreement works there, and every node reports the same two members as degraded',
		async direction => {
			const terms = new Set<number>();
			const [atLeader, atFollower] = brokers as [Broker, Broker];
			const before = (await atLeader.snapshot()).raft;
			await atFollower.fault({type: 'cut', peers: [leader.id as NodeId], direction, forMs: 60_000});
			if (direction === 'both')
				await atLeader.fault({type: 'cut', peers: [follower.id as NodeId], direction, forMs: 60_000});
			const isSeen = (snapshot: Snapshot): boolean =>
				snapshot.cuts.length === 1 && snapshot.cuts[0]!.via === third.id;
			const views = await Promise.all(
				brokers.map(broker =>
					until(
						() => broker.snapshot(),
						isSeen,
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
				expect(view.raft).toMatchObject({quorum: 'held', hasQuorum: true, reachableVoters: 3});
				terms.add(view.raft.term);
			}

			expect(stateOf(views[1]!, leader.id)).toMatch(
				new RegExp(`served through ${defaultName(hostname(), third.port)}`),
			);
			// Agreement through the follower, which has no link to the leader.
			const name = `relayed-${direction}`;
			await until(
				() => brokers[1]!.snapshot(),
				({raft}) => raft.leader === before.leader,
				'the leader, known to the follower',
			);
			await brokers[1]!.subscribeNode(name);
			await Promise.all(
				[leader, third].map(node =>
					node.waitFor(
						event => event.type === 'subscribed' && event['topic'] === name,
						`the subscription of ${name}`,
					),
				),
			);
			await brokers[0]!.publish('news', [Buffer.from(name)]);
			await follower.waitFor(event => event.type === 'message' && event['payload'] === name, 'a live message');
			for (const node of [leader, follower, third]) {
				const checked = await run(['check', ...server(node)]);
				expect(checked.code).toBe(10);
				expect(checked.stdout.toString()).toContain(`served through ${defaultName(hostname(), third.port)}`);
			}

			await Promise.all(brokers.map(broker => broker.fault({type: 'heal'})));
			const healed = await Promise.all(
				brokers.map(broker =>
					until(
						() => broker.snapshot(),
						({cuts, members}) => cuts.length === 0 && members.every(({state}) => state === 'alive'),
						'all members alive',
					),
				),
			);
			// It caused no election.
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
	beforeAll(async () => {
		network = new Network();
		cluster = new Cluster({cli});
		hosts = [network.host(), network.host(), network.host()];
		nodes = [];
		for (const [index, host] of hosts.entries()) {
			const node = host.start(cluster, [
				'--host',
				host.v4,
				...(index > 0 ? ['--bootstrap', `${hosts[0]!.v4}:5000`] : []),
			]);
			nodes.push(node);
			await node.waitFor(({type}) => type === 'ready', 'ready');
		}

		await Promise.all(
			nodes.map(node =>
				node.waitFor(
					event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
					'three voters',
				),
			),
		);
		await Promise.all(
			nodes.map((_, index) =>
				until(
					() => check(index),
					({code}) => code === 0,
					'a healthy cluster',
				),
			),
		);
	}, 90_000);
	afterAll(async () => {
		await Promise.all(nodes.filter(node => node.isRunning).map(node => node.kill('SIGKILL')));
		network[Symbol.dispose]();
		await cluster[Symbol.asyncDispose]();
	});

	test('TCP: it is degraded and not counted for the quorum, with the reason and a remedy, and healthy when TCP is open again', async () => {
		const start = nodes.map(node => node.events.length);
		const unblock = network.block({protocol: 'tcp', from: hosts[2]!});
		for (const index of [0, 1]) {
			// The other node may report first: then the pair of those two is named until this node notices too.
			const isBlocked = ({id, state, why}: {id: string; state: string; why: string}): boolean =>
				id === nodes[2]!.id &&
				state === 'degraded' &&
				/^TCP blocked: datagrams arrive, no link for [\d.]+ s/.test(why);
			const members = await until(
				() => peers(index),
				all => all.some(row => isBlocked(row)),
				'a degraded member, with the reason',
			);
			const {code, findings} = await until(
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

		const status = JSON.parse((await hosts[0]!.run(['status', ...flags(0)])).stdout) as {
			quorum: {has: boolean; reachable: number; voters: number};
		};
		expect(status.quorum).toMatchObject({has: true, reachable: 2});
		// The node itself has no leader, and reports that it is cut off.
		const own = await until(
			() => check(2),
			answer => answer.code === 11,
			'exit code 11 at the node that is blocked',
		);
		expect(own.findings[0]!.problem).toMatch(/No quorum: 1 of 3 voters reachable, 2 needed/);
		await nodes[0]!.waitFor(
			event =>
				event.type === 'member' &&
				event['id'] === nodes[2]!.id &&
				event['state'] === 'degraded' &&
				/TCP blocked/.test(event['why'] as string),
			'the event',
			start[0],
		);
		const lost = await nodes[2]!.waitFor(
			event => event.type === 'quorum' && event['held'] === false,
			'the loss of the quorum',
			start[2],
		);
		expect(lost).toMatchObject({state: 'lost', reachable: 1, voters: 3});
		unblock();
		await Promise.all(
			nodes.map((_, index) =>
				until(
					() => check(index),
					({code}) => code === 0,
					'a healthy cluster',
				),
			),
		);
	}, 120_000);

	test('UDP: it is degraded with the reason and a remedy, has no round trip, and continues to work', async () => {
		const unblock = network.block({protocol: 'udp', from: hosts[1]!});
		for (const index of [0, 2]) {
			// Other nodes may report the pair before this node detects it.
			await until(
				() => peers(index),
				all => {
					const {state, rttMs, why} = all.find(({id}) => id === nodes[1]!.id)!;
					const isBlocked = /^UDP blocked: no datagram for [\d.]+ s, TCP works/.test(why);
					return state === 'degraded' && rttMs === null && isBlocked;
				},
				'a degraded member without a round trip, and why',
			);
			const {findings, code} = await check(index);
			expect(code).toBe(10);
			expect(findings.map(({advice}) => advice).join('\n')).toMatch(/UDP port 5000/);
		}

		expect((await hosts[1]!.run(['status', ...flags(1)])).stdout).toContain('"has":true');
		unblock();
		await Promise.all(
			nodes.map((_, index) =>
				until(
					() => check(index),
					({code}) => code === 0,
					'a healthy cluster',
				),
			),
		);
	}, 120_000);
});

describe('three nodes that stop and start', () => {
	let cluster: Cluster;
	const server = (node: NodeProcess): string[] => [...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`];
	const isQuorum = ({type}: JsonEvent): boolean => type === 'quorum';
	type Member = {readonly id: string; readonly state: string; readonly why: string};
	const peersOf = async (node: NodeProcess): Promise<readonly Member[]> =>
		JSON.parse((await run(['peers', '-o', 'json', ...server(node)])).stdout.toString()) as Member[];
	beforeAll(async () => {
		cluster = new Cluster({cli});
		await cluster.startAll(3);
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	test('no quorum event contradicts its own numbers, and the last event of each node says that the quorum is held', async () => {
		for (const node of cluster.nodes) {
			await node.waitFor(event => isQuorum(event) && event['held'] === true, 'the quorum');
			for (const {held, state, reachable, voters} of node.events.filter(event =>
				isQuorum(event),
			) as unknown as Array<Record<'held' | 'state' | 'reachable' | 'voters', number | boolean | string>>) {
				expect(held).toBe(state === 'held');
				expect(state === 'lost').toBe(Number(reachable) * 2 <= Number(voters));
			}

			expect(node.events.findLast(event => isQuorum(event))).toMatchObject({held: true});
		}
	});

	test('a member with another secret is degraded with that reason on both sides, and check says what to do (case 20)', async () => {
		const [one, , three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		await three.kill('SIGTERM');
		await until(
			() => peersOf(one),
			members => members.some(({id, state}) => id === three.id && state === 'left'),
			'a member that left',
		);
		const secret = `${cluster.folder}/other-secret`;
		writeFileSync(secret, 'q7Jb2nZk9XwPz4Lr8TtVc1Hy5GfDs3Ae6Mu0Bi-Oj_Q\n', {mode: 0o600});
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
		);
		try {
			await changed.waitFor(({type}) => type === 'ready', 'ready');
			const members = await until(
				() => peersOf(one),
				all => all.some(({id, state}) => id === three.id && state === 'degraded'),
				'a degraded member',
			);
			expect(members.find(({id}) => id === three.id)!.why).toBe('has another secret than this node');
			const checked = await run(['check', ...server(one)]);
			expect(checked.code).toBe(10);
			expect(checked.stdout.toString()).toMatch(
				/has another secret than this node.*\n.*Give all nodes the same secret file/,
			);
			const reported = await changed.waitFor(
				event => event.type === 'member' && event['id'] === one.id && event['state'] === 'degraded',
				'the mismatch, on the other side',
			);
			expect(reported['why']).toBe('has another secret than this node');
			// The nodes run, so the advice is not to restart or remove a node, nor to give the quorum up.
			const lost = await until(
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
					'Give all nodes the same secret file (--secret-file), and start the one that has another again.',
				);
				expect(text).not.toMatch(/recover|peer remove|Start it again|missing nodes again/);
			}
		} finally {
			await changed.kill('SIGKILL');
		}

		const back = cluster.start(three.port);
		await back.waitFor(event => isQuorum(event) && event['held'] === true, 'the quorum');
		await until(
			() => peersOf(one),
			all => all.every(({state}) => state === 'alive'),
			'all alive',
		);
	}, 60_000);

	test('the last node reports the loss of the quorum, also when it starts without a quorum', async () => {
		const [one, two, three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
		const start = one.events.length;
		await Promise.all([two.kill('SIGKILL'), three.kill('SIGKILL')]);
		expect(
			await one.waitFor(
				event => isQuorum(event) && event['held'] === false && event['state'] === 'lost',
				'the loss',
				start,
			),
		).toMatchObject({reachable: 1, voters: 3});
		const checked = await run(['check', ...server(one)]);
		expect([checked.code, checked.stdout.toString()]).toEqual([
			11,
			expect.stringContaining('No quorum: 1 of 3 voters reachable, 2 needed'),
		]);
		await one.kill('SIGKILL');
		const again = cluster.startAlone(one.port);
		const lost = await again.waitFor(event => isQuorum(event), 'a quorum event');
		expect(lost).toMatchObject({held: false, state: 'lost', reachable: 1, voters: 3});
		const status = await run(['status', ...server(again)]);
		expect(status.stdout.toString()).toContain('LOST: 1 of 3 voters reachable, 2 needed');
		const subscribed = await run(['subscribe', 'news', '--count', '1', ...server(again)]);
		expect([subscribed.code, subscribed.stderr]).toEqual([
			11,
			expect.stringContaining('no quorum: 1 of 3 voters reachable'),
		]);
	}, 60_000);
});
