/**
What the process runs. First of all the compile cache, then the rest: code that is imported statically would be compiled
without it.
*/
import module from 'node:module';
import {Socket} from 'node:net';
import {join} from 'node:path';
import process from 'node:process';
import {makeFoldersNow} from '../core/io/make-folder.ts';
import {endingSignals} from '../core/platform.ts';
import {ignoresHangup} from './process/hangup.ts';
import {signalCodes} from './process/signals.ts';
import {cacheFolder} from './settings/places.ts';

// Node opens its debugger on this signal, for every user of the machine; a listener of ours takes its place.
process.on('SIGUSR1', () => undefined);
endWithLauncher();
process.umask(0o077); // Before any file is made: what a node writes is its user's alone.
cacheCompiled();

const {main} = await import('./cli.ts');
const {Terminal} = await import('./output/terminal.ts');

/** A second signal this much later is impatience; sooner it is the terminal and npm telling the same. */
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

/**
A process that only started this one may be killed by a signal that nobody hears of. Whoever did that meant the program.
*/
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

/** Not in the temporary folder, which is shared: whoever writes the cache decides what runs. */
function cacheCompiled(): void {
	const folder = join(cacheFolder(process.env), 'compiled');
	try {
		makeFoldersNow(folder);
		module.enableCompileCache(folder);
	} catch {
		// A home that cannot be written costs some milliseconds, no more.
	}
}
