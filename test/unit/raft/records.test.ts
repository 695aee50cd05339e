import {describe, expect, it} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import type {Entry} from '../../../core/raft/packet.ts';
import {decodeRecord, encodeEntry, encodeMark, encodeState, Recovery} from '../../../core/raft/records.ts';

const entry = (term: number, index: number): Entry => ({
	term,
	index,
	kind: 'command',
	data: Uint8Array.of(term, index),
});
const recover = (...records: Uint8Array[]): Recovery => {
	const recovery = new Recovery();
	for (const record of records) recovery.add(decodeRecord(record));
	return recovery;
};

const logOf = (recovery: Recovery): string =>
	recovery
		.entriesAfter(recovery.mark)
		.map(({term, index}) => `${term}/${index}`)
		.join(' ');

describe('records', () => {
	it('are equal after encoding and decoding', () => {
		const state = {term: 2 ** 40, vote: 'abcdef0123456789' as NodeId, commit: 7};
		expect(decodeRecord(encodeState(state))).toEqual({type: 'state', state});
		expect(decodeRecord(encodeState({...state, vote: undefined}))).toEqual({
			type: 'state',
			state: {...state, vote: undefined},
		});
		expect(decodeRecord(encodeEntry(entry(3, 9)))).toEqual({type: 'entry', entry: entry(3, 9)});
		expect(decodeRecord(encodeMark({index: 5, term: 2}, true))).toEqual({
			type: 'mark',
			mark: {index: 5, term: 2},
			isReset: true,
		});
	});

	it('of another kind or length are rejected', () => {
		for (const bytes of [
			[],
			[0],
			[9, 1, 2],
			[1, 0, 0],
			[2, 7, ...Array.from<number>({length: 12}).fill(0)],
			[3, 1],
		])
			expect(decodeRecord(Uint8Array.from(bytes))).toBeUndefined();
		expect(recover(Uint8Array.of(9)).problem).toBe('a record of an unknown kind');
	});
});

describe('recovery', () => {
	it('replaces the entry at the index of a later record, and all entries after it', () => {
		const recovery = recover(...[1, 2, 3, 4].map(index => encodeEntry(entry(1, index))), encodeEntry(entry(2, 2)));
		expect(logOf(recovery)).toBe('1/1 2/2');
		expect(recovery.problem).toBeUndefined();
	});

	it('continues the log after an own snapshot, and restarts it after an installed one', () => {
		const log = [1, 2, 3, 4].map(index => encodeEntry(entry(1, index)));
		expect(logOf(recover(...log, encodeMark({index: 3, term: 1}, false)))).toBe('1/4');
		expect(logOf(recover(...log, encodeMark({index: 3, term: 2}, true)))).toBe('');
		expect(logOf(recover(...log, encodeMark({index: 3, term: 2}, true), encodeEntry(entry(2, 4))))).toBe('2/4');
	});

	it('reports a gap', () => {
		const inside = recover(encodeEntry(entry(1, 1)), encodeEntry(entry(1, 4)));
		expect(inside.problem).toBe('entries 2 to 3 are missing');
		const behind = recover(encodeMark({index: 3, term: 1}, false), encodeEntry(entry(1, 5)));
		behind.entriesAfter(behind.mark);
		expect(behind.problem).toBe('entry 4 is missing');
	});

	it('uses the last hard state', () => {
		expect(
			recover(
				encodeState({term: 1, vote: undefined, commit: 0}),
				encodeState({term: 4, vote: undefined, commit: 2}),
			).state,
		).toEqual({term: 4, vote: undefined, commit: 2});
	});
});
