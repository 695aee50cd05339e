/**
The addresses at which a peer of an earlier version answered: it knows the former name of the key only (`tls.ts`). A
call there begins with that name, instead of with a call that is refused. After some minutes the address is tried anew,
because the peer may have been upgraded.
*/
import type {Clock} from '../../ports.ts';
import {systemClock} from '../clock.ts';

const keptMs = 600_000;
const addressesMax = 1024;

export class FormerPeers {
	readonly #clock: Pick<Clock, 'monotonicMs'>;
	readonly #untilMs = new Map<string, number>();

	constructor(clock: Pick<Clock, 'monotonicMs'> = systemClock) {
		this.#clock = clock;
	}

	has(address: string): boolean {
		return this.#clock.monotonicMs() < (this.#untilMs.get(address) ?? Number.NEGATIVE_INFINITY);
	}

	add(address: string): void {
		if (this.#untilMs.size >= addressesMax) this.#untilMs.clear();
		this.#untilMs.set(address, this.#clock.monotonicMs() + keptMs);
	}
}
