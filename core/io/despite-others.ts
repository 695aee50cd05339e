/**
Retries calls by file name (open, rename, remove) while other programs hold the file. On Windows a virus scanner, an
indexer or a backup opens a file just after it was written, and blocks such calls for a moment. So the call is repeated
for about a second before its error is reported.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {here, isTransient} from '../platform.ts';

/** The waits between the attempts, in milliseconds: 1.3 s in total. */
const pausesMs = [10, 20, 40, 80, 160, 320, 640];

export type DespiteOptions = {readonly platform?: NodeJS.Platform; readonly pause?: (ms: number) => Promise<unknown>};

/** @throws the error of the last attempt */
export async function despiteOthers<Result>(
	call: () => Promise<Result>,
	{platform = here().platform, pause = sleep}: DespiteOptions = {},
): Promise<Result> {
	for (const ms of pausesMs) {
		try {
			return await call();
		} catch (error) {
			if (!isTransient(error, {platform})) throw error;
		}

		await pause(ms);
	}

	return call();
}
