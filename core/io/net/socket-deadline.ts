/**
A deadline for input from a socket. A late timer fires before the sockets are read, so a process that has stalled would
blame its peer for its own stall, while the answer waits unread. So the deadline passes in steps. Each step ends only
after the input that had arrived by then was read: a stall counts as one step, however long it was.

This needs the timers and the phases of the event loop itself (`setImmediate` after the poll phase), which the clock
port does not model.
*/
const steps = 10;

/** Calls `run` after about `ms` of listening, unless it is disposed before. */
export function socketDeadline(ms: number, run: () => void): Disposable {
	let left = steps;
	let timer: NodeJS.Timeout;
	let read: NodeJS.Immediate | undefined;
	const wait = (): void => {
		timer = setTimeout(() => {
			// Runs after the sockets have been read in this turn of the event loop.
			read = setImmediate(() => {
				if (--left > 0) wait();
				else run();
			});
		}, ms / steps);
	};

	wait();
	return {
		[Symbol.dispose]() {
			clearTimeout(timer);
			clearImmediate(read);
		},
	};
}
