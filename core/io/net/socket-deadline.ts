/**
A deadline for what comes in by a socket. A timer that is late fires before the sockets are read, so a process that did
not get to run for a while would blame its peer for its own stall, with the answer waiting unread. Here time goes by in
steps, and each ends only after what had arrived by then was read: a stall counts as one step, however long it was.
*/
const steps = 10;

/** Calls `run` once about `ms` of listening have passed, unless disposed before. */
export function socketDeadline(ms: number, run: () => void): Disposable {
	let left = steps;
	let timer: NodeJS.Timeout;
	let read: NodeJS.Immediate | undefined;
	const wait = (): void => {
		timer = setTimeout(() => {
			// Comes behind the reading of sockets in a turn of the event loop.
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
