/**
A network from a seed. Every directed link has its own delay, loss, duplication and cuts, and its own random stream
(keyed by the link), so one more packet on one link changes nothing on another. The network copies bytes, so machines
never share an object. `ordered` links behave like TCP (packets that arrive, arrive in order), the others like UDP.
*/
import {createRandom, type SeededRandom} from './random.ts';
import type {Schedule} from './schedule.ts';

export type LinkOptions = {
	/** Least and most delay of a packet, milliseconds. */
	readonly delayMs: readonly [number, number];
	/** Share of packets lost, and of packets delivered twice: [numerator, denominator]. */
	readonly loss: readonly [number, number];
	readonly duplication: readonly [number, number];
	readonly ordered: boolean;
	/** Share of packets after which the link delivers an older packet once more. */
	readonly replay: readonly [number, number];
	/** Bandwidth of the link in bytes per millisecond; 0 for no bound. */
	readonly bytesPerMs: number;
};

export type NetworkOptions = {
	readonly seed: number | string;
	readonly schedule: Schedule;
	readonly deliver: (from: string, to: string, bytes: Uint8Array) => void;
	readonly link?: Partial<LinkOptions>;
	/** Packets in transit in total. More are lost, and counted. */
	readonly inFlightMax?: number;
};

/**
`old`: a packet that was delivered. `freeAtMs`: when earlier packets have left the sender. `heldUntilMs`: nothing
arrives before. `era`: grows when packets in transit are dropped.
*/
type Link = {
	readonly random: SeededRandom;
	options: LinkOptions;
	isCut: boolean;
	lastAtMs: number;
	freeAtMs: number;
	heldUntilMs: number;
	queuedBytes: number;
	old: Uint8Array | undefined;
	era: number;
};

export type NetworkCounts = {
	sent: number;
	delivered: number;
	lost: number;
	duplicated: number;
	cut: number;
	overflowed: number;
	replayed: number;
	reordered: number;
	clogged: number;
	congested: number;
};

const calm: LinkOptions = {
	delayMs: [1, 5],
	loss: [0, 1],
	duplication: [0, 1],
	ordered: false,
	replay: [0, 1],
	bytesPerMs: 0,
};

export class Network {
	readonly counts: NetworkCounts = {
		sent: 0,
		delivered: 0,
		lost: 0,
		duplicated: 0,
		cut: 0,
		overflowed: 0,
		replayed: 0,
		reordered: 0,
		clogged: 0,
		congested: 0,
	};
	readonly #options: NetworkOptions;
	readonly #links = new Map<string, Link>();
	#base: LinkOptions;
	#inFlight = 0;

	constructor(options: NetworkOptions) {
		this.#options = options;
		this.#base = {...calm, ...options.link};
	}

	send(from: string, to: string, bytes: Uint8Array): void {
		const link = this.#link(from, to);
		const {
			delayMs: [least, most],
			loss,
			duplication,
		} = link.options;
		this.counts.sent++;
		// Always four draws per packet, so that a changed option does not shift the draws of later packets.
		const isLost = link.random.chance(...loss);
		const isTwice = link.random.chance(...duplication);
		const delay = link.random.between(least, most);
		const isReplayed = link.random.chance(...link.options.replay);
		if (link.isCut) {
			this.counts.cut++;
			return;
		}

		if (isLost) {
			this.counts.lost++;
			return;
		}

		this.#carry(link, from, to, bytes, delay);
		if (isTwice) {
			this.counts.duplicated++;
			this.#carry(link, from, to, bytes, delay + link.random.between(0, most * 4));
		}

		if (isReplayed && link.old) {
			this.counts.replayed++;
			this.#carry(link, from, to, link.old, delay + link.random.between(0, most * 20));
		}
	}

	/** Nothing arrives over the link for a while. Packets are kept and arrive afterwards. */
	clog(from: string, to: string, forMs: number): void {
		this.#link(from, to).heldUntilMs = this.#options.schedule.nowMs + forMs;
	}

	/** Drop everything in transit and free the link. */
	forget(from: string, to: string): void {
		const link = this.#link(from, to);
		Object.assign(link, {era: link.era + 1, lastAtMs: 0, freeAtMs: 0, heldUntilMs: 0, queuedBytes: 0});
	}

	/** Bytes in transit from `from` to `to`. */
	queuedBytes(from: string, to: string): number {
		return this.#links.get(linkKey(from, to))?.queuedBytes ?? 0;
	}

	/** Nothing passes from `from` to `to`, including packets in transit. */
	cut(from: string, to: string): void {
		this.#link(from, to).isCut = true;
	}

	/** Cut every link between nodes of different sides, both ways. */
	partition(sides: ReadonlyArray<readonly string[]>): void {
		for (const [index, side] of sides.entries()) {
			for (const other of sides.filter((_, position) => position !== index)) {
				for (const from of side) for (const to of other) this.cut(from, to);
			}
		}
	}

	isCut(from: string, to: string): boolean {
		return this.#links.get(linkKey(from, to))?.isCut ?? false;
	}

	/** Restore one link, or all. */
	heal(from?: string, to?: string): void {
		if (from !== undefined && to !== undefined) this.#link(from, to).isCut = false;
		else for (const link of this.#links.values()) link.isCut = false;
	}

	/** Change a link from now on. Without ends, change all links, including later ones. */
	set(options: Partial<LinkOptions>, from?: string, to?: string): void {
		if (from !== undefined && to !== undefined) {
			const link = this.#link(from, to);
			link.options = {...link.options, ...options};
			return;
		}

		this.#base = {...this.#base, ...options};
		for (const link of this.#links.values()) link.options = {...link.options, ...options};
	}

	#carry(link: Link, from: string, to: string, bytes: Uint8Array, delay: number): void {
		if (this.#inFlight >= (this.#options.inFlightMax ?? 100_000)) {
			this.counts.overflowed++;
			return;
		}

		const {schedule, deliver} = this.#options;
		let atMs = schedule.nowMs + delay;
		const {bytesPerMs} = link.options;
		if (bytesPerMs > 0) {
			const startMs = Math.max(schedule.nowMs, link.freeAtMs);
			if (startMs > schedule.nowMs) this.counts.congested++;
			link.freeAtMs = startMs + bytes.length / bytesPerMs;
			atMs += Math.floor(link.freeAtMs - schedule.nowMs);
		}

		if (atMs < link.heldUntilMs) {
			this.counts.clogged++;
			atMs = link.heldUntilMs + delay;
		}

		if (link.options.ordered) atMs = Math.max(atMs, link.lastAtMs);
		else if (atMs < link.lastAtMs) this.counts.reordered++;
		link.lastAtMs = Math.max(link.lastAtMs, atMs);
		link.queuedBytes += bytes.length;

		const copy = Uint8Array.from(bytes);
		const {era} = link;
		this.#inFlight++;
		schedule.after(atMs - schedule.nowMs, () => {
			this.#inFlight--;
			if (link.era !== era) {
				this.counts.lost++;
				return;
			}

			link.queuedBytes -= copy.length;
			if (link.isCut) {
				this.counts.cut++;
				return;
			}

			this.counts.delivered++;
			link.old = copy;
			deliver(from, to, copy);
		});
	}

	#link(from: string, to: string): Link {
		const key = linkKey(from, to);
		let link = this.#links.get(key);
		if (!link) {
			link = {
				random: createRandom(`${this.#options.seed}/network/${key}`),
				options: this.#base,
				isCut: false,
				lastAtMs: 0,
				freeAtMs: 0,
				heldUntilMs: 0,
				queuedBytes: 0,
				old: undefined,
				era: 0,
			};
			this.#links.set(key, link);
		}

		return link;
	}
}

function linkKey(from: string, to: string): string {
	return `${from}>${to}`;
}
