/**
The reason of an early end, and its exit code. An `AbortSignal` carries the reason: the name of a signal, `closed` when
the reader of standard output is gone, `over` when the time of `--wait` is over.
*/
import {DapssError} from '../../core/errors.ts';

export const signalCodes = {SIGINT: 130, SIGTERM: 143, SIGHUP: 129} as const;
export type SignalName = keyof typeof signalCodes;
export const signalNames = Object.keys(signalCodes) as readonly SignalName[];

/** The name of the signal that ended a command; `undefined` for another reason. */
export function signalOf({aborted, reason}: AbortSignal): SignalName | undefined {
	return aborted ? signalNames.find(name => name === reason) : undefined;
}

/**
The error of a command that ends early.
@param text the progress until then
*/
export function interruptedBy(
	signal: AbortSignal,
	text = '',
	details: Readonly<Record<string, number>> = {},
): DapssError {
	const progress = text === '' ? '' : `: ${text}`;
	if (signal.reason === 'over')
		return new DapssError('wait-over', `The time of --wait is over${progress}`, {details});
	if (signal.reason === 'closed')
		return new DapssError('wait-over', `The reader of the output is gone${progress}`, {details});
	return new DapssError('interrupted', `Interrupted by ${String(signal.reason)}${progress}`, {details});
}
