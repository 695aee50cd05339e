/**
A console source that remembers the last minutes of another one, so that the console can step back. Snapshots share
their unchanged parts, and their number is bounded by the size of the cluster.
*/
import type {MessageSnapshot} from '../core/snapshot.ts';
import type {ClientSource} from './client-source.ts';
import type {CommandResult, ConsoleCommand, SourceState, ReadBody} from './source/source.ts';
import {stepped, type Frame, type Move, type Timeline} from './source/timeline.ts';

/** Between two snapshots that are remembered, milliseconds. */
const everyMs = 500;
/** Snapshots that are remembered: five minutes. */
export const framesMax = 600;
/** Newest messages of a remembered snapshot: they are different ones in each. */
const messagesMax = 50;
/** Members of all remembered snapshots: they are what changes. */
const membersMax = 24_000;

export function withTimeTravel(source: ClientSource): ClientSource {
	return new TravellingSource(source);
}

type Kept = Frame & {readonly isMark: boolean; readonly number: number};

class TravellingSource implements ClientSource, Timeline {
	readonly #source: ClientSource;
	readonly #listeners = new Set<() => void>();
	readonly #unsubscribe: () => void;
	#frames: Kept[] = [];
	#last = 0;
	/** The number of the frame that is shown; `undefined` for the present. */
	#shown: number | undefined;
	#past: SourceState | undefined;

	constructor(source: ClientSource) {
		this.#source = source;
		this.#remember();
		this.#unsubscribe = source.subscribe(() => {
			this.#remember();
			if (this.#shown === undefined) this.#publish();
			else this.#show(this.#indexOfShown());
		});
	}

	get length(): number {
		return this.#frames.length;
	}

	// React calls these two without `this`.
	readonly getState = (): SourceState => this.#past ?? this.#source.getState();

	readonly subscribe = (onChange: () => void): (() => void) => {
		this.#listeners.add(onChange);
		return () => this.#listeners.delete(onChange);
	};

	run(command: ConsoleCommand): Promise<CommandResult> {
		return this.#source.run(command);
	}

	atMs(index: number): number {
		return this.#frames[index]!.atMs;
	}

	frame(index: number): Frame {
		return this.#frames[index]!;
	}

	isMark(index: number): boolean {
		return this.#frames[index]!.isMark;
	}

	async read(message: MessageSnapshot): Promise<ReadBody> {
		return (await this.#source.read?.(message)) ?? {problem: 'there is no node to ask'};
	}

	travel(move: Move): void {
		if (this.length === 0 || move === 'play' || move === 'faster' || move === 'slower') return;
		const at = this.#shown === undefined ? this.length - 1 : this.#indexOfShown();
		const to = stepped(this, at, move);
		const isPresent = to === this.length - 1 && (move === 'forward' || move === 'next' || move === 'end');
		if (!isPresent) return this.#show(to);
		this.#shown = undefined;
		this.#past = undefined;
		this.#publish();
	}

	[Symbol.dispose](): void {
		this.#unsubscribe();
		this.#listeners.clear();
		this.#source[Symbol.dispose]();
	}

	#remember(): void {
		const {snapshot, connection} = this.#source.getState();
		if (!snapshot || connection !== 'connected') return;
		const before = this.#frames.at(-1);
		const isMark =
			before?.snapshot !== undefined &&
			(before.snapshot.raft.leader !== snapshot.raft.leader ||
				before.snapshot.partition.state !== snapshot.partition.state);
		if (before && !isMark && snapshot.atMs - before.atMs >= 0 && snapshot.atMs - before.atMs < everyMs) return;
		const kept =
			snapshot.feed.length > messagesMax ? {...snapshot, feed: snapshot.feed.slice(-messagesMax)} : snapshot;
		this.#frames.push({atMs: snapshot.atMs, snapshot: kept, isMark, number: this.#last++});
		const max = Math.min(framesMax, Math.ceil(membersMax / Math.max(1, snapshot.members.length)));
		if (this.#frames.length > max) this.#frames = this.#frames.slice(-max);
	}

	/** The index of the frame that is shown, or of the oldest one when it is forgotten. */
	#indexOfShown(): number {
		return Math.max(0, (this.#shown ?? this.#last) - this.#frames[0]!.number);
	}

	#show(index: number): void {
		const {snapshot, atMs, number} = this.#frames[index]!;
		this.#shown = number;
		const endMs = this.#source.getState().snapshot?.atMs ?? atMs;
		const before = this.#past;
		if (before?.snapshot === snapshot && before?.time?.endMs === endMs) return;
		this.#past = {
			snapshot,
			connection: 'connected',
			detail: '',
			time: {mode: 'past', atMs, endMs, isPlaying: false, speed: 1},
		};
		this.#publish();
	}

	#publish(): void {
		for (const listener of this.#listeners) listener();
	}
}
