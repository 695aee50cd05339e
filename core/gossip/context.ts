/**
State that the parts of the gossip machine share: reachable peers, the current tick, and the output that waits for
`ready()`.
*/
import type {Config} from '../config.ts';
import type {Outbound, Random} from '../machine.ts';
import type {Batch, NodeId, SequenceGap, Topic} from '../message.ts';
import type {GossipPacket, Want} from './packet.ts';
import type {Arrival} from './streams.ts';

export type GossipOptions = {
	readonly self: NodeId;
	/** Incarnation of this node. */
	readonly incarnation: number;
	readonly random: Random;
	readonly config: Config['gossip'];
	/** Duration of a tick in milliseconds. */
	readonly tickMs: number;
};

export type GossipReady = {
	readonly packets: ReadonlyArray<Outbound<GossipPacket>>;
	/** Released batches in delivery order: store each one, then deliver it. */
	readonly released: readonly Arrival[];
	/** Read these ranges from the log, send them as repair pushes, then send `served`. */
	readonly serve: ReadonlyArray<{
		readonly to: NodeId;
		readonly topic: Topic;
		readonly wants: readonly Want[];
		readonly bytesMax: number;
	}>;
	/**
	Messages that can no longer be delivered: no peer has them, or the topic was deleted before they arrived. `messages`
	is a lower bound, because messages before the first known one are not counted. `isAwaited`: a current reader of the
	topic is waiting for them. Other losses lie before the first message of that reader, or in a hole of the log, which
	readers see for themselves. `isRetention`: retention deleted them at other nodes before they arrived here.
	*/
	readonly missed: ReadonlyArray<{
		readonly topic: Topic;
		readonly origin: NodeId;
		readonly messages: number;
		readonly isAwaited: boolean;
		readonly isRetention?: boolean;
	}>;
	/** A peer that had appeared is synced; `messages` were pulled from it since then. */
	readonly synced: ReadonlyArray<{readonly peer: NodeId; readonly messages: number}>;
	/** The result of a backfill: batches to store where the log lost them. They were delivered before the damage. */
	readonly backfilled: ReadonlyArray<{
		readonly topic: Topic;
		readonly batches: readonly Batch[];
		readonly gaps: readonly SequenceGap[];
	}>;
};

type Mutable<Ready> = {-readonly [Name in keyof Ready]: Ready[Name] extends ReadonlyArray<infer Item> ? Item[] : never};

/** Output without any work, to collect work in. */
export const emptyReady = (): Mutable<GossipReady> => ({
	packets: [],
	released: [],
	serve: [],
	missed: [],
	synced: [],
	backfilled: [],
});

export class Outbox {
	#work = emptyReady();

	send(to: NodeId, packet: GossipPacket): void {
		this.#work.packets.push({to, packet});
	}

	release(arrival: Arrival): void {
		this.#work.released.push(arrival);
	}

	serve(item: GossipReady['serve'][number]): void {
		this.#work.serve.push(item);
	}

	missed(item: GossipReady['missed'][number]): void {
		this.#work.missed.push(item);
	}

	synced(item: GossipReady['synced'][number]): void {
		this.#work.synced.push(item);
	}

	backfilled(item: GossipReady['backfilled'][number]): void {
		this.#work.backfilled.push(item);
	}

	take(): GossipReady | undefined {
		const work = this.#work;
		if (
			work.packets.length +
				work.released.length +
				work.serve.length +
				work.missed.length +
				work.synced.length +
				work.backfilled.length ===
			0
		)
			return undefined;
		this.#work = emptyReady();
		return work;
	}
}

export class Context {
	readonly self: NodeId;
	readonly random: Random;
	readonly config: Config['gossip'];
	readonly outbox = new Outbox();
	/** Ticks since the start. */
	now = 0;
	/** Increases whenever subscriptions, reachability or congestion change. */
	version = 0;
	/** Peers whose link is up, in the order given. */
	reachable: readonly NodeId[] = [];
	readonly congested = new Set<NodeId>();
	/** Nodes that were removed from the cluster. Batches that only they hold are lost. */
	removed: ReadonlySet<NodeId> = new Set();
	/** How often each bound was hit, by name. */
	readonly bounds = new Map<string, number>();
	#reachable = new Set<NodeId>();
	readonly #tickMs: number;

	constructor({self, random, config, tickMs}: GossipOptions) {
		this.self = self;
		this.random = random;
		this.config = config;
		this.#tickMs = tickMs;
	}

	/** Milliseconds in ticks, rounded up, at least 1. */
	ticks(ms: number): number {
		return Math.max(1, Math.ceil(ms / this.#tickMs));
	}

	isReachable(peer: NodeId): boolean {
		return this.#reachable.has(peer);
	}

	/** Replaces the reachable peers and returns the difference. */
	setReachable(peers: readonly NodeId[]): {readonly appeared: readonly NodeId[]; readonly gone: readonly NodeId[]} {
		const before = this.#reachable;
		this.reachable = peers.filter(peer => peer !== this.self);
		this.#reachable = new Set(this.reachable);
		this.version++;
		return {
			appeared: this.reachable.filter(peer => !before.has(peer)),
			gone: [...before].filter(peer => !this.#reachable.has(peer)),
		};
	}

	/** Up to `count` different items, each equally likely. */
	sample<Item>(items: readonly Item[], count: number): Item[] {
		const pool = [...items];
		const picked: Item[] = [];
		for (let index = 0; index < count && index < pool.length; index++) {
			const other = index + this.random.below(pool.length - index);
			picked.push(pool[other]!);
			pool[other] = pool[index]!;
		}

		return picked;
	}

	hit(bound: string): void {
		this.bounds.set(bound, (this.bounds.get(bound) ?? 0) + 1);
	}
}
