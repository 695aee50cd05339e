/** Rows with the states of their nodes: sent rows, kept rows, and the limit of a datagram. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {encode} from '../../../core/codec.ts';
import type {NodeId} from '../../../core/message.ts';
import {packetBytesMax, rowsMax, type Row, type RowState} from '../../../core/swim/packet.ts';
import {Rows} from '../../../core/swim/rows.ts';
import {idOf} from '../../sim/swim-cluster.ts';

const order = ['n1', 'n2', 'n3', 'n4'].map(name => idOf(name));
const [n1, n2, n3, n4] = order as [NodeId, NodeId, NodeId, NodeId];
const staleTicks = 48;
const fine = {
	isHeard: () => true,
	isLinked: () => true,
	isAudible: () => true,
	report: () => ({term: 4, leader: n2, applied: 12}),
};

function rowsOf(self: NodeId, members: readonly NodeId[] = order): Rows {
	const rows = new Rows(self, 1);
	rows.setOrder(members);
	return rows;
}

/** Delivers a packet of `from` to `to`. */
function carry(from: Rows, to: Rows, receiver: NodeId, tick: number, isStripped = false): void {
	const {rows, states} = from.take(receiver, rowsMax, 1000, tick, staleTicks);
	for (const [index, row] of rows.entries()) to.learn(row, isStripped ? undefined : states[index], tick, staleTicks);
}

describe('the state of a row', () => {
	test('reports broken links, lost datagrams, and the Raft state of its node', () => {
		const [one, other] = [rowsOf(n1), rowsOf(n2)];
		expect(one.observe({...fine, isLinked: id => id !== n3, isAudible: id => id !== n4}, 1, 12)).toBe(true);
		carry(one, other, n2, 1);
		expect(other.complaints(1, staleTicks)).toEqual([{node: n1, unlinked: [n3], silent: [n4]}]);
		expect(other.report(n1, 1, staleTicks)).toEqual({term: 4, leader: n2, applied: 12});
		expect([
			other.isLinked(n1, n3, 1, staleTicks),
			other.isLinked(n1, n4, 1, staleTicks),
			other.isLinked(n3, n1, 1, staleTicks),
		]).toEqual([false, true, undefined]);
		expect(other.report(n1, 1 + staleTicks, staleTicks)).toBeUndefined();
	});

	test('of a higher version is replaced once it is stale, because its process has ended', () => {
		const [copy, kept, other] = [rowsOf(n1), rowsOf(n1), rowsOf(n2)];
		for (let tick = 1; tick < 40; tick += 12)
			copy.observe({...fine, report: () => ({term: 4, leader: undefined, applied: 3})}, tick, 12);
		carry(copy, other, n2, 40);
		kept.observe(fine, 41, 12);
		carry(kept, other, n2, 41);
		expect(other.report(n1, 41, staleTicks)).toMatchObject({leader: undefined, applied: 3});
		kept.observe(fine, 40 + staleTicks, 12);
		carry(kept, other, n2, 40 + staleTicks);
		expect(other.report(n1, 40 + staleTicks, staleTicks)).toMatchObject({leader: n2, applied: 12});
	});

	test('of a process that has ended is not accepted again from members that still have it', () => {
		const [copy, kept, other, late] = [rowsOf(n1), rowsOf(n1), rowsOf(n2), rowsOf(n3)];
		for (let tick = 1; tick < 40; tick += 12)
			copy.observe({...fine, report: () => ({term: 4, leader: undefined, applied: 3})}, tick, 12);
		carry(copy, other, n2, 40);
		carry(copy, late, n3, 60);
		kept.observe(fine, 40 + staleTicks, 12);
		carry(kept, other, n2, 40 + staleTicks);
		carry(late, other, n2, 41 + staleTicks);
		expect(other.report(n1, 41 + staleTicks, staleTicks)).toMatchObject({leader: n2, applied: 12});
		// Its process did not end: its versions count again.
		copy.observe({...fine, report: () => ({term: 5, leader: n3, applied: 4})}, 42 + staleTicks, 12);
		carry(copy, other, n2, 42 + staleTicks);
		expect(other.report(n1, 42 + staleTicks, staleTicks)).toMatchObject({leader: n3, applied: 4});
	});

	test('a changed report alone makes no version before the regular one', () => {
		const rows = rowsOf(n1);
		rows.observe(fine, 1, 12);
		expect(rows.observe({...fine, report: () => ({term: 9, leader: n3, applied: 99})}, 5, 12)).toBe(false);
		expect(rows.report(n1, 5, staleTicks)).toMatchObject({term: 4});
		rows.observe({...fine, report: () => ({term: 9, leader: undefined, applied: 99})}, 13, 12);
		expect(rows.report(n1, 13, staleTicks)).toEqual({term: 9, leader: undefined, applied: 99});
	});

	test('is kept until it is stale when a newer row has no state, as through a node of protocol 1', () => {
		const [one, other] = [rowsOf(n1), rowsOf(n2)];
		one.observe({...fine, isLinked: id => id !== n3}, 1, 12);
		carry(one, other, n2, 1);
		one.observe({...fine, isLinked: id => id !== n3}, 13, 12);
		carry(one, other, n2, 13, true);
		expect(other.isLinked(n1, n3, 13, staleTicks)).toBe(false);
		carry(one, other, n2, 14);
		expect(other.isLinked(n1, n3, 14 + staleTicks - 1, staleTicks)).toBe(false);
		expect(other.isLinked(n1, n3, 14 + staleTicks, staleTicks)).toBeUndefined();
	});

	test('a complaint is passed on to members that cannot hear its author', () => {
		const [one, between, far] = [rowsOf(n1), rowsOf(n2), rowsOf(n3)];
		for (const rows of [one, between, far])
			rows.observe(rows === one ? {...fine, isLinked: id => id !== n3} : fine, 1, 12);
		carry(one, between, n2, 1);
		carry(between, far, n3, 2);
		expect(far.isLinked(n1, n3, 2, staleTicks)).toBe(false);
	});

	test('is rewritten when the member list changes', () => {
		const [one, other] = [rowsOf(n1), rowsOf(n2)];
		one.observe({...fine, isLinked: id => id !== n3, report: () => ({term: 4, leader: n4, applied: 1})}, 1, 12);
		carry(one, other, n2, 1);
		other.setOrder([idOf('n0'), n1, n2, n3, n4]);
		expect(other.complaints(1, staleTicks)).toEqual([{node: n1, unlinked: [n3], silent: []}]);
		expect(other.report(n1, 1, staleTicks)).toMatchObject({leader: n4});
		other.setOrder([n1, n2, n4]);
		expect(other.complaints(1, staleTicks)).toEqual([]);
	});

	test('is not sent by a node that does not watch its links', () => {
		const rows = rowsOf(n1);
		rows.observe({isHeard: () => true}, 1, 12);
		expect(rows.take(n2, rowsMax, 1000, 1, staleTicks).states).toEqual([]);
	});
});

describe('a full disk', () => {
	/** Delivers the own row of `from`, with its report, to `to`. */
	const report = (from: Rows, to: Rows, receiver: NodeId, tick: number): void => {
		const {rows, states} = from.take(receiver, 1, 1000, tick, staleTicks);
		to.learn(rows[0]!, states[0], tick, staleTicks, from.isOwnDiskFull);
	};

	test('is reported with a new version of the row at once, and so is its end', () => {
		const [one, other] = [rowsOf(n1), rowsOf(n2)];
		let isFull = false;
		const observe = (tick: number): boolean => one.observe({...fine, isDiskFull: () => isFull}, tick, 12);
		observe(1);
		report(one, other, n2, 1);
		expect([other.isDiskFull(n1, 1, staleTicks), observe(2)]).toEqual([false, false]);
		isFull = true;
		expect(observe(3)).toBe(true);
		report(one, other, n2, 3);
		expect([other.isDiskFull(n1, 3, staleTicks), other.isDiskFull(n3, 3, staleTicks)]).toEqual([true, false]);
		expect(other.isDiskFull(n1, 3 + staleTicks, staleTicks)).toBe(false);
		isFull = false;
		expect(observe(4)).toBe(true);
		report(one, other, n2, 4);
		expect(other.isDiskFull(n1, 4, staleTicks)).toBe(false);
	});

	test('is known only from the node itself: a row that another passed on changes nothing', () => {
		const [one, between, far] = [rowsOf(n1), rowsOf(n2), rowsOf(n3)];
		for (const rows of [one, between])
			rows.observe({...fine, ...(rows === one && {isDiskFull: () => true})}, 1, 12);
		report(one, between, n2, 1);
		carry(between, far, n3, 2);
		expect(far.isDiskFull(n1, 2, staleTicks)).toBe(false);
		report(one, far, n3, 3); // The same version, now from the node itself.
		expect(far.isDiskFull(n1, 3, staleTicks)).toBe(true);
		carry(between, far, n3, 4);
		expect(far.isDiskFull(n1, 4, staleTicks)).toBe(true);
	});

	test('is not reported by a row that arrives after a newer one', () => {
		const [one, other] = [rowsOf(n1), rowsOf(n2)];
		one.observe({...fine, isDiskFull: () => true}, 1, 12);
		const {rows} = one.take(n2, 1, 1000, 1, staleTicks);
		one.observe({...fine, isDiskFull: () => false}, 2, 12);
		report(one, other, n2, 2);
		other.learn(rows[0]!, undefined, 3, staleTicks, true);
		expect(other.isDiskFull(n1, 3, staleTicks)).toBe(false);
	});

	test('of a node that is no member any more is forgotten', () => {
		const [one, other] = [rowsOf(n1), rowsOf(n2)];
		one.observe({...fine, isDiskFull: () => true}, 1, 12);
		report(one, other, n2, 1);
		other.setOrder([n2, n3, n4]);
		expect(other.isDiskFull(n1, 1, staleTicks)).toBe(false);
	});
});

test('a packet full of rows and states stays within its bound and always has the own row', () => {
	const members = Array.from({length: 1024}, (_, index) => index.toString(16).padStart(16, '0') as NodeId);
	fc.assert(
		fc.property(
			fc.array(fc.tuple(fc.nat(128), fc.nat(128), fc.nat(128)), {maxLength: 20}),
			fc.nat(128),
			fc.integer({min: 500, max: packetBytesMax - 100}),
			(others, own, bytesMax) => {
				const rows = rowsOf(members[0]!, members);
				const upTo =
					(bytes: number) =>
					(id: NodeId): boolean =>
						members.indexOf(id) >= bytes * 8;
				rows.observe(
					{
						isHeard: upTo(own),
						isLinked: upTo(own),
						isAudible: upTo(own),
						report: () => ({term: 2 ** 40, leader: members[1], applied: 2 ** 50}),
					},
					1,
					12,
				);
				const [[, , , hash]] = rows.take(members[1]!, 1, bytesMax, 1, staleTicks).rows as [Row];
				for (const [index, [unheard, unlinked, silent]] of others.entries()) {
					const state: RowState = [
						2 ** 40,
						3,
						2 ** 50,
						new Uint8Array(unlinked).fill(255),
						new Uint8Array(silent).fill(255),
					];
					rows.learn([members[index + 2]!, 1, 2 ** 31, hash, new Uint8Array(unheard).fill(255)], state, 1);
				}

				const taken = rows.take(members[1]!, rowsMax, bytesMax, 1, staleTicks);
				expect(taken.rows[0]![0]).toBe(members[0]);
				expect(taken.states.length).toBeLessThanOrEqual(taken.rows.length);
				// The heads of both arrays are counted with the rest of the packet.
				expect(
					encode({rows: taken.rows, ...(taken.states.length > 0 && {states: taken.states})}).length -
						encode({rows: []}).length,
				).toBeLessThanOrEqual(bytesMax);
			},
		),
		{numRuns: 200},
	);
});

test('a forged row of a member does not delay its own rows once it is stale', () => {
	const [honest, other] = [rowsOf(n1), rowsOf(n2)];
	const row = (): Row => honest.take(n2, 1, 1000, 1, staleTicks).rows[0]!;
	honest.observe(fine, 1, 12);
	const [, , , hash] = row();
	other.learn([n1, 900, 2 ** 32 - 1, hash, new Uint8Array(0)], undefined, 1, staleTicks);
	const from = 1 + staleTicks;
	other.learn(row(), undefined, from, staleTicks, false);
	honest.observe({...fine, isHeard: id => id !== n3}, from + 1, 12);
	other.learn(row(), undefined, from + 1, staleTicks, false);
	expect(other.hears(n1, n3, from + 1, staleTicks)).toBe(false);
});
