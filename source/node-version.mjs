/**
The supported versions of Node. The lock of the data folder uses `node:sqlite`, which needs no flag from 22.13 on and,
of Node 23, from 23.4 on.
*/
import {spawn} from 'node:child_process';
import {existsSync} from 'node:fs';
import {constants} from 'node:os';
import {join} from 'node:path';
import process from 'node:process';

/** For people; `engines` in package.json is the same for npm. */
export const neededNode = 'Node 22.13 or newer (of Node 23: 23.4)';

export function isNewEnough(version) {
	const [major, minor] = version.split('.').map(Number);
	if (major === 22) return minor >= 13;
	return major === 23 ? minor >= 4 : major > 23;
}

/** The path of the Node that npm installed with this project; `undefined` without one. */
export function ownNode(root) {
	const name = process.platform === 'win32' ? 'node.exe' : 'node'; // On Windows `node` is an empty file.
	return [join(root, 'node_modules/node/bin', name), join(root, '../node/bin', name)].find(path => existsSync(path));
}

/**
Run a program in that Node. It gets the signals of this process, and this process ends with its exit code. When this
process is killed, the pipe between them ends, and so does the program (`entry.ts`).
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
