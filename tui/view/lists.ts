/**
The filtered rows of the four lists, and the keys of the rows for selection. Pure. Results are cached by identity of the
slice, since a key press needs them as well as a frame.
*/
import type {RecordedEvent} from '../../core/events.ts';
import {labelsOf, shortId, type Label} from '../../core/observe/node-label.ts';
import {printable, printableBytes} from '../../core/observe/printable.ts';
import type {MemberSnapshot, MessageSnapshot, Snapshot, TopicSnapshot} from '../../core/snapshot.ts';
import {messageKey} from '../source/share.ts';
import type {ConsoleState, ListPane} from '../state/state.ts';
import {rowFilter} from './row-filter.ts';
import {eventSpan} from './words.ts';

export type Listed<Row> = {
	readonly rows: readonly Row[];
	readonly keys: readonly string[];
	/** Rows without the filter. */
	readonly all: number;
	/** The reason why the filter is not applied, for people. */
	readonly problem: string | undefined;
};

const texts = {
	peers: (row: MemberSnapshot): string =>
		`${row.name} ${row.id} ${row.address} ${row.state} ${row.voter ? 'voter' : 'learner'} ${row.why}`,
	topics: (row: TopicSnapshot): string =>
		`${row.name} ${row.durable ? 'durable' : 'live'} ${row.subscribed ? 'subscribed' : ''}`,
	messages: (row: MessageSnapshot, label: Label): string =>
		`${row.topic} ${label(row.origin)} ${row.origin} ${row.repaired ? 'repaired' : ''} ${knownText(row)}`,
	events: (row: RecordedEvent): string => `${row.type} ${eventSpan(row).text}`,
};

export const listPeers = list<MemberSnapshot>(texts.peers, row => row.id);
export const listTopics = list<TopicSnapshot>(texts.topics, row => row.name);
export const listMessages = list<MessageSnapshot>(texts.messages, row => messageKey(row));
const listOldest = list<RecordedEvent>(texts.events, row => `${row.at} ${eventSpan(row).text}`);
const reversed = new WeakMap<readonly RecordedEvent[], readonly RecordedEvent[]>();

/** Newest first. */
export function listEvents(events: readonly RecordedEvent[], filter: string): Listed<RecordedEvent> {
	let turned = reversed.get(events);
	if (!turned) {
		turned = events.toReversed();
		reversed.set(events, turned);
	}

	return listOldest(turned, filter);
}

/** The visible feed: the one at the time of the pause while paused. */
export function shownFeed(snapshot: Snapshot, state: Pick<ConsoleState, 'paused'>): readonly MessageSnapshot[] {
	return state.paused?.feed ?? snapshot.feed;
}

export function keysOf(pane: ListPane, snapshot: Snapshot, state: ConsoleState): readonly string[] {
	const {filter} = state.lists[pane];
	switch (pane) {
		case 'peers':
			return listPeers(snapshot.members, filter).keys;
		case 'topics':
			return listTopics(snapshot.topics, filter).keys;
		case 'messages':
			return listMessages(shownFeed(snapshot, state), filter, labelsOf(snapshot.members)).keys;
		case 'events':
			return listEvents(snapshot.events, filter).keys;
		default: {
			const unknown: never = pane;
			return unknown;
		}
	}
}

const previews = new WeakMap<MessageSnapshot, string>();

/** Bytes of a body that a row shows, so that a flood of long messages stays cheap to draw. */
const rowBytes = 320;

/** The start of the body as one line of printable text, cached per message. */
export function previewText(message: MessageSnapshot): string {
	let text = previews.get(message);
	if (text === undefined) {
		text = knownText(message, rowBytes);
		previews.set(message, text);
	}

	return text;
}

/** The known part of the body as printable text. */
function knownText(message: MessageSnapshot, bytesMax = Number.POSITIVE_INFINITY): string {
	// The node may have cut a character in two. With one byte less the last character is dropped as a whole.
	const known = isCut(message) ? message.preview.length - 1 : message.preview.length;
	return printableBytes(message.preview, Math.min(bytesMax, known));
}

/** Only the first part of the body is known here. */
export function isCut({size, preview}: MessageSnapshot): boolean {
	return size > preview.length;
}

/** Caches the last result: a frame needs the same list several times. */
function list<Row extends object>(
	textOf: (row: Row, label: Label) => string,
	keyOf: (row: Row) => string,
): (rows: readonly Row[], filter: string, label?: Label) => Listed<Row> {
	const known = new WeakMap<readonly Row[], {filter: string; label: Label; listed: Listed<Row>}>();
	const folded = new WeakMap<Row, {readonly label: Label; readonly text: string}>();
	const foldedText = (row: Row, label: Label): string => {
		const last = folded.get(row);
		if (last?.label === label) return last.text;
		const text = printable(textOf(row, label));
		folded.set(row, {label, text});
		return text;
	};

	return (rows, filter, label = shortId) => {
		const last = known.get(rows);
		if (last?.filter === filter && last.label === label) return last.listed;
		const listed = filtered(rows, filter, row => foldedText(row, label), keyOf);
		known.set(rows, {filter, label, listed});
		return listed;
	};
}

function filtered<Row>(
	rows: readonly Row[],
	line: string,
	textOf: (row: Row) => string,
	keyOf: (row: Row) => string,
): Listed<Row> {
	const filter = rowFilter(line);
	const found = filter === undefined || 'problem' in filter ? filter : filter.test(rows.map(row => textOf(row)));
	const problem = found !== undefined && 'problem' in found ? found.problem : undefined;
	const isAll = found === undefined || 'problem' in found;
	const kept = isAll ? rows : rows.filter((_, index) => found[index]);
	return {rows: kept, keys: kept.map(row => keyOf(row)), all: rows.length, problem};
}
