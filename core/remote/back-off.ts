/**
How long to wait before a server is tried again. The wait doubles with each attempt up to a limit. A share of it is
drawn at random, so that the many followers of a node that went do not all come back at once.
*/
import type {Random} from '../machine.ts';

const firstMs = 100;
const longestMs = 10_000;

/** Milliseconds before the attempt, counted from 0: between half of the wait and all of it. */
export function backOffMs(attempt: number, random: Random): number {
	const wholeMs = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 30));
	return wholeMs - random.below(wholeMs / 2 + 1);
}
