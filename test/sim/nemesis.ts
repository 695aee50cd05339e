/**
Injects faults into a world (a *nemesis*, in the words of Jepsen): a weighted, seeded sequence. The seed also decides
which faults occur at all (swarm testing, Groce 2012), because one fault can hide the effect of another.
*/
import type {SeededRandom} from './random.ts';
import type {World} from './world.ts';

export const faults = ['crash', 'storm', 'partition', 'isolate', 'one-way', 'ring', 'pause', 'heal'] as const;
export type Fault = (typeof faults)[number];
export type FaultCounts = Record<Fault, number>;

export class Nemesis {
	readonly counts: FaultCounts = {
		crash: 0,
		storm: 0,
		partition: 0,
		isolate: 0,
		'one-way': 0,
		ring: 0,
		pause: 0,
		heal: 0,
	};
	readonly #world: World;
	readonly #random: SeededRandom;
	readonly #enabled: readonly Fault[];
	readonly #everyMs: number;
	#isOver = false;

	/** @param everyMs the mean time between faults */
	constructor(world: World, everyMs: number) {
		this.#world = world;
		this.#random = world.random.child('nemesis');
		this.#everyMs = everyMs;
		this.#enabled = faults.filter(fault => fault === 'heal' || this.#random.chance(2, 3));
	}

	start(): void {
		this.#world.schedule.after(this.#random.between(1, this.#everyMs * 2), () => {
			if (this.#isOver) return;
			this.#strike(this.#random.pick(this.#enabled));
			this.start();
		});
	}

	/** End the faults: all links work, all hosts run. */
	end(): void {
		this.#isOver = true;
		this.#world.network.heal();
		for (const host of this.#world.hosts) {
			this.#world.restart(host);
			this.#world.resume(host);
		}
	}

	#strike(fault: Fault): void {
		const {network, hosts} = this.#world;
		const random = this.#random;
		this.counts[fault]++;
		this.#world.note(fault);
		switch (fault) {
			case 'crash':
				return this.#crash(random.pick(hosts));
			case 'storm': {
				for (const host of hosts) if (random.chance(2, 3)) this.#crash(host);
				return;
			}

			case 'partition': {
				const shuffled = random.shuffle(hosts);
				const at = random.between(1, Math.max(1, hosts.length - 1));
				return network.partition([shuffled.slice(0, at), shuffled.slice(at)]);
			}

			case 'isolate': {
				const alone = random.pick(hosts);
				return network.partition([[alone], hosts.filter(host => host !== alone)]);
			}

			case 'one-way': {
				const deaf = random.pick(hosts);
				for (const host of hosts) if (host !== deaf && random.chance(2, 3)) network.cut(host, deaf);
				return;
			}

			case 'ring': {
				// Each host hears its two neighbours only.
				for (const [index, host] of hosts.entries()) {
					for (const [position, other] of hosts.entries()) {
						const distance = (position - index + hosts.length) % hosts.length;
						if (distance !== 0 && distance !== 1 && distance !== hosts.length - 1) network.cut(host, other);
					}
				}

				return;
			}

			case 'pause':
				return this.#world.pause(random.pick(hosts), random.between(50, 2500));
			case 'heal':
				return network.heal();
			default:
				fault satisfies never;
		}
	}

	#crash(host: string): void {
		this.#world.crash(host);
		this.#world.schedule.after(this.#random.between(10, 3000), () => this.#world.restart(host));
	}
}
