/**
Structural sharing: a snapshot that crossed a port or a link consists of new objects, although few values changed. Parts
that are equal to the last snapshot are taken from it, so that a pane over an unchanged slice is not drawn again.
*/
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';

/** `next`, with every equal part taken from `previous`. */
export function shareSnapshot(previous: Snapshot | undefined, next: Snapshot): Snapshot {
	if (!previous) return next;
	return {
		...share({...previous, feed: [], atMs: 0, uptimeMs: 0}, {...next, feed: [], atMs: 0, uptimeMs: 0}),
		feed: shareFeed(previous.feed, next.feed),
		atMs: next.atMs,
		uptimeMs: next.uptimeMs,
	};
}

/** Plain data only: objects, arrays, strings, numbers, booleans. */
export function share<Value>(previous: Value, next: Value): Value {
	if (Object.is(previous, next)) return previous;
	if (Array.isArray(previous) && Array.isArray(next)) {
		const before: readonly unknown[] = previous;
		let isSame = before.length === next.length;
		const shared = next.map((item: unknown, index) => {
			const kept = index < before.length ? share(before[index], item) : item;
			if (!Object.is(kept, before[index])) isSame = false;
			return kept;
		});
		return isSame ? previous : (shared as Value);
	}

	if (!isRecord(previous) || !isRecord(next)) return next;
	const keys = Object.keys(next);
	let isSame = keys.length === Object.keys(previous).length;
	const shared = Object.fromEntries(
		keys.map(key => {
			const kept = Object.hasOwn(previous, key) ? share(previous[key], next[key]) : next[key];
			if (!Object.hasOwn(previous, key) || !Object.is(kept, previous[key])) isSame = false;
			return [key, kept];
		}),
	);
	return isSame ? previous : (shared as Value);
}

/** A message never changes, so its identity is enough and its bytes are not compared. */
export function messageKey(message: Pick<MessageSnapshot, 'origin' | 'incarnation' | 'topic' | 'seq'>): string {
	return `${message.origin}:${message.incarnation}:${message.seq}:${message.topic}`;
}

function shareFeed(previous: readonly MessageSnapshot[], next: readonly MessageSnapshot[]): readonly MessageSnapshot[] {
	if (next.length === 0) return previous.length === 0 ? previous : next;
	const known = new Map(previous.map(message => [messageKey(message), message]));
	let isSame = previous.length === next.length;
	const shared = next.map((message, index) => {
		const kept = known.get(messageKey(message)) ?? message;
		if (kept !== previous[index]) isSame = false;
		return kept;
	});
	return isSame ? previous : shared;
}

function isRecord(value: unknown): value is Record<string, unknown> {
	return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
