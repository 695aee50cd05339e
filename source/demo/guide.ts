/**
The demo in the console: the guide that explains the steps of a scenario, and runs one whenever the user asks for it.
*/
import {errorMessage} from '../../core/errors.ts';
import type {Guide, GuideState} from '../../tui/source/guide.ts';
import {runStep} from './play.ts';
import {scenarios, type Scenario} from './scenarios.ts';
import type {Stage} from './stage.ts';

export class DemoGuide implements Guide {
	readonly #stage: Stage;
	readonly #scenario: Scenario;
	readonly #listeners = new Set<() => void>();
	#state: GuideState;
	/** Of the step that runs or has ended; the number of steps when all have. */
	#at = 0;
	#isRunning = false;
	#hasFailed = false;

	/** Begins with the first step. */
	constructor(stage: Stage, name: keyof typeof scenarios) {
		this.#stage = stage;
		this.#scenario = scenarios[name];
		this.#state = {title: '', text: '', outcome: undefined, hints: []};
		void this.#run(0);
	}

	// React calls these two without `this`.
	readonly getState = (): GuideState => this.#state;

	readonly subscribe = (onChange: () => void): (() => void) => {
		this.#listeners.add(onChange);
		return () => this.#listeners.delete(onChange);
	};

	press(key: string): boolean {
		if (key !== 'n' && key !== 'r') return false;
		if (this.#isRunning) return true; // A step cannot be left in the middle.
		if (key === 'n' && !this.#hasFailed && this.#at + 1 < this.#scenario.steps.length) void this.#run(this.#at + 1);
		else if (key === 'r') void this.#repeat();
		return true;
	}

	async #run(at: number): Promise<void> {
		const step = this.#scenario.steps[at]!;
		this.#at = at;
		this.#isRunning = true;
		try {
			this.#show(step.says(this.#stage), undefined);
		} catch (error) {
			return this.#failed(error); // There is no leader to talk about.
		}

		const {text, broken} = await runStep(step, this.#stage);
		this.#hasFailed = broken !== undefined;
		this.#isRunning = false;
		this.#show(this.#state.text, {tone: broken === undefined ? 'good' : 'bad', text});
	}

	async #repeat(): Promise<void> {
		this.#isRunning = true;
		this.#at = 0;
		this.#show('The scenario begins again: faults end, and every node runs.', undefined);
		try {
			await this.#stage.reset();
		} catch (error) {
			return this.#failed(error);
		}

		this.#hasFailed = false;
		await this.#run(0);
	}

	/** The demo itself could not go on, for example because the user stopped a node. */
	#failed(error: unknown): void {
		this.#hasFailed = true;
		this.#isRunning = false;
		this.#show(this.#state.text, {tone: 'bad', text: `This could not be done: ${errorMessage(error)}`});
	}

	#show(text: string, outcome: GuideState['outcome']): void {
		const {title, steps} = this.#scenario;
		const isLast = this.#at + 1 === steps.length;
		const next = this.#hasFailed || isLast ? [] : [{key: 'n', word: 'next step'}];
		this.#state = {
			title: `DEMO ${title} · step ${this.#at + 1} of ${steps.length}`,
			text,
			outcome,
			hints: this.#isRunning ? [{key: '…', word: 'runs'}, quit] : [...next, {key: 'r', word: 'repeat'}, quit],
		};
		for (const listener of this.#listeners) listener();
	}
}

const quit = {key: 'q', word: 'quit'};
