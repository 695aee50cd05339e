/** Opens a data folder in a process or thread of its own, reports the result, and stays. */
import {parentPort} from 'node:worker_threads';
import {DapssError} from '../../../core/errors.ts';
import {Folder} from '../../../core/io/files/data-folder.ts';

const say = (text: string): void => {
	if (parentPort) parentPort.postMessage(text);
	else process.send?.(text);
};

try {
	globalThis.folder = await Folder.open(process.argv.at(-1)!);
	say('open');
} catch (error) {
	say(error instanceof DapssError ? error.code : String(error));
}

process.on('message', () => undefined); // Stay until killed.

declare global {
	// oxlint-disable-next-line no-var -- holds the lock for as long as the process runs
	var folder: Folder;
}
