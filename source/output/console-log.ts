/**
The events of a node while the console is on the screen, as a log file, because nothing else may write to the terminal.
One JSON line per event, without payloads. A large file of an earlier run is kept as one old file.
*/
import {renameSync, statSync} from 'node:fs';
import {join} from 'node:path';
import pino from 'pino';
import type {Broker} from '../../core/broker.ts';
import {errorMessage} from '../../core/errors.ts';
import {makeFoldersNow} from '../../core/io/make-folder.ts';
import {folderProblem} from '../../core/io/trusted-folder.ts';
import {escapeHidden} from '../../core/observe/json-text.ts';
import {levelOf} from '../../core/observe/levels.ts';
import {stateFolder, type Env} from '../settings/places.ts';

const keptBytes = 4 * 1024 * 1024;
/** Events of one run that are written; after so many they repeat. */
const linesMax = 100_000;

/**
Log the broker's events to a file until it ends.
@returns the path of the file; `undefined` when it cannot be written
*/
export function logTo(env: Env, name: string, broker: Broker): string | undefined {
	const folder = stateFolder(env);
	const path = join(folder, `${name}.log`);
	let destination: ReturnType<typeof pino.destination>;
	try {
		makeFoldersNow(folder);
		if (folderProblem(folder)) return undefined; // Another user could lead the log to another file.
		if ((statSync(path, {throwIfNoEntry: false})?.size ?? 0) > keptBytes) renameSync(path, `${path}.1`);
		destination = pino.destination({dest: path, sync: false, mode: 0o600});
	} catch {
		return undefined; // A full or unwritable disk must not prevent the console.
	}

	destination.on('error', () => undefined);
	// People read the file with programs that do not escape anything.
	const escaped = {write: (line: string) => destination.write(escapeHidden(line))};
	const log = pino({base: {pid: process.pid}, timestamp: pino.stdTimeFunctions.isoTime}, escaped);
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

		destination.flush();
	})();
	return path;
}
