/**
Rule: if retention deletes messages that were not read, the node reports it in an event. A topic is read up to the
position of the slowest program that reads it through the node. Without such a program, it is read up to the highest
position that any program reached; everything that arrived during a subscription of the node counts as read too.
*/
import type {Topic} from '../../../core/message.ts';
import type {Deletion} from '../../../core/topic-log/retention.ts';
import type {Host} from './host.ts';

/** Offsets from `from` to before `to`. */
type Taken = {readonly from: number; readonly to: number; readonly deletions: readonly Deletion[]};
/** The offset up to which the topic was read, as far as is known. */
export type ReadUpTo = (host: Host, topic: Topic) => number;

export class Unread {
	/** By machine and topic: unread messages that retention deleted and no event has reported yet. */
	readonly #owed = new Map<Host, Map<Topic, number>>();
	/** Unread messages whose deletion was reported. */
	told = 0;

	booted(host: Host): void {
		this.#owed.delete(host);
	}

	/**
	Retention deleted these messages.
	@param readBefore the position of readers before retention started
	@param readAfter their position now; they may have read in between
	*/
	taken(host: Host, topic: Topic, {from, to, deletions}: Taken, readBefore: number, readAfter: number): void {
		// Holes from damage were reported as damage.
		const holes = to - from - deletions.reduce((sum, {messages}) => sum + messages, 0);
		const unread = Math.max(0, to - Math.max(from, readBefore, readAfter) - holes);
		const owed = this.#owed.get(host) ?? new Map<Topic, number>();
		this.#owed.set(host, owed);
		owed.set(topic, (owed.get(topic) ?? 0) + unread);
	}

	/** The node reports a deletion. */
	deleted(host: Host, topic: Topic, unread: number): void {
		this.told += unread;
		const owed = this.#owed.get(host);
		owed?.set(topic, Math.max(0, (owed.get(topic) ?? 0) - unread));
	}

	/** A deletion that should have been reported by now; `undefined` if there is none. */
	untold(host: Host): string | undefined {
		for (const [topic, messages] of this.#owed.get(host) ?? [])
			if (messages > 0)
				return `deletions of unread messages are reported: ${host.id} deleted ${messages} messages of ${topic} before they were read, and reports nothing`;
		return undefined;
	}
}
