/**
Pulling back what damage took. A log with a hole knows which numbers of which streams it may have held
(`core/topic-log/topic-holes.ts`); exactly these are asked for, by the same `iwant` as what was never here
(`repair.ts`), from one peer at a time and with half of its byte budget, while repair itself asks that peer for nothing
of the topic. Nothing of it is released: it was delivered once. What came is handed out as a whole, when all of it is
here, or when everybody who could have the rest has said no, several times: what is put into a hole fixes the order for
good.

A stream of which nothing is known behind the hole stands still meanwhile (`isLast`), or what belongs in the hole would
be released as new. That has an end in any case: what is not here by then is released as new.
*/
import {lastSeq, type Batch, type BatchHeader, type NodeId, type Topic} from '../message.ts';
import type {Context, BackfillGap} from './context.ts';
import {wantsMax, type PacketOf, type Want} from './packet.ts';
import type {Stream, Streams} from './streams.ts';

type Piece = BackfillGap & {
	next: number;
	readonly refusals: Map<NodeId, number>;
	/** Times that everybody had said no. */ rounds: number;
};
type Job = {
	readonly topic: Topic;
	readonly pieces: readonly Piece[];
	found: Batch[];
	bytes: number;
	/** Did not answer in this cycle. */ readonly tried: Set<NodeId>;
	dueTick: number;
	cycles: number;
	/** Of the first question. */ sinceTick: number | undefined;
};
type Request = {readonly peer: NodeId; readonly job: Job; refreshedTick: number; hasProgress: boolean};

const patienceMs = 600;
const retryMs = 250;
const retryDoublings = 6;
/** What everybody refuses is asked for so often. */
const roundsMax = 3;
/** Repair rounds that a stream stands still. */
const stillRounds = 5;
/** What may come back of one topic; held in memory until all of it is here. */
const bytesMax = 64 * 1024 * 1024;

export class Backfill {
	readonly #context: Context;
	readonly #streams: Streams;
	readonly #isBusy: (peer: NodeId, topic: Topic) => boolean;
	readonly #onMoved: (stream: Stream) => void;
	#jobs: Job[] = [];
	#request: Request | undefined;

	/** @param isBusy the peer is being asked for something else of the topic. @param onMoved the stream goes on. */
	constructor(
		context: Context,
		streams: Streams,
		isBusy: (peer: NodeId, topic: Topic) => boolean,
		onMoved: (stream: Stream) => void,
	) {
		this.#context = context;
		this.#streams = streams;
		this.#isBusy = isBusy;
		this.#onMoved = onMoved;
	}

	/** Topics that are not whole yet. */
	get waiting(): number {
		return this.#jobs.length;
	}

	/** @param given one that reaches over several holes may be there several times. */
	add(topic: Topic, given: readonly BackfillGap[]): void {
		const gaps = new Map<string, BackfillGap>();
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
			if (stream) stream.isStill = true;
		}
	}

	/**
	What was handed out is in the log again, as far as it had its place there. What of the gaps is not will not come any
	more, and is told as missed: it may be lost, or, where the node was not subscribed for a while, never have been
	wanted, which nobody can tell apart.

	*/
	filled(topic: Topic, placed: readonly BatchHeader[], gaps: readonly BackfillGap[]): void {
		for (const header of placed) this.#streams.find(topic, header.origin, header.incarnation)?.fill(header);
		for (const stream of this.#streams.topics.get(topic)?.streams() ?? []) this.#move(stream);
		for (const {origin, incarnation, from, to, isFirst} of gaps) {
			const stream = this.#streams.find(topic, origin, incarnation);
			if (!stream || isFirst) continue;
			// Behind what is released nothing is lost: it comes as new.
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

	/** A batch of an answer. False when it is not one that was asked for here. */
	take(from: NodeId, batch: Batch): boolean {
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
			job.found = []; // Too much to be put in order: the hole stays.
			for (const one of job.pieces) one.next = one.to + 1;
			return true;
		}

		job.bytes += batch.bytes.length;
		job.found.push(batch);
		piece.next = lastSeq(batch) + 1;
		request.hasProgress = true;
		return true;
	}

	/** The answer is complete. False when it is the answer to another question. */
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
		if (this.#request && this.#context.now - this.#request.refreshedTick > this.#context.ticks(patienceMs))
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
		if (
			job.sinceTick !== undefined &&
			context.now - job.sinceTick > context.ticks(context.config.repairMs * stillRounds)
		)
			this.#letGo(job);
		for (const piece of job.pieces) this.#passOver(job, piece);
		const open = job.pieces.filter(({next, to}) => next <= to);
		if (open.length === 0) {
			this.#jobs = this.#jobs.filter(one => one !== job);
			context.outbox.refilled({topic: job.topic, batches: job.found, gaps: job.pieces});
			return;
		}

		const able = new Set(
			open.flatMap(piece =>
				this.#holders(job, piece).filter(peer => context.isReachable(peer) && !refuses(piece, peer)),
			),
		);
		const free = [...able].filter(peer => !job.tried.has(peer) && !this.#isBusy(peer, job.topic));
		if (free.length === 0) {
			job.tried.clear();
			job.dueTick =
				context.now +
				context.ticks(
					retryMs * 2 ** Math.min(job.cycles++, open.some(({isLast}) => isLast) ? 2 : retryDoublings),
				);
			return;
		}

		const peer = free[context.random.below(free.length)]!;
		const wants: Want[] = open
			.filter(piece => !refuses(piece, peer))
			.slice(0, wantsMax)
			.map(({origin, incarnation, next, to, isFirst}) => ({
				origin,
				incarnation,
				from: next,
				to,
				sinceLamport: isFirst ? this.#since(job) : 0,
			}));
		job.sinceTick ??= context.now;
		this.#request = {peer, job, refreshedTick: context.now, hasProgress: false};
		context.outbox.send(peer, {
			type: 'iwant',
			topic: job.topic,
			wants,
			bytesMax: Math.max(1, context.config.repairBytes >> 1),
		});
	}

	/** It took too long: streams that stand still go on, and what came of them comes again as new. */
	#letGo(job: Job): void {
		for (const piece of job.pieces) {
			const stream = piece.isLast ? this.#streams.find(job.topic, piece.origin, piece.incarnation) : undefined;
			if (!stream?.isStill) continue;
			piece.next = piece.to + 1;
			job.found = job.found.filter(
				({origin, incarnation, firstSeq}) =>
					origin !== piece.origin || incarnation !== piece.incarnation || firstSeq < piece.from,
			);
			this.#move(stream);
		}
	}

	#move(stream: Stream): void {
		if (!stream.isStill) return;
		stream.isStill = false;
		this.#onMoved(stream);
	}

	/** When everybody has said no: once more a little later, and then on to where somebody has something. */
	#passOver(job: Job, piece: Piece): void {
		const holders = this.#holders(job, piece);
		if (piece.next > piece.to || holders.length === 0 || !holders.every(peer => refuses(piece, peer))) return;
		const thens = [...piece.refusals.values()].filter(then => then > piece.next);
		piece.refusals.clear();
		// It ends there, as far as anybody knows.
		if (!piece.isLast && ++piece.rounds < roundsMax) return;
		piece.rounds = 0;
		piece.next = piece.isLast ? piece.to + 1 : Math.min(piece.to + 1, ...thens);
	}

	/** Who could have it: those who subscribe, and its origin. */
	#holders({topic}: Job, {origin}: Piece): NodeId[] {
		const subscribers = this.#streams.topics.get(topic)?.subscribers ?? [];
		return subscribers.length === 0
			? []
			: [...new Set([...subscribers, origin])].filter(peer => peer !== this.#context.self);
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
