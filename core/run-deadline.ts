/**
A deadline for something outside this process: a peer, a client, a disk. It counts the time in which the event loop ran.
A process that was stopped, suspended or blocked would otherwise blame the other side for its own pause: a late timer
fires before the sockets and the completed calls of the pause are read.

So the deadline passes in steps. A step ends only after the input that had arrived by then was read, and a pause counts
as one step at most, however long it was. After a pause one more step is granted, because the answer may still be on its
way: the threads that run file operations continue together with the event loop.
*/
import type {Clock} from './ports.ts';

const steps = 10;

/**
Calls `run` after about `ms` milliseconds in which the process ran, unless disposed before. Does not keep the process
alive. While every step is late, as in an overloaded process, the deadline passes after twice as many steps.
*/
export function runDeadline(
	clock: Pick<Clock, 'monotonicMs' | 'after' | 'soon'>,
	ms: number,
	run: () => void,
): Disposable {
	const stepMs = ms / steps;
	let left = steps;
	let isDisposed = false;
	let isRepeat = false;
	let timer: Disposable;
	const wait = (): void => {
		const startMs = clock.monotonicMs();
		const end = (): void => {
			if (isDisposed) return;
			// Of two late steps in a row one counts, so that the deadline passes at last.
			isRepeat = !isRepeat && clock.monotonicMs() - startMs > 2 * stepMs;
			if (!isRepeat) left--;
			if (left > 0) wait();
			else run();
		};

		timer = clock.after(stepMs, () => clock.soon(end));
	};

	wait();
	return {
		[Symbol.dispose]() {
			isDisposed = true;
			timer[Symbol.dispose]();
		},
	};
}
