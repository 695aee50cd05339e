/**
A world of hosts: virtual time, a network, and the state of each host. A host ticks, receives bytes and can lose its
memory; its protocol does not matter here. Clocks run a little fast or slow, a paused host finds its input waiting, and
a crashed host restarts with what its disk holds.
*/
import {Network, type LinkOptions} from './network.ts';
import {createRandom, hash32, type SeededRandom} from './random.ts';
import {Schedule} from './schedule.ts';

export type Host = {
	readonly id: string;
	/** Start from what the disk holds. */
	boot(): void;
	/** Memory is lost, and everything that the disk had not synced. */
	crash(): void;
	tick(): void;
	deliver(from: string, bytes: Uint8Array): void;
};

type HostSlot = {
	readonly host: Host;
	readonly tickMs: number;
	readonly random: SeededRandom;
	isUp: boolean;
	isPaused: boolean;
	generation: number;
	waiting: Array<() => void>;
};

export type WorldOptions = {readonly seed: number | string; readonly link?: Partial<LinkOptions>};

export class World {
	readonly schedule = new Schedule();
	readonly random: SeededRandom;
	readonly network: Network;
	/** Runs after every event. */
	afterEach: (() => void) | undefined;
	#slots = new Map<string, HostSlot>();
	#fingerprint = 0;
	events = 0;
	crashes = 0;
	pauses = 0;

	constructor({seed, link}: WorldOptions) {
		this.random = createRandom(`${seed}/world`);
		this.network = new Network({
			seed,
			schedule: this.schedule,
			...(link ? {link} : {}),
			deliver: (from, to, bytes) =>
				this.#input(to, host => {
					this.note(`${from}>${to} ${bytes.length}`);
					host.deliver(from, bytes);
				}),
		});
	}

	get hosts(): readonly string[] {
		return [...this.#slots.keys()];
	}

	/** A hash of everything that happened. Two runs of one seed have the same. */
	get fingerprint(): number {
		return this.#fingerprint;
	}

	note(text: string): void {
		this.#fingerprint = hash32(text, this.#fingerprint);
	}

	/** Add a host and boot it. Its clock is off by up to a tenth. */
	add(host: Host, tickMs: number): void {
		const random = this.random.child(`host/${host.id}`);
		const drift = random.between(-Math.floor(tickMs / 10), Math.floor(tickMs / 10));
		this.#slots.set(host.id, {
			host,
			tickMs: tickMs + drift,
			random,
			isUp: false,
			isPaused: false,
			generation: 0,
			waiting: [],
		});
		this.restart(host.id);
	}

	isUp(id: string): boolean {
		return this.#slot(id).isUp;
	}

	isPaused(id: string): boolean {
		return this.#slot(id).isPaused;
	}

	crash(id: string): void {
		const slot = this.#slot(id);
		if (!slot.isUp) return;
		this.note(`crash ${id}`);
		this.crashes++;
		slot.isUp = false;
		slot.isPaused = false;
		slot.waiting = [];
		slot.generation++;
		slot.host.crash();
	}

	restart(id: string): void {
		const slot = this.#slot(id);
		if (slot.isUp) return;
		this.note(`boot ${id}`);
		slot.isUp = true;
		slot.generation++;
		slot.host.boot();
		this.#beat(slot, slot.generation, slot.random.between(0, slot.tickMs));
	}

	/**
	Stop the host for a while, as SIGSTOP or a stalled event loop does. Its input waits, and missed ticks are merged
	into one.
	*/
	pause(id: string, forMs: number): void {
		const slot = this.#slot(id);
		if (!slot.isUp || slot.isPaused) return;
		this.note(`pause ${id} ${forMs}`);
		this.pauses++;
		slot.isPaused = true;
		const {generation} = slot;
		this.schedule.after(forMs, () => {
			if (generation === slot.generation) this.resume(id);
		});
	}

	resume(id: string): void {
		const slot = this.#slot(id);
		if (!slot.isPaused) return;
		this.note(`resume ${id}`);
		slot.isPaused = false;
		const waiting = slot.waiting.splice(0);
		// The timer may fire before the waiting packets are read, or after.
		if (slot.random.chance(1, 2)) slot.host.tick();
		for (const run of waiting) run();
	}

	/** Work of the host itself, such as the end of a write. It waits while the host is paused. */
	onHost(id: string, run: () => void): void {
		this.#input(id, run);
	}

	/**
	A client sends a request to the host. While the host is paused, the request waits in a separate socket, which the
	host may read before those of its peers.
	*/
	ask(id: string, run: () => void): void {
		const slot = this.#slot(id);
		if (slot.isUp && slot.isPaused) slot.waiting.unshift(run);
		else this.#input(id, run);
	}

	run(forMs: number): void {
		const untilMs = this.schedule.nowMs + forMs;
		while (this.schedule.next(untilMs)) {
			this.events++;
			this.afterEach?.();
		}
	}

	/** Run until the condition holds. Returns false if it does not hold within the time. */
	runUntil(isDone: () => boolean, forMs: number): boolean {
		const untilMs = this.schedule.nowMs + forMs;
		while (!isDone()) {
			if (!this.schedule.next(untilMs)) return false;
			this.events++;
			this.afterEach?.();
		}

		return true;
	}

	#input(id: string, run: (host: Host) => void): void {
		const slot = this.#slots.get(id);
		if (!slot?.isUp) return;
		if (slot.isPaused) slot.waiting.push(() => run(slot.host));
		else run(slot.host);
	}

	#beat(slot: HostSlot, generation: number, inMs: number): void {
		this.schedule.after(inMs, () => {
			if (generation !== slot.generation) return;
			this.#beat(slot, generation, slot.tickMs);
			if (!slot.isPaused) slot.host.tick();
		});
	}

	#slot(id: string): HostSlot {
		const slot = this.#slots.get(id);
		if (!slot) throw new Error(`Expected a host of this world, got ${id}`);
		return slot;
	}
}
