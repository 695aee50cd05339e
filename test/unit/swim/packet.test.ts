/** Validation of SWIM packets from the network. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {decode, encode} from '../../../core/codec.ts';
import {
	beats,
	packetBytesMax,
	parseSwimPacket,
	rowBytes,
	rowMembersMax,
	rowsMax,
	standings,
	stateBytes,
	statesFieldBytes,
	diskFullBytes,
	u32Max,
	updateBytesMax,
	updatesMax,
	type SwimPacket,
	type Claim,
} from '../../../core/swim/packet.ts';
import {idOf} from '../../sim/swim-cluster.ts';

const carried = {
	incarnation: 3,
	updates: [[idOf('n2'), 'suspect', 4, idOf('n3')]],
	rows: [[idOf('n1'), 1, 2, 0xffff_ffff, Uint8Array.of(1, 2)]],
} as const;
const packets: readonly SwimPacket[] = [
	{type: 'ping', seq: 1, link: true, ...carried},
	{type: 'ack', seq: u32Max, ...carried},
	{type: 'nack', seq: 0, ...carried},
	{type: 'ping-req', seq: 4, target: idOf('n9'), ...carried},
	{type: 'gossip', ...carried, rows: [], updates: []},
	{type: 'ack', seq: 5, ...carried, states: [[7, 2, 1204, Uint8Array.of(4), new Uint8Array(0)]]},
	{type: 'gossip', ...carried, diskFull: true},
];

describe('parsing', () => {
	test.each(packets)('$type is unchanged by encoding and decoding', packet => {
		expect(parseSwimPacket(decode(encode(packet)))).toEqual(packet);
	});

	test('a parsed packet shares no memory with the datagram', () => {
		const bytes = encode(packets[0]);
		const packet = parseSwimPacket(decode(bytes))!;
		bytes.fill(0);
		expect(packet.rows[0]![4]).toEqual(Uint8Array.of(1, 2));
	});

	test('a full disk is `true` or absent; fields of later versions are ignored', () => {
		for (const diskFull of [undefined, false, 1, 'x', [true]])
			expect(parseSwimPacket({...packets[4], diskFull})).toEqual(packets[4]);
		expect(parseSwimPacket({...packets[4], later: [1]})).toEqual(packets[4]);
	});

	const good = packets[0]!;
	test.each([
		['nothing', undefined],
		['null', null],
		['a number', 5],
		['an array', [good]],
		['an unknown type', {...good, type: 'pong'}],
		['no sequence number', {...good, seq: undefined}],
		['a negative one', {...good, seq: -1}],
		['a fraction', {...good, seq: 1.5}],
		['NaN', {...good, seq: Number.NaN}],
		['one past 32 bits', {...good, seq: u32Max + 1}],
		['a link that is no boolean', {...good, link: 1}],
		['a target that is no id', {...packets[3], target: 'n1'}],
		['an incarnation past 32 bits', {...good, incarnation: u32Max + 1}],
		['updates that are no array', {...good, updates: {}}],
		['too many updates', {...good, updates: Array.from({length: updatesMax + 1}, () => carried.updates[0])}],
		['an update with an unknown standing', {...good, updates: [[idOf('n2'), 'zombie', 1, idOf('n3')]]}],
		['a standing from the prototype', {...good, updates: [[idOf('n2'), '__proto__', 1, idOf('n3')]]}],
		['a short update', {...good, updates: [[idOf('n2'), 'alive', 1]]}],
		['a long one', {...good, updates: [[idOf('n2'), 'alive', 1, idOf('n3'), 1]]}],
		['too many rows', {...good, rows: Array.from({length: rowsMax + 1}, () => carried.rows[0])}],
		['a row of text', {...good, rows: [[idOf('n1'), 1, 2, 3, 'abc']]}],
		['a bitmap that is too long', {...good, rows: [[idOf('n1'), 1, 2, 3, new Uint8Array(rowMembersMax / 8 + 1)]]}],
		['a row without a node', {...good, rows: [['', 1, 2, 3, new Uint8Array(0)]]}],
		[
			'more states than rows',
			{
				...good,
				states: [
					[1, 0, 1, new Uint8Array(0), new Uint8Array(0)],
					[1, 0, 1, new Uint8Array(0), new Uint8Array(0)],
				],
			},
		],
		['states that are no array', {...good, states: 'x'}],
		['a state with a negative term', {...good, states: [[-1, 0, 1, new Uint8Array(0), new Uint8Array(0)]]}],
		[
			'a state with a leader out of bounds',
			{...good, states: [[1, rowMembersMax, 1, new Uint8Array(0), new Uint8Array(0)]]},
		],
		['a state with text for a bitmap', {...good, states: [[1, 0, 1, 'ab', new Uint8Array(0)]]}],
		['a short state', {...good, states: [[1, 0, 1, new Uint8Array(0)]]}],
	])('refuses %s', (_, value) => {
		expect(parseSwimPacket(value)).toBeUndefined();
	});

	test('accepts or refuses any value and any bytes without an exception', () => {
		fc.assert(fc.property(fc.anything(), value => void parseSwimPacket(value)));
		fc.assert(fc.property(fc.uint8Array({maxLength: 200}), bytes => void parseSwimPacket(decode(bytes))));
		// A valid packet with one field replaced by any value.
		fc.assert(
			fc.property(
				fc.constantFrom(...packets),
				fc.constantFrom('type', 'seq', 'link', 'target', 'incarnation', 'updates', 'rows', 'states'),
				fc.anything(),
				(packet, key, value) => {
					const parsed = parseSwimPacket({...packet, [key]: value});
					if (parsed) expect(parseSwimPacket(decode(encode(parsed)))).toEqual(parsed);
				},
			),
		);
	});
});

test('the size bounds hold, so that a packet fits into a datagram', () => {
	const update = [idOf('n2'), 'suspect', u32Max, idOf('n3')] as const;
	expect(encode(update).length).toBeLessThanOrEqual(updateBytesMax);
	for (const length of [0, 7, 128, rowMembersMax / 8]) {
		const row = [idOf('n1'), u32Max, u32Max, u32Max, new Uint8Array(length)] as const;
		expect(encode(row).length).toBeLessThanOrEqual(rowBytes(row));
	}

	for (const length of [0, 7, 128, rowMembersMax / 8]) {
		const state = [
			Number.MAX_SAFE_INTEGER,
			rowMembersMax - 1,
			Number.MAX_SAFE_INTEGER,
			new Uint8Array(length),
			new Uint8Array(length),
		] as const;
		expect(encode(state).length).toBeLessThanOrEqual(stateBytes(state));
	}

	expect(encode({states: []}).length - encode({}).length).toBeLessThanOrEqual(statesFieldBytes);
	expect(encode({diskFull: true}).length - encode({}).length).toBeLessThanOrEqual(diskFullBytes);
	const fullest = {type: 'ping-req', seq: u32Max, target: idOf('n9'), incarnation: u32Max, updates: [], rows: []};
	expect(
		encode(fullest).length +
			updatesMax * updateBytesMax +
			rowBytes([idOf('n1'), 1, 1, 1, new Uint8Array(rowMembersMax / 8)]),
	).toBeLessThanOrEqual(packetBytesMax);
});

test('claims about a member have an order: the same claim wins in any order of arrival', () => {
	const word = fc.record({
		standing: fc.constantFrom(...standings),
		incarnation: fc.nat(3),
		by: fc.constant(idOf('n1')),
	});
	fc.assert(
		fc.property(word, word, (a, b) => {
			expect(Number(beats(a, b)) + Number(beats(b, a))).toBe(
				a.standing === b.standing && a.incarnation === b.incarnation ? 0 : 1,
			);
		}),
	);
	const winner = (words: readonly Claim[]): Claim => words.reduce((best, each) => (beats(each, best) ? each : best));
	fc.assert(
		fc.property(
			fc
				.array(word, {minLength: 1, maxLength: 6})
				.chain(words => fc.tuple(fc.constant(words), fc.shuffledSubarray(words, {minLength: words.length}))),
			([words, shuffled]) => {
				expect(winner(shuffled)).toEqual(winner(words));
			},
		),
	);
});
