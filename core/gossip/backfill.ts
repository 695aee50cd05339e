/**
Pulls back batches that the log lost to damage. A damaged log knows the sequence numbers that a hole may have held
(`core/topic-log/topic-holes.ts`). Exactly these are requested, by the same `iwant` as in repair (`repair.ts`), from one
peer at a time and with half of the byte budget. Meanwhile repair requests nothing of the topic from that peer. The
batches are not released, because they were delivered before. They are handed out together, when all are here or when
every possible holder has refused the rest several times: storing them in the hole fixes their order for good.

A stream without a known batch after the hole is paused meanwhile (`isLast`). Otherwise a batch that belongs in the hole
could be released as new. The pause is bounded; batches that arrive after it are released as new.
*/
import {lastSeq, type Batch, type BatchHeader, type NodeId, type SequenceGap, type Topic} from '../message.ts';
import type {Context} from './context.ts';
import {wantsMax, type PacketOf, type Want} from './packet.ts';
import type {Stream, Streams} from './streams.ts';

/** A gap while it is backfilled. `rounds`: how often all holders have refused it. */
type Piece = SequenceGap & {
	next: number;
	readonly refusals: Map<NodeId, number>;
	rounds: number;
};
/**
The backfill of one topic. `tried`: peers that did not answer in this cycle. `sinceTick`: the first tick with a
reachable peer.
*/
type Job = {
	readonly topic: Topic;
	readonly pieces: readonly Piece[];
	found: Batch[];
	bytes: number;
	readonly tried: Set<NodeId>;
	dueTick: number;
	cycles: number;
	sinceTick: number | undefined;
};
type Request = {readonly peer: NodeId; readonly job: Job; refreshedTick: number; hasProgress: boolean};

const answerTimeoutMs = 600;
const retryMs = 250;
const retryDoublings = 6;
/** A range that all holders refuse is requested this many times. */
const roundsMax = 3;
/** Longest pause of a stream, in repair rounds. */
const pauseRounds = 5;
/** Bytes that may come back for one topic; held in memory until the backfill ends. */
const bytesMax = 64 * 1024 * 1024;

export class Backfill {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #isBusy: (peer: NodeId, topic: Topic) => boolean;
	readonly #onResumed: (stream: Stream) => void;
	#jobs: Job[] = [];
	#request: Request | undefined;

	/**
	@param isBusy the peer has an outstanding request for the topic from elsewhere.
	@param onResumed called when the pause of a stream has ended.
	*/
	constructor(
		context: Context,
		streams: Streams,
		isBusy: (peer: NodeId, topic: Topic) => boolean,
		onResumed: (stream: Stream) => void,
	) {
		this.#context = context;
		this.#streams = streams;
		this.#isBusy = isBusy;
		this.#onResumed = onResumed;
	}

	/** Number of topics with a backfill. */
	get waiting(): number {
		return this.#jobs.length;
	}

	/** @param given a gap that spans several holes may be listed several times. */
	add(topic: Topic, given: readonly SequenceGap[]): void {
		const gaps = new Map<string, SequenceGap>();
		for (const gap of given.toSorted((a, b) => a.to - b.to))
			gaps.set(`${gap.origin}:${gap.incarnation}:${gap.from}`, gap);
		const pieces = [...gaps.values()].map(gap => ({
			...gap,
			next: gap.from,
			refusals: new Map<NodeId, number>(),
			rounds: 0,
		}));
		if (pieces.length > 0)
			this.#jobs.push({
				topic,
				pieces,
				found: [],
				bytes: 0,
				tried: new Set(),
				dueTick: 0,
				cycles: 0,
				sinceTick: undefined,
			});
		for (const {origin, incarnation, isLast} of pieces) {
			const stream = isLast ? this.#streams.find(topic, origin, incarnation) : undefined;
			if (stream) stream.isPaused = true;
		}

		// Damage took these, not retention.
		for (const {origin, incarnation, from, isFirst} of pieces) {
			const stream = isFirst ? this.#streams.find(topic, origin, incarnation) : undefined;
			if (stream) stream.deletedTo = Math.min(stream.deletedTo, from - 1);
		}
	}

	/**
	Ends the backfill of a topic: `placed` are in the log again. The rest of `gaps` will not come any more and is
	reported as missed. These messages may be lost. They may also never have been wanted, if the node was not subscribed
	for a while; the two cases cannot be told apart.
	*/
	done(topic: Topic, placed: readonly BatchHeader[], gaps: readonly SequenceGap[]): void {
		for (const header of placed) this.#streams.find(topic, header.origin, header.incarnation)?.fill(header);
		for (const stream of this.#streams.topics.get(topic)?.streams() ?? []) this.#unpause(stream);
		for (const {origin, incarnation, from, to, isFirst} of gaps) {
			const stream = this.#streams.find(topic, origin, incarnation);
			if (!stream || isFirst) continue;
			// After the last released batch nothing is lost: later batches arrive as new.
			const end = Math.min(to, stream.next - 1);
			const there = placed.filter(
				header =>
					header.origin === origin &&
					header.incarnation === incarnation &&
					header.firstSeq >= from &&
					lastSeq(header) <= end,
			);
			const messages = end - from + 1 - there.reduce((sum, {count}) => sum + count, 0);
			if (messages > 0) this.#context.outbox.missed({topic, origin, messages, isAwaited: false});
		}
	}

	isAsking(peer: NodeId, topic: Topic): boolean {
		return this.#request?.peer === peer && this.#request.job.topic === topic;
	}

	/** Accepts a batch of an answer. False when it was not requested here. */
	accept(from: NodeId, batch: Batch): boolean {
		const request = this.#request;
		if (!request || !this.isAsking(from, batch.topic)) return false;
		const {job} = request;
		const piece = job.pieces.find(
			({origin, incarnation, from: first, to}) =>
				origin === batch.origin &&
				incarnation === batch.incarnation &&
				batch.firstSeq <= to &&
				lastSeq(batch) >= first,
		);
		if (!piece) return false;
		request.refreshedTick = this.#context.now;
		const isNext =
			batch.firstSeq === piece.next ||
			(batch.firstSeq > piece.next &&
				piece.isFirst &&
				piece.next === piece.from &&
				batch.previousLamport <= this.#since(job));
		if (!isNext || lastSeq(batch) > piece.to) return true;
		if (job.bytes + batch.bytes.length > bytesMax) {
			this.#context.hit('refill');
			job.found = []; // Too much to hold and sort: the hole stays.
			for (const one of job.pieces) one.next = one.to + 1;
			return true;
		}

		job.bytes += batch.bytes.length;
		job.found.push(batch);
		piece.next = lastSeq(batch) + 1;
		request.hasProgress = true;
		return true;
	}

	/** The answer is complete. False when it answers another request. */
	served(from: NodeId, {topic, passed}: PacketOf<'served'>): boolean {
		const request = this.#request;
		if (!request || !this.isAsking(from, topic)) return false;
		let hasMoved = false;
		for (const [origin, incarnation, asked, then] of passed) {
			const piece = this.#piece(request.job, origin, incarnation, asked);
			if (!piece?.isFirst || then <= piece.next) continue;
			piece.next = Math.min(then, piece.to + 1);
			hasMoved = true;
		}

		this.#finish(request, !request.hasProgress && !hasMoved);
		return true;
	}

	refused(from: NodeId, {topic, gaps, isEnd}: PacketOf<'ihavenot'>): boolean {
		const request = this.#request;
		if (!request || !this.isAsking(from, topic)) return false;
		for (const [origin, incarnation, asked, then] of gaps)
			this.#piece(request.job, origin, incarnation, asked)?.refusals.set(from, then);
		if (isEnd) this.#finish(request, false);
		return true;
	}

	appeared(): void {
		for (const job of this.#jobs) {
			job.tried.clear();
			job.cycles = 0;
			job.dueTick = Math.min(job.dueTick, this.#context.now + 1);
		}
	}

	gone(peer: NodeId): void {
		if (this.#request?.peer === peer) this.#finish(this.#request, true);
	}

	tick(): void {
		if (this.#request && this.#context.now - this.#request.refreshedTick > this.#context.ticks(answerTimeoutMs))
			this.#finish(this.#request, true);
	}

	pump(): void {
		for (const job of this.#jobs) {
			if (this.#request) return;
			if (job.dueTick <= this.#context.now) this.#ask(job);
		}
	}

	#ask(job: Job): void {
		const context = this.#context;
		if (context.reachable.length > 0) job.sinceTick ??= context.now;
		if (
			job.sinceTick !== undefined &&
			context.now - job.sinceTick > context.ticks(context.config.repairMs * pauseRounds)
		)
			this.#resumePaused(job);
		for (const piece of job.pieces) this.#skipRefused(job, piece);
		const unfinished = job.pieces.filter(({next, to}) => next <= to);
		if (unfinished.length === 0) {
			this.#jobs = this.#jobs.filter(one => one !== job);
			context.outbox.backfilled({topic: job.topic, batches: job.found, gaps: job.pieces});
			return;
		}

		const able = new Set(
			unfinished.flatMap(piece =>
				this.#holders(job, piece).filter(peer => context.isReachable(peer) && !refuses(piece, peer)),
			),
		);
		const free = [...able].filter(peer => !job.tried.has(peer) && !this.#isBusy(peer, job.topic));
		if (free.length === 0) {
			job.tried.clear();
			job.dueTick =
				context.now +
				context.ticks(
					retryMs * 2 ** Math.min(job.cycles++, unfinished.some(({isLast}) => isLast) ? 2 : retryDoublings),
				);
			return;
		}

		const peer = free[context.random.below(free.length)]!;
		const wants: Want[] = unfinished
			.filter(piece => !refuses(piece, peer))
			.slice(0, wantsMax)
			.map(({origin, incarnation, next, to, isFirst}) => ({
				origin,
				incarnation,
				from: next,
				to,
				sinceLamport: isFirst ? this.#since(job) : 0,
			}));
		this.#request = {peer, job, refreshedTick: context.now, hasProgress: false};
		context.outbox.send(peer, {
			type: 'iwant',
			topic: job.topic,
			wants,
			bytesMax: Math.max(1, context.config.repairBytes >> 1),
		});
	}

	/** The backfill took too long: resume paused streams, and drop their found batches, which come again as new. */
	#resumePaused(job: Job): void {
		for (const piece of job.pieces) {
			const stream = piece.isLast ? this.#streams.find(job.topic, piece.origin, piece.incarnation) : undefined;
			if (!stream?.isPaused) continue;
			piece.next = piece.to + 1;
			job.found = job.found.filter(
				({origin, incarnation, firstSeq}) =>
					origin !== piece.origin || incarnation !== piece.incarnation || firstSeq < piece.from,
			);
			this.#unpause(stream);
		}
	}

	#unpause(stream: Stream): void {
		if (!stream.isPaused) return;
		stream.isPaused = false;
		this.#onResumed(stream);
	}

	/** If all holders refuse: ask again up to `roundsMax` times, then skip to the first number that some holder has. */
	#skipRefused(job: Job, piece: Piece): void {
		const holders = this.#holders(job, piece);
		if (piece.next > piece.to || holders.length === 0 || !holders.every(peer => refuses(piece, peer))) return;
		const continuations = [...piece.refusals.values()].filter(then => then > piece.next);
		piece.refusals.clear();
		// With `isLast`, refusals mean that the stream ends here: one round of them is enough.
		if (!piece.isLast && ++piece.rounds < roundsMax) return;
		piece.rounds = 0;
		piece.next = piece.isLast ? piece.to + 1 : Math.min(piece.to + 1, ...continuations);
	}

	/** Possible holders: the subscribers, the origin, and former subscribers that listed the stream. */
	#holders({topic}: Job, {origin, incarnation}: Piece): NodeId[] {
		const subscribers = this.#streams.topics.get(topic)?.subscribers ?? [];
		const claims = this.#streams.find(topic, origin, incarnation)?.lack?.claims.keys() ?? [];
		return subscribers.length === 0
			? []
			: [...new Set([...subscribers, origin, ...claims])].filter(peer => peer !== this.#context.self);
	}

	#piece(job: Job, origin: NodeId, incarnation: number, asked: number): Piece | undefined {
		return job.pieces.find(
			piece =>
				piece.origin === origin &&
				piece.incarnation === incarnation &&
				piece.next <= piece.to &&
				asked >= piece.from &&
				asked <= piece.next,
		);
	}

	#since({topic}: Job): number {
		return this.#streams.topics.get(topic)?.since ?? 0;
	}

	#finish({peer, job, hasProgress}: Request, isSilent: boolean): void {
		this.#request = undefined;
		if (isSilent) job.tried.add(peer);
		if (hasProgress) job.cycles = 0;
	}
}

function refuses({next, refusals}: Piece, peer: NodeId): boolean {
	const then = refusals.get(peer);
	return then !== undefined && (then === 0 || then > next);
}
