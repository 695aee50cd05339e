/**
Runs its seeds one after the other and reports each. A failing seed is reduced first. A seed is two worlds: whole nodes,
and Raft alone, where far more proposals, campaigns and configuration changes fit into the same time.
*/
import {simulate, type Outcome, type RunOptions} from './node/cluster.ts';
import {planOf, type Event} from './node/plan.ts';
import {withoutGlobals} from './without-globals.ts';
import {simulateLiar} from './node/liar/run.ts';
import {simulateRaft} from './raft-cluster.ts';
import {shrink} from './shrink.ts';

export type World = 'nodes' | 'raft' | 'liar';
export type Job = {
	readonly worlds: readonly World[];
	readonly from: number;
	readonly to: number;
	readonly forMs: number;
	readonly isOnce: boolean;
	readonly shrinks: boolean;
};
export type Report =
	| {readonly type: 'held'; readonly outcome: Outcome}
	| {
			readonly type: 'failed';
			readonly seed: number;
			readonly world: World;
			readonly failure: string;
			readonly plan: readonly Event[];
			readonly planned: number;
	  }
	| {readonly type: 'done'};

const shrinkRuns = 60;
const raftForMs = 40_000;

/** Run a seed without access to the machine. Returns its outcome, or the violation. */
export function attempt(options: RunOptions): Outcome | string {
	try {
		return withoutGlobals(() => simulate(options));
	} catch (error) {
		return (error as Error).message;
	}
}

/** The rule that a message names, without times and ids: a reduced plan must break the same rule. */
export const ruleOf = (message: string): string =>
	message.replace(/^(?:SEED=\d+ \(replays it\), )?at \d+ ms, event \d+: /, '').split(':')[0]!;

/** Run Raft alone. */
function attemptRaft(seed: number, isOnce: boolean): Outcome | string {
	try {
		const {fingerprint, events, recoveredMs, ...counts} = withoutGlobals(() => simulateRaft(seed));
		if (!isOnce && withoutGlobals(() => simulateRaft(seed)).fingerprint !== fingerprint)
			return 'determinism: two runs of one seed differ';
		const work = Object.fromEntries(Object.entries(counts).map(([name, value]) => [`raft-${name}`, value]));
		return {
			seed,
			fingerprint,
			virtualMs: raftForMs + recoveredMs,
			events,
			faults: {},
			work,
			agreedMs: recoveredMs,
			convergedMs: 0,
		};
	} catch (error) {
		return (error as Error).message;
	}
}

/** Run a cluster with a member that lies. */
export function attemptLiar(seed: number, isOnce: boolean): Outcome | string {
	try {
		const outcome = withoutGlobals(() => simulateLiar({seed}));
		return isOnce || withoutGlobals(() => simulateLiar({seed})).fingerprint === outcome.fingerprint
			? outcome
			: 'determinism: two runs of one seed differ';
	} catch (error) {
		return (error as Error).message;
	}
}

export function runJob({from, to, forMs, isOnce, shrinks, worlds}: Job, report: (report: Report) => void): void {
	for (let seed = from; seed < to; seed++) {
		if (worlds.includes('liar')) {
			const outcome = attemptLiar(seed, isOnce);
			if (typeof outcome === 'string')
				report({type: 'failed', seed, world: 'liar', failure: outcome, plan: [], planned: 0});
			else report({type: 'held', outcome});
			continue;
		}

		const raft = worlds.includes('raft') ? attemptRaft(seed, isOnce) : undefined;
		if (typeof raft === 'string') {
			report({type: 'failed', seed, world: 'raft', failure: raft, plan: [], planned: 0});
			continue;
		}

		if (!worlds.includes('nodes')) {
			report({type: 'held', outcome: raft!});
			continue;
		}

		const outcome = attempt({seed, forMs});
		if (typeof outcome === 'string') {
			const planned = planOf(seed, forMs);
			const isSame = (plan: readonly Event[]): boolean => {
				const again = attempt({seed, forMs, plan});
				return typeof again === 'string' && ruleOf(again) === ruleOf(outcome);
			};

			report({
				type: 'failed',
				seed,
				world: 'nodes',
				failure: outcome,
				plan: shrinks ? shrink(planned, isSame, shrinkRuns).items : planned,
				planned: planned.length,
			});
			continue;
		}

		const again = isOnce ? outcome : attempt({seed, forMs});
		if (typeof again === 'string' || again.fingerprint !== outcome.fingerprint)
			report({
				type: 'failed',
				seed,
				world: 'nodes',
				failure: `determinism: two runs of one seed differ${typeof again === 'string' ? ` (${again})` : ''}`,
				plan: [],
				planned: 0,
			});
		else
			report({
				type: 'held',
				outcome: raft
					? {
							...outcome,
							virtualMs: outcome.virtualMs + raft.virtualMs,
							events: outcome.events + raft.events,
							work: {...outcome.work, ...raft.work},
						}
					: outcome,
			});
	}

	report({type: 'done'});
}
