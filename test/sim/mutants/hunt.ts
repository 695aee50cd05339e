/**
The entry point of a bundle with one mutant, or without any for comparison. It runs seeds of the given worlds until one
fails, and prints the failure as a line of JSON. A line per passed seed shows progress.
*/
import {parseArgs} from 'node:util';
import {simulate} from '../node/cluster.ts';
import {simulateLiar} from '../node/liar/run.ts';
import {simulateRaft} from '../raft-cluster.ts';
import {withoutGlobals} from '../without-globals.ts';
import {simulateState} from '../state-run.ts';
import {simulateSwim} from '../swim-run.ts';
import {ruleOf} from '../worker.ts';
import type {World} from './mutant.ts';

const worlds: Readonly<Record<World, (seed: number) => unknown>> = {
	nodes: seed => simulate({seed}),
	raft: seed => simulateRaft(seed),
	swim: seed => simulateSwim(seed),
	state: seed => simulateState(seed),
	liar: seed => simulateLiar({seed}),
};

/** The failure of a seed, if any. A `TypeError` and the like mean that the mutant crashed, not that a rule broke. */
function attempt(
	world: World,
	seed: number,
): {readonly rule: string; readonly failure: string; readonly isCrash: boolean} | undefined {
	try {
		withoutGlobals(() => worlds[world](seed));
		return undefined;
	} catch (error) {
		const {message, cause = error} = error as Error;
		const isCrash =
			cause instanceof TypeError ||
			cause instanceof ReferenceError ||
			/^Invalid |call stack/.test((cause as Error).message);
		return {rule: ruleOf(message), failure: message, isCrash};
	}
}

function hunt(): void {
	const {values} = parseArgs({
		options: {
			worlds: {type: 'string', default: 'raft,nodes'},
			from: {type: 'string', default: '1'},
			to: {type: 'string', default: '500'},
		},
	});
	for (let seed = Number(values.from); seed <= Number(values.to); seed++) {
		for (const world of values.worlds.split(',') as World[]) {
			const failed = attempt(world, seed);
			if (failed) {
				console.log(JSON.stringify({seed, world, ...failed}));
				return;
			}
		}

		console.log(JSON.stringify({held: seed}));
	}
}

// Promise callbacks cannot be drained from within one, and a module's body is one.
setImmediate(hunt);
