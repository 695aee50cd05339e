/**
Exponential back-off between attempts to reach a server, up to a limit. Part of the delay is random, so that the
followers of a failed node do not all reconnect at once.
*/
import type {Random} from '../machine.ts';

const firstMs = 100;
const longestMs = 10_000;

/** Milliseconds before the attempt, counted from 0: random, between half of the delay and all of it. */
export function backOffMs(attempt: number, random: Random): number {
	const wholeMs = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 30));
	return wholeMs - random.below(wholeMs / 2 + 1);
}
