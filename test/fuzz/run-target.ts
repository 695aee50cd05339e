/**
Runs a target with inputs from a seed. It measures the time that each input takes and the growth of memory. The seed and
the path that a failure prints replay it.
*/
import fc from 'fast-check';
import type {OpenTarget, Target} from './target.ts';

export type TargetReport = {
	readonly name: string;
	readonly seed: number;
	readonly inputs: number;
	readonly tookMs: number;
	/** Of a single input, milliseconds. */
	readonly slowestMs: number;
	/** Growth of the resident memory, MiB. */
	readonly grownMiB: number;
	/** The failure with the shrunk input; `undefined` when all inputs passed. */
	readonly failure: string | undefined;
};

export type RunOptions = {
	readonly seed: number;
	/** Inputs, unless `forMs` is over before. */
	readonly runs: number;
	/** @default no limit */
	readonly forMs?: number;
	/** Replays one input of the seed. */
	readonly path?: string;
};

/** Nothing that a node does for one input may stall it for longer. */
export const stallMs = 100;
/** Inputs that are drawn from one seed; the next seed follows. */
const blockRuns = 1000;

const residentMiB = (): number => process.memoryUsage.rss() / 1024 / 1024;

export async function runTarget(
	{name, open}: Target,
	{seed, runs, forMs = Infinity, path}: RunOptions,
): Promise<TargetReport> {
	const one = (await open()) as OpenTarget;
	const startedMs = performance.now();
	const beforeMiB = residentMiB();
	const counts = {inputs: 0, slowestMs: 0};
	const check = async (input: unknown): Promise<void> => {
		const beganMs = performance.now();
		await one.check(input);
		const inputMs = performance.now() - beganMs;
		counts.slowestMs = Math.max(counts.slowestMs, inputMs > stallMs ? await leastMs(one, input, inputMs) : inputMs);
		counts.inputs++;
	};

	let failure: string | undefined;
	for (let block = 0; failure === undefined; block++) {
		const left = runs - counts.inputs;
		const leftMs = forMs - (performance.now() - startedMs);
		if (left <= 0 || leftMs <= 0) break;
		const details = await fc.check(fc.asyncProperty(one.inputs, check), {
			seed: seed + block,
			numRuns: Math.min(blockRuns, left),
			...(path !== undefined && {path}),
			...(leftMs !== Infinity && {interruptAfterTimeLimit: leftMs}),
		});
		if (details.failed && details.counterexample !== null) failure = failureText(details);
		if (path !== undefined) break;
	}

	try {
		await one.close?.();
	} catch (error) {
		failure ??= `after the inputs: ${error instanceof Error ? error.stack : String(error)}`;
	}

	return {
		name,
		seed,
		inputs: counts.inputs,
		tookMs: performance.now() - startedMs,
		slowestMs: counts.slowestMs,
		grownMiB: residentMiB() - beforeMiB,
		failure,
	};
}

/** The least time that the input takes, so that a busy machine does not count. */
async function leastMs(one: OpenTarget, input: unknown, firstMs: number): Promise<number> {
	let least = firstMs;
	for (let repeat = 0; repeat < 3 && least > stallMs; repeat++) {
		const beganMs = performance.now();
		await one.check(input);
		least = Math.min(least, performance.now() - beganMs);
	}

	return least;
}

function failureText({seed, counterexamplePath, counterexample, errorInstance}: fc.RunDetails<[unknown]>): string {
	return (
		`seed ${seed}, path ${counterexamplePath}: ${fc.stringify(counterexample).slice(0, 2000)}\n` +
		(errorInstance instanceof Error ? errorInstance.stack : String(errorInstance))
	);
}
