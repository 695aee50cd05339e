/**
What happens while the console is on the screen, in a file: nothing may write to the terminal meanwhile. One line of
JSON an event, without payloads. The file of an earlier run is kept once it is large, and only one.
*/
import {renameSync, statSync} from 'node:fs';
import {join} from 'node:path';
import pino from 'pino';
import type {Broker} from '../../core/broker.ts';
import {errorMessage} from '../../core/errors.ts';
import {makeFoldersNow} from '../../core/io/make-folder.ts';
import {levelOf} from '../../core/observe/levels.ts';
import {stateFolder, type Env} from '../settings/places.ts';

const keptBytes = 4 * 1024 * 1024;
/** Events of one run that are written; a node that has said so much says the same again and again. */
const linesMax = 100_000;

/**
Log the broker's events to a file until it ends. Returns the path of the file; `undefined` when it cannot be written.
*/
export function logTo(env: Env, name: string, broker: Broker): string | undefined {
	const folder = stateFolder(env);
	const path = join(folder, `${name}.log`);
	let destination: ReturnType<typeof pino.destination>;
	try {
		makeFoldersNow(folder);
		if ((statSync(path, {throwIfNoEntry: false})?.size ?? 0) > keptBytes) renameSync(path, `${path}.1`);
		destination = pino.destination({dest: path, sync: false, mode: 0o600});
	} catch {
		return undefined; // A full or foreign disk is no reason not to open the console.
	}

	destination.on('error', () => undefined);
	const log = pino({base: {pid: process.pid}, timestamp: pino.stdTimeFunctions.isoTime}, destination);
	void (async () => {
		let lines = 0;
		try {
			for await (const event of broker.events()) {
				if (++lines > linesMax) break;
				log[levelOf(event)](event);
			}
		} catch (error) {
			log.error(errorMessage(error));
		}

		log.flush();
	})();
	return path;
}
