/**
The causes of leader changes. A requested transfer, SIGKILL and SIGSTOP of the leader each have their cause in the event
of every node. The paused node reports its pause; the former leader reports the transfer with the requesting node.
*/
import {setTimeout as delay} from 'node:timers/promises';
import {expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {hasLeader, isNewLeader} from './support/events.ts';

test('the leader event has the cause transferred, crashed or silent; a transfer and a pause are events of their own', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const eventStarts = (): Map<NodeProcess, number> => new Map(cluster.nodes.map(node => [node, node.events.length]));
	/** The event of each node about the leader after the former one. */
	const leaderChanges = (
		nodes: readonly NodeProcess[],
		former: string,
		starts: ReadonlyMap<NodeProcess, number>,
	): Promise<JsonEvent[]> =>
		Promise.all(nodes.map(node => node.waitFor(isNewLeader({id: former}), 'another leader', starts.get(node))));

	// A transfer that is requested through a follower.
	let leader = cluster.leader()!;
	const former = leader.id;
	const [requester, next] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
	let starts = eventStarts();
	await using broker = await cluster.client(requester);
	await broker.transferLeadership(next.id);
	for (const event of await leaderChanges(cluster.nodes, former, starts))
		expect(event).toMatchObject({leader: next.id, previous: former, cause: 'transferred'});
	const transfers = cluster.nodes.flatMap(node => node.events.filter(({type}) => type === 'transfer'));
	expect(transfers).toMatchObject([{type: 'transfer', from: former, to: next.id, by: requester.id}]);

	// SIGKILL. The refused connection is evidence of a crash, so the change takes less than an election timeout.
	const killed = next;
	let survivors = cluster.nodes.filter(node => node !== killed);
	starts = eventStarts();
	await killed.kill('SIGKILL');
	for (const event of await leaderChanges(survivors, killed.id, starts)) {
		expect(event).toMatchObject({previous: killed.id, cause: 'crashed'});
		expect(event['silentMs']).toBeLessThan(500);
		expect(event['withoutLeaderMs']).toBeGreaterThanOrEqual(event['silentMs'] as number);
	}

	const back = cluster.start(killed.port);
	expect(await back.waitFor(hasLeader, 'the leader')).toMatchObject({cause: 'started'});

	// SIGSTOP and SIGCONT. A node that voted before it noticed the silence itself has no `silentMs`.
	leader = cluster.leader()!;
	const stopped = leader.id;
	survivors = cluster.nodes.filter(node => node !== leader);
	starts = eventStarts();
	leader.signal('SIGSTOP');
	const changes = await leaderChanges(survivors, stopped, starts);
	for (const event of changes) expect(event).toMatchObject({previous: stopped, cause: 'silent'});
	const silencesMs = changes.flatMap(({silentMs}) => (silentMs === undefined ? [] : [Number(silentMs)]));
	expect(silencesMs.length).toBeGreaterThan(0);
	expect(Math.min(...silencesMs)).toBeGreaterThanOrEqual(500);
	// The length of the pause is the input of the test: a node reports only pauses longer than an election timeout.
	await delay(1000);
	leader.signal('SIGCONT');
	const [late] = await leaderChanges([leader], stopped, starts);
	expect(late).toMatchObject({previous: stopped, cause: 'silent'});
	const [paused, ...rest] = leader.events
		.slice(starts.get(leader))
		.filter(({type}) => type === 'paused' || type === 'leader');
	expect(paused).toMatchObject({type: 'paused'});
	expect(paused!['forMs']).toBeGreaterThanOrEqual(500);
	expect(rest.filter(({type}) => type === 'paused')).toEqual([]);
}, 60_000);
