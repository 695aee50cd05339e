/**
Runs the console on a terminal, and restores the terminal in any case: alternate screen left, cursor shown, raw mode and
paste mode off, line wrap on. An error is reported after that. Import this file lazily: Ink takes a few hundred
milliseconds to load.
*/
import {render, type Instance} from 'ink';
import {Console} from './console.tsx';
import {buildKeymap, type KeyOverrides} from './input/keymap.ts';
import type {Guide} from './source/guide.ts';
import type {ConsoleSource, Examination} from './source/source.ts';
import {chooseTheme, type ThemePreferences} from './theme.ts';

export type ConsolePreferences = {
	/** Action → key or keys; see `keymap.ts`. */
	readonly keymap?: KeyOverrides;
	readonly theme?: ThemePreferences;
	/** Parts of the preferences that are ignored, for people; without those of the key map. */
	readonly problems?: readonly string[];
};

export type RunConsoleOptions = {
	readonly source: ConsoleSource;
	/** The title in the header. @default 'dapss-tui' */
	readonly title?: string;
	/** Refuse to publish, subscribe and inject faults. */
	readonly readonly: boolean;
	/** Attached to a node of another process: closing the console does not stop it. */
	readonly remote: boolean;
	/** Examine the machine for `:doctor`, in another process; never rejects. */
	readonly examine?: (() => Promise<Examination>) | undefined;
	/** Explains the cluster above the panes. */
	readonly guide?: Guide | undefined;
	readonly stdin?: NodeJS.ReadStream;
	readonly stdout?: NodeJS.WriteStream;
	readonly preferences: ConsolePreferences;
};

/**
`quit`: the user quit, or SIGTERM. `left`: the node left its cluster. `interrupted`: Ctrl-C, SIGINT, Ctrl-Break, or the
terminal was closed. `lost`: the user quit after the connection was lost.
*/
export type ConsoleExit = 'quit' | 'left' | 'interrupted' | 'lost';

// Without line wrap, a character that the terminal draws wider than Unicode defines cannot move the next row.
const wrapOff = '\u001B[?7l';
const wrapOn = '\u001B[?7h';

/**
Show the console until the user closes it.
@throws an error of the console or of the process, after the terminal is restored; an `Error` when input or output is no
terminal
*/
export async function runConsole({
	source,
	title = 'dapss-tui',
	readonly,
	remote,
	examine,
	guide,
	stdin = process.stdin,
	stdout = process.stdout,
	preferences,
}: RunConsoleOptions): Promise<ConsoleExit> {
	if (!stdout.isTTY || !stdin.isTTY)
		throw new Error('Expected a terminal for input and output; without one use --headless');
	const ended = Promise.withResolvers<ConsoleExit>();
	const finish = (how: ConsoleExit): void => ended.resolve(how);
	const fail = (error: unknown): void => ended.reject(error instanceof Error ? error : new Error(String(error)));
	const interrupt = (): void => finish('interrupted');
	const listeners: ReadonlyArray<readonly [NodeJS.EventEmitter, string, (...values: unknown[]) => void]> = [
		[process, 'SIGINT', interrupt],
		[process, 'SIGHUP', interrupt],
		[process, 'SIGBREAK', interrupt], // Ctrl-Break, on Windows.
		[process, 'SIGTERM', () => finish('quit')],
		[process, 'uncaughtException', fail],
		[process, 'unhandledRejection', fail],
		[process, 'exit', () => stdout.write(wrapOn)], // Ink restores the rest on exit.
		[stdin, 'end', interrupt],
		[stdin, 'error', interrupt],
		[stdout, 'error', interrupt], // EIO: the terminal is gone.
	];
	for (const [emitter, name, listener] of listeners) emitter.on(name, listener);
	let app: Instance | undefined;
	try {
		stdout.write(wrapOff);
		app = render(
			<Console
				source={source}
				title={title}
				isReadonly={readonly}
				isRemote={remote}
				keymap={buildKeymap(preferences.keymap)}
				theme={chooseTheme(preferences.theme ?? {}, process.env)}
				problems={preferences.problems}
				examine={examine}
				guide={guide}
				onExit={finish}
			/>,
			{
				stdin,
				stdout,
				alternateScreen: true,
				incrementalRendering: true,
				maxFps: 30,
				patchConsole: true,
				exitOnCtrlC: false,
				interactive: true,
			},
		);
		// Ink ends by itself only when drawing fails; then this rejects.
		const how = await Promise.race([ended.promise, app.waitUntilExit().then((): ConsoleExit => 'quit')]);
		return how === 'quit' && source.getState().connection === 'lost' ? 'lost' : how;
	} finally {
		app?.unmount();
		// A terminal that reads no more must not block the end of the process.
		await Promise.race([
			app?.waitUntilExit().catch(() => undefined),
			new Promise(resolve => setTimeout(resolve, 500)),
		]);
		if (stdout.writable) stdout.write(wrapOn);
		for (const [emitter, name, listener] of listeners) emitter.off(name, listener);
	}
}
