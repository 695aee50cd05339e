/**
The command line: argv and settings in, an exit code out. `entry.ts` ends the process, so that tests can call this.
*/
import {DapssError, exitCodes} from '../core/errors.ts';
import {version} from '../core/version.ts';
import type {Flags} from './arguments/flags.ts';
import {start} from './commands/command-table.ts';
import type {Backend, Command, Context} from './context.ts';
import {helpOf} from './help.ts';
import {asksForJson, errorLine, printFailure} from './output/failure.ts';
import type {Terminal} from './output/terminal.ts';
import {parseArguments} from './parse.ts';
import {interruptedBy, signalCodes, signalOf} from './process/signals.ts';
import {titleCommand} from './process/title.ts';
import type {Env} from './settings/places.ts';
import {loadSettings, type Settings} from './settings/settings.ts';

export type MainOptions = {
	readonly argv: readonly string[];
	readonly env: Env;
	readonly cwd: string;
	readonly terminal: Terminal;
	/** Aborted with the name of a signal. */
	readonly stop: AbortController;
	readonly backend?: () => Promise<Backend>;
};

/** Run a command; resolves with the exit code of the process. */
export async function main(options: MainOptions): Promise<number> {
	const {argv, terminal, stop} = options;
	const {signal} = stop;
	let ran: Command | undefined;
	terminal.onClosed = () => stop.abort('closed');
	try {
		const {command, input, flags, output} = parseArguments(argv, version);
		ran = command;
		titleCommand(
			argv,
			input.slice(command.messageAt ?? input.length).filter(word => word !== '-'),
		);
		if (flags.help || flags.version) {
			await terminal.line(flags.help ? helpOf(command) : version);
			await terminal.flush();
			if (terminal.failure) throw outputFailed(terminal.failure);
			return 0;
		}

		const context = contextOf(options, {input, flags, output});
		const {run} = await command.load();
		const code = (await run(context)) ?? 0;
		if (terminal.failure) throw outputFailed(terminal.failure);
		return signalCode(signal, command, code) ?? code;
	} catch (error) {
		// When the output failed, the error of the command is only a consequence.
		return fail(
			options,
			ran,
			terminal.failure && signal.reason === 'closed' ? outputFailed(terminal.failure, error) : error,
		);
	}
}

function contextOf(options: MainOptions, {input, flags, output}: Pick<Context, 'input' | 'flags' | 'output'>): Context {
	const {env, terminal, stop} = options;
	const backend = options.backend ?? (() => import('../core/index.ts'));
	const common = {env, backend, signal: stop.signal};
	return {
		...common,
		input,
		flags,
		output,
		terminal,
		settings: settingsOf(options, flags, line => terminal.say(line)),
		reachingWith(other, isSilent) {
			const say = (line: string): void => {
				if (!isSilent) terminal.say(line);
			};

			return {...common, flags: other, terminal: {say}, settings: settingsOf(options, other, say)};
		},
	};
}

/** Loads the settings when they are asked for, once. @param say prints a warning */
function settingsOf({env, cwd}: MainOptions, flags: Flags, say: (line: string) => void): Context['settings'] {
	let settings: Settings | undefined;
	return preferences => {
		if (settings) return settings;
		settings = loadSettings({flags, env, cwd, ...(preferences && {preferences})});
		for (const warning of settings.warnings) say(`Warning: ${warning}`);
		return settings;
	};
}

/** @param said the error of the command: its counts are kept */
function outputFailed(failure: Error, said?: unknown): DapssError {
	return new DapssError('failure', `Standard output failed: ${failure.message}`, {
		cause: failure,
		...(said instanceof DapssError && {details: said.details}),
	});
}

/** A node that SIGTERM stops is no failure: supervisors do that. Any other command reports the signal. */
function signalCode(signal: AbortSignal, command: Command | undefined, code: number): number | undefined {
	const name = signalOf(signal);
	if (name === undefined) return undefined;
	return name === 'SIGTERM' && command === start ? code : signalCodes[name];
}

async function fail(
	{argv, terminal, stop: {signal}}: MainOptions,
	command: Command | undefined,
	error: unknown,
): Promise<number> {
	const isEnded = signal.aborted && !terminal.failure;
	const isReported = !isEnded || (error instanceof DapssError && Object.keys(error.details).length > 0);
	// A closed reader is no failure, unless the command promised a number of messages.
	if (isEnded && signal.reason === 'closed' && !isReported) return 0;
	// The error of an interrupted command is only a consequence, and needs no message.
	const shown = isReported ? error : interruptedBy(signal);
	const ownCode = shown instanceof DapssError ? exitCodes[shown.code] : exitCodes.failure;
	const exitCode = isEnded ? (signalCode(signal, command, 0) ?? ownCode) : ownCode;
	if (isReported) await printFailure(terminal, error);
	if (exitCode !== 0 && asksForJson(argv)) await terminal.line(errorLine(shown, exitCode, Date.now()));
	return exitCode;
}
