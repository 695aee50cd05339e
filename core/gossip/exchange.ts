/**
Anti-entropy (Demers 1987). About every `repairMs` this node compares digests with one random peer, and at once with a
peer that appears. The first packet has hashes, one per topic and, for many streams, one per part. Where they differ,
the answer has watermarks, and each side pulls what it lacks. Equal peers exchange two small packets, whatever they
store.

In a large cluster a node compares only with its contacts (`view.ts`), so the cost does not grow with the cluster: on
each side of a partition, all nodes converge. A peer that appeared (after a heal or a restart) becomes synced when two
conditions hold: an exchange with it, or with its stand-ins, was answered in full, and everything that the answer listed
has arrived here (the goals). Batches published meanwhile do not count.

A lost push shows as a gap when the next push arrives. Losing the last push leaves no gap, so origins re-advertise their
watermarks for a few rounds.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import {answersTo, digestOf, isCovered} from './digest.ts';
import type {Dissemination} from './dissemination.ts';
import type {PacketOf, TopicDigest, Watermark} from './packet.ts';
import type {Evidence} from './repair.ts';
import type {Stream, Streams, TopicStreams} from './streams.ts';
import {contactsMax, contactsOf} from './view.ts';

/** Timeout of an exchange. */
const answerMs = 500;
/** Maximum number of exchanges that run at once. */
const runningMax = 32;
/** Maximum number of peers that a new subscription is compared with at once. */
const freshMax = 8;
/** When many peers appear at once, at least this many stand in for them, also when fewer are contacts. */
const standInsMin = 4;
/** Maximum number of streams of one peer that are waited for. */
const goalsMax = 4096;
/** Maximum number of digests answered per peer and tick. */
const answersMax = 8;
/** Numbers of rounds between those of two processes of a node; after more rounds they may meet. */
const roundsMax = 2 ** 20;
/** Rounds in which an origin re-advertises a stream that advanced. */
const advertiseRounds = 2;

/** A peer that is not synced, or with which an exchange runs or is due. */
type Comparison = {
	/** Messages pulled from it since it appeared. */
	pulled: number;
	isSynced: boolean;
	/** An exchange is to begin. */
	isDue: boolean;
	/** The exchange that is running. */
	round: number | undefined;
	sentTick: number;
	/** An exchange was answered in full since the peer appeared. */
	isAnswered: boolean;
	/** Streams that the peer listed, each with its high mark at that time. */
	readonly goals: Map<Stream, number>;
};

export class Exchange {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #dissemination: Dissemination;
	readonly #learn: (
		topic: TopicStreams,
		watermark: Watermark,
		evidence: Omit<Evidence, 'high' | 'peer'> & {readonly peer: NodeId},
	) => Stream | undefined;
	readonly #comparisons = new Map<NodeId, Comparison>();
	/** Peers that appeared and are compared through stand-ins. */
	readonly #represented = new Set<NodeId>();
	/** Messages that were pulled from those peers. */
	#pulledForRepresented = 0;
	/** Digests answered in this tick, by peer. */
	readonly #answers = new Map<NodeId, number>();
	/** Streams that this node publishes, each with the rounds for which it is still advertised. */
	readonly #own = new Map<Stream, number>();
	/** Partners that have not had a turn in this round-robin, in random order. */
	#turns: NodeId[] = [];
	#round: number;
	#running = 0;
	#nextTick: number;
	#partners: {readonly version: number; readonly streams: number; readonly peers: ReadonlySet<NodeId>} | undefined;

	/**
	@param incarnation of this process
	@param learn notes a watermark of a subscribed topic; returns the stream if it lacks batches
	*/
	constructor(
		context: Context,
		streams: Streams,
		dissemination: Dissemination,
		incarnation: number,
		learn: (
			topic: TopicStreams,
			watermark: Watermark,
			evidence: Omit<Evidence, 'high' | 'peer'> & {readonly peer: NodeId},
		) => Stream | undefined,
	) {
		this.#context = context;
		this.#streams = streams;
		this.#dissemination = dissemination;
		this.#learn = learn;
		// A peer may answer a digest of an earlier process after this one has connected.
		this.#round = incarnation * roundsMax;
		this.#nextTick = this.#jittered();
	}

	/** Reachable peers, each with whether it is synced. */
	peers(): ReadonlyArray<{readonly peer: NodeId; readonly synced: boolean}> {
		return this.#context.reachable.map(peer => ({peer, synced: this.isSynced(peer)}));
	}

	isSynced(peer: NodeId): boolean {
		return (
			this.#context.isReachable(peer) &&
			!this.#represented.has(peer) &&
			this.#comparisons.get(peer)?.isSynced !== false
		);
	}

	appeared(peers: readonly NodeId[]): void {
		for (const peer of this.#standIns(peers))
			this.#comparisons.set(peer, {
				pulled: 0,
				isSynced: false,
				isDue: true,
				round: undefined,
				sentTick: 0,
				isAnswered: false,
				goals: new Map(),
			});
		for (const peer of peers) if (!this.#comparisons.has(peer)) this.#represented.add(peer);
		this.#start();
		this.#checkRepresented();
	}

	/** Restarts the comparison with these peers, as if they had appeared now. */
	resync(peers: readonly NodeId[]): void {
		// Unreachable peers are compared with when they become reachable.
		const reachable = peers.filter(peer => this.#context.isReachable(peer));
		const standIns = new Set(this.#standIns(reachable));
		for (const peer of reachable) {
			const comparison = this.#comparisons.get(peer);
			if (!comparison && !standIns.has(peer)) {
				this.#represented.add(peer);
				continue;
			}

			// The answer to a running exchange may date from before this call.
			if (comparison?.round !== undefined) this.#running--;
			const pulled = comparison && !comparison.isSynced ? comparison.pulled : 0;
			this.#comparisons.set(peer, {
				pulled,
				isSynced: false,
				isDue: true,
				round: undefined,
				sentTick: 0,
				isAnswered: false,
				goals: comparison?.goals ?? new Map(),
			});
		}

		this.#start();
		this.#checkRepresented();
	}

	gone(peer: NodeId): void {
		if (this.#comparisons.get(peer)?.round !== undefined) this.#running--;
		this.#comparisons.delete(peer);
		this.#represented.delete(peer);
		this.#answers.delete(peer);
	}

	pulled(peer: NodeId, messages: number): void {
		const comparison = this.#comparisons.get(peer);
		if (comparison) comparison.pulled += messages;
		else if (this.#represented.size > 0) this.#pulledForRepresented += messages;
	}

	/** This node published to the stream: advertise it in case the push is lost. */
	own(stream: Stream): void {
		this.#own.set(stream, advertiseRounds);
	}

	/** This node newly subscribes to topics: earlier comparisons did not cover them. */
	subscribed(): void {
		this.resync(this.#context.sample([...this.#findPartners()], freshMax));
	}

	forget(stream: Stream): void {
		this.#own.delete(stream);
		for (const {goals} of this.#comparisons.values()) goals.delete(stream);
	}

	tick(): void {
		const {now} = this.#context;
		this.#answers.clear();
		for (const [id, comparison] of this.#comparisons) {
			if (comparison.round !== undefined && now - comparison.sentTick > this.#context.ticks(answerMs)) {
				comparison.round = undefined;
				comparison.isDue = !comparison.isSynced;
				this.#running--;
			}

			this.#check(id, comparison);
		}

		if (now >= this.#nextTick) {
			this.#nextTick = this.#jittered();
			this.#beginRound();
		}

		this.#start();
		this.#checkRepresented();
	}

	/** Answers a digest with the watermarks of the streams that differ. */
	onDigest(from: NodeId, packet: PacketOf<'digest'>): void {
		const answers = (this.#answers.get(from) ?? 0) + 1;
		this.#answers.set(from, answers);
		if (answers > answersMax) {
			this.#context.hit('digests');
			return;
		}

		for (const answer of answersTo(this.#context, this.#streams, packet)) this.#context.outbox.send(from, answer);
	}

	onWatermarks(from: NodeId, {round, topics, isLast, isCut}: PacketOf<'watermarks'>): void {
		const comparison = this.#comparisons.get(from);
		const isExpected = comparison?.round === round;
		let isAll = !isCut;
		for (const [name, watermarks, parts] of topics) {
			const topic = this.#streams.topics.get(name);
			if (topic?.since === undefined) continue;
			const theirs = new Map<Stream, number>();
			for (const watermark of watermarks) {
				const stream = this.#learn(topic, watermark, {peer: from, inTicks: 0, isCatchUp: !this.isSynced(from)});
				const [origin, incarnation, low, high] = watermark;
				const known = stream ?? this.#streams.find(name, origin, incarnation);
				if (known) theirs.set(known, high);
				if (!stream || !comparison || !isExpected || low > high) continue;
				if (comparison.goals.size < goalsMax) comparison.goals.set(stream, high);
				else isAll = false;
			}

			if (topic.subscribers.includes(from)) this.#offerBack(from, topic, parts, theirs);
		}

		if (!comparison || !isExpected || !isLast) return;
		comparison.round = undefined;
		this.#running--;
		if (isAll) comparison.isAnswered = true;
		else comparison.isDue = !comparison.isSynced;
		this.#check(from, comparison);
		this.#checkRepresented();
	}

	/**
	The peer no longer holds these batches. Only a stream with nothing left at the peer stops being a goal. If the peer
	has later batches, they are waited for until the gap before them is filled or given up.
	*/
	refused(peer: NodeId, {topic, gaps}: PacketOf<'ihavenot'>): void {
		const comparison = this.#comparisons.get(peer);
		for (const [origin, incarnation, _from, then] of comparison ? gaps : []) {
			const stream = then === 0 ? this.#streams.find(topic, origin, incarnation) : undefined;
			if (stream) comparison!.goals.delete(stream);
		}
	}

	/** Offers the peer what it lacks by its own watermarks, so that both sides gain by one exchange. */
	#offerBack(
		peer: NodeId,
		topic: TopicStreams,
		parts: Uint8Array | undefined,
		theirs: ReadonlyMap<Stream, number>,
	): void {
		for (const stream of topic.streams()) {
			const newest = stream.ranges.at(-1);
			if (newest && newest.to > (theirs.get(stream) ?? 0) && isCovered(stream, parts))
				this.#dissemination.offer(peer, stream);
		}
	}

	/** Marks the peer as synced when its goals are reached, and drops a comparison that is finished. */
	#check(id: NodeId, comparison: Comparison): void {
		const {goals} = comparison;
		for (const [stream, high] of goals)
			if (stream.next > high || stream.topic.since === undefined || stream.lack === undefined)
				goals.delete(stream);
		if (!comparison.isSynced && comparison.isAnswered && goals.size === 0) {
			comparison.isSynced = true;
			this.#context.outbox.synced({peer: id, messages: comparison.pulled});
		}

		if (comparison.isSynced && !comparison.isDue && comparison.round === undefined) this.#comparisons.delete(id);
	}

	/** Once all stand-ins are synced, so are the peers they represent. */
	#checkRepresented(): void {
		if (this.#represented.size === 0) return;
		for (const {isSynced} of this.#comparisons.values()) if (!isSynced) return;
		let messages = this.#pulledForRepresented;
		for (const peer of this.#represented) {
			this.#context.outbox.synced({peer, messages});
			messages = 0;
		}

		this.#represented.clear();
		this.#pulledForRepresented = 0;
	}

	/** Stand-ins for `peers`: all of a few; of many, the contacts among them, plus a sample if these are too few. */
	#standIns(peers: readonly NodeId[]): readonly NodeId[] {
		if (this.#context.reachable.length <= contactsMax) return peers;
		const partners = this.#findPartners();
		const chosen = peers.filter(peer => partners.has(peer));
		if (peers.length <= contactsMax || chosen.length >= standInsMin) return chosen;
		return [
			...chosen,
			...this.#context.sample(
				peers.filter(peer => !partners.has(peer)),
				standInsMin - chosen.length,
			),
		];
	}

	#compareSoon(peer: NodeId): void {
		const comparison = this.#comparisons.get(peer);
		if (comparison) comparison.isDue = true;
		else
			this.#comparisons.set(peer, {
				pulled: 0,
				isSynced: true,
				isDue: true,
				round: undefined,
				sentTick: 0,
				isAnswered: false,
				goals: new Map(),
			});
	}

	#beginRound(): void {
		// Sample without replacement: every partner has a turn before any has two.
		const partners = this.#findPartners();
		let partner = this.#turns.pop();
		while (partner !== undefined && !partners.has(partner)) partner = this.#turns.pop();
		if (partner === undefined) {
			this.#turns = this.#context.sample([...partners], partners.size);
			partner = this.#turns.pop();
		}

		if (partner !== undefined) this.#compareSoon(partner);
		for (const [stream, rounds] of this.#own) {
			// No peer asks this node about topics that it only publishes to: keep advertising those to one contact.
			const count = rounds > 0 ? this.#context.config.fanoutMin : stream.topic.since === undefined ? 1 : 0;
			if (rounds > 0) this.#own.set(stream, rounds - 1);
			if (count > 0) this.#dissemination.offerSome(stream, count);
		}
	}

	#start(): void {
		if (this.#running >= runningMax) return;
		let digest: readonly TopicDigest[] | undefined;
		for (const [id, comparison] of this.#comparisons) {
			if (!comparison.isDue || comparison.round !== undefined) continue;
			digest ??= digestOf(this.#context, this.#streams);
			comparison.isDue = false;
			if (digest.length === 0) {
				comparison.isAnswered = true; // Nothing to compare.
				this.#check(id, comparison);
				continue;
			}

			comparison.round = ++this.#round;
			comparison.sentTick = this.#context.now;
			this.#context.outbox.send(id, {type: 'digest', round: comparison.round, topics: digest});
			if (++this.#running >= runningMax) return;
		}
	}

	/** Reachable peers that subscribe or publish to a topic of this node; in a large cluster only the contacts. */
	#findPartners(): ReadonlySet<NodeId> {
		const {self, version, reachable} = this.#context;
		const streams = this.#streams.count;
		if (this.#partners?.version !== version || this.#partners.streams !== streams) {
			const partners = new Set<NodeId>();
			for (const {since, subscribers, origins} of this.#streams.topics.values()) {
				if (since === undefined) continue;
				const ids = new Set([...subscribers, ...origins.keys()]);
				for (const id of contactsOf(
					self,
					reachable.filter(peer => ids.has(peer)),
				))
					partners.add(id);
			}

			this.#partners = {version, streams, peers: partners};
		}

		return this.#partners.peers;
	}

	#jittered(): number {
		const ticks = this.#context.ticks(this.#context.config.repairMs);
		return this.#context.now + Math.max(1, ticks - (ticks >> 2) + this.#context.random.below((ticks >> 1) + 1));
	}
}
