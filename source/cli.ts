/**
The command line: argv and settings in, an exit code out. Nothing here ends the process, so that a test can call it; `entry.ts` does.
*/
import {DapssError, errorMessage, exitCodes} from '../core/errors.ts';
import {version} from '../core/version.ts';
import {start} from './commands.ts';
import type {Backend, Context} from './context.ts';
import {helpOf} from './help.ts';
import {parseArguments} from './parse.ts';
import type {Env} from './places.ts';
import {loadSettings, type Settings} from './settings.ts';
import {paint, type Terminal} from './terminal.ts';
import {titleCommand} from './title.ts';

export type MainOptions = {
	readonly argv: readonly string[];
	readonly env: Env;
	readonly cwd: string;
	readonly terminal: Terminal;
	/** Aborts with the name of a signal. */
	readonly stop: AbortController;
	readonly backend?: () => Promise<Backend>;
};

export const interruptedCode = 130;

/** Run a command; resolves with the exit code of the process. */
export async function main(options: MainOptions): Promise<number> {
	const {argv, env, cwd, terminal, stop} = options;
	const {signal} = stop;
	terminal.onClosed = () => stop.abort('closed');
	try {
		const {command, input, flags, output} = parseArguments(argv, version);
		titleCommand(command.name);
		if (flags.help) {
			await terminal.line(helpOf(command));
			return 0;
		}

		if (flags.version && command === start) {
			await terminal.line(version);
			return 0;
		}

		let settings: Settings | undefined;
		const context: Context = {
			input, flags, output, terminal, env, signal,
			settings() {
				if (settings) return settings;
				settings = loadSettings({flags, env, cwd});
				for (const warning of settings.warnings) terminal.say(`Warning: ${warning}`);
				return settings;
			},
			backend: options.backend ?? (() => import('../core/index.ts')),
		};
		const {run} = await command.load();
		const code = await run(context) ?? 0;
		if (terminal.failure) throw new DapssError('failure', `Standard output failed: ${terminal.failure.message}`, {cause: terminal.failure});
		return signal.reason === 'SIGINT' ? interruptedCode : code;
	} catch (error) {
		if (signal.aborted && !terminal.failure) return signal.reason === 'closed' ? 0 : interruptedCode;
		terminal.say(`${paint(terminal.hasColour, 'bad', 'dapss-tui:')} ${await printableLines(error instanceof DapssError ? error.message : unexpected(error))}`);
		return error instanceof DapssError ? exitCodes[error.code] : exitCodes.failure;
	}
}

/** Not one of ours: where it happened is what helps. */
/** A message may quote what somebody else wrote. What makes it printable has tables, which nobody waits for who makes no mistake. */
async function printableLines(text: string): Promise<string> {
	const {printable} = await import('../core/observe/printable.ts');
	return text.split('\n').map(line => printable(line)).join('\n');
}

function unexpected(error: unknown): string {
	return error instanceof Error ? error.stack ?? error.message : errorMessage(error);
}
