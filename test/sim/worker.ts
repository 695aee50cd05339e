/**
Runs the seeds that it is given, one after the other, and tells of each. A failing one is made smaller first.
*/
import {planOf, simulate, type Outcome, type RunOptions} from './node/cluster.ts';
import type {Event} from './node/plan.ts';
import {sealed} from './seal.ts';
import {shrink} from './shrink.ts';

export type Job = {readonly from: number; readonly to: number; readonly forMs: number; readonly isOnce: boolean; readonly shrinks: boolean};
export type Report =
	| {readonly type: 'held'; readonly outcome: Outcome}
	| {readonly type: 'failed'; readonly seed: number; readonly failure: string; readonly plan: readonly Event[]; readonly planned: number}
	| {readonly type: 'done'};

const shrinkRuns = 60;

/** Run a seed in a sealed world. What it came to, or what was violated. */
export function attempt(options: RunOptions): Outcome | string {
	try {
		return sealed(() => simulate(options));
	} catch (error) {
		return (error as Error).message;
	}
}

/** The rule that a message names, without times and ids: a smaller script must break the same one. */
export const ruleOf = (message: string): string => message.replace(/^at \d+ ms, event \d+: /, '').split(':')[0]!;

export function carryOut({from, to, forMs, isOnce, shrinks}: Job, tell: (report: Report) => void): void {
	for (let seed = from; seed < to; seed++) {
		const outcome = attempt({seed, forMs});
		if (typeof outcome === 'string') {
			const planned = planOf(seed, forMs);
			const isSame = (plan: readonly Event[]): boolean => {
				const again = attempt({seed, forMs, plan});
				return typeof again === 'string' && ruleOf(again) === ruleOf(outcome);
			};

			tell({type: 'failed', seed, failure: outcome, plan: shrinks ? shrink(planned, isSame, shrinkRuns).items : planned, planned: planned.length});
			continue;
		}

		const again = isOnce ? outcome : attempt({seed, forMs});
		if (typeof again === 'string' || again.fingerprint !== outcome.fingerprint) tell({type: 'failed', seed, failure: `determinism: two runs of one seed differ${typeof again === 'string' ? ` (${again})` : ''}`, plan: [], planned: 0});
		else tell({type: 'held', outcome});
	}

	tell({type: 'done'});
}
