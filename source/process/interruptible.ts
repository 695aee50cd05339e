/**
Waits that end with the command: a signal, or a closed reader, ends them at once.
*/
import {interruptedBy} from './signals.ts';

/**
The promise, or a rejection as soon as the command is to end. A resource that arrives later is disposed of.
@throws `interrupted`, `wait-over`
*/
export async function interruptible<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
	const {promise: interrupted, reject} = Promise.withResolvers<never>();
	const stop = (): void => reject(interruptedBy(signal));
	if (signal.aborted) stop();
	signal.addEventListener('abort', stop);
	try {
		return await Promise.race([promise, interrupted]);
	} catch (error) {
		if (signal.aborted)
			void promise.then(
				value => dispose(value),
				() => undefined,
			);
		throw error;
	} finally {
		signal.removeEventListener('abort', stop);
	}
}

async function dispose(value: unknown): Promise<void> {
	if (typeof value !== 'object' || value === null || !(Symbol.asyncDispose in value)) return;
	try {
		await (value as AsyncDisposable)[Symbol.asyncDispose]();
	} catch {
		// The command has ended, and its own error is reported.
	}
}
