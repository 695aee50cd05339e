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

type Life = {
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
	#lives = new Map<string, Life>();
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
		return [...this.#lives.keys()];
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
		this.#lives.set(host.id, {
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
		return this.#life(id).isUp;
	}

	isPaused(id: string): boolean {
		return this.#life(id).isPaused;
	}

	crash(id: string): void {
		const life = this.#life(id);
		if (!life.isUp) return;
		this.note(`crash ${id}`);
		this.crashes++;
		life.isUp = false;
		life.isPaused = false;
		life.waiting = [];
		life.generation++;
		life.host.crash();
	}

	restart(id: string): void {
		const life = this.#life(id);
		if (life.isUp) return;
		this.note(`boot ${id}`);
		life.isUp = true;
		life.generation++;
		life.host.boot();
		this.#beat(life, life.generation, life.random.between(0, life.tickMs));
	}

	/**
	Stop the host for a while, as SIGSTOP or a stalled event loop does. Its input waits, and missed ticks are merged
	into one.
	*/
	pause(id: string, forMs: number): void {
		const life = this.#life(id);
		if (!life.isUp || life.isPaused) return;
		this.note(`pause ${id} ${forMs}`);
		this.pauses++;
		life.isPaused = true;
		const {generation} = life;
		this.schedule.after(forMs, () => {
			if (generation === life.generation) this.resume(id);
		});
	}

	resume(id: string): void {
		const life = this.#life(id);
		if (!life.isPaused) return;
		this.note(`resume ${id}`);
		life.isPaused = false;
		const waiting = life.waiting.splice(0);
		// The timer may fire before the waiting packets are read, or after.
		if (life.random.chance(1, 2)) life.host.tick();
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
		const life = this.#life(id);
		if (life.isUp && life.isPaused) life.waiting.unshift(run);
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
		const life = this.#lives.get(id);
		if (!life?.isUp) return;
		if (life.isPaused) life.waiting.push(() => run(life.host));
		else run(life.host);
	}

	#beat(life: Life, generation: number, inMs: number): void {
		this.schedule.after(inMs, () => {
			if (generation !== life.generation) return;
			this.#beat(life, generation, life.tickMs);
			if (!life.isPaused) life.host.tick();
		});
	}

	#life(id: string): Life {
		const life = this.#lives.get(id);
		if (!life) throw new Error(`Expected a host of this world, got ${id}`);
		return life;
	}
}
