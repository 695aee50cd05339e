/**
One SWIM machine alone: packets and ticks in, work out. `ticks(8)` is one probe (200 ms at 25 ms a tick), after 4 comes
the detour.
*/
import {describe, expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {Health, healthMax} from '../../../core/swim/health.ts';
import {timingOf} from '../../../core/swim/pace.ts';
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

/** A machine n1 among n1…n`count`, its tick a millisecond apart from the last by `tickMs`. */
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

	/** A packet of `from`, at its incarnation 1 unless said otherwise. */
	const say = (from: string, message: Partial<SwimPacket> & {type: SwimPacket['type']}): void => {
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
		say,
		drain,
		row,
		pass: (ms: number) => {
			nowMs += ms;
		},
		/** Let time pass; `each` runs before every tick. */
		ticks(count_: number, each?: () => void) {
			for (let tick = 0; tick < count_; tick++) {
				each?.();
				nowMs += tickMs;
				swim.tick();
				drain();
			}
		},
		/** Those who are named answer every ping at once, also when it comes by way of others. */
		answer(...names: string[]) {
			for (const {to, packet} of sent.splice(0)) {
				if (packet.type === 'ping' && names.includes(nameOf(to)))
					say(nameOf(to), {type: 'ack', seq: packet.seq});
			}
		},
		/** Its row, which says that datagrams of n1 do not reach it. */
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
	test('every member has its turn, at an even pace', () => {
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

	test('an ack measures the round trip in milliseconds, a repeated ping does not', () => {
		const {say, pass, ticks, pings, state} = setUp(2);
		ticks(6);
		pass(3.5);
		say('n2', {type: 'ack', seq: (pings('n2')[0]!.packet as {seq: number}).seq});
		expect(state('n2').rttMs).toBe(3.5);
		const before = pings('n2').length;
		ticks(11); // A ping, and the same over the link.
		const later = pings('n2').slice(before);
		expect(later.map(({via}) => via)).toEqual(['datagram', 'link']);
		pass(100);
		say('n2', {type: 'ack', seq: (later[0]!.packet as {seq: number}).seq});
		expect(state('n2').rttMs).toBe(3.5);
	});

	test('without an answer it asks three others and the link, then suspects', () => {
		const {sent, ticks, say, changes, pings, state} = setUp(6);
		const living = ['n3', 'n4', 'n5', 'n6'];
		const alive = (): void => {
			for (const name of living) say(name, {type: 'gossip'});
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

	test('the answer of a relay saves it', () => {
		const {ticks, say, changes, sent} = setUp(3);
		ticks(60, () => {
			say('n3', {type: 'gossip'});
			for (const {to, packet} of sent.splice(0))
				if (packet.type === 'ping-req') say(nameOf(to), {type: 'ack', seq: packet.seq});
		});
		expect(changes).toEqual([]);
	});

	test('any other packet from it counts as life, not as an answer', () => {
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

	test('one that datagrams do not reach is pinged over a working link as well, with what it is to be told', () => {
		const {swim, ticks, say, deaf, pings, drain} = setUp(3);
		const tells = (): string[] =>
			pings('n2')
				.filter(({packet}) => packet.updates.some(([id, standing]) => id === idOf('n3') && standing === 'left'))
				.map(({via}) => via);
		say('n3', {type: 'gossip', updates: [accuse('n3', 'left', 1, 'n3')]});
		say('n2', deaf('n2'));
		ticks(12);
		expect(tells()).toEqual(expect.arrayContaining(['datagram', 'link']));
		// Without a link there is nothing better than datagrams.
		const unlinked = (): void => {
			say('n2', deaf('n2'));
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

	test('it answers pings the way they came, also those of strangers, but takes no rumours from them', () => {
		const {say, sent, changes} = setUp(3);
		say('n2', {type: 'ping', seq: 7, link: true});
		say('n9', {type: 'ping', seq: 8, link: false, updates: [accuse('n2', 'dead', 5, 'n9')]});
		expect(sent.map(({to, packet, via}) => [nameOf(to), packet.type, via])).toEqual([
			['n2', 'ack', 'link'],
			['n9', 'ack', 'datagram'],
		]);
		expect(changes).toEqual([]);
	});
});

describe('relaying', () => {
	test('a ping for someone else, its answer, and a nack when there is none', () => {
		const {say, sent, ticks} = setUp(3);
		say('n2', {type: 'ping-req', seq: 70, target: idOf('n3')});
		const ping = sent.find(({to, packet}) => to === idOf('n3') && packet.type === 'ping')!.packet as {seq: number};
		ticks(2);
		expect(sent.filter(({packet}) => packet.type === 'nack')).toEqual([]);
		ticks(1); // 80 % of the wait for a direct ack.
		expect(
			sent.filter(({to, packet}) => to === idOf('n2') && packet.type === 'nack' && packet.seq === 70),
		).toHaveLength(1);
		say('n3', {type: 'ack', seq: ping.seq}); // Late, but still of use.
		expect(
			sent.filter(({to, packet}) => to === idOf('n2') && packet.type === 'ack' && packet.seq === 70),
		).toHaveLength(1);
		say('n3', {type: 'ack', seq: ping.seq});
		expect(sent.filter(({packet}) => packet.type === 'ack')).toHaveLength(1);
	});

	test('goes over the link with one that datagrams do not reach', () => {
		const {say, sent, deaf} = setUp(3);
		say('n2', deaf('n2'));
		say('n2', {type: 'ping-req', seq: 70, target: idOf('n3')});
		const ping = sent.find(({to, packet}) => to === idOf('n3') && packet.type === 'ping')!;
		expect(ping.via).toBe('datagram');
		say('n3', {type: 'ack', seq: (ping.packet as {seq: number}).seq});
		expect(sent.filter(({to, packet}) => to === idOf('n2') && packet.type === 'ack').map(({via}) => via)).toEqual([
			'link',
		]);
		sent.length = 0;
		say('n3', {type: 'ping-req', seq: 71, target: idOf('n2')});
		expect(sent.map(({to, packet, via}) => [nameOf(to), packet.type, via])).toEqual([['n2', 'ping', 'link']]);
	});

	test('an ack for a relayed ping counts only from its target', () => {
		const {say, sent} = setUp(4);
		say('n2', {type: 'ping-req', seq: 70, target: idOf('n3')});
		const ping = sent[0]!.packet as {seq: number};
		say('n4', {type: 'ack', seq: ping.seq});
		expect(sent.filter(({packet}) => packet.type === 'ack')).toEqual([]);
	});

	test('a target nobody knows, and too many at once, are refused with a nack and counted', () => {
		const {swim, say, sent} = setUp(3);
		say('n2', {type: 'ping-req', seq: 1, target: idOf('n9')});
		expect(sent.map(({packet}) => packet.type)).toEqual(['nack']);
		for (let seq = 2; seq < 300; seq++) say('n2', {type: 'ping-req', seq, target: idOf('n3')});
		expect(swim.status().bounds.relays).toBe(1 + 298 - 256);
	});
});

describe('words about members', () => {
	test('a suspect that stays silent is dead after the suspicion, and comes back on its own word alone', () => {
		const {ticks, say, changes, state, sent} = setUp(2);
		say('n2', {type: 'gossip'});
		ticks(6 + probeTicks);
		expect(changes).toEqual(['n2 suspect (no answer)']);
		ticks(24);
		expect(changes).toEqual(['n2 suspect (no answer)', 'n2 dead (silent)']);
		say('n2', {type: 'ack', seq: 999}); // It does not know of the rumour, so this does not take it back.
		expect(state('n2').state).toBe('dead');
		const told = sent.filter(
			({to, packet}) =>
				to === idOf('n2') && packet.updates.some(update => update[0] === idOf('n2') && update[1] === 'dead'),
		);
		expect(told.length).toBeGreaterThan(0);
		say('n2', {type: 'ack', seq: 999, incarnation: 2});
		expect(changes.at(-1)).toBe('n2 alive');
	});

	test('an accusation against this node is beaten, whatever its incarnation', () => {
		const {say, swim, state, sent} = setUp(3, 4);
		say('n2', {type: 'ping', seq: 1, link: false, updates: [accuse('n1', 'suspect', 4, 'n3')]});
		expect(sent.at(-1)!.packet).toMatchObject({type: 'ack', incarnation: 5});
		say('n2', {type: 'ping', seq: 2, link: false, updates: [accuse('n1', 'dead', 40, 'n3')]});
		expect(sent.at(-1)!.packet).toMatchObject({
			type: 'ack',
			incarnation: 41,
			updates: [[idOf('n1'), 'alive', 41, idOf('n1')]],
		});
		say('n2', {type: 'gossip', updates: [accuse('n1', 'dead', 40, 'n3')]}); // An old one changes nothing.
		expect(state('n1')).toMatchObject({state: 'alive', incarnation: 41});
		expect(swim.status().health).toBe(2); // Twice others could not reach us.
	});

	// A node that has just been taken in is pinged by members that its own log does not name yet.
	test('an accusation against this node is beaten also when a stranger brings it', () => {
		const {say, swim, sent} = setUp(1);
		say('n9', {type: 'ping', seq: 1, link: false, updates: [accuse('n1', 'suspect', 1, 'n8')]});
		expect(sent.at(-1)).toMatchObject({
			to: idOf('n9'),
			packet: {type: 'ack', incarnation: 2, updates: [[idOf('n1'), 'alive', 2, idOf('n1')]]},
		});
		expect(swim.status().health).toBe(1);
	});

	test('of two words the higher incarnation wins, then the graver', () => {
		const {say, changes, state} = setUp(4);
		const hear = (...updates: Update[]): void => say('n2', {type: 'gossip', updates});
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

	test('a rumour against one that is heard is not believed: it is asked', () => {
		const {say, changes, sent, ticks, pings} = setUp(4);
		say('n3', {type: 'gossip'});
		sent.length = 0;
		say('n2', {type: 'gossip', updates: [accuse('n3', 'dead', 1, 'n4')]});
		expect(changes).toEqual([]);
		expect(pings('n3')[0]!.packet.updates[0]).toEqual(accuse('n3', 'dead', 1, 'n4'));
		say('n3', {type: 'gossip', incarnation: 2});
		ticks(probeTicks, () => say('n3', {type: 'gossip', incarnation: 2}));
		expect(changes.filter(text => text.startsWith('n3'))).toEqual([]);
	});

	test('if it then stays silent, the rumour is believed', () => {
		const {say, changes, ticks} = setUp(4);
		say('n3', {type: 'gossip'});
		say('n2', {type: 'gossip', updates: [accuse('n3', 'dead', 1, 'n4')]});
		ticks(probeTicks);
		expect(changes).toContain('n3 dead (silent)');
	});

	test('in a large cluster, where its turn is far, a suspect is asked before it is called dead', () => {
		const {say, changes, ticks, pings, sent} = setUp(1000);
		const same = setUp(1000);
		same.ticks(500);
		const late = Array.from({length: 999}, (_, index) => `n${index + 2}`).find(
			name => same.pings(name).length === 0,
		)!;
		say('n2', {type: 'gossip', updates: [accuse(late, 'suspect', 1, 'n3')]});
		for (let tick = 0; pings(late).length === 0 && tick < 1000; tick++) ticks(1);
		expect(changes.filter(change => change.startsWith(`${late} `))).toEqual([`${late} suspect (no answer)`]);
		expect(pings(late)[0]!.packet.updates).toContainEqual(accuse(late, 'suspect', 1, 'n3'));
		const [{packet}] = pings(late) as [SwimOutbound];
		say(late, {type: 'ack', seq: (packet as {seq: number}).seq, incarnation: 2});
		sent.length = 0;
		ticks(100);
		expect(changes.filter(change => change.startsWith(`${late} `))).toEqual([
			`${late} suspect (no answer)`,
			`${late} alive`,
		]);
	});

	test('who is behind is told the newer word', () => {
		const {say, sent} = setUp(4);
		say('n2', {type: 'gossip', updates: [accuse('n3', 'alive', 7, 'n3')]});
		// The rumour is told often enough and forgotten.
		for (let seq = 1; seq < 20; seq++) say('n4', {type: 'ping', seq, link: false});
		expect(sent.at(-1)!.packet.updates).toEqual([]);
		say('n4', {type: 'ping', seq: 20, link: false, updates: [accuse('n3', 'dead', 2, 'n4')]});
		expect(sent.at(-1)!.packet.updates).toEqual([accuse('n3', 'alive', 7, 'n3')]);
	});

	test('goodbye goes out by datagram and link, and is not taken back', () => {
		const {swim, say, sent, drain, ticks} = setUp(3);
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
		say('n2', {type: 'gossip', updates: [accuse('n1', 'left', 1, 'n1')]});
		ticks(50);
		expect(sent).toEqual([]);
		expect(swim.status().members[0]).toMatchObject({state: 'left', incarnation: 1});
	});
});

describe('evidence of links', () => {
	test('a refused connection and no answer: the process is down', () => {
		const {swim, ticks, changes, partitions, say, drain} = setUp(3);
		swim.linkRefused(idOf('n2'));
		drain();
		ticks(probeTicks, () => say('n3', {type: 'gossip'}));
		expect(changes).toEqual(['n2 dead (connection refused)']);
		expect(swim.isHeard(idOf('n2'))).toBe(false);
		ticks(60, () => say('n3', {type: 'gossip'}));
		expect(partitions).toEqual([]); // A crash is not a cut.
	});

	test('a refused connection, but it speaks: nothing', () => {
		const {swim, ticks, changes, say} = setUp(3);
		ticks(100, () => {
			swim.linkRefused(idOf('n2'));
			say('n2', {type: 'gossip'});
			say('n3', {type: 'gossip'});
		});
		expect(changes).toEqual([]);
	});

	test('a link that comes up makes a dead member speak', () => {
		const {swim, ticks, drain, pings, state, sent} = setUp(2);
		ticks(60);
		expect(state('n2').state).toBe('dead');
		sent.length = 0;
		swim.linkUp(idOf('n2'));
		drain();
		expect(pings('n2')[0]!.packet.updates[0]?.slice(0, 2)).toEqual([idOf('n2'), 'dead']);
	});
});

describe('who hears whom', () => {
	test('a row comes in, is read and grows stale', () => {
		const {swim, say, ticks, row} = setUp(3);
		say('n2', {type: 'gossip', rows: [row('n2', 'n1')]});
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

	test('the newest version of a row wins, in whatever order they come; rows over other members are not read', () => {
		const {swim, say, row} = setUp(3);
		const older = row('n2', 'n1');
		const newer = row('n2', 'n3');
		say('n3', {type: 'gossip', rows: [newer]});
		say('n2', {type: 'gossip', rows: [older]});
		expect(swim.status().matrix.sees[1]).toEqual([true, true, false]);
		const [node, incarnation, , , unheard] = row('n2', 'n1');
		say('n2', {type: 'gossip', rows: [[node, incarnation, 99, 12_345, unheard]]});
		expect(swim.status().matrix.sees[1]).toEqual([true, true, false]);
		expect(swim.status().bounds.rowMismatches).toBe(1);
		// A next life starts to count anew.
		say('n2', {type: 'gossip', rows: [[node, 2, 1, hashMembers(swim.status().matrix.order), unheard]]});
		expect(swim.status().matrix.sees[1]).toEqual([false, true, true]);
	});

	test('members come and go: rows are read over the new list', () => {
		const {swim, say, row} = setUp(3);
		say('n2', {type: 'gossip', rows: [row('n2', 'n3')]});
		swim.setMembers(['n2', 'n25', 'n3'].map(name => idOf(name)).toSorted());
		const {order, sees} = swim.status().matrix;
		expect(order.map(id => nameOf(id))).toEqual(['n1', 'n2', 'n3', 'n25']);
		expect(sees[1]).toEqual([true, true, false, true]);
		swim.setMembers([idOf('n3')]);
		expect(swim.status().members.map(({id}) => nameOf(id))).toEqual(['n1', 'n3']);
	});

	test('a change of the own row goes to everyone who is heard, at once', () => {
		const {say, ticks, sent} = setUp(4);
		const living = (): void => {
			say('n2', {type: 'gossip'});
			say('n3', {type: 'gossip'});
		};

		ticks(silentTicks - 1, living);
		sent.length = 0;
		ticks(1, living);
		expect(
			sent
				.filter(({packet}) => packet.type === 'gossip')
				.map(({to}) => nameOf(to))
				.toSorted(),
		).toEqual(['n2', 'n3']);
	});
});

test('what nobody takes out is bounded and counted', () => {
	const {swim} = setUp(3);
	const packet: SwimPacket = {type: 'ping', seq: 1, link: false, incarnation: 1, updates: [], rows: []};
	for (let count = 0; count < outboxMax + 10; count++) swim.step(idOf('n2'), packet, 0);
	expect(swim.status().bounds.outbox).toBe(10);
	expect(swim.ready(0)?.packets).toHaveLength(outboxMax);
	expect(swim.ready(0)).toBeUndefined();
});

test('alone there is nothing to do', () => {
	const {sent, ticks, swim, partitions} = setUp(1);
	ticks(100);
	expect(sent).toEqual([]);
	expect(partitions).toEqual([]);
	expect(swim.status().matrix.sees).toEqual([[true]]);
});

describe('Lifeguard', () => {
	const pace = {suspicionMin: 10, suspicionMax: 60, confirmations: 3};

	test('a suspicion shrinks with independent confirmations, by their logarithm', () => {
		const suspicion = new Suspicion(100, idOf('n1'), pace);
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
		expect(suspicion.confirm(idOf('n5'))).toBe(false); // Enough.
	});

	test('where nobody could confirm, the least holds at once', () => {
		expect(new Suspicion(0, idOf('n1'), {...pace, confirmations: 0}).ticks).toBe(10);
	});

	test('health has bounds and stretches waits', () => {
		const health = new Health();
		health.good();
		expect(health.stretch(4)).toBe(4);
		for (let count = 0; count < 20; count++) health.bad();
		expect(health.score).toBe(healthMax);
		expect(health.stretch(4)).toBe(36);
		health.good();
		expect(health.score).toBe(7);
	});

	test('silent relays make this node doubt itself, nacks do not', () => {
		const silent = setUp(4);
		silent.ticks(40, () => {
			for (const name of ['n3', 'n4']) silent.swim.heard(idOf(name));
		});
		expect(silent.swim.status().health).toBeGreaterThan(0);
		const honest = setUp(4);
		honest.ticks(40, () => {
			for (const {to, packet} of honest.sent.splice(0)) {
				if (to === idOf('n2')) continue;
				if (packet.type === 'ping') honest.say(nameOf(to), {type: 'ack', seq: packet.seq});
				if (packet.type === 'ping-req') honest.say(nameOf(to), {type: 'nack', seq: packet.seq});
			}
		});
		expect(honest.state('n2').state).not.toBe('alive');
		expect(honest.swim.status().health).toBe(0);
	});
});

test('the pace: constant load, and times that grow with the cluster', () => {
	const of = (members: number) => timingOf(members, tickMs, defaults.swim);
	expect(of(3)).toMatchObject({probe: 8, timeout: 4, pair: 6, silent: 24, suspicionMin: 24, confirmations: 1});
	expect(of(16).pair * tickMs).toBeLessThanOrEqual(defaults.swim.silentMs / 2);
	for (const members of [17, 50, 1024]) {
		const pace = of(members);
		expect((members - 1) / pace.pair).toBeLessThanOrEqual(10 / pace.probe);
		expect(pace.silent).toBeGreaterThan(2 * pace.pair);
	}
});

test('rumours: the least told first, each so often, the newest word replaces the older', () => {
	const updates = new Updates();
	for (const name of ['n2', 'n3', 'n4']) updates.put(accuse(name, 'suspect', 1, 'n1'));
	const told = (to: string, count: number): string[] =>
		updates.take(idOf(to), count, 2).map(([id, standing]) => `${nameOf(id)} ${standing}`);
	expect(told('n4', 2)).toEqual(['n2 suspect', 'n3 suspect']);
	expect(told('n9', 2)).toEqual(['n4 suspect', 'n2 suspect']);
	updates.put(accuse('n3', 'alive', 2, 'n3'));
	expect(told('n9', 3)).toEqual(['n3 alive', 'n4 suspect']);
	expect(updates.size).toBe(1);
	expect(told('n9', 3)).toEqual(['n3 alive']);
	expect(updates.size).toBe(0);
});
