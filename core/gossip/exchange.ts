/**
Anti-entropy (Demers 1987): every `repairMs` or so this node compares itself with one peer drawn at random, and at once with a peer
that appears. First hashes, one a topic; then, for topics that differ, watermarks; then each side pulls what it lacks. Equal peers
exchange two small packets, whatever they store.

A peer that appeared (a heal, a restart) counts as synced when an exchange with it was answered in full and all that it had then is
here: the goals that the answer set are reached. What is published meanwhile is not waited for.

A push that is lost shows as a gap when the next one comes. That there was a last one shows by a word of its origin: with each round it
tells its subscribers how far its streams are, for a while after they moved.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Dissemination} from './dissemination.ts';
import {digestTopicsMax, pagesMax, watermarksMax, type PacketOf, type TopicWatermarks, type Watermark} from './packet.ts';
import type {Clue} from './repair.ts';
import type {Stream, Streams, TopicStreams} from './streams.ts';

const answerMs = 500;
/** Exchanges at a time. */
const runningMax = 32;
/** Peers that a new subscription is compared with at once. */
const freshMax = 8;
/** Streams of one peer that are waited for. */
const goalsMax = 4096;
/** Digests of one peer that are answered in a tick. */
const answersMax = 8;
/** Rounds in which an origin tells of a stream that moved. */
const wordRounds = 2;

type Peer = {
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
	answers: number;
};

export class Exchange {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #dissemination: Dissemination;
	readonly #learn: (topic: TopicStreams, watermark: Watermark, clue: Omit<Clue, 'high'>) => Stream | undefined;
	readonly #peers = new Map<NodeId, Peer>();
	/** What this node publishes, and for how many more rounds its subscribers are told. */
	readonly #own = new Map<Stream, number>();
	/** Partners that have not had their turn yet, in the order drawn. */
	#turns: NodeId[] = [];
	#round = 0;
	#running = 0;
	#nextTick: number;
	#partners: {readonly version: number; readonly streams: number; readonly peers: readonly NodeId[]} | undefined;

	/** @param learn takes in a watermark of a topic that this node subscribes to; the stream if it lacks something. */
	constructor(context: Context, streams: Streams, dissemination: Dissemination, learn: (topic: TopicStreams, watermark: Watermark, clue: Omit<Clue, 'high'>) => Stream | undefined) {
		this.#context = context;
		this.#streams = streams;
		this.#dissemination = dissemination;
		this.#learn = learn;
		this.#nextTick = this.#jittered();
	}

	/** Reachable peers, each with whether it is synced. */
	peers(): ReadonlyArray<{readonly peer: NodeId; readonly synced: boolean}> {
		return [...this.#peers].map(([peer, {isSynced}]) => ({peer, synced: isSynced}));
	}

	isSynced(peer: NodeId): boolean {
		return this.#peers.get(peer)?.isSynced ?? false;
	}

	appeared(peer: NodeId): void {
		this.#peers.set(peer, {pulled: 0, isSynced: false, isDue: true, round: undefined, sentTick: 0, isAnswered: false, goals: new Map(), answers: 0});
		this.#start();
	}

	/** As if they had appeared; those that are still being compared with go on. */
	resync(peers: readonly NodeId[]): void {
		for (const id of peers) {
			const peer = this.#peers.get(id);
			if (!peer) continue; // Compared with when it comes into reach.
			if (peer.isSynced) {
				peer.pulled = 0;
				peer.isSynced = false;
			}

			peer.isAnswered = false;
			peer.isDue = true;
		}

		this.#start();
	}

	gone(peer: NodeId): void {
		if (this.#peers.get(peer)?.round !== undefined) this.#running--;
		this.#peers.delete(peer);
	}

	pulled(peer: NodeId, messages: number): void {
		const state = this.#peers.get(peer);
		if (state) state.pulled += messages;
	}

	/** This node published to the stream: it must be heard of also if no push arrives. */
	own(stream: Stream): void {
		this.#own.set(stream, wordRounds);
	}

	/** Topics were subscribed to: compare them soon. */
	subscribed(): void {
		for (const peer of this.#context.sample(this.#findPartners(), freshMax)) this.#peers.get(peer)!.isDue = true;
		this.#start();
	}

	forget(stream: Stream): void {
		this.#own.delete(stream);
		for (const {goals} of this.#peers.values()) goals.delete(stream);
	}

	tick(): void {
		const {now} = this.#context;
		for (const [id, peer] of this.#peers) {
			peer.answers = 0;
			if (peer.round !== undefined && now - peer.sentTick > this.#context.ticks(answerMs)) {
				peer.round = undefined;
				peer.isDue = !peer.isSynced;
				this.#running--;
			}

			if (!peer.isSynced) this.#checkSynced(id, peer);
		}

		if (now >= this.#nextTick) {
			this.#nextTick = this.#jittered();
			this.#beginRound();
		}

		this.#start();
	}

	/** Answer with the watermarks of the topics that differ. */
	onDigest(from: NodeId, {round, topics}: PacketOf<'digest'>): void {
		const state = this.#peers.get(from);
		if (state && ++state.answers > answersMax) {
			this.#context.hit('digests');
			return;
		}

		const differing: TopicStreams[] = [];
		for (const [name, hash] of topics) {
			const topic = this.#streams.topics.get(name);
			if (topic && topic.hash !== hash) differing.push(topic);
		}

		// Where an answer must be cut, another part of it comes first the next time.
		const start = differing.length > 1 ? this.#context.random.below(differing.length) : 0;
		const pages: TopicWatermarks[][] = [[]];
		let room = watermarksMax;
		let isCut = false;
		for (let index = 0; index < differing.length && !isCut; index++) {
			const topic = differing[(start + index) % differing.length]!;
			let rows: Watermark[] = [];
			pages.at(-1)!.push([topic.name, rows]);
			for (const stream of topic.streams()) {
				if (stream.next === 1) continue;
				if (room === 0) {
					if (pages.length === pagesMax) {
						isCut = true;
						break;
					}

					rows = [];
					pages.push([[topic.name, rows]]);
					room = watermarksMax;
				}

				room--;
				rows.push(stream.watermark);
			}
		}

		for (const [index, page] of pages.entries()) {
			const isLast = index === pages.length - 1;
			this.#context.outbox.send(from, {type: 'watermarks', round, topics: page, isLast, isCut: isLast && isCut});
		}
	}

	onWatermarks(from: NodeId, {round, topics, isLast, isCut}: PacketOf<'watermarks'>): void {
		const peer = this.#peers.get(from);
		const isExpected = peer?.round === round;
		let isAll = !isCut;
		for (const [name, watermarks] of topics) {
			const topic = this.#streams.topics.get(name);
			if (topic?.since === undefined) continue;
			const theirs = new Map<Stream, number>();
			for (const watermark of watermarks) {
				const stream = this.#learn(topic, watermark, {peer: from, inTicks: 0, isCatchUp: !this.isSynced(from)});
				const [origin, incarnation, low, high] = watermark;
				const known = stream ?? this.#streams.find(name, origin, incarnation);
				if (known) theirs.set(known, high);
				if (!stream || !peer || !isExpected || low > high) continue;
				if (peer.goals.size < goalsMax) peer.goals.set(stream, high);
				else isAll = false;
			}

			if (topic.subscribers.includes(from)) this.#offerBack(from, topic, theirs);
		}

		if (!peer || !isExpected || !isLast) return;
		peer.round = undefined;
		this.#running--;
		if (isAll) peer.isAnswered = true;
		else peer.isDue = !peer.isSynced;
		this.#checkSynced(from, peer);
	}

	/** It answered with what it has; what it lacks is told in return, so that both sides gain by one exchange. */
	#offerBack(peer: NodeId, topic: TopicStreams, theirs: ReadonlyMap<Stream, number>): void {
		for (const stream of topic.streams()) {
			const newest = stream.ranges.at(-1);
			if (newest && newest.to > (theirs.get(stream) ?? 0)) this.#dissemination.offer(peer, stream);
		}
	}

	#checkSynced(id: NodeId, peer: Peer): void {
		for (const [stream, high] of peer.goals) if (stream.next > high || stream.topic.since === undefined || stream.lack === undefined || stream.lack.refusals.has(id)) peer.goals.delete(stream);
		if (peer.isSynced || !peer.isAnswered || peer.goals.size > 0) return;
		peer.isSynced = true;
		this.#context.outbox.synced({peer: id, messages: peer.pulled});
	}

	#beginRound(): void {
		// Drawn without putting back: everybody has a turn before anybody has two.
		const partners = this.#findPartners();
		let partner = this.#turns.pop();
		while (partner !== undefined && !partners.includes(partner)) partner = this.#turns.pop();
		if (partner === undefined) {
			this.#turns = this.#context.sample(partners, partners.length);
			partner = this.#turns.pop();
		}

		if (partner !== undefined) this.#peers.get(partner)!.isDue = true;
		for (const [stream, rounds] of this.#own) {
			const {topic} = stream;
			// Nobody asks this node for topics that it only publishes to, unless they know that it does: it keeps telling one of them.
			const told = rounds > 0 ? this.#context.config.fanoutMax : topic.since === undefined ? 1 : 0;
			if (rounds > 0) this.#own.set(stream, rounds - 1);
			if (told === 0) continue;
			for (const peer of this.#context.sample(topic.subscribers.filter(id => this.#context.isReachable(id)), told)) this.#dissemination.offer(peer, stream);
		}
	}

	#start(): void {
		if (this.#running >= runningMax) return;
		let digest: Array<readonly [TopicStreams['name'], number]> | undefined;
		for (const [id, peer] of this.#peers) {
			if (!peer.isDue || peer.round !== undefined) continue;
			digest ??= this.#digest();
			peer.isDue = false;
			if (digest.length === 0) {
				peer.isAnswered = true; // Nothing to compare.
				this.#checkSynced(id, peer);
				continue;
			}

			peer.round = ++this.#round;
			peer.sentTick = this.#context.now;
			this.#context.outbox.send(id, {type: 'digest', round: peer.round, topics: digest});
			if (++this.#running >= runningMax) return;
		}
	}

	#digest(): Array<readonly [TopicStreams['name'], number]> {
		const topics = [...this.#streams.topics.values()].filter(({since}) => since !== undefined);
		const chosen = topics.length > digestTopicsMax ? this.#context.sample(topics, digestTopicsMax) : topics;
		return chosen.map(topic => [topic.name, topic.hash]);
	}

	/** Reachable peers that may have something for us: they share a topic, or publish to one of ours. */
	#findPartners(): readonly NodeId[] {
		const {version, reachable} = this.#context;
		const streams = this.#streams.count;
		if (this.#partners?.version !== version || this.#partners.streams !== streams) {
			const ids = new Set<NodeId>();
			for (const {since, subscribers, origins} of this.#streams.topics.values()) {
				if (since === undefined) continue;
				for (const id of subscribers) ids.add(id);
				for (const id of origins.keys()) ids.add(id);
			}

			this.#partners = {version, streams, peers: reachable.filter(id => ids.has(id))};
		}

		return this.#partners.peers;
	}

	#jittered(): number {
		const ticks = this.#context.ticks(this.#context.config.repairMs);
		return this.#context.now + Math.max(1, ticks - (ticks >> 2) + this.#context.random.below((ticks >> 1) + 1));
	}
}
