/**
What the process runs. First of all the compile cache, then the rest: code that is imported statically would be compiled without it.
*/
import {mkdirSync} from 'node:fs';
import module from 'node:module';
import {join} from 'node:path';
import process from 'node:process';
import {endingSignals} from '../core/platform.ts';
import {ignoresHangup} from './hangup.ts';
import {cacheFolder} from './places.ts';
import {signalCodes} from './signals.ts';

// Node opens its debugger on this signal, for every user of the machine; a listener of ours takes its place.
process.on('SIGUSR1', () => undefined);
process.umask(0o077); // Before any file is made: what a node writes is its user's alone.
cacheCompiled();

const {main} = await import('./cli.ts');
const {Terminal} = await import('./terminal.ts');

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

/** Not in the temporary folder, which is shared: whoever writes the cache decides what runs. */
function cacheCompiled(): void {
	const folder = join(cacheFolder(process.env), 'compiled');
	try {
		mkdirSync(folder, {recursive: true, mode: 0o700});
		module.enableCompileCache(folder);
	} catch {
		// A home that cannot be written costs some milliseconds, no more.
	}
}
