/**
The records of Raft in an append-only log on disk: the hard state, entries, and the mark of a snapshot, which is a file
of its own. An entry replaces the entry with its index and all later ones, so the log is never rewritten. After a
snapshot of the own state the log continues. A snapshot that was installed from a leader replaces the whole log, because
its entries may be another leader's.

```
state 1 | u48 term | u48 commit | 8 B vote, zeros for none
entry 2 | u8 kind | u48 term | u48 index | data
mark  3 | u48 index | u48 term     a snapshot of the own state: the log continues
reset 4 | u48 index | u48 term     a snapshot from the leader: the log restarts after it
```
*/
import {isNodeId, type NodeId} from '../message.ts';
import type {LogPosition} from './log.ts';
import type {Entry} from './packet.ts';
import type {HardState} from './types.ts';

const kinds = ['command', 'configuration', 'noop'] as const;
const noVote = '00'.repeat(8);

export type RaftRecord =
	| {readonly type: 'state'; readonly state: HardState}
	| {readonly type: 'entry'; readonly entry: Entry}
	| {readonly type: 'mark'; readonly mark: LogPosition; readonly isReset: boolean};

export function encodeState({term, vote, commit}: HardState): Buffer {
	const bytes = Buffer.alloc(21);
	bytes[0] = 1;
	bytes.writeUIntBE(term, 1, 6);
	bytes.writeUIntBE(commit, 7, 6);
	bytes.write(vote ?? noVote, 13, 8, 'hex');
	return bytes;
}

export function encodeEntry({term, index, kind, data}: Entry): Buffer {
	const bytes = Buffer.allocUnsafe(14 + data.length);
	bytes[0] = 2;
	bytes[1] = kinds.indexOf(kind);
	bytes.writeUIntBE(term, 2, 6);
	bytes.writeUIntBE(index, 8, 6);
	bytes.set(data, 14);
	return bytes;
}

export function encodeMark({index, term}: LogPosition, isReset: boolean): Buffer {
	const bytes = Buffer.alloc(13);
	bytes[0] = isReset ? 4 : 3;
	bytes.writeUIntBE(index, 1, 6);
	bytes.writeUIntBE(term, 7, 6);
	return bytes;
}

export function decodeRecord(record: Uint8Array): RaftRecord | undefined {
	const bytes = Buffer.from(record.buffer, record.byteOffset, record.byteLength);
	switch (bytes[0]) {
		case 1: {
			if (bytes.length !== 21) return undefined;
			const vote = bytes.toString('hex', 13, 21);
			return {
				type: 'state',
				state: {
					term: bytes.readUIntBE(1, 6),
					commit: bytes.readUIntBE(7, 6),
					vote: vote === noVote || !isNodeId(vote) ? undefined : vote,
				},
			};
		}

		case 2: {
			const kind = kinds[bytes[1] ?? 255];
			if (bytes.length < 14 || kind === undefined) return undefined;
			return {
				type: 'entry',
				entry: {
					kind,
					term: bytes.readUIntBE(2, 6),
					index: bytes.readUIntBE(8, 6),
					data: new Uint8Array(bytes.subarray(14)),
				},
			};
		}

		case 3:
		case 4:
			return bytes.length === 13
				? {
						type: 'mark',
						isReset: bytes[0] === 4,
						mark: {index: bytes.readUIntBE(1, 6), term: bytes.readUIntBE(7, 6)},
					}
				: undefined;
		default:
			return undefined;
	}
}

/** Rebuilds the state that a node starts from, out of its records, oldest first. */
export class Recovery {
	state: HardState = {term: 0, vote: undefined as NodeId | undefined, commit: 0};
	mark: LogPosition = {index: 0, term: 0};
	entries: Entry[] = [];
	/** The first problem of the records; a node does not start on such a log. */
	problem: string | undefined;

	add(record: RaftRecord | undefined): void {
		switch (record?.type) {
			case undefined: {
				this.problem ??= 'a record of an unknown kind';
				return;
			}

			case 'state': {
				this.state = record.state;
				return;
			}

			case 'mark': {
				this.mark = record.mark;
				if (record.isReset) this.entries = [];
				return;
			}

			case 'entry': {
				const {entry} = record;
				while (this.entries.length > 0 && this.entries.at(-1)!.index >= entry.index) this.entries.pop();
				const last = this.entries.at(-1);
				if (last && last.index !== entry.index - 1) this.problem ??= gap(last.index + 1, entry.index - 1);
				this.entries.push(entry);
				return;
			}

			default:
				record satisfies never;
		}
	}

	/** Entries after the snapshot at `mark`. A gap sets `problem`. */
	entriesAfter(mark: LogPosition): Entry[] {
		const entries = this.entries.filter(({index}) => index > mark.index);
		if (entries.length > 0 && entries[0]!.index !== mark.index + 1)
			this.problem ??= gap(mark.index + 1, entries[0]!.index - 1);
		return entries;
	}
}

function gap(from: number, to: number): string {
	return from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`;
}
