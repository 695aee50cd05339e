/**
The format of a recording: JSON Lines, one record a line. docs/recordings.md explains it. The first line names the
format. A `state` is a whole snapshot, a `change` what differs from the record before it. Messages and events are lists
that grow at their end and lose their oldest, so a change has only the new ones.
*/
import type {RecordedEvent} from '../../core/events.ts';
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';
import {difference} from './merge-patch.ts';

/** Raised when an older program could not read the file. */
export const formatVersion = 1;
/** The marker of the first line, by which the file is recognized. */
export const formatName = 'dapss-tui recording';

export type Header = {
	readonly type: 'header';
	readonly recording: typeof formatName;
	readonly format: number;
	/** Of the program that recorded. */
	readonly version: string;
	readonly cluster: string;
	readonly at: number;
};
/** A message as in a snapshot, with its first bytes in base64. */
export type RecordedMessage = Omit<MessageSnapshot, 'preview'> & {readonly preview: string};
/** A snapshot without its lists of messages and events. */
export type State = Omit<Snapshot, 'feed' | 'events'>;
export type StateRecord = {
	readonly type: 'state';
	readonly at: number;
	readonly state: State;
	readonly messages: readonly RecordedMessage[];
	readonly events: readonly RecordedEvent[];
};
export type ChangeRecord = {
	readonly type: 'change';
	readonly at: number;
	/** A merge patch of the state. */
	readonly change?: unknown;
	/** New messages at the end of the list, and the length of the list with them. */
	readonly messages?: readonly RecordedMessage[];
	readonly kept?: number;
	readonly events?: readonly RecordedEvent[];
	readonly keptEvents?: number;
};
export type LinkRecord = {
	readonly type: 'link';
	readonly at: number;
	readonly state: 'lost' | 'connected';
	readonly server: string;
	readonly why?: string;
};
export type EndRecord = {readonly type: 'end'; readonly at: number; readonly why: 'stopped' | 'time' | 'full'};
export type FileRecord = Header | StateRecord | ChangeRecord | LinkRecord | EndRecord;

/** After so many changes comes a whole state, so that any place of a recording is found quickly. */
export const changesMax = 100;

/** Turns snapshots into records. */
export class Recorder {
	#before: {readonly snapshot: Snapshot; readonly state: State} | undefined;
	#changes = 0;

	/** The next snapshot is recorded as a whole, because it may be of another node. */
	restart(): void {
		this.#before = undefined;
	}

	/** The record of a snapshot; `undefined` when nothing changed. */
	record(snapshot: Snapshot): StateRecord | ChangeRecord | undefined {
		const before = this.#before;
		const state = stateOf(snapshot);
		this.#before = {snapshot, state};
		const delivered = before ? deliveredSince(before.snapshot, snapshot) : undefined;
		if (!before || !delivered || this.#changes >= changesMax) {
			this.#changes = 0;
			return {
				type: 'state',
				at: snapshot.atMs,
				state,
				messages: snapshot.feed.map(message => recorded(message)),
				events: snapshot.events,
			};
		}

		this.#changes++;
		const change = difference(before.state, state);
		const events = newEvents(before.snapshot.events, snapshot.events);
		const isMessages = delivered.messages.length > 0 || snapshot.feed.length !== before.snapshot.feed.length;
		return {
			type: 'change',
			at: snapshot.atMs,
			...(change !== undefined && {change}),
			...(isMessages && {
				messages: delivered.messages.map(message => recorded(message)),
				kept: snapshot.feed.length,
			}),
			...(events.length > 0 && {events, keptEvents: snapshot.events.length}),
		};
	}
}

/**
The messages that were delivered between two snapshots of one process, as far as the sample has them; `undefined` when
the second one is of another process.
*/
export function deliveredSince(
	before: Pick<Snapshot, 'self' | 'uptimeMs' | 'counters'>,
	after: Pick<Snapshot, 'self' | 'uptimeMs' | 'counters' | 'feed'>,
): {readonly messages: readonly MessageSnapshot[]; readonly skipped: number} | undefined {
	const count = after.counters.delivered - before.counters.delivered;
	if (before.self !== after.self || after.uptimeMs < before.uptimeMs || count < 0) return undefined;
	const sampled = Math.min(count, after.feed.length);
	return {messages: after.feed.slice(after.feed.length - sampled), skipped: count - sampled};
}

/** The events after the last one that both lists have. */
function newEvents(before: readonly RecordedEvent[], after: readonly RecordedEvent[]): readonly RecordedEvent[] {
	const last = before.at(-1);
	if (last === undefined) return after;
	const text = JSON.stringify(last);
	const at = after.findLastIndex(event => event.at === last.at && JSON.stringify(event) === text);
	return after.slice(at + 1);
}

/** Plain JSON: what JSON leaves out is left out here too, so that differences are those of the file. */
function stateOf({feed: _feed, events: _events, ...state}: Snapshot): State {
	return JSON.parse(JSON.stringify(state)) as State;
}

function recorded({preview, ...message}: MessageSnapshot): RecordedMessage {
	return {...message, preview: Buffer.from(preview).toString('base64')};
}
