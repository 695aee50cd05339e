/**
First in, first out across restarts of an origin. Batches of a new incarnation are released only after the older
incarnations are known to be complete here. Only the origin can confirm that at once, because it holds everything that
it published and kept. If the origin is unreachable, the answers of other peers and a bounded wait have to do. Batches
of an older incarnation that turn up later still are released late (and counted) rather than lost.

The first incarnation has no predecessor, so a cluster without restarts pays nothing.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Origin, Stream} from './streams.ts';

/** How long a newer incarnation waits for peers to answer, in repair rounds of `repairMs`. */
const holdRounds = 1.5;
/** After this many repair rounds it no longer waits for missing batches. */
const giveUpRounds = 10;
/** Interval between two rounds of questions. */
const askMs = 200;
/** Peers asked at once when the origin is unreachable. */
const askedMax = 3;

export class Incarnations {
	/** Newer incarnations that were released without a confirmation of their origin. */
	unconfirmed = 0;
	readonly #context: Context;
	readonly #onOpen: (stream: Stream) => void;
	readonly #holds = new Set<Origin>();

	/** @param onOpen called when batches of the stream may be released from now on. */
	constructor(context: Context, onOpen: (stream: Stream) => void) {
		this.#context = context;
		this.#onOpen = onOpen;
	}

	/** Origins with an incarnation that waits. */
	get waiting(): number {
		return this.#holds.size;
	}

	/** Whether batches of the stream may be released. If not, this asks the origin or other peers. */
	isReleasable({origin, incarnation}: Stream, from: NodeId): boolean {
		if (incarnation <= origin.releasableUpTo) return true;
		if (incarnation <= 1 && origin.incarnations.length === 1) {
			origin.releasableUpTo = incarnation;
			return true;
		}

		// For a newer incarnation, earlier confirmations do not cover the streams in between: ask again.
		if (!origin.hold || origin.hold.incarnation < incarnation) {
			const {now} = this.#context;
			origin.hold = {sinceTick: now, askTick: now, isConfirmed: false, isAnswered: false, incarnation};
			this.#holds.add(origin);
			this.#ask(origin, from);
		}

		return false;
	}

	/** `peer`, at its own incarnation `incarnation`, answered; the streams in its answer are already noted. */
	onAnswer(peer: NodeId, origin: Origin, incarnation: number): void {
		const {hold} = origin;
		if (!hold) return;
		hold.isAnswered = true;
		if (peer === origin.id && incarnation >= hold.incarnation) hold.isConfirmed = true;
		this.check(origin);
	}

	/** Opens the newer incarnations that need not wait any longer. */
	check(origin: Origin): void {
		const {hold} = origin;
		if (!hold) return;
		const {now, config} = this.#context;
		const waited = now - hold.sinceTick;
		const bound = this.#context.ticks(config.repairMs * holdRounds) * (hold.isAnswered ? 1 : 2);
		const isLate = waited > this.#context.ticks(config.repairMs * giveUpRounds);
		let isComplete = true;
		for (const stream of [...origin.incarnations]) {
			if (stream.incarnation > origin.releasableUpTo) {
				if (!isLate && (!isComplete || (!hold.isConfirmed && waited <= bound))) break;
				if (!hold.isConfirmed) this.unconfirmed++;
				origin.releasableUpTo = stream.incarnation;
				this.#onOpen(stream);
			}

			isComplete &&= stream.next > stream.known;
		}

		if (origin.releasableUpTo >= hold.incarnation) {
			if (origin.hold === hold) origin.hold = undefined;
			this.#holds.delete(origin);
		}
	}

	appeared(peer: NodeId): void {
		for (const origin of this.#holds) if (origin.id === peer) this.#ask(origin);
	}

	tick(): void {
		for (const origin of this.#holds) {
			const {hold, topic} = origin;
			if (!hold || topic.since === undefined) {
				origin.hold = undefined;
				this.#holds.delete(origin);
				continue;
			}

			if (this.#context.now - hold.askTick >= this.#context.ticks(askMs)) this.#ask(origin);
			this.check(origin);
		}
	}

	#ask(origin: Origin, from?: NodeId): void {
		const context = this.#context;
		const {outbox, self} = context;
		if (origin.hold) origin.hold.askTick = context.now;
		const packet = {type: 'ask', topic: origin.topic.name, origin: origin.id} as const;
		if (context.isReachable(origin.id)) {
			outbox.send(origin.id, packet);
			return;
		}

		const others = origin.topic.subscribers.filter(
			peer => peer !== self && peer !== from && context.isReachable(peer),
		);
		for (const peer of [...(from === undefined ? [] : [from]), ...context.sample(others, askedMax - 1)])
			outbox.send(peer, packet);
	}
}
