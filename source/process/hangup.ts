/**
Whether SIGHUP was ignored when this process was started, as `nohup` and `trap '' HUP` do: then it stays ignored. Node
itself sets the signal back to its default before any of our code runs, so what is left of it is looked for: the shell
names `nohup` as the command that it started (`_`), `nohup` puts a /dev/null that cannot be read in place of a terminal,
and a parent that ignores the signal hands that down.
*/
import {readFileSync, readlinkSync} from 'node:fs';
import {basename} from 'node:path';
import type {Env} from '../settings/places.ts';

/** SIGHUP is signal 1, the lowest bit of the mask. */
const hangupBit = 1n;
/** The bits of `open` that tell reading from writing (octal, as /proc shows them). */
const accessBits = 3;
const writeOnly = 1;

/** @param parent its process id. @param proc where the system shows processes; without it only `_` is known */
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
		return false; // No standard input, or another system.
	}
}

function isIgnoredBy(pid: number, proc: string): boolean {
	try {
		const mask = /^SigIgn:\s*([\da-f]+)$/m.exec(readFileSync(`${proc}/${pid}/status`, 'utf8'))?.[1];
		return mask !== undefined && (BigInt(`0x${mask}`) & hangupBit) !== 0n;
	} catch {
		return false; // It has ended, or another system.
	}
}
