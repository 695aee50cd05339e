/**
Regular maintenance of topics: opens logs that are on disk as slots permit, applies retention, and frees topics that are
empty and unwanted.
*/
import type {Control} from '../control/control.ts';
import type {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import type {Data} from '../data/data.ts';
import {claimsMax} from '../gossip/claims.ts';
import type {NodeId, Topic} from '../message.ts';
import type {Journal} from '../observe/journal.ts';
import type {NodeIo} from './node-options.ts';

export type UpkeepOptions = {
	readonly data: Data;
	readonly control: Control;
	readonly desired: DesiredSubscriptions;
	readonly journal: Journal;
	readonly topicsMax: number;
	readonly room: NodeIo['room'];
	/** Claims of members about incarnations that failure detection ignored. */
	readonly incarnationsRefused: () => number;
	/** Called when the disk fails. */
	readonly failed: (error: unknown) => void;
};

const retainMs = 10_000;

export class Upkeep {
	readonly #options: UpkeepOptions;
	/** Topics on disk without a slot. */
	#unopened: Topic[] = [];
	#doneMs = 0;
	/** Counts of the machines at the last run. */
	#counted = {incarnations: 0, streams: 0, falseClaims: 0, terms: 0, leaders: 0, swim: 0};
	/** Refused claims at the last run, by peer. */
	#claimsRefused: ReadonlyMap<NodeId, number> = new Map();
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
		this.#noteBounds();
		if (!this.#isAllApplied()) return;
		await data.free();
		while (this.#unopened.length > 0 && data.table.slots.used < topicsMax) data.table.open(this.#unopened.shift()!);
	}

	/** Counts the bounds that the machines have reached since the last run. */
	#noteBounds(): void {
		const {data, journal, control, incarnationsRefused} = this.#options;
		const {bounds, claimsRefused} = data.gossip.status();
		const raft = control.raft.status().bounds;
		const former = this.#counted;
		const counted = {
			incarnations: bounds.get('incarnations') ?? 0,
			streams: bounds.get('streams') ?? 0,
			falseClaims: bounds.get('false-claims') ?? 0,
			terms: (raft['term-jump'] ?? 0) + (raft['term-raises'] ?? 0),
			leaders: raft['no-voter'] ?? 0,
			swim: incarnationsRefused(),
		};
		// Messages of these streams are not passed on.
		if (counted.incarnations > former.incarnations) journal.bound('incarnations');
		if (counted.streams > former.streams) journal.bound('streams');
		if (counted.falseClaims > former.falseClaims) journal.bound('false-claims');
		if (counted.terms > former.terms) journal.bound('terms');
		if (counted.leaders > former.leaders) journal.bound('false-leaders');
		if (counted.swim > former.swim) journal.bound('incarnation-jumps');
		this.#counted = counted;
		for (const [peer, count] of claimsRefused) {
			const before = this.#claimsRefused.get(peer) ?? 0;
			if (count === before) continue;
			journal.bound('claimed-streams');
			if (before === 0)
				journal.record({
					type: 'warning',
					text:
						`Member ${peer} announces more than ${claimsMax} streams of which no message has arrived: ` +
						'further ones are ignored. If it goes on, that member has a fault: remove it',
				});
		}

		this.#claimsRefused = new Map(claimsRefused);
	}

	/** The subscribers of a topic are known once the whole log is applied. */
	#isAllApplied(): boolean {
		const {raft} = this.#options.control;
		if (raft.leader === undefined) return false;
		const {applied, lastIndex} = raft.status();
		return applied === lastIndex;
	}
}
