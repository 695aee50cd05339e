/**
Rules for deleted topics. A deletion covers all messages stamped up to its time. Once a node hides them, it delivers
none of them, accepts none of them again, and deletes nothing that was published later. At the end no node holds any of
them.
*/
import type {BatchHeader, Topic} from '../../../../core/message.ts';
import type {Deletion} from '../../../../core/topic-log/retention.ts';
import type {Retained, TopicLog} from '../../../../core/topic-log/topic-log.ts';
import type {Host} from '../host/host.ts';

type Open = {readonly topic: Topic; readonly until: number};

export class DeletionChecks {
	/** What each open log hides: the topic, and the highest stamp that is deleted. */
	readonly #hidden = new Map<TopicLog, Open>();
	/** How many times a log began to hide messages. */
	count = 0;
	readonly #held: (host: Host) => Iterable<readonly [string, BatchHeader]>;
	readonly #logs: ReadonlyMap<Host, ReadonlyMap<Topic, TopicLog>>;
	readonly #hasDamagedLogs: (host: Host) => boolean;

	/**
	@param held the batches in the logs of a machine, by key
	@param hasDamagedLogs whether the disk of a machine was damaged, so that its counts are unknown
	*/
	constructor(
		held: (host: Host) => Iterable<readonly [string, BatchHeader]>,
		logs: ReadonlyMap<Host, ReadonlyMap<Topic, TopicLog>>,
		hasDamagedLogs: (host: Host) => boolean,
	) {
		this.#held = held;
		this.#logs = logs;
		this.#hasDamagedLogs = hasDamagedLogs;
	}

	hides(log: TopicLog, topic: Topic, until: number): void {
		if (until <= (this.#hidden.get(log)?.until ?? 0)) return;
		this.#hidden.set(log, {topic, until});
		this.count++;
	}

	/** Why this batch must not enter the log. */
	released(host: Host, log: TopicLog, {topic, lamport, origin}: BatchHeader): string | undefined {
		const until = this.#hidden.get(log)?.until ?? 0;
		if (lamport > until) return undefined;
		return origin === host.id
			? `messages published after a deletion stay: ${host.id} stamps ${lamport} in ${topic}, deleted up to ${until}`
			: `deleted messages do not come back: ${host.id} takes ${lamport} of ${origin} in ${topic}, deleted up to ${until}`;
	}

	/** Why this batch must not be delivered to a reader. */
	given(host: Host, log: TopicLog | undefined, {topic, lamport}: BatchHeader): string | undefined {
		const until = (log && this.#hidden.get(log)?.until) ?? 0;
		return lamport > until
			? undefined
			: `deleted messages are not delivered: ${host.id} gives ${lamport} of ${topic}, deleted up to ${until}`;
	}

	/** Retention removed these batches for the given reasons. Returns what is wrong. */
	removed(
		host: Host,
		log: TopicLog,
		gone: readonly BatchHeader[],
		deletions: readonly Deletion[],
	): string | undefined {
		// Only deletions of the topic are checked here. Other reasons are checked elsewhere.
		if (!deletions.every(({reason}) => reason === 'topic')) return undefined;
		const until = this.#hidden.get(log)?.until ?? 0;
		const later = gone.find(({lamport}) => lamport > until);
		return (
			later &&
			`messages published after a deletion stay: ${host.id} drops ${later.lamport} of ${later.topic}, deleted up to ${until}`
		);
	}

	/**
	Whether the removal must be checked for unread messages. The deletion of a topic is always reported, and a part of
	its log may have been reported before.
	*/
	isWhole(log: TopicLog, {deletions, from, to}: Retained): boolean {
		return (
			!this.#hidden.has(log) ||
			(deletions.every(({reason}) => reason !== 'topic') &&
				deletions.reduce((sum, {messages}) => sum + messages, 0) === to - from)
		);
	}

	/** Whether a message that ends at the offset is in the log and hidden. */
	isHidden(log: TopicLog, header: BatchHeader | undefined): boolean {
		return header !== undefined && header.lamport <= (this.#hidden.get(log)?.until ?? 0);
	}

	/** At the end: the nodes that still count deleted messages. */
	remaining(hosts: readonly Host[]): string[] {
		return hosts
			.filter(host => host.node?.phase === 'running' && !this.#hasDamagedLogs(host))
			.flatMap(host => {
				const batches = [...this.#held(host)].map(([, header]) => header);
				return [...host.node!.control.state.deletions()].flatMap(([topic, until]) => {
					const log = host.node!.data.topics.has(topic) ? this.#logs.get(host)?.get(topic) : undefined;
					if (!log) return [];
					const kept = batches
						.filter(header => header.topic === topic && header.lamport > until)
						.reduce((sum, {count}) => sum + count, 0);
					return log.messages === kept
						? []
						: [
								`${host.id} counts ${log.messages} messages of ${topic}, of which ${kept} are left since it was deleted`,
							];
				});
			});
	}
}
