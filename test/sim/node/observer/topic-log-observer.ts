/**
Observes the topic logs of the nodes: messages that enter a log, return to its holes, are served to peers, or are
deleted.
*/
import {streamKey, type Topic} from '../../../../core/message.ts';
import type {OnHeader, TopicLog} from '../../../../core/topic-log/topic-log.ts';
import type {Violations} from '../../violations.ts';
import {DeletionChecks} from '../checks/deletion-checks.ts';
import {durableNameViolation} from '../checks/durable-names.ts';
import type {FullDiskChecks} from '../checks/full-disk-checks.ts';
import type {MessageChecks} from '../checks/message-checks.ts';
import {RetentionChecks} from '../checks/retention-checks.ts';
import {UnreadDeletionChecks, type ReadUpTo} from '../checks/unread-deletion-checks.ts';
import type {Host} from '../host/host.ts';

export type TopicLogObserverOptions = {
	readonly violations: Violations;
	readonly messages: MessageChecks;
	readonly fullDisks: FullDiskChecks;
	readonly readUpTo: ReadUpTo;
	/** Called when retention of a node has finished. */
	readonly onRetained: (host: Host) => void;
};

/** The longest time until a running node continues after its retention has finished. */
const turnMs = 5;

export class TopicLogObserver {
	/** All logs, open and closed. */
	readonly logs = new Map<Host, Map<Topic, TopicLog>>();
	readonly retention = new RetentionChecks();
	readonly unread = new UnreadDeletionChecks();
	readonly deletions: DeletionChecks;
	readonly #options: TopicLogObserverOptions;
	/** Logs with retention in progress, or just finished. */
	readonly #retaining = new Set<TopicLog>();
	/** Finished retentions, until the node has continued. */
	#finished: Array<{readonly log: TopicLog; readonly host: Host; readonly atMs: number}> = [];

	constructor(options: TopicLogObserverOptions) {
		this.#options = options;
		const {messages} = options;
		this.deletions = new DeletionChecks(
			host => messages.held(host),
			this.logs,
			host => messages.hasDamagedLogs(host),
		);
	}

	/** After an event: a node whose retention has finished must have reported the deletions by now. */
	checkReports(): void {
		this.#finished = this.#finished.filter(({log, host, atMs}) => {
			if (host.isPaused || host.options.schedule.nowMs <= atMs + turnMs || !this.#retaining.delete(log))
				return true;
			this.#options.violations.check(this.unread.unreportedDeletion(host));
			return false;
		});
	}

	/** Wraps the receiver of the headers that an opening log reads. */
	onHeader(host: Host, topic: Topic, next: OnHeader): OnHeader {
		const {messages} = this.#options;
		messages.reopening(host, topic);
		return (header, offset) => {
			messages.recovered(host, topic, header, offset);
			next(header, offset);
		};
	}

	/** Wraps an opened log. @param isDamaged whether the node reports damage of the log */
	opened(host: Host, topic: Topic, log: TopicLog, isDamaged: boolean): TopicLog {
		const {messages, violations} = this.#options;
		messages.reopened(host, topic, log.nextOffset, isDamaged);
		violations.check(durableNameViolation(host, `/data/topics/${encodeURIComponent(topic)}`));
		const logs = this.logs.get(host) ?? new Map<Topic, TopicLog>();
		this.logs.set(host, logs.set(topic, log));
		const backfill = log.backfill.bind(log);
		const hide = log.hide.bind(log);
		return Object.assign(log, {
			hide: (until: number) => {
				this.deletions.hides(log, topic, until);
				messages.hidden(host, topic, until);
				hide(until);
			},
			backfill: async (found: Parameters<TopicLog['backfill']>[0]) => {
				messages.backfilling(host, topic, found);
				const placed = await backfill(found);
				messages.backfilled(host, topic, placed);
				return placed;
			},
			append: this.#observeAppends(host, log),
			serve: this.#observeReplies(host, topic, log),
			retain: this.#observeRetention(host, topic, log),
		});
	}

	#observeAppends(host: Host, log: TopicLog): TopicLog['append'] {
		const {fullDisks, messages, violations} = this.#options;
		const append = log.append.bind(log);
		return (items, options) => {
			const appended = append(items, options);
			for (const [index, {batch}] of items.entries()) {
				violations.check(this.deletions.released(host, log, batch) ?? fullDisks.appended(host, batch));
				messages.released(host, batch, appended.offsets[index]!);
				this.retention.arrived(host, batch);
			}

			return appended;
		};
	}

	#observeReplies(host: Host, topic: Topic, log: TopicLog): TopicLog['serve'] {
		const {violations} = this.#options;
		const serve = log.serve.bind(log);
		return async (...given) => {
			const [wants, bytesMax] = given;
			for (const {origin, incarnation, from} of wants) {
				const low = log.lowest(streamKey({origin, incarnation, topic}));
				if ((low === undefined || low > from) && !this.#retaining.has(log))
					throw violations.record(
						`a node offers only messages that it has: ${host.id} offered ${origin} ${incarnation} ${topic} from ${from}, and has it from ${low}`,
					);
			}

			const served = await serve(...given);
			const bytes = served.batches.reduce((sum, batch) => sum + batch.bytes.length, 0);
			if (served.batches.length > 1 && bytes > bytesMax)
				throw violations.record(
					`a reply stays within its byte budget: ${host.id} replies with ${bytes} bytes, and ${bytesMax} were requested`,
				);
			return served;
		};
	}

	#observeRetention(host: Host, topic: Topic, log: TopicLog): TopicLog['retain'] {
		const {messages, violations, readUpTo, onRetained} = this.#options;
		const retain = log.retain.bind(log);
		return async (...given) => {
			const [{ageMs}] = given;
			const {nextOffset} = log;
			// Deleted messages are gone at once. A request that was checked before may be answered afterwards.
			this.#retaining.add(log);
			const readBefore = readUpTo(host, topic);
			const retained = await retain(...given);
			this.#finished.push({log, host, atMs: host.options.schedule.nowMs});
			const gone = messages.retained(host, topic, log.firstOffset, retained ? nextOffset : 0);
			if (!retained) return retained;
			violations.check(
				this.retention.deleted(host, gone, retained.deletions, ageMs) ??
					this.deletions.removed(host, log, gone, retained.deletions),
			);
			if (host.node && this.deletions.isWhole(log, retained))
				this.unread.removed(host, topic, retained, readBefore, readUpTo(host, topic));
			onRetained(host);
			return retained;
		};
	}
}
