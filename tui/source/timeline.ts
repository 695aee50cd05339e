/**
Times of the console: the frames of a recording, or of the last minutes, and a place among them. Pure.
*/
import type {Snapshot} from '../../core/snapshot.ts';

/** What the console shows at one moment. `lost`: the connection to the node was lost, with the reason. */
export type Frame = {readonly atMs: number; readonly snapshot: Snapshot | undefined; readonly lost?: string};
/** Frames from the oldest to the newest, by index. */
export type Timeline = {
	readonly length: number;
	atMs(index: number): number;
	frame(index: number): Frame;
	/** Whether the leader changed there, or a partition began or ended. */
	isMark(index: number): boolean;
};

/** `previous` and `next` jump to a change of the leader or a partition. */
export type Step = 'back' | 'forward' | 'previous' | 'next' | 'start' | 'end';
export type Move = Step | 'play' | 'faster' | 'slower';

/** `replay`: a recording. `past`: the last minutes of a live node. */
export type TimeView = {
	readonly mode: 'replay' | 'past';
	readonly atMs: number;
	/** The time of the newest frame. */
	readonly endMs: number;
	readonly isPlaying: boolean;
	readonly speed: number;
};

/** The index after a step; the same at either end. */
export function stepped(timeline: Pick<Timeline, 'length' | 'isMark'>, index: number, step: Step): number {
	const last = timeline.length - 1;
	const marked = (by: 1 | -1): number => {
		for (let at = index + by; at >= 0 && at <= last; at += by) if (timeline.isMark(at)) return at;
		return by === 1 ? last : 0;
	};

	switch (step) {
		case 'back':
			return Math.max(0, index - 1);
		case 'forward':
			return Math.min(last, index + 1);
		case 'previous':
			return marked(-1);
		case 'next':
			return marked(1);
		case 'start':
			return 0;
		case 'end':
			return last;
		default:
			return step satisfies never;
	}
}
