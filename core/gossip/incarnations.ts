/**
First in, first out also over the restarts of an origin. A newer life of a stream is not released before the older lives
are known to be complete here. Only the origin can vouch for that at once: it holds everything that it ever published
and kept. If it cannot be reached, the word of others and a bounded wait must do, and if the rest of an older life comes
to light later still, it is released late (and counted) rather than lost.

The first life of all has nothing before it, so a cluster whose nodes never restarted pays nothing.
*/
import type {NodeId} from '../message.ts';
import type {Context} from './context.ts';
import type {Origin, Stream} from './streams.ts';

/**
Share of `repairMs` that a newer life waits for the word of others, and until it no longer waits for what is missing.
*/
const holdRounds = 1.5;
const giveUpRounds = 10;
const askMs = 200;
const askedMax = 3;

export class Incarnations {
	/** Newer lives that were released without the word of the origin. */
	unvouched = 0;
	readonly #context: Context;
	readonly #onOpen: (stream: Stream) => void;
	readonly #holds = new Set<Origin>();

	/** @param onOpen batches of the stream may be released from now on. */
	constructor(context: Context, onOpen: (stream: Stream) => void) {
		this.#context = context;
		this.#onOpen = onOpen;
	}

	get waiting(): number {
		return this.#holds.size;
	}

	/** May batches of the stream be released? If not, it is found out. */
	isReleasable({origin, incarnation}: Stream, from: NodeId): boolean {
		if (incarnation <= origin.open) return true;
		if (incarnation <= 1 && origin.lives.length === 1) {
			origin.open = incarnation;
			return true;
		}

		// A life newer than the one asked about: what was vouched for before it does not cover what came between.
		if (!origin.hold || origin.hold.incarnation < incarnation) {
			const {now} = this.#context;
			origin.hold = {sinceTick: now, askTick: now, isVouched: false, isTold: false, incarnation};
			this.#holds.add(origin);
			this.#ask(origin, from);
		}

		return false;
	}

	/** The peer, in that life of its own, has said which lives it knows; what it said has been noted. */
	told(peer: NodeId, origin: Origin, incarnation: number): void {
		const {hold} = origin;
		if (!hold) return;
		hold.isTold = true;
		if (peer === origin.id && incarnation >= hold.incarnation) hold.isVouched = true;
		this.check(origin);
	}

	/** Open the newer lives that need not wait any longer. */
	check(origin: Origin): void {
		const {hold} = origin;
		if (!hold) return;
		const {now, config} = this.#context;
		const waited = now - hold.sinceTick;
		const bound = this.#context.ticks(config.repairMs * holdRounds) * (hold.isTold ? 1 : 2);
		const isLate = waited > this.#context.ticks(config.repairMs * giveUpRounds);
		let isComplete = true;
		for (const life of [...origin.lives]) {
			if (life.incarnation > origin.open) {
				if (!isLate && (!isComplete || (!hold.isVouched && waited <= bound))) break;
				if (!hold.isVouched) this.unvouched++;
				origin.open = life.incarnation;
				this.#onOpen(life);
			}

			isComplete &&= life.next > life.known;
		}

		if (origin.open >= hold.incarnation) {
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
