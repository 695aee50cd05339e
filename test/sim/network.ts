/**
A network from a seed: every directed link has its own delay, loss, duplication and cuts, and its own stream of chance (keyed by
the link), so that a packet more on one link changes nothing on another. Bytes go in and a copy comes out: machines never share an
object. `ordered` links behave like TCP (what arrives, arrives in order), the others like UDP.
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
};

export type NetworkOptions = {
	readonly seed: number | string;
	readonly schedule: Schedule;
	readonly deliver: (from: string, to: string, bytes: Uint8Array) => void;
	readonly link?: Partial<LinkOptions>;
	/** Packets on their way in all; more are lost, and counted. */
	readonly inFlightMax?: number;
};

type Link = {readonly random: SeededRandom; options: LinkOptions; isCut: boolean; lastAtMs: number};

export type NetworkCounts = {sent: number; delivered: number; lost: number; duplicated: number; cut: number; overflowed: number};

const calm: LinkOptions = {delayMs: [1, 5], loss: [0, 1], duplication: [0, 1], ordered: false};

export class Network {
	readonly counts: NetworkCounts = {sent: 0, delivered: 0, lost: 0, duplicated: 0, cut: 0, overflowed: 0};
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
		const {delayMs: [least, most], loss, duplication} = link.options;
		this.counts.sent++;
		// Always three draws a packet: a changed option shifts no later packet's chance.
		const isLost = link.random.chance(...loss);
		const isTwice = link.random.chance(...duplication);
		const delay = link.random.between(least, most);
		if (link.isCut) {
			this.counts.cut++;
			return;
		}

		if (isLost) {
			this.counts.lost++;
			return;
		}

		this.#carry(link, from, to, bytes, delay);
		if (!isTwice) return;
		this.counts.duplicated++;
		this.#carry(link, from, to, bytes, delay + link.random.between(0, most * 4));
	}

	/** Nothing passes from `from` to `to`, what is on its way included. */
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

	/** Mend one link, or all. */
	heal(from?: string, to?: string): void {
		if (from !== undefined && to !== undefined) this.#link(from, to).isCut = false;
		else for (const link of this.#links.values()) link.isCut = false;
	}

	/** Change a link from now on; without ends, all of them, those to come included. */
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
		if (link.options.ordered) {
			atMs = Math.max(atMs, link.lastAtMs);
			link.lastAtMs = atMs;
		}

		const copy = Uint8Array.from(bytes);
		this.#inFlight++;
		schedule.after(atMs - schedule.nowMs, () => {
			this.#inFlight--;
			if (link.isCut) {
				this.counts.cut++;
				return;
			}

			this.counts.delivered++;
			deliver(from, to, copy);
		});
	}

	#link(from: string, to: string): Link {
		const key = linkKey(from, to);
		let link = this.#links.get(key);
		if (!link) {
			link = {random: createRandom(`${this.#options.seed}/network/${key}`), options: this.#base, isCut: false, lastAtMs: 0};
			this.#links.set(key, link);
		}

		return link;
	}
}

function linkKey(from: string, to: string): string {
	return `${from}>${to}`;
}
