/**
The entry point of the process. It enables the compile cache first and imports the rest dynamically, because static
imports would be compiled without the cache.
*/
import module from 'node:module';
import {Socket} from 'node:net';
import {join} from 'node:path';
import process from 'node:process';
import {makeFoldersNow} from '../core/io/make-folder.ts';
import {folderProblem} from '../core/io/trusted-folder.ts';
import {endingSignals} from '../core/platform.ts';
import {ignoresHangup} from './process/hangup.ts';
import {signalCodes} from './process/signals.ts';
import {cacheFolder} from './settings/places.ts';

// Node would open its debugger on this signal, for every user of the machine; our listener prevents that.
process.on('SIGUSR1', () => undefined);
endWithLauncher();
process.umask(0o077); // Before any file is created: only the user may read the files of a node.
cacheCompiled();

const {main} = await import('./cli.ts');
const {Terminal} = await import('./output/terminal.ts');

/**
A second signal after this time ends the process at once, milliseconds. An earlier one is the same Ctrl-C, from the
terminal and from npm.
*/
const repeatMs = 500;

const stop = new AbortController();
let firstAtMs = 0;
const isHangupIgnored = ignoresHangup(process.env, process.ppid);
for (const [signal, name] of endingSignals()) {
	process.on(signal, () => {
		if (name === 'SIGHUP' && isHangupIgnored) return;
		if (!stop.signal.aborted) {
			firstAtMs = performance.now();
			stop.abort(name);
		} else if (performance.now() - firstAtMs > repeatMs) process.exit(signalCodes[name]);
	});
}

const terminal = new Terminal({stdin: process.stdin, stdout: process.stdout, stderr: process.stderr, env: process.env});
const code = await main({argv: process.argv.slice(2), env: process.env, cwd: process.cwd(), terminal, stop});
await terminal.flush();
process.exit(code);

/** The launcher may be killed by a signal that it cannot forward. This process must end, too. */
function endWithLauncher(): void {
	const fd = Number(process.env['_DAPSS_LAUNCHER_FD']);
	delete process.env['_DAPSS_LAUNCHER_FD'];
	if (!(fd > 2)) return;
	const pipe = new Socket({fd, readable: true, writable: false});
	pipe.on('error', () => undefined)
		.on('close', () => process.kill(process.pid, 'SIGKILL'))
		.resume();
	pipe.unref();
}

/** The content of the cache is executed: a folder that other users can change is not used. */
function cacheCompiled(): void {
	const folder = join(cacheFolder(process.env), 'compiled');
	try {
		makeFoldersNow(folder);
		if (!folderProblem(folder)) module.enableCompileCache(folder);
	} catch {
		// Without a writable home folder, a start takes some milliseconds more.
	}
}
