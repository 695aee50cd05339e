/**
The checks of what readers see: what they accept, and each kind of violation that they must detect.
*/
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {Offsets, type Read} from './offsets.ts';

const place = {node: 'n1', topic: 'news'};
const read = (
	offset: number,
	seq: number,
	{origin = 'a', incarnation = 1, digest = seq}: Partial<Read> = {},
): Read => ({offset, origin, incarnation, seq, digest});

function reads(offsets: Offsets, list: readonly Read[], from?: number): void {
	const reader = offsets.reader(place, from);
	for (const one of list) reader.take(one);
}

describe('right', () => {
	test.each([
		['from the beginning', 0, [read(0, 1), read(1, 2), read(2, 3)]],
		['from any offset', 7, [read(7, 4), read(8, 5)]],
		['from wherever the log is', undefined, [read(3, 9), read(4, 10)]],
		['two alternating origins', 0, [read(0, 1), read(1, 1, {origin: 'b'}), read(2, 2), read(3, 2, {origin: 'b'})]],
		['a restarted origin starts anew', 0, [read(0, 1), read(1, 1, {incarnation: 2})]],
		['nothing', 0, []],
	] as Array<[string, number | undefined, Read[]]>)('%s', (_name, from, list) => {
		reads(new Offsets(), list, from);
	});

	test('the same messages for another reader', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		reads(offsets, [read(0, 1), read(1, 2), read(2, 3)], 0);
		reads(offsets, [read(1, 2), read(2, 3)]);
		expect(offsets.reads).toBe(7);
	});

	test('a message has another offset on another node', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		offsets.reader({node: 'n2', topic: 'news'}).take(read(8, 2));
	});

	test('messages removed by retention or damage, with their number', () => {
		const reader = new Offsets().reader(place, 0);
		reader.take(read(0, 1));
		reader.dropped(4);
		reader.take(read(5, 3));
	});

	test('a reported gap in a stream', () => {
		const offsets = new Offsets();
		offsets.gap(place, 1);
		reads(offsets, [read(0, 1), read(1, 5)], 0);
	});

	test('other messages at offsets that a power cut removed', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2), read(2, 3)], 0);
		offsets.reopened(place, 1, true);
		reads(offsets, [read(0, 1), read(1, 1, {origin: 'b'}), read(2, 2), read(3, 3)], 0);
		expect(offsets.takenBack).toBe(2);
	});

	test('messages lost to damage return at another offset', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		offsets.damaged(place, offset => offset !== 1);
		reads(offsets, [read(6, 2), read(7, 3)], 6);
		expect(offsets.takenBack).toBe(1);
	});
});

describe('wrong', () => {
	test.each([
		['an offset is left out', 0, [read(0, 1), read(2, 2)], /offsets are dense.* 2 comes where 1 is next/],
		['an offset comes twice', 0, [read(0, 1), read(0, 1)], /offsets are dense/],
		['offsets go back', undefined, [read(5, 1), read(4, 2)], /offsets are dense/],
		['it starts after the requested offset', 3, [read(4, 1)], /offsets are dense/],
		['a message comes twice', 0, [read(0, 1), read(1, 2), read(2, 1)], /each message once on a node/],
		['the first of a stream is missing', 0, [read(0, 2)], /no gap/],
		['a gap in a stream', undefined, [read(4, 2), read(5, 4)], /no gap/],
		['the order of an origin is reversed', undefined, [read(4, 3), read(5, 2)], /in the order of its origin/],
	] as Array<[string, number | undefined, Read[], RegExp]>)('%s', (_name, from, list, problem) => {
		const offsets = new Offsets();
		expect(() => reads(offsets, list, from)).toThrow(problem);
		expect(offsets.violations.first).toBeDefined();
	});

	test.each([
		['another message', read(1, 7)],
		['another origin', read(1, 2, {origin: 'b'})],
		['another incarnation of the origin', read(1, 2, {incarnation: 2})],
		['another content', read(1, 2, {digest: 99})],
	])('the next reader finds %s at an offset', (_name, other) => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		expect(() => reads(offsets, [other])).toThrow(/an offset means the same for ever/);
	});

	test('a message has another content on another node', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1)], 0);
		expect(() => offsets.reader({node: 'n2', topic: 'news'}).take(read(0, 1, {digest: 99}))).toThrow(
			/the same everywhere/,
		);
	});

	test('another reader finds a message at another offset', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		expect(() => reads(offsets, [read(2, 2)])).toThrow(/each message once on a node/);
	});

	test('a kill removes messages that were read', () => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		offsets.reopened(place, 2, false);
		expect(() => offsets.reopened(place, 1, false)).toThrow(/outlives the process/);
	});

	test('retention removes more or fewer messages than reported', () => {
		for (const offset of [3, 6]) {
			const reader = new Offsets().reader(place, 0);
			reader.take(read(0, 1));
			reader.dropped(4);
			expect(() => reader.take(read(offset, 9))).toThrow(/offsets are dense/);
		}
	});

	test.each([
		['comes again', read(6, 1), /each message once on a node/],
		['is another', read(0, 3), /an offset means the same for ever/],
	] as Array<[string, Read, RegExp]>)('a message that damage left %s', (_name, other, problem) => {
		const offsets = new Offsets();
		reads(offsets, [read(0, 1), read(1, 2)], 0);
		offsets.damaged(place, offset => offset !== 1);
		expect(() => reads(offsets, [other])).toThrow(problem);
	});

	test('a gap was reported for another log or offset', () => {
		const offsets = new Offsets();
		offsets.gap(place, 2);
		offsets.gap({node: 'n2', topic: 'news'}, 1);
		expect(() => reads(offsets, [read(0, 1), read(1, 5)], 0)).toThrow(/no gap/);
	});

	test('a gap was reported for an offset that a power cut removed', () => {
		const offsets = new Offsets();
		offsets.gap(place, 1);
		reads(offsets, [read(0, 1), read(1, 5)], 0);
		offsets.reopened(place, 1, true);
		expect(() => reads(offsets, [read(0, 1), read(1, 5)], 0)).toThrow(/no gap/);
	});
});

test('every reading of a correct log passes, and every change of one message is detected', () => {
	const log = Array.from({length: 30}, (_, offset) =>
		read(offset, Math.floor(offset / 3) + 1, {origin: 'abc'[offset % 3]!, digest: offset}),
	);
	const part = fc
		.tuple(fc.nat(29), fc.nat(29))
		.map(([one, other]) => [Math.min(one, other), Math.max(one, other) + 1] as const);
	fc.assert(
		fc.property(fc.array(part, {minLength: 1, maxLength: 6}), parts => {
			const offsets = new Offsets();
			for (const [from, to] of parts) reads(offsets, log.slice(from, to), from);
		}),
	);
	const change = fc.constantFrom<(at: Read) => Read>(
		at => ({...at, digest: 99}),
		at => ({...at, seq: at.seq + 1}),
		at => ({...at, origin: 'd'}),
		at => ({...at, incarnation: 2}),
		at => ({...at, offset: at.offset + 1}),
	);
	fc.assert(
		fc.property(fc.nat(29), change, (at, changed) => {
			const offsets = new Offsets();
			reads(offsets, log, 0);
			expect(() => reads(offsets, [...log.slice(0, at), changed(log[at]!), ...log.slice(at + 1)], 0)).toThrow(
				/offset|message|gap/,
			);
		}),
	);
});
