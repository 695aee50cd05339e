/**
Plays a scenario without a console: one line for each step, in rounds as long as the time allows.
*/
import {errorMessage} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {timeText} from '../output/units.ts';
import {scenarios, type ScenarioName, type Step} from './scenarios.ts';
import {BrokenPromise, type Stage} from './stage.ts';

/** How a step ended. `broken`: the promise that was not kept. */
export type StepResult = {
	readonly tookMs: number;
	readonly text: string;
	readonly broken?: string;
};

/** Before a further round. */
const reset: Step = {
	name: 'reset',
	says: () => '',
	async run(stage) {
		await stage.reset();
		return 'done';
	},
};

/** Runs one step. An error breaks a promise too: the product did not do what the step asked for. */
export async function runStep(step: Step, stage: Stage): Promise<StepResult> {
	const startMs = performance.now();
	const tookMs = (): number => Math.round(performance.now() - startMs);
	try {
		const text = await step.run(stage);
		return {tookMs: tookMs(), text};
	} catch (error) {
		const isPromise = error instanceof BrokenPromise;
		const broken = isPromise ? error.message : `the step ${step.name} succeeds`;
		const cause = isPromise ? error.cause : error;
		const why = cause === undefined ? '' : ` (${errorMessage(cause)})`;
		return {tookMs: tookMs(), text: `Not kept: ${broken}${why}`, broken};
	}
}

export type HeadlessOptions = {
	readonly scenario: ScenarioName;
	/** Another round begins while it is expected to end within this time. @default one round */
	readonly durationMs: number | undefined;
	readonly isJson: boolean;
	readonly print: (line: string) => Promise<void>;
	readonly signal: AbortSignal;
	readonly nowMs?: () => number;
};

/** @returns the promise that was not kept; `undefined` when all were */
export async function playHeadless(
	stage: Stage,
	{scenario, durationMs = 0, isJson, print, signal, nowMs = () => performance.now()}: HeadlessOptions,
): Promise<string | undefined> {
	const {steps} = scenarios[scenario];
	const startMs = nowMs();
	if (isJson) await print(jsonText({type: 'started', at: Date.now(), scenario, nodes: stage.processes}));
	let roundMs = 0;
	let round = 0;
	let broken: string | undefined;
	do {
		const roundStartMs = nowMs();
		round++;
		for (const step of round === 1 ? steps : [reset, ...steps]) {
			signal.throwIfAborted();
			const result = await runStep(step, stage);
			signal.throwIfAborted(); // The nodes end with the command, so its step has failed.
			({broken} = result);
			if (step !== reset || broken !== undefined)
				await print(isJson ? stepJson(scenario, round, step.name, result) : stepText(step.name, result));
			if (broken !== undefined) break;
		}

		roundMs = Math.max(roundMs, nowMs() - roundStartMs);
	} while (broken === undefined && nowMs() - startMs + roundMs <= durationMs);
	const {checked} = stage;
	if (isJson) {
		const ok = broken === undefined;
		await print(
			jsonText({type: 'result', at: Date.now(), scenario, ok, rounds: round, checked, broken: broken ?? null}),
		);
	} else if (broken === undefined) {
		const rounds = `${round} ${round === 1 ? 'round' : 'rounds'}`;
		await print(`Every promise was kept: ${rounds}, ${checked} messages checked at every reader`);
	}

	return broken;
}

function stepText(name: string, {tookMs, text}: StepResult): string {
	return `${name.padEnd(8)} ${timeText(tookMs).padStart(7)}  ${text}`;
}

function stepJson(scenario: string, round: number, step: string, {tookMs, text, broken}: StepResult): string {
	return jsonText({type: 'step', at: Date.now(), scenario, round, step, ok: broken === undefined, tookMs, text});
}
