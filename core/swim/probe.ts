/**
Probe bookkeeping: the probe order, our pings without an answer, and the pings sent on behalf of others. Each node
probes in a round-robin order of its own, so every member is probed within one round (SWIM, section 4.3). Unlike in the
paper, the order is kept from round to round. So the interval between two pings to a member is constant, which the rows
rely on.
*/
import type {Random} from '../machine.ts';
import type {NodeId} from '../message.ts';
import {u32Max} from './packet.ts';

/** Members in probe order. */
export class Ring {
	readonly #random: Random;
	#order: NodeId[] = [];
	#next = 0;
	#credit = 0;

	constructor(random: Random) {
		this.#random = random;
	}

	/** New members get a random place; the others keep theirs. */
	set(members: readonly NodeId[]): void {
		const wanted = new Set(members);
		const current = this.#order[this.#next];
		this.#order = this.#order.filter(id => wanted.delete(id));
		for (const id of wanted) {
			this.#order.splice(this.#random.below(this.#order.length + 1), 0, id);
		}

		this.#next = current === undefined ? 0 : Math.max(0, this.#order.indexOf(current));
	}

	/** The members to probe in this tick, so that each has a turn every `pairTicks`. */
	turns(pairTicks: number): NodeId[] {
		const chosen: NodeId[] = [];
		if (this.#order.length === 0) return chosen;
		this.#credit += this.#order.length;
		for (; this.#credit >= pairTicks; this.#credit -= pairTicks) {
			chosen.push(this.#order[this.#next]!);
			this.#next = (this.#next + 1) % this.#order.length;
		}

		return chosen;
	}
}

/** A ping of this node that waits for its answer. One per member. */
export type Probe = {
	readonly seq: number;
	readonly target: NodeId;
	readonly sinceTick: number;
	/** When the first ping was sent, in the broker's milliseconds. */
	sentAtMs: number | undefined;
	/** Sent more than once, or over the link too: the answer may be to any, so it measures no round trip (Karn). */
	isRepeated: boolean;
	/** Relays that were asked and have not answered; `undefined` before any is asked. */
	silentRelays: Set<NodeId> | undefined;
};

/** A ping sent on behalf of another node. */
export type Relay = {
	readonly requester: NodeId;
	readonly requesterSeq: number;
	readonly target: NodeId;
	readonly sinceTick: number;
	hasNacked: boolean;
};

export const relaysMax = 256;

export class Probes {
	readonly #byTarget = new Map<NodeId, Probe>();
	readonly #relays = new Map<number, Relay>();
	#seq = 0;

	of(target: NodeId): Probe | undefined {
		return this.#byTarget.get(target);
	}

	all(): IterableIterator<Probe> {
		return this.#byTarget.values();
	}

	start(target: NodeId, tick: number): Probe {
		const probe: Probe = {
			seq: this.#nextSeq(),
			target,
			sinceTick: tick,
			sentAtMs: undefined,
			isRepeated: false,
			silentRelays: undefined,
		};
		this.#byTarget.set(target, probe);
		return probe;
	}

	/** The probe that an ack or nack is about. `from` must be its target, or any node once relays were asked. */
	find(seq: number, from: NodeId): Probe | undefined {
		const direct = this.#byTarget.get(from);
		if (direct?.seq === seq) return direct;
		for (const probe of this.#byTarget.values()) {
			if (probe.seq === seq) return probe.silentRelays === undefined ? undefined : probe;
		}

		return undefined;
	}

	end(target: NodeId): void {
		this.#byTarget.delete(target);
	}

	relays(): IterableIterator<[number, Relay]> {
		return this.#relays.entries();
	}

	/** The number of the ping to send; `undefined` when too many are under way. */
	relay(requester: NodeId, requesterSeq: number, target: NodeId, tick: number): number | undefined {
		if (this.#relays.size >= relaysMax) return undefined;
		const seq = this.#nextSeq();
		this.#relays.set(seq, {requester, requesterSeq, target, sinceTick: tick, hasNacked: false});
		return seq;
	}

	/** Removes and returns the relayed probe that this ack of its target answers. */
	answerRelay(seq: number, from: NodeId): Relay | undefined {
		const relay = this.#relays.get(seq);
		if (relay?.target !== from) return undefined;
		this.#relays.delete(seq);
		return relay;
	}

	endRelay(seq: number): void {
		this.#relays.delete(seq);
	}

	#nextSeq(): number {
		this.#seq = this.#seq >= u32Max - 1 ? 1 : this.#seq + 1; // The highest number is for pings that test links.
		return this.#seq;
	}
}
