/**
Three real node processes: the causes of leader changes. A requested transfer, a kill -9 and a SIGSTOP of the leader
each give the right cause on every node. The stopped node reports its pause; the former leader reports the transfer and
the requesting node.
*/
import {expect, test} from 'vitest';
import {Cluster, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';

const leads = (event: JsonEvent): boolean => event.type === 'leader' && typeof event['leader'] === 'string';
const otherLeads =
	(former: string) =>
	(event: JsonEvent): boolean =>
		leads(event) && event['leader'] !== former;

test('the leader event has the cause: transferred (with the requesting node), crashed, silent; pauses and transfers are events (case 32)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const marks = (): Map<NodeProcess, number> => new Map(cluster.nodes.map(node => [node, node.events.length]));
	const changed = (
		nodes: readonly NodeProcess[],
		former: string,
		from: ReadonlyMap<NodeProcess, number>,
	): Promise<JsonEvent[]> =>
		Promise.all(nodes.map(node => node.waitFor(otherLeads(former), 'another leader', from.get(node))));

	// Requested through a follower.
	let leader = cluster.leader()!;
	const former = leader.id;
	const [asked, next] = cluster.nodes.filter(node => node !== leader) as [NodeProcess, NodeProcess];
	let from = marks();
	await using broker = await cluster.client(asked);
	await broker.transferLeadership(next.id);
	for (const event of await changed(cluster.nodes, former, from))
		expect(event).toMatchObject({leader: next.id, previous: former, cause: 'transferred'});
	const transfers = cluster.nodes.flatMap(node => node.events.filter(({type}) => type === 'transfer'));
	expect(transfers).toMatchObject([{type: 'transfer', from: former, to: next.id, by: asked.id}]);

	// kill -9. The refused connection is evidence of a crash, so the change is faster than an election timeout.
	const killed = next;
	let survivors = cluster.nodes.filter(node => node !== killed);
	from = marks();
	await killed.kill('SIGKILL');
	for (const event of await changed(survivors, killed.id, from)) {
		expect(event).toMatchObject({previous: killed.id, cause: 'crashed'});
		expect(event['silentMs']).toBeLessThan(500);
		expect(event['withoutLeaderMs']).toBeGreaterThanOrEqual(event['silentMs'] as number);
	}

	const back = cluster.start(killed.port);
	expect(await back.waitFor(leads, 'the leader')).toMatchObject({cause: 'started'});

	// SIGSTOP, SIGCONT.
	leader = cluster.leader()!;
	const stopped = leader.id;
	survivors = cluster.nodes.filter(node => node !== leader);
	from = marks();
	leader.signal('SIGSTOP');
	for (const event of await changed(survivors, stopped, from)) {
		expect(event).toMatchObject({previous: stopped, cause: 'silent'});
		if (event['silentMs'] !== undefined) expect(event['silentMs']).toBeGreaterThanOrEqual(500);
	}

	expect((await changed(survivors, stopped, from)).some(event => Number(event['silentMs']) >= 500)).toBe(true);
	leader.signal('SIGCONT');
	const [late] = await changed([leader], stopped, from);
	expect(late).toMatchObject({previous: stopped, cause: 'silent'});
	const [paused, ...rest] = leader.events
		.slice(from.get(leader))
		.filter(({type}) => type === 'paused' || type === 'leader');
	expect(paused).toMatchObject({type: 'paused'});
	expect(paused!['forMs']).toBeGreaterThanOrEqual(500);
	expect(rest.filter(({type}) => type === 'paused')).toEqual([]);
}, 60_000);
