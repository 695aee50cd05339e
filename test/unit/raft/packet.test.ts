import fc from 'fast-check';
import {describe, expect, it} from 'vitest';
import {decode, encode} from '../../../core/codec.ts';
import type {NodeId} from '../../../core/message.ts';
import {
	decodeConfigurationData,
	encodeConfigurationData,
	parseConfiguration,
} from '../../../core/raft/configuration.ts';
import {parseRaftPacket, type RaftPacket} from '../../../core/raft/packet.ts';

const count = fc.integer({min: 0, max: 2 ** 40});
const bytes = fc.uint8Array({maxLength: 40}).map(data => new Uint8Array(data));
const id = fc.integer({min: 1, max: 9}).map(number => String(number).padStart(16, '0') as NodeId);
const ids = fc.uniqueArray(id, {maxLength: 5}).map(list => list.toSorted());
const entries = fc.array(bytes, {maxLength: 4});
const packets: fc.Arbitrary<RaftPacket> = fc
	.tuple(count, count, fc.boolean(), bytes, ids, entries, fc.string({minLength: 1, maxLength: 20}))
	.chain(([term, index, flag, data, voters, list, context]) => {
		const head = {group: 3, term};
		return fc
			.constantFrom<RaftPacket>(
				{...head, type: 'pre-vote', lastIndex: index, lastTerm: term},
				{...head, type: 'pre-vote-reply', granted: flag},
				{...head, type: 'vote', lastIndex: index, lastTerm: term, isTransfer: flag},
				{
					...head,
					type: 'vote',
					lastIndex: index,
					lastTerm: term,
					isTransfer: flag,
					former: {
						leader: voters[0] ?? ('0000000000000001' as NodeId),
						term,
						cause: flag ? 'crashed' : 'transferred',
					},
				},
				{...head, type: 'vote-reply', granted: flag},
				{
					...head,
					type: 'append',
					prevIndex: index,
					prevTerm: term,
					commit: index,
					entries: list.map((one, at) => ({
						term,
						index: index + 1 + at,
						kind: at % 2 === 0 ? 'command' : 'noop',
						data: one,
					})),
				},
				{...head, type: 'append-reply', ok: flag, index, hintTerm: term, rejected: index},
				{...head, type: 'heartbeat', commit: index, round: index},
				{
					...head,
					type: 'heartbeat',
					commit: index,
					round: index,
					former: {leader: voters[0] ?? ('0000000000000001' as NodeId), term, cause: 'silent'},
				},
				{...head, type: 'heartbeat-reply', round: index},
				{
					...head,
					type: 'snapshot',
					index: Math.floor(index / 2),
					snapshotTerm: term,
					configuration: {voters: voters.length > 0 ? voters : ['0000000000000001' as NodeId], learners: []},
					offset: 5,
					size: data.length + 5 + (data.length === 0 ? -5 : 0),
					data: data.length === 0 ? new Uint8Array(0) : data,
				},
				{...head, type: 'snapshot-reply', index, offset: term, received: index},
				{...head, type: 'timeout-now'},
				{...head, type: 'propose', data},
				{...head, type: 'read', context},
				{...head, type: 'read-reply', context, index},
			)
			.filter(packet => packet.type !== 'snapshot' || packet.size > 0);
	});

describe('packets', () => {
	it.each([
		['a cause of a later version', {leader: '0000000000000001', term: 1, cause: 'bored'}],
		['a leader that is no id', {leader: 'one', term: 1, cause: 'silent'}],
		['no term, as in a packet of an earlier release', {leader: '0000000000000001', cause: 'silent'}],
		['text', 'silent'],
	])('are accepted without their reason if it is invalid: %s', (_name, former) => {
		const packet = {group: 0, term: 2, type: 'heartbeat', commit: 1, round: 1};
		expect(parseRaftPacket({...packet, former})).toEqual(packet);
	});

	it('are equal after encoding and decoding', () => {
		fc.assert(
			fc.property(packets, packet => {
				const parsed = parseRaftPacket(decode(encode(packet)));
				expect(parsed && encode(parsed)).toEqual(encode(packet));
			}),
		);
	});

	it('are rejected without an exception when any byte is wrong', () => {
		fc.assert(
			fc.property(packets, fc.nat(), fc.integer({min: 0, max: 255}), (packet, at, byte) => {
				const wire = Uint8Array.from(encode(packet));
				wire[at % wire.length] = byte;
				const parsed = parseRaftPacket(decode(wire));
				// The machine can process every packet that still parses.
				if (parsed) expect(encode(parseRaftPacket(decode(encode(parsed))))).toEqual(encode(parsed));
			}),
			{numRuns: 500},
		);
		fc.assert(fc.property(fc.anything(), value => void parseRaftPacket(value)));
	});

	const snapshot = (change: object): unknown => ({
		group: 0,
		term: 1,
		type: 'snapshot',
		index: 1,
		snapshotTerm: 1,
		configuration: {voters: ['0000000000000001'], learners: []},
		offset: 0,
		size: 1,
		data: new Uint8Array(1),
		...change,
	});
	const append = (change: object): unknown => ({
		group: 0,
		term: 5,
		type: 'append',
		prevIndex: 3,
		prevTerm: 2,
		commit: 3,
		entries: [{term: 2, index: 4, kind: 'noop', data: new Uint8Array(0)}],
		...change,
	});

	it.each([
		['a number beyond 2^48', append({term: 2 ** 48})],
		['a negative number', append({commit: -1})],
		['a fraction', append({prevIndex: 0.5})],
		['entries that do not follow', append({prevIndex: 4})],
		[
			'an entry of a later term than its leader',
			append({entries: [{term: 6, index: 4, kind: 'noop', data: new Uint8Array(0)}]}),
		],
		[
			'an entry of an earlier term than the one before',
			append({entries: [{term: 1, index: 4, kind: 'noop', data: new Uint8Array(0)}]}),
		],
		['an unknown kind', append({entries: [{term: 2, index: 4, kind: 'other', data: new Uint8Array(0)}]})],
		[
			'a configuration that is none',
			append({entries: [{term: 2, index: 4, kind: 'configuration', data: new Uint8Array(3)}]}),
		],
		[
			'too many entries',
			append({
				entries: Array.from({length: 5000}, (_, at) => ({
					term: 2,
					index: 4 + at,
					kind: 'noop',
					data: new Uint8Array(0),
				})),
			}),
		],
		['an unknown type', append({type: 'toString'})],
		['a chunk beyond its snapshot', snapshot({offset: 3, size: 4, data: new Uint8Array(2)})],
		['a snapshot that is too large', snapshot({size: 2 ** 30, data: new Uint8Array(2)})],
		['a chunk that is too large', snapshot({size: 2 ** 20, data: new Uint8Array(2 ** 19)})],
		['a snapshot without voters', snapshot({configuration: {voters: [], learners: []}})],
		['a snapshot of a later term than its leader', snapshot({snapshotTerm: 2})],
		['a snapshot that leaves no room for entries', snapshot({index: 2 ** 47 + 1})],
		[
			'a configuration without voters',
			append({
				entries: [
					{
						term: 2,
						index: 6,
						kind: 'configuration',
						data: encodeConfigurationData({voters: [], learners: []}, new Uint8Array(0)),
					},
				],
			}),
		],
		['a context that is too long', {group: 0, term: 1, type: 'read', context: 'x'.repeat(129)}],
	])('are refused with %s', (_, value) => {
		expect(parseRaftPacket(append({}))).toEqual(append({}));
		expect(parseRaftPacket(snapshot({}))).toEqual(snapshot({}));
		expect(parseRaftPacket(value)).toBeUndefined();
	});
});

describe('configurations', () => {
	const [one, two] = ['1', '2'].map(digit => digit.padStart(16, '0') as NodeId) as [NodeId, NodeId];

	it('are equal after encoding and decoding, with the context of the caller', () => {
		fc.assert(
			fc.property(ids, bytes, (voters, context) => {
				const decoded = decodeConfigurationData(encodeConfigurationData({voters, learners: []}, context));
				expect(decoded?.configuration).toEqual({voters, learners: []});
				expect(decoded && Uint8Array.from(decoded.context)).toEqual(context);
			}),
		);
	});

	it('have sorted nodes without duplicates', () => {
		expect(parseConfiguration({voters: [one], learners: [two]})).toEqual({voters: [one], learners: [two]});
		expect(parseConfiguration({voters: [two, one], learners: []})).toBeUndefined();
		expect(parseConfiguration({voters: [one, one], learners: []})).toBeUndefined();
		expect(parseConfiguration({voters: [one], learners: [one]})).toBeUndefined();
		expect(
			decodeConfigurationData(encodeConfigurationData({voters: [one, one], learners: []}, new Uint8Array(0))),
		).toBeUndefined();
	});
});
