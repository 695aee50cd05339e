/**
Whether what retention took before it was read is told in an event. Read is what the slowest program has that reads the
topic through the node; of a topic that nobody reads, what anybody has read, and all that came while the node was
subscribed.
*/
import type {Topic} from '../../../core/message.ts';
import type {Deletion} from '../../../core/topic-log/retention.ts';
import type {Host} from './host.ts';

/** Offsets, `to` not included. */
type Taken = {readonly from: number; readonly to: number; readonly deletions: readonly Deletion[]};
/** Up to which offset the topic was read, as far as is known. */
export type ReadUpTo = (host: Host, topic: Topic) => number;

export class Unread {
	/** Taken unread and not told yet, by machine and topic. */
	readonly #owed = new Map<Host, Map<Topic, number>>();
	/** Messages that were told as deleted before they were read. */
	told = 0;

	booted(host: Host): void {
		this.#owed.delete(host);
	}

	/**
	Retention took these.
	@param readBefore where readers were before it looked.
	@param readAfter where they are now: they may have read meanwhile
	*/
	taken(host: Host, topic: Topic, {from, to, deletions}: Taken, readBefore: number, readAfter: number): void {
		// What damage took before is told as that.
		const holes = to - from - deletions.reduce((sum, {messages}) => sum + messages, 0);
		const unread = Math.max(0, to - Math.max(from, readBefore, readAfter) - holes);
		const owed = this.#owed.get(host) ?? new Map<Topic, number>();
		this.#owed.set(host, owed);
		owed.set(topic, (owed.get(topic) ?? 0) + unread);
	}

	/** An event of the node says so. */
	deleted(host: Host, topic: Topic, unread: number): void {
		this.told += unread;
		const owed = this.#owed.get(host);
		owed?.set(topic, Math.max(0, (owed.get(topic) ?? 0) - unread));
	}

	/** What was to be told by now and was not; `undefined` when all is. */
	untold(host: Host): string | undefined {
		for (const [topic, messages] of this.#owed.get(host) ?? [])
			if (messages > 0)
				return `nothing unread disappears without an event: ${host.id} deleted ${messages} messages of ${topic} before they were read, and tells nothing`;
		return undefined;
	}
}
