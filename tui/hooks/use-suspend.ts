/**
Suspends the program as a shell expects it: Ctrl-Z and SIGTSTP give the terminal back and stop the process; SIGCONT
draws everything again, in raw mode, whatever the shell did to the terminal meanwhile.
*/
import {once} from 'node:events';
import {useApp} from 'ink';
import {useEffect, useEffectEvent, useRef} from 'react';
import type {ConsoleTerminal} from '../input/terminal.ts';

/** A stop takes effect before this; if the process runs on, its parent does not control jobs. Milliseconds. */
const stopMs = 100;

/**
@param farewell for the user, in the shell: what pauses with this program
@returns suspends the process and the others of its job
*/
export function useSuspend(terminal: ConsoleTerminal | undefined, farewell: string): () => void {
	const {suspendTerminal} = useApp();
	const isSuspended = useRef(false);

	const giveBack = async (during: () => Promise<void>): Promise<void> => {
		if (isSuspended.current) return;
		isSuspended.current = true;
		try {
			await suspendTerminal(async () => {
				terminal?.leave();
				await during();
				terminal?.enter();
			});
		} finally {
			isSuspended.current = false;
		}
	};

	/** @param pid 0 is the whole job */
	const suspend = (pid: number): void =>
		void giveBack(async () => {
			terminal?.stdout.write(`${farewell}\n`);
			const continued = once(process, 'SIGCONT', {signal: AbortSignal.timeout(stopMs)});
			// Without a listener the signal stops the process.
			const listeners = process.listeners('SIGTSTP');
			process.removeAllListeners('SIGTSTP');
			process.kill(pid, 'SIGTSTP');
			await continued.catch(() => undefined);
			for (const listener of listeners) process.on('SIGTSTP', listener);
		});

	const onStop = useEffectEvent((): void => suspend(process.pid));
	// SIGSTOP gives no notice, and the shell may have changed the terminal since.
	const onContinue = useEffectEvent((): void => void giveBack(async () => {}));
	useEffect(() => {
		if (!terminal?.isInJob) return undefined;
		const stop = (): void => onStop();
		const repaint = (): void => onContinue();
		process.on('SIGTSTP', stop);
		process.on('SIGCONT', repaint);
		return () => {
			process.off('SIGTSTP', stop);
			process.off('SIGCONT', repaint);
		};
	}, [terminal]);

	return () => {
		if (terminal?.isInJob) suspend(0);
	};
}
