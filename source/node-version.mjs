/**
Which Node runs dapss-tui: `node:sqlite`, whose lock guards the data folder, needs no flag from 22.13 and, of Node 23,
from 23.4 on.
*/
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {constants} from 'node:os';
import {join} from 'node:path';
import process from 'node:process';

/** As people read it; package.json says the same to npm (`engines`). */
export const neededNode = 'Node 22.13 or newer (of Node 23: 23.4)';

export function isNewEnough(version) {
	const [major, minor] = version.split('.').map(Number);
	if (major === 22) return minor >= 13;
	return major === 23 ? minor >= 4 : major > 23;
}

/** The Node that npm installed with this project; `undefined` when it did not. */
export function ownNode(root) {
	const name = process.platform === 'win32' ? 'node.exe' : 'node'; // There `node` is an empty file beside it.
	return [join(root, 'node_modules/node/bin', name), join(root, '../node/bin', name)].find(path => existsSync(path));
}

/**
Run the rest in that Node: it gets the signals of this process, which ends as it does. What kills this process kills it
too: a pipe between them ends (`entry.ts`).
*/
export function handOver(node, args) {
	const child = spawn(node, ['--disable-sigusr1', ...args], {
		stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
		env: {...process.env, _DAPSS_LAUNCHER_FD: '3'},
	});
	for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGBREAK']) {
		process.on(signal, () => {
			// On a terminal Ctrl-C reaches both of us by itself. On Windows everything does, and a signal that is sent
			// ends a process at once.
			if (process.platform !== 'win32' && !(signal === 'SIGINT' && process.stdin.isTTY)) child.kill(signal);
		});
	}

	child.on('close', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
