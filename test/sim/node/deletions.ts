/**
What must hold of topics that are deleted: from the moment on at which a node hides what is stamped up to the time of a
deletion, nothing of that is given out there or comes back, nothing later goes with it, and in the end it is on no node.
*/
import type {BatchHeader, Topic} from '../../../core/message.ts';
import type {Deletion} from '../../../core/topic-log/retention.ts';
import type {Retained, TopicLog} from '../../../core/topic-log/topic-log.ts';
import type {Host} from './host.ts';

type Open = {readonly topic: Topic; readonly until: number};

export class Deletions {
	/** By open log. */
	readonly #hidden = new Map<TopicLog, Open>();
	/** Of a log and a time: how often something was hidden. */
	count = 0;
	readonly #held: (host: Host) => Iterable<readonly [string, BatchHeader]>;
	readonly #logs: ReadonlyMap<Host, ReadonlyMap<Topic, TopicLog>>;
	readonly #isSpoilt: (host: Host) => boolean;

	/**
	@param held what is in the logs of a machine, by key.
	@param isSpoilt its disk was damaged: what it counts is not known
	*/
	constructor(
		held: (host: Host) => Iterable<readonly [string, BatchHeader]>,
		logs: ReadonlyMap<Host, ReadonlyMap<Topic, TopicLog>>,
		isSpoilt: (host: Host) => boolean,
	) {
		this.#held = held;
		this.#logs = logs;
		this.#isSpoilt = isSpoilt;
	}

	hides(log: TopicLog, topic: Topic, until: number): void {
		if (until <= (this.#hidden.get(log)?.until ?? 0)) return;
		this.#hidden.set(log, {topic, until});
		this.count++;
	}

	/** What is wrong about a batch that comes into the log. */
	released(host: Host, log: TopicLog, {topic, lamport, origin}: BatchHeader): string | undefined {
		const until = this.#hidden.get(log)?.until ?? 0;
		if (lamport > until) return undefined;
		return origin === host.id
			? `what is published after a deletion stays: ${host.id} stamps ${lamport} in ${topic}, deleted up to ${until}`
			: `what was deleted does not come back: ${host.id} takes ${lamport} of ${origin} in ${topic}, deleted up to ${until}`;
	}

	/** What is wrong about a batch that a reader is given. */
	given(host: Host, log: TopicLog | undefined, {topic, lamport}: BatchHeader): string | undefined {
		const until = (log && this.#hidden.get(log)?.until) ?? 0;
		return lamport > until
			? undefined
			: `what was deleted is not given out: ${host.id} gives ${lamport} of ${topic}, deleted up to ${until}`;
	}

	/** Retention took these, and says why. What is wrong about it. */
	taken(host: Host, log: TopicLog, gone: readonly BatchHeader[], deletions: readonly Deletion[]): string | undefined {
		// None: what goes was told of when it was hidden.
		if (!deletions.every(({reason}) => reason === 'topic')) return undefined;
		const until = this.#hidden.get(log)?.until ?? 0;
		const later = gone.find(({lamport}) => lamport > until);
		return (
			later &&
			`what is published after a deletion stays: ${host.id} drops ${later.lamport} of ${later.topic}, deleted up to ${until}`
		);
	}

	/**
	What was read of what went is to be judged: the deletion of a topic is told in any case, and of its log some may
	have been told of before.
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

	/** In the end: who still counts, or would give out, what was deleted. */
	left(hosts: readonly Host[]): string[] {
		return hosts
			.filter(host => host.node?.phase === 'running' && !this.#isSpoilt(host))
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
