/**
Rule: if retention deletes messages that were not read, the node reports it in an event. A topic is read up to the
position of the slowest program that reads it through the node. Without such a program, it is read up to the highest
position that any program reached; everything that arrived during a subscription of the node counts as read too.
*/
import type {Topic} from '../../../../core/message.ts';
import type {Deletion} from '../../../../core/topic-log/retention.ts';
import type {Host} from '../host/host.ts';

/** Offsets from `from` to before `to`. */
type Removed = {readonly from: number; readonly to: number; readonly deletions: readonly Deletion[]};
/** The offset up to which the topic was read, as far as is known. */
export type ReadUpTo = (host: Host, topic: Topic) => number;

export class UnreadDeletionChecks {
	/** By machine and topic: unread messages that retention deleted and no event has reported yet. */
	readonly #unreported = new Map<Host, Map<Topic, number>>();
	/** Unread messages whose deletion was reported. */
	reportedMessages = 0;

	booted(host: Host): void {
		this.#unreported.delete(host);
	}

	/**
	Retention deleted these messages.
	@param readBefore the position of readers before retention started
	@param readAfter their position now; they may have read in between
	*/
	removed(host: Host, topic: Topic, {from, to, deletions}: Removed, readBefore: number, readAfter: number): void {
		// Holes from damage were reported as damage.
		const holes = to - from - deletions.reduce((sum, {messages}) => sum + messages, 0);
		const unread = Math.max(0, to - Math.max(from, readBefore, readAfter) - holes);
		const pending = this.#unreported.get(host) ?? new Map<Topic, number>();
		this.#unreported.set(host, pending);
		pending.set(topic, (pending.get(topic) ?? 0) + unread);
	}

	/** The node reports a deletion. */
	reported(host: Host, topic: Topic, unread: number): void {
		this.reportedMessages += unread;
		const pending = this.#unreported.get(host);
		pending?.set(topic, Math.max(0, (pending.get(topic) ?? 0) - unread));
	}

	/** A deletion that should have been reported by now; `undefined` if there is none. */
	unreportedDeletion(host: Host): string | undefined {
		for (const [topic, messages] of this.#unreported.get(host) ?? [])
			if (messages > 0)
				return `deletions of unread messages are reported: ${host.id} deleted ${messages} messages of ${topic} before they were read, and reports nothing`;
		return undefined;
	}
}
