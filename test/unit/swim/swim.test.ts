/**
One SWIM machine alone: packets and ticks in, output out. One probe takes `ticks(8)` (200 ms at 25 ms per tick); the
indirect pings start after 4.
*/
import {describe, expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {Health, healthMax} from '../../../core/swim/health.ts';
import {timingOf} from '../../../core/swim/timing.ts';
import {hashMembers, type SwimPacket, type Update} from '../../../core/swim/packet.ts';
import {bitmap} from '../../../core/swim/rows.ts';
import {Suspicion} from '../../../core/swim/suspicion.ts';
import {createSwim, outboxMax, type SwimOutbound, type SwimReady} from '../../../core/swim/swim.ts';
import {Updates} from '../../../core/swim/updates.ts';
import {createRandom} from '../../sim/random.ts';
import {idOf, nameOf} from '../../sim/swim-cluster.ts';

const tickMs = 25;
const probeTicks = 8;
const silentTicks = 24;

/** The machine of n1 in a cluster n1…n`count`. Its ticks are `tickMs` milliseconds apart. */
function setUp(count: number, incarnation = 1) {
	const order = Array.from({length: count}, (_, index) => idOf(`n${index + 1}`));
	const swim = createSwim({id: order[0]!, incarnation, random: createRandom('unit'), tickMs, config: defaults.swim});
	swim.setMembers(order);
	let nowMs = 1000;
	let counter = 0;
	const sent: SwimOutbound[] = [];
	const changes: string[] = [];
	const partitions: Array<NonNullable<SwimReady['partition']>> = [];
	const drain = (): void => {
		for (let ready = swim.ready(nowMs); ready; ready = swim.ready(nowMs)) {
			sent.push(...ready.packets);
			changes.push(...ready.changes.map(({id, state, why}) => `${nameOf(id)} ${state}${why && ` (${why})`}`));
			if (ready.partition) partitions.push(ready.partition);
		}
	};

	/** Delivers a packet of `from`, at incarnation 1 unless given. */
	const deliver = (from: string, message: Partial<SwimPacket> & {type: SwimPacket['type']}): void => {
		swim.step(idOf(from), {seq: 0, incarnation: 1, updates: [], rows: [], ...message} as SwimPacket, nowMs);
		drain();
	};

	const row = (node: string, ...unheard: string[]): SwimPacket['rows'][number] => [
		idOf(node),
		1,
		++counter,
		hashMembers(order),
		bitmap(order, id => unheard.includes(nameOf(id))),
	];

	return {
		swim,
		sent,
		changes,
		partitions,
		deliver,
		drain,
		row,
		pass: (ms: number) => {
			nowMs += ms;
		},
		/** Advances time; `each` runs before every tick. */
		ticks(count_: number, each?: () => void) {
			for (let tick = 0; tick < count_; tick++) {
				each?.();
				nowMs += tickMs;
				swim.tick();
				drain();
			}
		},
		/** The named members answer every ping at once, also relayed ones. */
		answer(...names: string[]) {
			for (const {to, packet} of sent.splice(0)) {
				if (packet.type === 'ping' && names.includes(nameOf(to)))
					deliver(nameOf(to), {type: 'ack', seq: packet.seq});
			}
		},
		/** A row of the member, which reports that datagrams of n1 do not reach it. */
		deaf: (node: string) => ({
			type: 'gossip' as const,
			rows: [row(node)],
			states: [[1, -1, 0, new Uint8Array(0), bitmap(order, id => id === order[0])] as const],
		}),
		state: (name: string) => swim.status().members.find(({id}) => id === idOf(name))!,
		pings: (name: string) => sent.filter(({to, packet}) => to === idOf(name) && packet.type === 'ping'),
	};
}

const accuse = (name: string, standing: Update[1], incarnation: number, by: string): Update => [
	idOf(name),
	standing,
	incarnation,
	idOf(by),
];

describe('probing', () => {
	test('every member is probed, at an even pace', () => {
		const {sent, ticks, answer, pings} = setUp(5);
		const turns = new Map<string, number>();
		ticks(60, () => {
			for (const name of ['n2', 'n3', 'n4', 'n5']) turns.set(name, (turns.get(name) ?? 0) + pings(name).length);
			answer('n2', 'n3', 'n4', 'n5');
		});
		expect(sent.length).toBeLessThan(8);
		for (const count of turns.values()) expect(count).toBeGreaterThanOrEqual(9); // 1500 ms, a ping each 150 ms.
		for (const count of turns.values()) expect(count).toBeLessThanOrEqual(10);
	});

	test('an ack measures the round trip in milliseconds; the ack of a repeated ping does not', () => {
		const {deliver, pass, ticks, pings, state} = setUp(2);
		ticks(6);
		pass(3.5);
		deliver('n2', {type: 'ack', seq: (pings('n2')[0]!.packet as {seq: number}).seq});
		expect(state('n2').rttMs).toBe(3.5);
		const before = pings('n2').length;
		ticks(11); // A ping, and the same over the link.
		const later = pings('n2').slice(before);
		expect(later.map(({via}) => via)).toEqual(['datagram', 'link']);
		pass(100);
		deliver('n2', {type: 'ack', seq: (later[0]!.packet as {seq: number}).seq});
		expect(state('n2').rttMs).toBe(3.5);
	});

	test('without an ack the node asks three relays and pings over the link, then suspects the member', () => {
		const {sent, ticks, deliver, changes, pings, state} = setUp(6);
		const aliveMembers = ['n3', 'n4', 'n5', 'n6'];
		const alive = (): void => {
			for (const name of aliveMembers) deliver(name, {type: 'gossip'});
		};

		for (let spent = 0; pings('n2').length === 0 && spent < 20; spent++) ticks(1, alive);
		const {seq} = pings('n2')[0]!.packet as {seq: number};
		sent.length = 0;
		ticks(4, alive);
		const asked = sent.filter(({packet}) => packet.type === 'ping-req' && packet.target === idOf('n2'));
		expect(new Set(asked.map(({to}) => to)).size).toBe(3);
		expect(asked.every(({packet}) => packet.type === 'ping-req' && packet.seq === seq)).toBe(true);
		expect(pings('n2').some(({via, packet}) => via === 'link' && packet.type === 'ping' && packet.link)).toBe(true);
		expect(changes).toEqual([]);
		ticks(4, alive);
		expect(changes).toEqual(['n2 suspect (no answer)']);
		expect(state('n2')).toMatchObject({
			state: 'suspect',
			why: 'no answer',
			rttMs: undefined,
			heardTicksAgo: undefined,
		});
	});

	test('the ack of a relay prevents the suspicion', () => {
		const {ticks, deliver, changes, sent} = setUp(3);
		ticks(60, () => {
			deliver('n3', {type: 'gossip'});
			for (const {to, packet} of sent.splice(0))
				if (packet.type === 'ping-req') deliver(nameOf(to), {type: 'ack', seq: packet.seq});
		});
		expect(changes).toEqual([]);
	});

	test('any other packet proves that a member is alive, but does not end the probe', () => {
		const {swim, ticks, changes, state} = setUp(3);
		ticks(100, () => {
			swim.heard(idOf('n2'));
			swim.heard(idOf('n3'));
		});
		expect(changes).toEqual([]);
		expect(state('n2').rttMs).toBeUndefined();
		expect(state('n2').heardTicksAgo).toBe(1);
		expect(swim.isHeard(idOf('n2'))).toBe(true);
	});

	test('a member that datagrams do not reach is also pinged over a working link, with the accusation', () => {
		const {swim, ticks, deliver, deaf, pings, drain} = setUp(3);
		const accusationPaths = (): string[] =>
			pings('n2')
				.filter(({packet}) => packet.updates.some(([id, standing]) => id === idOf('n3') && standing === 'left'))
				.map(({via}) => via);
		deliver('n3', {type: 'gossip', updates: [accuse('n3', 'left', 1, 'n3')]});
		deliver('n2', deaf('n2'));
		ticks(12);
		expect(accusationPaths()).toEqual(expect.arrayContaining(['datagram', 'link']));
		// Without a link datagrams are the only way.
		const unlinked = (): void => {
			deliver('n2', deaf('n2'));
			swim.tick({
				isLinked: () => false,
				isAudible: () => true,
				report: () => ({term: 1, leader: undefined, applied: 0}),
			});
			drain();
		};

		unlinked();
		const before = pings('n2').length;
		for (let tick = 0; tick < 12; tick++) unlinked();
		expect(
			new Set(
				pings('n2')
					.slice(before)
					.map(({via}) => via),
			),
		).toEqual(new Set(['datagram']));
	});

	test('pings are answered on their path, also those of non-members, whose rumours are ignored', () => {
		const {deliver, sent, changes} = setUp(3);
		deliver('n2', {type: 'ping', seq: 7, link: true});
		deliver('n9', {type: 'ping', seq: 8, link: false, updates: [accuse('n2', 'dead', 5, 'n9')]});
		expect(sent.map(({to, packet, via}) => [nameOf(to), packet.type, via])).toEqual([
			['n2', 'ack', 'link'],
			['n9', 'ack', 'datagram'],
		]);
		expect(changes).toEqual([]);
	});
});

describe('relaying', () => {
	test('a relayed ping returns the ack of its target, and a nack while there is none', () => {
		const {deliver, sent, ticks} = setUp(3);
		deliver('n2', {type: 'ping-req', seq: 70, target: idOf('n3')});
		const ping = sent.find(({to, packet}) => to === idOf('n3') && packet.type === 'ping')!.packet as {seq: number};
		ticks(2);
		expect(sent.filter(({packet}) => packet.type === 'nack')).toEqual([]);
		ticks(1); // 80 % of the wait for a direct ack.
		expect(
			sent.filter(({to, packet}) => to === idOf('n2') && packet.type === 'nack' && packet.seq === 70),
		).toHaveLength(1);
		deliver('n3', {type: 'ack', seq: ping.seq}); // Late, but still useful.
		expect(
			sent.filter(({to, packet}) => to === idOf('n2') && packet.type === 'ack' && packet.seq === 70),
		).toHaveLength(1);
		deliver('n3', {type: 'ack', seq: ping.seq});
		expect(sent.filter(({packet}) => packet.type === 'ack')).toHaveLength(1);
	});

	test('relays over the link to a target that datagrams do not reach', () => {
		const {deliver, sent, deaf} = setUp(3);
		deliver('n2', deaf('n2'));
		deliver('n2', {type: 'ping-req', seq: 70, target: idOf('n3')});
		const ping = sent.find(({to, packet}) => to === idOf('n3') && packet.type === 'ping')!;
		expect(ping.via).toBe('datagram');
		deliver('n3', {type: 'ack', seq: (ping.packet as {seq: number}).seq});
		expect(sent.filter(({to, packet}) => to === idOf('n2') && packet.type === 'ack').map(({via}) => via)).toEqual([
			'link',
		]);
		sent.length = 0;
		deliver('n3', {type: 'ping-req', seq: 71, target: idOf('n2')});
		expect(sent.map(({to, packet, via}) => [nameOf(to), packet.type, via])).toEqual([['n2', 'ping', 'link']]);
	});

	test('an ack of a relayed ping counts only from its target', () => {
		const {deliver, sent} = setUp(4);
		deliver('n2', {type: 'ping-req', seq: 70, target: idOf('n3')});
		const ping = sent[0]!.packet as {seq: number};
		deliver('n4', {type: 'ack', seq: ping.seq});
		expect(sent.filter(({packet}) => packet.type === 'ack')).toEqual([]);
	});

	test('an unknown target and excess requests are refused with a nack and counted', () => {
		const {swim, deliver, sent} = setUp(3);
		deliver('n2', {type: 'ping-req', seq: 1, target: idOf('n9')});
		expect(sent.map(({packet}) => packet.type)).toEqual(['nack']);
		for (let seq = 2; seq < 300; seq++) deliver('n2', {type: 'ping-req', seq, target: idOf('n3')});
		expect(swim.status().bounds.relays).toBe(1 + 298 - 256);
	});
});

describe('claims about members', () => {
	test('a silent suspect is dead after the suspicion, and only its own refutation revives it', () => {
		const {ticks, deliver, changes, state, sent} = setUp(2);
		deliver('n2', {type: 'gossip'});
		ticks(6 + probeTicks);
		expect(changes).toEqual(['n2 suspect (no answer)']);
		ticks(24);
		expect(changes).toEqual(['n2 suspect (no answer)', 'n2 dead (silent)']);
		deliver('n2', {type: 'ack', seq: 999}); // Without the accusation this is no refutation.
		expect(state('n2').state).toBe('dead');
		const sends = sent.filter(
			({to, packet}) =>
				to === idOf('n2') && packet.updates.some(update => update[0] === idOf('n2') && update[1] === 'dead'),
		);
		expect(sends).toHaveLength(1);
		deliver('n2', {type: 'ack', seq: 999, incarnation: 2});
		expect(changes.at(-1)).toBe('n2 alive');
	});

	test('this node refutes an accusation of any incarnation', () => {
		const {deliver, swim, state, sent} = setUp(3, 4);
		deliver('n2', {type: 'ping', seq: 1, link: false, updates: [accuse('n1', 'suspect', 4, 'n3')]});
		expect(sent.at(-1)!.packet).toMatchObject({type: 'ack', incarnation: 5});
		deliver('n2', {type: 'ping', seq: 2, link: false, updates: [accuse('n1', 'dead', 40, 'n3')]});
		expect(sent.at(-1)!.packet).toMatchObject({
			type: 'ack',
			incarnation: 41,
			updates: [[idOf('n1'), 'alive', 41, idOf('n1')]],
		});
		deliver('n2', {type: 'gossip', updates: [accuse('n1', 'dead', 40, 'n3')]}); // An old accusation.
		expect(state('n1')).toMatchObject({state: 'alive', incarnation: 41});
		expect(swim.status().health).toBe(2); // Twice other members could not reach this node.
	});

	// A node that was just admitted is pinged by members that its own log does not list yet.
	test('this node also refutes an accusation that a non-member brings', () => {
		const {deliver, swim, sent} = setUp(1);
		deliver('n9', {type: 'ping', seq: 1, link: false, updates: [accuse('n1', 'suspect', 1, 'n8')]});
		expect(sent.at(-1)).toMatchObject({
			to: idOf('n9'),
			packet: {type: 'ack', incarnation: 2, updates: [[idOf('n1'), 'alive', 2, idOf('n1')]]},
		});
		expect(swim.status().health).toBe(1);
	});

	test('the higher incarnation wins, then the stronger claim', () => {
		const {deliver, changes, state} = setUp(4);
		const hear = (...updates: Update[]): void => deliver('n2', {type: 'gossip', updates});
		hear(accuse('n3', 'suspect', 2, 'n4'));
		hear(accuse('n3', 'alive', 2, 'n3'));
		expect(state('n3').state).toBe('suspect');
		hear(accuse('n3', 'alive', 3, 'n3'));
		hear(accuse('n3', 'dead', 2, 'n4'));
		expect(state('n3')).toMatchObject({state: 'alive', incarnation: 3});
		hear(accuse('n3', 'refused', 3, 'n4'));
		hear(accuse('n3', 'dead', 3, 'n4'));
		expect(state('n3')).toMatchObject({state: 'dead', why: 'connection refused'});
		hear(accuse('n3', 'left', 3, 'n3'));
		expect(state('n3').state).toBe('left');
		expect(changes).toEqual([
			'n3 suspect (no answer)',
			'n3 alive',
			'n3 dead (connection refused)',
			'n3 left (left)',
		]);
	});

	test('an accusation against a member that is heard is not accepted: the member is pinged', () => {
		const {deliver, changes, sent, ticks, pings} = setUp(4);
		deliver('n3', {type: 'gossip'});
		sent.length = 0;
		deliver('n2', {type: 'gossip', updates: [accuse('n3', 'dead', 1, 'n4')]});
		expect(changes).toEqual([]);
		expect(pings('n3')[0]!.packet.updates[0]).toEqual(accuse('n3', 'dead', 1, 'n4'));
		deliver('n3', {type: 'gossip', incarnation: 2});
		ticks(probeTicks, () => deliver('n3', {type: 'gossip', incarnation: 2}));
		expect(changes.filter(text => text.startsWith('n3'))).toEqual([]);
	});

	test('if the member then stays silent, the accusation is accepted', () => {
		const {deliver, changes, ticks} = setUp(4);
		deliver('n3', {type: 'gossip'});
		deliver('n2', {type: 'gossip', updates: [accuse('n3', 'dead', 1, 'n4')]});
		ticks(probeTicks);
		expect(changes).toContain('n3 dead (silent)');
	});

	test('a suspect is pinged once more before it is dead, also in a large cluster with a distant next turn', () => {
		const {deliver, changes, ticks, pings, sent} = setUp(1000);
		const same = setUp(1000);
		same.ticks(500);
		const late = Array.from({length: 999}, (_, index) => `n${index + 2}`).find(
			name => same.pings(name).length === 0,
		)!;
		deliver('n2', {type: 'gossip', updates: [accuse(late, 'suspect', 1, 'n3')]});
		for (let tick = 0; pings(late).length === 0 && tick < 1000; tick++) ticks(1);
		expect(changes.filter(change => change.startsWith(`${late} `))).toEqual([`${late} suspect (no answer)`]);
		expect(pings(late)[0]!.packet.updates).toContainEqual(accuse(late, 'suspect', 1, 'n3'));
		const [{packet}] = pings(late) as [SwimOutbound];
		deliver(late, {type: 'ack', seq: (packet as {seq: number}).seq, incarnation: 2});
		sent.length = 0;
		ticks(100);
		expect(changes.filter(change => change.startsWith(`${late} `))).toEqual([
			`${late} suspect (no answer)`,
			`${late} alive`,
		]);
	});

	test('a sender with an older claim gets the newer one', () => {
		const {deliver, sent} = setUp(4);
		deliver('n2', {type: 'gossip', updates: [accuse('n3', 'alive', 7, 'n3')]});
		// The rumour is sent the set number of times and then dropped.
		for (let seq = 1; seq < 20; seq++) deliver('n4', {type: 'ping', seq, link: false});
		expect(sent.at(-1)!.packet.updates).toEqual([]);
		deliver('n4', {type: 'ping', seq: 20, link: false, updates: [accuse('n3', 'dead', 2, 'n4')]});
		expect(sent.at(-1)!.packet.updates).toEqual([accuse('n3', 'alive', 7, 'n3')]);
	});

	test('a goodbye is sent by datagram and link, and is final for this incarnation', () => {
		const {swim, deliver, sent, drain, ticks} = setUp(3);
		swim.leave();
		drain();
		const goodbyes = sent.filter(({packet}) =>
			packet.updates.some(update => update[0] === idOf('n1') && update[1] === 'left'),
		);
		expect(goodbyes.map(({to, via}) => `${nameOf(to)} ${via}`).toSorted()).toEqual([
			'n2 datagram',
			'n2 link',
			'n3 datagram',
			'n3 link',
		]);
		sent.length = 0;
		deliver('n2', {type: 'gossip', updates: [accuse('n1', 'left', 1, 'n1')]});
		ticks(50);
		expect(sent).toEqual([]);
		expect(swim.status().members[0]).toMatchObject({state: 'left', incarnation: 1});
	});
});

describe('evidence of links', () => {
	test('after a refused connection and no answer, the process is down', () => {
		const {swim, ticks, changes, partitions, deliver, drain} = setUp(3);
		swim.linkRefused(idOf('n2'));
		drain();
		ticks(probeTicks, () => deliver('n3', {type: 'gossip'}));
		expect(changes).toEqual(['n2 dead (connection refused)']);
		expect(swim.isHeard(idOf('n2'))).toBe(false);
		ticks(60, () => deliver('n3', {type: 'gossip'}));
		expect(partitions).toEqual([]); // A crash is not a cut.
	});

	test('after a refused connection, a member that still sends stays alive', () => {
		const {swim, ticks, changes, deliver} = setUp(3);
		ticks(100, () => {
			swim.linkRefused(idOf('n2'));
			deliver('n2', {type: 'gossip'});
			deliver('n3', {type: 'gossip'});
		});
		expect(changes).toEqual([]);
	});

	test('a new link revives a dead member', () => {
		const {swim, ticks, drain, pings, state, sent} = setUp(2);
		ticks(60);
		expect(state('n2').state).toBe('dead');
		sent.length = 0;
		swim.linkUp(idOf('n2'));
		drain();
		expect(pings('n2')[0]!.packet.updates[0]?.slice(0, 2)).toEqual([idOf('n2'), 'dead']);
	});
});

describe('rows', () => {
	test('a received row is read, and becomes stale', () => {
		const {swim, deliver, ticks, row} = setUp(3);
		deliver('n2', {type: 'gossip', rows: [row('n2', 'n1')]});
		expect(swim.status().matrix).toEqual({
			order: ['n1', 'n2', 'n3'].map(name => idOf(name)),
			sees: [
				[true, true, true],
				[false, true, true],
				[undefined, undefined, undefined],
			],
		});
		ticks(2 * silentTicks);
		expect(swim.status().matrix.sees).toEqual([
			[true, false, false],
			[undefined, undefined, undefined],
			[undefined, undefined, undefined],
		]);
	});

	test('the newest version of a row wins in any order of arrival; rows over other members are not read', () => {
		const {swim, deliver, row} = setUp(3);
		const older = row('n2', 'n1');
		const newer = row('n2', 'n3');
		deliver('n3', {type: 'gossip', rows: [newer]});
		deliver('n2', {type: 'gossip', rows: [older]});
		expect(swim.status().matrix.sees[1]).toEqual([true, true, false]);
		const [node, incarnation, , , unheard] = row('n2', 'n1');
		deliver('n2', {type: 'gossip', rows: [[node, incarnation, 99, 12_345, unheard]]});
		expect(swim.status().matrix.sees[1]).toEqual([true, true, false]);
		expect(swim.status().bounds.rowMismatches).toBe(1);
		// A later incarnation starts its counter again.
		deliver('n2', {type: 'gossip', rows: [[node, 2, 1, hashMembers(swim.status().matrix.order), unheard]]});
		expect(swim.status().matrix.sees[1]).toEqual([false, true, true]);
	});

	test('after a change of members, rows are read over the new list', () => {
		const {swim, deliver, row} = setUp(3);
		deliver('n2', {type: 'gossip', rows: [row('n2', 'n3')]});
		swim.setMembers(['n2', 'n25', 'n3'].map(name => idOf(name)).toSorted());
		const {order, sees} = swim.status().matrix;
		expect(order.map(id => nameOf(id))).toEqual(['n1', 'n2', 'n3', 'n25']);
		expect(sees[1]).toEqual([true, true, false, true]);
		swim.setMembers([idOf('n3')]);
		expect(swim.status().members.map(({id}) => nameOf(id))).toEqual(['n1', 'n3']);
	});

	test('a change of the own row goes at once to every member that is heard', () => {
		const {deliver, ticks, sent} = setUp(4);
		const hearAll = (): void => {
			deliver('n2', {type: 'gossip'});
			deliver('n3', {type: 'gossip'});
		};

		ticks(silentTicks - 1, hearAll);
		sent.length = 0;
		ticks(1, hearAll);
		expect(
			sent
				.filter(({packet}) => packet.type === 'gossip')
				.map(({to}) => nameOf(to))
				.toSorted(),
		).toEqual(['n2', 'n3']);
	});
});

test('output that is not taken is bounded and counted', () => {
	const {swim} = setUp(3);
	const packet: SwimPacket = {type: 'ping', seq: 1, link: false, incarnation: 1, updates: [], rows: []};
	for (let count = 0; count < outboxMax + 10; count++) swim.step(idOf('n2'), packet, 0);
	expect(swim.status().bounds.outbox).toBe(10);
	expect(swim.ready(0)?.packets).toHaveLength(outboxMax);
	expect(swim.ready(0)).toBeUndefined();
});

test('a node without other members sends no packet', () => {
	const {sent, ticks, swim, partitions} = setUp(1);
	ticks(100);
	expect(sent).toEqual([]);
	expect(partitions).toEqual([]);
	expect(swim.status().matrix.sees).toEqual([[true]]);
});

describe('Lifeguard', () => {
	const timing = {suspicionMin: 10, suspicionMax: 60, confirmations: 3};

	test('a suspicion shrinks with independent confirmations, by their logarithm', () => {
		const suspicion = new Suspicion(100, idOf('n1'), timing);
		expect(suspicion.ticks).toBe(60);
		expect(suspicion.confirm(idOf('n1'))).toBe(false);
		expect(suspicion.confirm(idOf('n2'))).toBe(true);
		expect(suspicion.ticks).toBe(35);
		expect(suspicion.confirm(idOf('n2'))).toBe(false);
		expect(suspicion.confirm(idOf('n3'))).toBe(true);
		expect(suspicion.ticks).toBe(21);
		expect(suspicion.isOver(120)).toBe(false);
		expect(suspicion.isOver(121)).toBe(true);
		expect(suspicion.confirm(idOf('n4'))).toBe(true);
		expect(suspicion.ticks).toBe(10);
		expect(suspicion.confirm(idOf('n5'))).toBe(false); // The maximum number is reached.
	});

	test('without possible confirmations a suspicion has its minimum length', () => {
		expect(new Suspicion(0, idOf('n1'), {...timing, confirmations: 0}).ticks).toBe(10);
	});

	test('health is bounded and stretches waits', () => {
		const health = new Health();
		health.good();
		expect(health.stretch(4)).toBe(4);
		for (let count = 0; count < 20; count++) health.bad();
		expect(health.score).toBe(healthMax);
		expect(health.stretch(4)).toBe(36);
		health.good();
		expect(health.score).toBe(7);
	});

	test('silent relays lower the local health, nacks do not', () => {
		const silent = setUp(4);
		silent.ticks(40, () => {
			for (const name of ['n3', 'n4']) silent.swim.heard(idOf(name));
		});
		expect(silent.swim.status().health).toBe(2);
		const honest = setUp(4);
		honest.ticks(40, () => {
			for (const {to, packet} of honest.sent.splice(0)) {
				if (to === idOf('n2')) continue;
				if (packet.type === 'ping') honest.deliver(nameOf(to), {type: 'ack', seq: packet.seq});
				if (packet.type === 'ping-req') honest.deliver(nameOf(to), {type: 'nack', seq: packet.seq});
			}
		});
		expect(honest.state('n2').state).toBe('suspect');
		expect(honest.swim.status().health).toBe(0);
	});
});

test('the timing keeps the load constant, and grows with the cluster', () => {
	const of = (members: number) => timingOf(members, tickMs, defaults.swim);
	expect(of(3)).toMatchObject({probe: 8, timeout: 4, pair: 6, silent: 24, suspicionMin: 24, confirmations: 1});
	expect(of(16).pair * tickMs).toBeLessThanOrEqual(defaults.swim.silentMs / 2);
	for (const members of [17, 50, 1024]) {
		const timing = of(members);
		expect((members - 1) / timing.pair).toBeLessThanOrEqual(10 / timing.probe);
		expect(timing.silent).toBeGreaterThan(2 * timing.pair);
	}
});

test('the least sent rumours go first, each a bounded number of times; a newer claim replaces an older claim', () => {
	const updates = new Updates();
	for (const name of ['n2', 'n3', 'n4']) updates.put(accuse(name, 'suspect', 1, 'n1'));
	const sends = (to: string, count: number): string[] =>
		updates.take(idOf(to), count, 2).map(([id, standing]) => `${nameOf(id)} ${standing}`);
	expect(sends('n4', 2)).toEqual(['n2 suspect', 'n3 suspect']);
	expect(sends('n9', 2)).toEqual(['n4 suspect', 'n2 suspect']);
	updates.put(accuse('n3', 'alive', 2, 'n3'));
	expect(sends('n9', 3)).toEqual(['n3 alive', 'n4 suspect']);
	expect(updates.size).toBe(1);
	expect(sends('n9', 3)).toEqual(['n3 alive']);
	expect(updates.size).toBe(0);
});
