/**
Calls by a file's name (open, rename, remove) that wait for others. On Windows a virus scanner, an indexer or a backup
opens a file just when it was written, and keeps everybody from it meanwhile. That takes a moment, so the call is made
again, for about a second; then its error is told.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {here, isTransient} from '../platform.ts';

/** Waits between the tries, milliseconds: 1.3 s in all. */
const pausesMs = [10, 20, 40, 80, 160, 320, 640];

export type DespiteOptions = {readonly platform?: NodeJS.Platform; readonly pause?: (ms: number) => Promise<unknown>};

/** @throws what the last try throws */
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
