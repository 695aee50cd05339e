/**
Runs all pending promise callbacks within an event. Nodes await promises. In virtual time everything that can continue
does so within the event that caused it. So the next event finds every node at rest, and a run is one synchronous
computation.
*/
import {setFlagsFromString} from 'node:v8';

setFlagsFromString('--allow-natives-syntax');
// oxlint-disable-next-line no-new-func, typescript/no-implied-eval -- V8 offers no other way
const checkpoint = new Function('%PerformMicrotaskCheckpoint()') as () => void;

/** @throws when called from within a promise callback, where V8 does not run them */
export function drainMicrotasks(): void {
	checkpoint();
}

/** Whether `drainMicrotasks` works here. */
export function canDrainMicrotasks(): boolean {
	let ran = false;
	void Promise.resolve().then(() => {
		ran = true;
	});
	checkpoint();
	return ran;
}
