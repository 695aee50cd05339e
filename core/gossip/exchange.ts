/**
Anti-entropy (Demers 1987): every `repairMs` or so this node compares itself with one peer drawn at random, and at once
with a peer that appears. First hashes, one a topic and, of many streams, one a part; then, for what differs,
watermarks; then each side pulls what it lacks. Equal peers exchange two small packets, whatever they store.

In a large cluster a node compares itself with its contacts (`view.ts`) only, so that the cost does not grow with the
cluster: what one side of a cut has, each of its nodes has. A peer that appeared (a heal, a restart) counts as synced
when an exchange with it, or with those that stand for it, was answered in full and all that they had then is here: the
goals that the answer set are reached. What is published meanwhile is not waited for.

A push that is lost shows as a gap when the next one comes. That there was a last one shows by a word of its origin:
with each round it tells its subscribers how far its streams are, for a while after they moved.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import {answersTo, digestOf, isCovered} from './digest.ts';
import type {Dissemination} from './dissemination.ts';
import type {PacketOf, TopicDigest, Watermark} from './packet.ts';
import type {Clue} from './repair.ts';
import type {Stream, Streams, TopicStreams} from './streams.ts';
import {contactsMax, contactsOf} from './view.ts';

const answerMs = 500;
/** Exchanges at a time. */
const runningMax = 32;
/** Peers that a new subscription is compared with at once. */
const freshMax = 8;
/** Of many peers that appeared at once, so many are compared with, contacts or not. */
const standInsMin = 4;
/** Streams of one peer that are waited for. */
const goalsMax = 4096;
/** Digests of one peer that are answered in a tick. */
const answersMax = 8;
/** Rounds in which an origin tells of a stream that moved. */
const wordRounds = 2;

/** A peer that is not synced, or with which an exchange runs or is due. */
type Comparison = {
	/** Messages pulled from it since it appeared. */
	pulled: number;
	isSynced: boolean;
	/** An exchange shall begin. */
	isDue: boolean;
	/** The exchange that runs. */
	round: number | undefined;
	sentTick: number;
	/** An exchange was answered in full since it appeared. */
	isAnswered: boolean;
	/** What it had when it answered. */
	readonly goals: Map<Stream, number>;
};

export class Exchange {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #dissemination: Dissemination;
	readonly #learn: (topic: TopicStreams, watermark: Watermark, clue: Omit<Clue, 'high'>) => Stream | undefined;
	readonly #comparisons = new Map<NodeId, Comparison>();
	/** Peers that appeared and that others stand for; and messages that were pulled from them. */
	readonly #stoodFor = new Set<NodeId>();
	#pulledApart = 0;
	/** Digests answered in this tick, by peer. */
	readonly #answers = new Map<NodeId, number>();
	/** What this node publishes, and for how many more rounds its subscribers are told. */
	readonly #own = new Map<Stream, number>();
	/** Partners that have not had their turn yet, in the order drawn. */
	#turns: NodeId[] = [];
	#round = 0;
	#running = 0;
	#nextTick: number;
	#partners: {readonly version: number; readonly streams: number; readonly peers: ReadonlySet<NodeId>} | undefined;

	/** @param learn takes in a watermark of a topic that this node subscribes to; the stream if it lacks something. */
	constructor(
		context: Context,
		streams: Streams,
		dissemination: Dissemination,
		learn: (topic: TopicStreams, watermark: Watermark, clue: Omit<Clue, 'high'>) => Stream | undefined,
	) {
		this.#context = context;
		this.#streams = streams;
		this.#dissemination = dissemination;
		this.#learn = learn;
		this.#nextTick = this.#jittered();
	}

	/** Reachable peers, each with whether it is synced. */
	peers(): ReadonlyArray<{readonly peer: NodeId; readonly synced: boolean}> {
		return this.#context.reachable.map(peer => ({peer, synced: this.isSynced(peer)}));
	}

	isSynced(peer: NodeId): boolean {
		return (
			this.#context.isReachable(peer) &&
			!this.#stoodFor.has(peer) &&
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
		for (const peer of peers) if (!this.#comparisons.has(peer)) this.#stoodFor.add(peer);
		this.#start();
		this.#checkStoodFor();
	}

	/** As if they had appeared now. */
	resync(peers: readonly NodeId[]): void {
		// The others are compared with when they come into reach.
		const reachable = peers.filter(peer => this.#context.isReachable(peer));
		const standIns = new Set(this.#standIns(reachable));
		for (const peer of reachable) {
			const comparison = this.#comparisons.get(peer);
			if (!comparison && !standIns.has(peer)) {
				this.#stoodFor.add(peer);
				continue;
			}

			// The answer to an exchange that runs may be of before.
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
		this.#checkStoodFor();
	}

	gone(peer: NodeId): void {
		if (this.#comparisons.get(peer)?.round !== undefined) this.#running--;
		this.#comparisons.delete(peer);
		this.#stoodFor.delete(peer);
		this.#answers.delete(peer);
	}

	pulled(peer: NodeId, messages: number): void {
		const comparison = this.#comparisons.get(peer);
		if (comparison) comparison.pulled += messages;
		else if (this.#stoodFor.size > 0) this.#pulledApart += messages;
	}

	/** This node published to the stream: it must be heard of also if no push arrives. */
	own(stream: Stream): void {
		this.#own.set(stream, wordRounds);
	}

	/** Topics were subscribed to: compare them soon. */
	subscribed(): void {
		for (const peer of this.#context.sample([...this.#findPartners()], freshMax)) this.#compareSoon(peer);
		this.#start();
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
		this.#checkStoodFor();
	}

	/** Answer with the watermarks of what differs. */
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
		this.#checkStoodFor();
	}

	/**
	The peer has nothing of these any more. One that says where its data go on has the rest, which is waited for until
	what comes before is here or given up.
	*/
	refused(peer: NodeId, {topic, gaps}: PacketOf<'ihavenot'>): void {
		const comparison = this.#comparisons.get(peer);
		for (const [origin, incarnation, _from, then] of comparison ? gaps : []) {
			const stream = then === 0 ? this.#streams.find(topic, origin, incarnation) : undefined;
			if (stream) comparison!.goals.delete(stream);
		}
	}

	/** It answered with what it has; what it lacks is told in return, so that both sides gain by one exchange. */
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

	/** Is it synced by now, and is there anything left to do with it? */
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

	/** What holds of all that are compared with holds of those for whom they stand. */
	#checkStoodFor(): void {
		if (this.#stoodFor.size === 0) return;
		for (const {isSynced} of this.#comparisons.values()) if (!isSynced) return;
		let messages = this.#pulledApart;
		for (const peer of this.#stoodFor) {
			this.#context.outbox.synced({peer, messages});
			messages = 0;
		}

		this.#stoodFor.clear();
		this.#pulledApart = 0;
	}

	/**
	Whom to compare with for these to be covered: all of a few; of many the contacts among them, and some if these are
	too few.
	*/
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
		// Drawn without putting back: everybody has a turn before anybody has two.
		const partners = this.#findPartners();
		let partner = this.#turns.pop();
		while (partner !== undefined && !partners.has(partner)) partner = this.#turns.pop();
		if (partner === undefined) {
			this.#turns = this.#context.sample([...partners], partners.size);
			partner = this.#turns.pop();
		}

		if (partner !== undefined) this.#compareSoon(partner);
		for (const [stream, rounds] of this.#own) {
			// Nobody asks this node for topics that it only publishes to, unless they know that it does: it keeps
			// telling one of them.
			const told = rounds > 0 ? this.#context.config.fanoutMin : stream.topic.since === undefined ? 1 : 0;
			if (rounds > 0) this.#own.set(stream, rounds - 1);
			if (told > 0) this.#dissemination.offerSome(stream, told);
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

	/**
	Reachable peers that may have something for us, as they share a topic or publish to one of ours; of many the
	contacts.
	*/
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
