/**
Runs the console on a terminal, and restores the terminal in any case: alternate screen left, cursor shown, raw mode and
paste mode off, line wrap on. An error is reported after that. Import this file lazily: Ink takes a few hundred
milliseconds to load.
*/
import {render, type Instance} from 'ink';
import type {ReactNode} from 'react';
import {asciiStream} from './ascii.ts';
import {Console} from './console.tsx';
import {buildKeymap, type KeyOverrides} from './input/keymap.ts';
import {ConsoleTerminal} from './input/terminal.ts';
import type {Guide} from './source/guide.ts';
import type {ConsoleSource, Examination} from './source/source.ts';
import {isAsciiOnly, isDumb, type Environment} from './terminal-kind.ts';
import {chooseTheme, dependsOnBackground, type Theme, type ThemePreferences} from './theme.ts';

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
	/** Writes a new file. @returns its path, or throws */
	readonly save?: ((path: string, body: Uint8Array) => Promise<string>) | undefined;
	/** Explains the cluster above the panes. */
	readonly guide?: Guide | undefined;
	readonly stdin?: NodeJS.ReadStream;
	readonly stdout?: NodeJS.WriteStream;
	readonly preferences: ConsolePreferences;
	/** A shell can stop this program and continue it. @default true */
	readonly isInJob?: boolean;
	/** @default that of the process */
	readonly environment?: Environment;
};

/**
`quit`: the user quit, or SIGTERM. `left`: the node left its cluster. `interrupted`: Ctrl-C, SIGINT, Ctrl-Break, or the
terminal was closed. `lost`: the user quit after the connection was lost.
*/
export type ConsoleExit = 'quit' | 'left' | 'interrupted' | 'lost';

export const dumbText =
	'The console needs a terminal that can move its cursor, and TERM=dumb cannot; ' +
	'use --headless, `dapss-tui status` or `dapss-tui events --watch`';

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
	save,
	guide,
	stdin = process.stdin,
	stdout = process.stdout,
	preferences,
	isInJob = true,
	environment = process.env,
}: RunConsoleOptions): Promise<ConsoleExit> {
	if (!stdout.isTTY || !stdin.isTTY)
		throw new Error('Expected a terminal for input and output; without one use --headless');
	if (isDumb(environment)) throw new Error(dumbText);
	const shownOn = isAsciiOnly(environment) ? asciiStream(stdout) : stdout;
	const terminal = new ConsoleTerminal({stdin, stdout: shownOn, isInJob, hasMouse: true});
	const keymap = buildKeymap(preferences.keymap);
	let app: Instance | undefined;
	const {ended, finish, ignore} = listenForEnd(terminal, () => app?.unmount());
	const drawn = (theme: Theme): ReactNode => (
		<Console
			source={source}
			title={title}
			isReadonly={readonly}
			isRemote={remote}
			keymap={keymap}
			theme={theme}
			problems={preferences.problems}
			examine={examine}
			guide={guide}
			onExit={finish}
			terminal={terminal}
			save={save}
		/>
	);
	try {
		terminal.enter();
		const themed = preferences.theme ?? {};
		app = render(drawn(chooseTheme(themed, environment)), {
			stdin: terminal.input.stream,
			stdout: shownOn,
			alternateScreen: true,
			incrementalRendering: true,
			maxFps: 30,
			patchConsole: true,
			exitOnCtrlC: false,
			interactive: true,
		});
		if (dependsOnBackground(themed, environment)) {
			terminal.askBackground(background => app?.rerender(drawn(chooseTheme(themed, environment, background))));
		}

		// Ink ends by itself only when drawing fails; then this rejects.
		const how = await Promise.race([ended, app.waitUntilExit().then((): ConsoleExit => 'quit')]);
		return how === 'quit' && source.getState().connection === 'lost' ? 'lost' : how;
	} finally {
		app?.unmount();
		// A terminal that reads no more must not block the end of the process.
		await Promise.race([
			app?.waitUntilExit().catch(() => undefined),
			new Promise(resolve => setTimeout(resolve, 500)),
		]);
		terminal.leave();
		ignore();
	}
}

/**
Signals, errors and the end of the terminal end the console.
@param unmount ends Ink
*/
function listenForEnd(
	terminal: ConsoleTerminal,
	unmount: () => void,
): {
	readonly ended: Promise<ConsoleExit>;
	readonly finish: (how: ConsoleExit) => void;
	/** Stops listening. */
	readonly ignore: () => void;
} {
	const {stdin, stdout} = terminal;
	const {promise: ended, resolve: finish, reject} = Promise.withResolvers<ConsoleExit>();
	const fail = (error: unknown): void => reject(error instanceof Error ? error : new Error(String(error)));
	const interrupt = (): void => finish('interrupted');
	// SIGQUIT ends the process at once, by custom with a core dump; only the terminal is restored before.
	const abort = (): void => {
		unmount();
		terminal.leave();
		process.removeAllListeners('SIGQUIT');
		process.kill(process.pid, 'SIGQUIT');
	};
	const listeners: ReadonlyArray<readonly [NodeJS.EventEmitter, string, (...values: unknown[]) => void]> = [
		[process, 'SIGINT', interrupt],
		[process, 'SIGHUP', interrupt],
		[process, 'SIGBREAK', interrupt], // Ctrl-Break, on Windows.
		[process, 'SIGQUIT', abort],
		[process, 'SIGTERM', () => finish('quit')],
		[process, 'uncaughtException', fail],
		[process, 'unhandledRejection', fail],
		[process, 'exit', () => terminal.leave()], // Ink restores the rest on exit.
		[stdin, 'end', interrupt],
		[stdin, 'error', interrupt],
		[stdout, 'error', interrupt], // EIO: the terminal is gone.
	];
	for (const [emitter, name, listener] of listeners) emitter.on(name, listener);
	return {
		ended,
		finish,
		ignore() {
			for (const [emitter, name, listener] of listeners) emitter.off(name, listener);
		},
	};
}
