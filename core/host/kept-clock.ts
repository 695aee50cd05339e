/**
The clock that ages of messages are measured by. Its time is written to `clock.json`, so that a wall clock that was set
forward while the node was down deletes no message early.
*/
import {uptime} from 'node:os';
import type {Config} from '../config.ts';
import {errorMessage} from '../errors.ts';
import {systemClock} from '../io/clock.ts';
import type {NodeFiles} from '../io/files/node-files.ts';
import type {AsyncStack} from '../stack.ts';
import {keptTimeToJson, parseKeptTime, RetentionClock} from '../topic-log/retention.ts';

const clockFile = 'clock.json';
const keepTimeMs = 60_000;

export type KeptClock = {
	readonly nowMs: () => number;
	/** A message of this age, milliseconds, is in a log: the clock has run at least as long. */
	readonly noteAge: (ageMs: number) => void;
	/** Write the time down. A failure is a warning. */
	readonly keep: () => Promise<void>;
};

/** Resume from the time that was kept, and write the time down every minute. */
export async function openKeptClock(
	folder: NodeFiles,
	{storage}: Config,
	warn: (text: string) => void,
	resources: AsyncStack,
): Promise<KeptClock> {
	// Only ages depend on this file: if it cannot be read, the wall clock is used.
	const kept = parseKeptTime(await folder.readJson(clockFile).catch(() => undefined));
	const clock = new RetentionClock(
		kept,
		{wallMs: systemClock.wallMs(), uptimeMs: uptimeMs()},
		storage.retainAgeS * 1000,
		() => systemClock.monotonicMs(),
	);
	const keep = (): Promise<void> =>
		folder
			.writeJson(clockFile, keptTimeToJson(clock.kept(uptimeMs())))
			.catch((error: unknown) =>
				warn(`Ages of messages will be too short after the next start: ${errorMessage(error)}`),
			);
	await keep();
	if (clock.skippedMs > 0)
		warn(
			'The clock of this machine is ahead of the time that it ran: ages of messages continue from ' +
				`${new Date(clock.nowMs).toISOString()}, so that no message is deleted early`,
		);
	resources.use(systemClock.every(keepTimeMs, () => void keep()));
	return {nowMs: () => clock.nowMs, noteAge: ageMs => void (clock.note(ageMs) && keep()), keep};
}

const uptimeMs = (): number => uptime() * 1000;
