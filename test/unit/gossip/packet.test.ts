import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {decode, encode} from '../../../core/codec.ts';
import {defaults} from '../../../core/config.ts';
import {createGossip} from '../../../core/gossip/gossip.ts';
import {
	digestTopicsMax,
	parseGossipPacket,
	wantsMax,
	watermarksMax,
	type ControlPacket,
} from '../../../core/gossip/packet.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {createRandom} from '../../sim/random.ts';

const topic = 'news' as Topic;
const node = '00000000000000aa' as NodeId;
const other = '00000000000000bb' as NodeId;
const want = {origin: node, incarnation: 1, from: 1, to: 9, sinceLamport: 0};
const packets: ControlPacket[] = [
	{
		type: 'ihave',
		topics: [
			[
				topic,
				[
					[node, 1, 1, 9, 90],
					[other, 4_294_967_295, 3, 2, 2 ** 47],
				],
			],
		],
	},
	{type: 'iwant', topic, wants: [want], bytesMax: 1000},
	{
		type: 'ihavenot',
		topic,
		gaps: [
			[node, 1, 1, 5],
			[node, 2, 1, 0],
		],
		isEnd: true,
	},
	{type: 'served', topic, passed: [[node, 1, 3, 7, 2]]},
	{type: 'digest', round: 1, topics: [[topic, Number.MAX_SAFE_INTEGER]]},
	{type: 'digest', round: 1, topics: [[topic, 5, new Uint8Array(8 * 4).fill(3)]]},
	{type: 'watermarks', round: 1, topics: [[topic, []]], isLast: true, isCut: false},
	{
		type: 'watermarks',
		round: 1,
		topics: [[topic, [[node, 1, 1, 9, 90]], Uint8Array.of(1, 128)]],
		isLast: false,
		isCut: false,
	},
	{type: 'ask', topic, origin: node},
	{type: 'told', topic, origin: node, incarnation: 2, streams: [[node, 1, 1, 9, 90]]},
];

describe('control packets', () => {
	test('ihavenot may report what retention deleted', () => {
		const packet = {type: 'ihavenot', topic, gaps: [[node, 1, 1, 5]], isEnd: true, deleted: [[node, 1, 4]]};
		expect(parseGossipPacket(decode(encode(packet)))).toEqual(packet);
		for (const deleted of [5, [[node, 1]], [[node, 1, -1]], [['one', 1, 4]]])
			expect(parseGossipPacket({...packet, deleted})).toBeUndefined();
	});

	test.each(packets)('$type is unchanged by encoding and decoding', packet => {
		expect(parseGossipPacket(decode(encode(packet)))).toEqual(packet);
	});

	test.each(packets)('$type is refused when a field is missing or invalid', packet => {
		for (const field of Object.keys(packet)) {
			for (const value of [
				undefined,
				null,
				-1,
				1.5,
				'',
				{},
				[1],
				[[1]],
				[null],
				true === (packet as Record<string, unknown>)[field] ? 0 : 2 ** 53,
			]) {
				expect(
					parseGossipPacket({...packet, [field]: value}),
					`${field} = ${JSON.stringify(value)}`,
				).toBeUndefined();
			}
		}
	});

	test('every row of a packet is validated', () => {
		const mark = (...row: unknown[]): unknown => ({type: 'ihave', topics: [[topic, [row]]]});
		expect(parseGossipPacket(mark(node, 1, 1, 9, 90))).toEqual(mark(node, 1, 1, 9, 90));
		for (const row of [
			['x', 1, 1, 9, 90],
			[node, 2 ** 32, 1, 9, 90],
			[node, 1, 0, 9, 90],
			[node, 1, 11, 9, 90],
			[node, 1, 1, 2 ** 48, 90],
			[node, 1, 1, 9, 2 ** 49],
			[node, 1, 1, 9],
			[node, 1, 1, 9, 90, 0],
		])
			expect(parseGossipPacket(mark(...row)), String(row)).toBeUndefined();
		expect(parseGossipPacket({type: 'iwant', topic, bytesMax: 1, wants: [{...want, from: 10}]})).toBeUndefined();
		expect(parseGossipPacket({type: 'ihavenot', topic, isEnd: false, gaps: [[node, 1, 5, 5]]})).toBeUndefined();
		expect(
			parseGossipPacket({type: 'told', topic, origin: node, incarnation: 1, streams: [[other, 1, 1, 9, 90]]}),
		).toBeUndefined();
		expect(parseGossipPacket({type: 'ask', topic: 'a\u0000b', origin: node})).toBeUndefined();
	});

	test('parts are a power of two, from eight to 256', () => {
		const digest = (bytes: number): unknown => ({
			type: 'digest',
			round: 1,
			topics: [[topic, 1, new Uint8Array(bytes)]],
		});
		const answer = (bytes: number): unknown => ({
			type: 'watermarks',
			round: 1,
			topics: [[topic, [], new Uint8Array(bytes)]],
			isLast: true,
			isCut: false,
		});
		for (const parts of [8, 16, 256])
			for (const packet of [digest(parts * 4), answer(parts / 8)])
				expect(parseGossipPacket(packet), String(parts)).toEqual(packet);
		for (const bytes of [0, 4, 16, 33, 48, 96, 2048])
			expect(parseGossipPacket(digest(bytes)), String(bytes)).toBeUndefined();
		for (const bytes of [0, 3, 64]) expect(parseGossipPacket(answer(bytes)), String(bytes)).toBeUndefined();
		expect(parseGossipPacket({type: 'digest', round: 1, topics: [[topic, 1, 'parts']]})).toBeUndefined();
		expect(parseGossipPacket({type: 'ihave', topics: [[topic, [], new Uint8Array(1)]]})).toBeUndefined();
	});

	test('arrays are bounded, over all topics together', () => {
		const rows = (count: number): unknown[] => Array.from({length: count}, () => [node, 1, 1, 9, 90]);
		const largest = {
			type: 'ihave',
			topics: [
				['a', rows(watermarksMax / 2)],
				['b', rows(watermarksMax / 2)],
			],
		};
		expect(parseGossipPacket(largest)).toEqual(largest);
		expect(
			parseGossipPacket({
				type: 'ihave',
				topics: [
					['a', rows(watermarksMax / 2)],
					['b', rows(watermarksMax / 2 + 1)],
				],
			}),
		).toBeUndefined();
		expect(
			parseGossipPacket({
				type: 'iwant',
				topic,
				bytesMax: 1,
				wants: Array.from({length: wantsMax + 1}, () => want),
			}),
		).toBeUndefined();
		expect(
			parseGossipPacket({
				type: 'digest',
				round: 1,
				topics: Array.from({length: digestTopicsMax + 1}, () => [topic, 1]),
			}),
		).toBeUndefined();
	});

	test('any input is a packet or refused, and a machine processes any accepted packet without an exception', () => {
		const gossip = createGossip({
			self: node,
			incarnation: 1,
			random: createRandom(1),
			config: defaults.gossip,
			tickMs: 25,
		});
		gossip.setSubscriptions(new Map([[topic, {subscribers: [node, other], since: 0}]]));
		gossip.setReachable([other]);
		const number = fc.oneof(fc.nat(20), fc.maxSafeInteger());
		const row = fc.tuple(fc.constantFrom(node, other), fc.nat(6), number, number, number);
		const control = fc.record({
			type: fc.constantFrom('ihave', 'iwant', 'ihavenot', 'served', 'digest', 'watermarks', 'ask', 'told'),
			topic: fc.constantFrom('news', 'sport'),
			origin: fc.constantFrom(node, other),
			incarnation: fc.nat(6),
			round: fc.nat(5),
			bytesMax: number,
			topics: fc.oneof(
				fc.array(fc.tuple(fc.constant('news'), fc.array(row, {maxLength: 5})), {maxLength: 3}),
				fc.array(fc.tuple(fc.constant('news'), number), {maxLength: 3}),
				fc.array(fc.tuple(fc.constant('news'), number, fc.uint8Array({minLength: 32, maxLength: 32})), {
					maxLength: 3,
				}),
				fc.array(
					fc.tuple(
						fc.constant('news'),
						fc.array(row, {maxLength: 5}),
						fc.uint8Array({minLength: 1, maxLength: 2}),
					),
					{maxLength: 3},
				),
			),
			wants: fc.array(
				fc.record({
					origin: fc.constantFrom(node, other),
					incarnation: fc.nat(6),
					from: fc.nat(20),
					to: number,
					sinceLamport: fc.nat(20),
				}),
				{maxLength: 5},
			),
			passed: fc.array(fc.tuple(fc.constantFrom(node, other), fc.nat(6), fc.nat(20), fc.nat(30), fc.nat(9)), {
				maxLength: 5,
			}),
			gaps: fc.array(fc.tuple(fc.constantFrom(node, other), fc.nat(6), fc.nat(20), fc.nat(30)), {maxLength: 5}),
			streams: fc.array(row, {maxLength: 5}),
			isEnd: fc.boolean(),
			isLast: fc.boolean(),
			isCut: fc.boolean(),
		});
		let taken = 0;
		fc.assert(
			fc.property(fc.oneof(fc.anything(), control, control, control), value => {
				const packet = parseGossipPacket(value);
				if (packet) {
					taken++;
					gossip.step(other, packet);
				}

				gossip.tick();
				while (gossip.ready());
				const {held, streams, waiting} = gossip.status();
				return held === 0 && streams <= 8 && waiting <= 8;
			}),
			{numRuns: 3000, seed: 7},
		);
		expect(taken).toBeGreaterThan(200);
	});
});
