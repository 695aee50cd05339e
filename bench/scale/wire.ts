/**
A network for thousands of nodes from one seed: nodes are numbers, packets are not encoded (the sender states their
size), and unused links cost nothing. The network of the tests (`test/sim/network.ts`) has more features and fewer
nodes.
*/
import type {SeededRandom} from '../../test/sim/random.ts';
import type {Schedule} from '../../test/sim/schedule.ts';

export type WireOptions<Packet> = {
	readonly schedule: Schedule;
	readonly random: SeededRandom;
	/** Percent. */
	readonly loss: number;
	readonly delayMs: readonly [number, number];
	/** Packets on a link arrive in order, as over TCP. */
	readonly isOrdered: boolean;
	readonly deliver: (from: number, to: number, packet: Packet) => void;
};

export class Wire<Packet> {
	readonly #options: WireOptions<Packet>;
	/** Arrival time of the last packet of each used link. */
	readonly #lastMs = new Map<number, number>();

	constructor(options: WireOptions<Packet>) {
		this.#options = options;
	}

	send(from: number, to: number, packet: Packet): void {
		const {
			schedule,
			random,
			loss,
			delayMs: [least, most],
			isOrdered,
			deliver,
		} = this.#options;
		const isLost = random.chance(loss, 100);
		const delayMs = random.between(least, most);
		if (isLost) return;
		let atMs = schedule.nowMs + delayMs;
		if (isOrdered) {
			const link = from * 2 ** 16 + to;
			atMs = Math.max(atMs, this.#lastMs.get(link) ?? 0);
			this.#lastMs.set(link, atMs);
		}

		schedule.after(atMs - schedule.nowMs, () => deliver(from, to, packet));
	}
}
