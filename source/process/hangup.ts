/**
Was SIGHUP ignored when this process started, as `nohup` and `trap '' HUP` do? Then it stays ignored. Node resets the
signal to its default before our code runs, so this looks for traces: the shell names `nohup` as the command that it
started (`_`), `nohup` replaces a terminal by an unreadable /dev/null, and a parent process that ignores the signal
hands that down.
*/
import {readFileSync, readlinkSync} from 'node:fs';
import {basename} from 'node:path';
import type {Env} from '../settings/places.ts';

/** SIGHUP is signal 1, the lowest bit of the mask. */
const hangupBit = 1n;
/** The access mode in the flags of `open` (octal, as /proc shows them). */
const accessBits = 3;
const writeOnly = 1;

/**
@param parent process id of the parent
@param proc folder of the system's processes; without it only `_` is known
*/
export function ignoresHangup(env: Env, parent: number, proc = '/proc'): boolean {
	if (basename(env['_'] ?? '') === 'nohup') return true;
	return isClosedInput(proc) || isIgnoredBy(parent, proc);
}

function isClosedInput(proc: string): boolean {
	try {
		const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`${proc}/self/fdinfo/0`, 'utf8'))?.[1];
		return (
			flags !== undefined &&
			(Number.parseInt(flags, 8) & accessBits) === writeOnly &&
			readlinkSync(`${proc}/self/fd/0`) === '/dev/null'
		);
	} catch {
		return false; // No standard input, or not Linux.
	}
}

function isIgnoredBy(pid: number, proc: string): boolean {
	try {
		const mask = /^SigIgn:\s*([\da-f]+)$/m.exec(readFileSync(`${proc}/${pid}/status`, 'utf8'))?.[1];
		return mask !== undefined && (BigInt(`0x${mask}`) & hangupBit) !== 0n;
	} catch {
		return false; // The parent has ended, or this is not Linux.
	}
}
