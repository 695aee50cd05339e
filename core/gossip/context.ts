/**
What the parts of the gossip machine share: who is there, what time it is in ticks, and the work that waits to be taken
out.
*/
import type {Config} from '../config.ts';
import type {Outbound, Random} from '../machine.ts';
import type {Batch, NodeId, Topic} from '../message.ts';
import type {GossipPacket, Want} from './packet.ts';
import type {Arrival} from './streams.ts';

/**
Sequence numbers, both ends included. `isFirst`: the stream may begin later than that. `isLast`: it may end sooner, and
goes on behind what was lost.
*/
export type BackfillGap = {
	readonly origin: NodeId;
	readonly incarnation: number;
	readonly from: number;
	readonly to: number;
	readonly isFirst: boolean;
	readonly isLast: boolean;
};

export type GossipOptions = {
	readonly self: NodeId;
	/** This life of the node. */
	readonly incarnation: number;
	readonly random: Random;
	readonly config: Config['gossip'];
	/** How long the broker lets a tick last. */
	readonly tickMs: number;
};

export type GossipReady = {
	readonly packets: ReadonlyArray<Outbound<GossipPacket>>;
	/** In order: store, then deliver. */
	readonly released: readonly Arrival[];
	/** Read the log and send what it has as repair pushes, then `served`. */
	readonly serve: ReadonlyArray<{
		readonly to: NodeId;
		readonly topic: Topic;
		readonly wants: readonly Want[];
		readonly bytesMax: number;
	}>;
	/**
	Gone wherever we could ask, or deleted with the topic before they were here. `messages` is at least that many: what
	came before the first known one is not counted. `isAwaited`: who reads the topic now waits for them. The others lie
	before its first message, or in a hole of the log, which shows by itself.

	*/
	readonly missed: ReadonlyArray<{
		readonly topic: Topic;
		readonly origin: NodeId;
		readonly messages: number;
		readonly isAwaited: boolean;
	}>;
	/** A digest exchange with the peer ended with nothing missing; `messages` were pulled from it since it appeared. */
	readonly synced: ReadonlyArray<{readonly peer: NodeId; readonly messages: number}>;
	/** All that can be had of what the log of the topic lost: store it where it was. It was delivered once. */
	readonly refilled: ReadonlyArray<{
		readonly topic: Topic;
		readonly batches: readonly Batch[];
		readonly gaps: readonly BackfillGap[];
	}>;
};

type Mutable<Ready> = {-readonly [Name in keyof Ready]: Ready[Name] extends ReadonlyArray<infer Item> ? Item[] : never};

const empty = (): Mutable<GossipReady> => ({
	packets: [],
	released: [],
	serve: [],
	missed: [],
	synced: [],
	refilled: [],
});

export class Outbox {
	#work = empty();

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

	refilled(item: GossipReady['refilled'][number]): void {
		this.#work.refilled.push(item);
	}

	take(): GossipReady | undefined {
		const work = this.#work;
		if (
			work.packets.length +
				work.released.length +
				work.serve.length +
				work.missed.length +
				work.synced.length +
				work.refilled.length ===
			0
		)
			return undefined;
		this.#work = empty();
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
	/** Moves whenever who subscribes, who is reachable or who is congested changes. */
	version = 0;
	/** Peers with a link that is up, in the order given. */
	reachable: readonly NodeId[] = [];
	readonly congested = new Set<NodeId>();
	/** Nodes that were removed from the cluster: what only they have is lost. */
	removed: ReadonlySet<NodeId> = new Set();
	/** Bounds that were hit, by name. */
	readonly bounds = new Map<string, number>();
	#reachable = new Set<NodeId>();
	readonly #tickMs: number;

	constructor({self, random, config, tickMs}: GossipOptions) {
		this.self = self;
		this.random = random;
		this.config = config;
		this.#tickMs = tickMs;
	}

	ticks(ms: number): number {
		return Math.max(1, Math.ceil(ms / this.#tickMs));
	}

	isReachable(peer: NodeId): boolean {
		return this.#reachable.has(peer);
	}

	/** Who came and who went. */
	setReachable(peers: readonly NodeId[]): {readonly came: readonly NodeId[]; readonly gone: readonly NodeId[]} {
		const before = this.#reachable;
		this.reachable = peers.filter(peer => peer !== this.self);
		this.#reachable = new Set(this.reachable);
		this.version++;
		return {
			came: this.reachable.filter(peer => !before.has(peer)),
			gone: [...before].filter(peer => !this.#reachable.has(peer)),
		};
	}

	/** Up to `count` different ones, each equally likely. */
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
