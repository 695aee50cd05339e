/**
A network for thousands of nodes from one seed: nodes are numbers, packets are passed on as they are (whoever sends says
how many bytes they have on the wire), and what was never used costs nothing. The network of the tests
(`test/sim/network.ts`) can do more and holds less.
*/
import type {SeededRandom} from '../../test/sim/random.ts';
import type {Schedule} from '../../test/sim/schedule.ts';

export type WireOptions<Packet> = {
	readonly schedule: Schedule;
	readonly random: SeededRandom;
	/** Percent. */
	readonly loss: number;
	readonly delayMs: readonly [number, number];
	/** What arrives on a link arrives in order, as over TCP. */
	readonly isOrdered: boolean;
	readonly deliver: (from: number, to: number, packet: Packet) => void;
};

export class Wire<Packet> {
	readonly #options: WireOptions<Packet>;
	/** When the last packet of each link that was used arrives. */
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
