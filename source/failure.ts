/**
What a command failed with, as scripts read it: under `-o json` and `-o jsonl` an error is one line of JSON on standard output, besides the text on
standard error.
*/
import {DapssError, errorMessage} from '../core/errors.ts';
import {flagTable} from './flags.ts';

/** `{type: 'error', at, code, message, exitCode}` and the numbers that the error carries (`stored`, `received`, `wanted`). */
export function errorLine(error: unknown, exitCode: number, at: number): string {
	const {code, details} = error instanceof DapssError ? error : {code: 'failure', details: {}};
	return JSON.stringify({type: 'error', at, code, message: errorMessage(error), exitCode, ...details});
}

/** Errors of the words themselves come before anybody knows the format: whether JSON was asked for, wherever the flag stands. */
export function asksForJson(argv: readonly string[]): boolean {
	const words = argv.includes('--') ? argv.slice(0, argv.indexOf('--')) : argv;
	const flags = new Set(['--output', `-${flagTable.output.shortFlag}`]);
	return words.some((word, index) => {
		const value = flags.has(word) ? words[index + 1] : /^(?:--output=|-o=)(.+)$/.exec(word)?.[1];
		return value === 'json' || value === 'jsonl';
	});
}
