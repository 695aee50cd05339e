/**
Changes of names (rename, remove) that wait for others. On Windows a virus scanner, an indexer or a backup opens a file just when it was written, and keeps
everybody from renaming it meanwhile. That takes a moment, so the change is tried again, for about a second; then its error is told.
*/
import {setTimeout as sleep} from 'node:timers/promises';
import {here, isPassing} from '../platform.ts';

/** Waits between the tries, milliseconds: 1.3 s in all. */
const pausesMs = [10, 20, 40, 80, 160, 320, 640];

export type RenamingOptions = {readonly platform?: NodeJS.Platform; readonly pause?: (ms: number) => Promise<unknown>};

/** @throws what the last try throws */
export async function despiteOthers<Result>(change: () => Promise<Result>, {platform = here().platform, pause = sleep}: RenamingOptions = {}): Promise<Result> {
	for (const ms of pausesMs) {
		try {
			// oxlint-disable-next-line no-await-in-loop -- again only when it failed
			return await change();
		} catch (error) {
			if (!isPassing(error, {platform})) throw error;
		}

		// oxlint-disable-next-line no-await-in-loop
		await pause(ms);
	}

	return change();
}
