/**
Runs promise callbacks to their end, in the middle of a turn. A node waits on promises; in virtual time all that can go
on goes on within the event that caused it, so that the next event finds everybody at rest, and a run is one synchronous
computation.
*/
import {setFlagsFromString} from 'node:v8';

setFlagsFromString('--allow-natives-syntax');
// oxlint-disable-next-line no-new-func, typescript/no-implied-eval -- the only way to say it; works outside of promise callbacks alone
const checkpoint = new Function('%PerformMicrotaskCheckpoint()') as () => void;

/** @throws when called from within a promise callback, where V8 does not do it */
export function drain(): void {
	checkpoint();
}

/** Whether `drain` works from here. */
export function canDrain(): boolean {
	let ran = false;
	void Promise.resolve().then(() => {
		ran = true;
	});
	checkpoint();
	return ran;
}
