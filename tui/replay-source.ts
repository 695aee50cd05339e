/**
A console source over a recording: it plays the frames at their own pace, or faster. There is no cluster, so every
command is refused.
*/
import type {ClientSource} from './client-source.ts';
import {shareSnapshot} from './source/share.ts';
import type {CommandResult, SourceState} from './source/source.ts';
import {stepped, type Move, type Timeline} from './source/timeline.ts';

const speeds = [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64] as const;
/** Frames that would come faster share one update, milliseconds. */
const updateMs = 100;

/** @param nowMs the clock of the player; replaced by tests */
export function createReplay(timeline: Timeline, nowMs: () => number = () => performance.now()): ClientSource {
	return new ReplaySource(timeline, nowMs);
}

class ReplaySource implements ClientSource {
	readonly #timeline: Timeline;
	readonly #nowMs: () => number;
	readonly #listeners = new Set<() => void>();
	#index = 0;
	#speed = 1;
	#timer: NodeJS.Timeout | undefined;
	/** The time of the recording and of the clock at the last change of pace. */
	#anchor = {recordedMs: 0, clockMs: 0};
	#state: SourceState;

	constructor(timeline: Timeline, nowMs: () => number) {
		this.#timeline = timeline;
		this.#nowMs = nowMs;
		this.#state = this.#made();
	}

	// React calls these two without `this`.
	readonly getState = (): SourceState => this.#state;

	readonly subscribe = (onChange: () => void): (() => void) => {
		this.#listeners.add(onChange);
		return () => this.#listeners.delete(onChange);
	};

	async run(): Promise<CommandResult> {
		return {ok: false, text: 'This is a recording: there is no cluster that could be changed'};
	}

	travel(move: Move): void {
		if (move === 'play') {
			if (this.#timer) this.#pause();
			else this.#play();
		} else if (move === 'faster' || move === 'slower') this.#changeSpeed(move === 'faster' ? 1 : -1);
		else {
			this.#pause();
			this.#index = stepped(this.#timeline, this.#index, move);
		}

		this.#publish();
	}

	[Symbol.dispose](): void {
		this.#pause();
		this.#listeners.clear();
	}

	#play(): void {
		if (this.#index === this.#timeline.length - 1) this.#index = 0;
		this.#anchor = {recordedMs: this.#timeline.atMs(this.#index), clockMs: this.#nowMs()};
		this.#schedule();
	}

	#pause(): void {
		clearTimeout(this.#timer);
		this.#timer = undefined;
	}

	#changeSpeed(by: 1 | -1): void {
		const at = speeds.indexOf(this.#speed as (typeof speeds)[number]) + by;
		this.#speed = speeds[Math.min(Math.max(at, 0), speeds.length - 1)]!;
		if (!this.#timer) return;
		this.#pause();
		this.#play();
	}

	#schedule(): void {
		const dueMs = (this.#timeline.atMs(this.#index + 1) - this.#anchor.recordedMs) / this.#speed;
		const waitMs = Math.max(updateMs, dueMs - (this.#nowMs() - this.#anchor.clockMs));
		this.#timer = setTimeout(() => this.#advance(), waitMs);
	}

	/** Shows the newest frame that is due. */
	#advance(): void {
		const last = this.#timeline.length - 1;
		const untilMs = this.#anchor.recordedMs + (this.#nowMs() - this.#anchor.clockMs) * this.#speed;
		this.#index++;
		while (this.#index < last && this.#timeline.atMs(this.#index + 1) <= untilMs) this.#index++;
		if (this.#index < last) this.#schedule();
		else this.#timer = undefined;
		this.#publish();
	}

	#publish(): void {
		this.#state = this.#made();
		for (const listener of this.#listeners) listener();
	}

	#made(): SourceState {
		const {atMs, snapshot, lost} = this.#timeline.frame(this.#index);
		const before = this.#state?.snapshot;
		return {
			snapshot: snapshot && shareSnapshot(before, snapshot),
			connection: lost === undefined ? 'connected' : 'lost',
			detail: lost ?? '',
			time: {
				mode: 'replay',
				atMs,
				endMs: this.#timeline.atMs(this.#timeline.length - 1),
				isPlaying: this.#timer !== undefined,
				speed: this.#speed,
			},
		};
	}
}
