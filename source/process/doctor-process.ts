/**
`:doctor` of a console: runs `doctor` in its own process, so that a disk that hangs delays neither the console nor the
node.
*/
import {execFile} from 'node:child_process';
import process from 'node:process';
import {errorMessage} from '../../core/errors.ts';
import type {Examination, ExaminedCheck} from '../../tui/source/source.ts';
import {flagTable, nodeFlags, written, type Flags} from '../arguments/flags.ts';

/** Timeout of the process, milliseconds. */
const examineMs = 60_000;
const outputBytesMax = 1024 * 1024;

/**
Run `doctor` with the flags of the node on this port. Never rejects.
@param signal ends the process
*/
export function examineApart(
	flags: Flags,
	port: number,
	signal: AbortSignal,
	program = process.argv[1]!,
): Promise<Examination> {
	return new Promise(resolve => {
		execFile(
			process.execPath,
			[program, 'doctor', ...flagsOf({...flags, port: String(port)}), '-o', 'json'],
			{timeout: examineMs, killSignal: 'SIGKILL', maxBuffer: outputBytesMax, signal, windowsHide: true},
			(error, stdout, stderr) => {
				// Exit code 1 means that there are problems.
				const late = error?.killed && !signal.aborted ? `it took longer than ${examineMs / 1000} s` : undefined;
				resolve(
					late === undefined
						? (examinationOf(stdout) ?? {
								problem:
									stderr.trim().split('\n').at(-1) ||
									(error ? errorMessage(error) : 'its answer was none'),
							})
						: {problem: late},
				);
			},
		);
	});
}

function flagsOf(flags: Flags): readonly string[] {
	return nodeFlags.flatMap(name => {
		const value = flags[name];
		if (value === undefined) return [];
		if (flagTable[name].type === 'boolean') return [value ? written(name) : `--no-${written(name).slice(2)}`];
		return (Array.isArray(value) ? (value as readonly string[]) : [String(value)]).map(
			one => `${written(name)}=${one}`,
		);
	});
}

/** Parses the output of `doctor -o json`. */
function examinationOf(text: string): Examination | undefined {
	try {
		const {cluster, port, running, checks, left} = JSON.parse(text) as {
			readonly cluster: string | null;
			readonly port: number | null;
			readonly running: boolean | null;
			readonly checks: readonly ExaminedCheck[];
			readonly left: readonly string[];
		};
		const count = (level: ExaminedCheck['level']): number => checks.filter(check => check.level === level).length;
		const where =
			cluster === null || port === null
				? 'The settings are wrong'
				: `Cluster ${cluster}, port ${port}: ${running ? 'its node runs' : 'no node of it runs'} here`;
		return {
			summary: `${where}. ${checks.length} checks, problems: ${count('problem')}, warnings: ${count('warning')}`,
			checks,
			left,
		};
	} catch {
		return undefined; // The command failed; its message is on standard error.
	}
}
