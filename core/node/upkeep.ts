/**
Regular maintenance of topics: opens logs that are on disk as slots permit, applies retention, and frees topics that are
empty and unwanted.
*/
import type {Control} from '../control/control.ts';
import type {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import type {Data} from '../data/data.ts';
import type {Topic} from '../message.ts';
import type {Journal} from '../observe/journal.ts';
import type {NodeIo} from './node-options.ts';

export type UpkeepOptions = {
	readonly data: Data;
	readonly control: Control;
	readonly desired: DesiredSubscriptions;
	readonly journal: Journal;
	readonly topicsMax: number;
	readonly room: NodeIo['room'];
	/** Called when the disk fails. */
	readonly failed: (error: unknown) => void;
};

const retainMs = 10_000;

export class Upkeep {
	readonly #options: UpkeepOptions;
	/** Topics on disk without a slot. */
	#unopened: Topic[] = [];
	#doneMs = 0;
	/** Counts of gossip at the last run. */
	#forgotten = {incarnations: 0, streams: 0};
	#isRunning = false;

	constructor(options: UpkeepOptions) {
		this.#options = options;
		const {data, desired} = options;
		data.isWanted = topic => !this.#isAllApplied() || desired.isWanted(topic);
	}

	/** Recover the logs on disk, as many as may be open. The node's own topics come first. */
	async recover(onDisk: readonly Topic[], own: readonly Topic[]): Promise<void> {
		const {data, journal, topicsMax, room} = this.#options;
		const topics = onDisk.toSorted((a, b) => Number(own.includes(b)) - Number(own.includes(a)));
		for (const topic of topics.splice(0, topicsMax)) {
			await data.recover(topic);
		}

		// Before other writes, so that a full disk has room for them.
		await data.retain(topic => own.includes(topic));
		await room?.maintain();
		this.#unopened = topics;
		if (topics.length === 0) return;
		journal.bound('topics');
		journal.record({
			type: 'warning',
			text:
				`${topics.length} topics on disk exceed the limit of ${topicsMax} (limits.topics): ` +
				'they stay closed until other topics are freed. Their messages are kept',
		});
	}

	tick(nowMs: number): void {
		this.#options.data.sampleRates(nowMs);
		if (this.#isRunning || nowMs - this.#doneMs < retainMs) return;
		this.#doneMs = nowMs;
		this.#isRunning = true;
		void this.#run()
			.catch((error: unknown) => this.#options.failed(error))
			.finally(() => {
				this.#isRunning = false;
			});
	}

	async #run(): Promise<void> {
		const {data, topicsMax, room} = this.#options;
		await data.retain();
		await room?.maintain();
		this.#noteStreams();
		if (!this.#isAllApplied()) return;
		await data.free();
		while (this.#unopened.length > 0 && data.table.slots.used < topicsMax) data.table.open(this.#unopened.shift()!);
	}

	/** Reports streams that gossip could not keep: their messages are not passed on. */
	#noteStreams(): void {
		const {data, journal} = this.#options;
		const {bounds} = data.gossip.status();
		const [incarnations = 0, streams = 0] = [bounds.get('incarnations'), bounds.get('streams')];
		if (incarnations > this.#forgotten.incarnations) journal.bound('incarnations');
		if (streams > this.#forgotten.streams) journal.bound('streams');
		this.#forgotten = {incarnations, streams};
	}

	/** The subscribers of a topic are known once the whole log is applied. */
	#isAllApplied(): boolean {
		const {raft} = this.#options.control;
		if (raft.leader === undefined) return false;
		const {applied, lastIndex} = raft.status();
		return applied === lastIndex;
	}
}
