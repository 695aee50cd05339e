/**
The error of a command, for people and for scripts: text on standard error and, under `-o json` and `-o jsonl`, one JSON
line on standard output.
*/
import {DapssError, errorMessage} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {flagTable} from '../arguments/flags.ts';
import {paint, type Terminal} from './terminal.ts';

/**
`{type: 'error', at, code, message, exitCode}` and the numbers that the error carries (`stored`, `received`, `wanted`).
*/
export function errorLine(error: unknown, exitCode: number, at: number): string {
	const {code, details} = error instanceof DapssError ? error : {code: 'failure', details: {}};
	return jsonText({type: 'error', at, code, message: errorMessage(error), exitCode, ...details});
}

/** The error for people, on standard error. */
export async function printFailure(terminal: Terminal, error: unknown): Promise<void> {
	terminal.say(
		`${paint(terminal.hasColour, 'bad', 'dapss-tui:')} ` +
			(await printableLines(error instanceof DapssError ? error.message : unexpected(error))),
	);
}

/** Was JSON requested? Usage errors occur before the flags are parsed, so this searches the arguments for the flag. */
export function asksForJson(argv: readonly string[]): boolean {
	const words = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
	const flags = new Set(['--output', `-${flagTable.output.shortFlag}`]);
	return words.some((word, index) => {
		const value = flags.has(word) ? words[index + 1] : /^(?:--output=|-o=)(.+)$/.exec(word)?.[1];
		return value === 'json' || value === 'jsonl';
	});
}

/** A message may quote text from elsewhere. The Unicode tables that make it printable are loaded only for an error. */
async function printableLines(text: string): Promise<string> {
	const {printable} = await import('../../core/observe/printable.ts');
	return text
		.split('\n')
		.map(line => printable(line))
		.join('\n');
}

/** Not an error of this program's own: its stack helps. */
function unexpected(error: unknown): string {
	return error instanceof Error ? (error.stack ?? error.message) : errorMessage(error);
}
