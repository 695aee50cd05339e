/**
Is the wall clock plausible? A clock that is behind can delete messages early; one that is ahead stops their aging
(`core/topic-log/retention.ts`). The clock is compared with known past times: the newest file of the node, the time that
it stored, and the program file. Pure except `clockFacts`.
*/
import {readFile, stat} from 'node:fs/promises';
import {uptime} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Config} from '../../core/config.ts';
import {parseKeptTime, resumedTime, type KeptTime} from '../../core/preflight.ts';
import {timestamp, timeText} from '../output/units.ts';
import {bad, good, type Check} from './outcome.ts';

export type ClockFacts = {
	readonly wallMs: number;
	/** Since the machine started. */
	readonly uptimeMs: number;
	/** Modification time of the program file. */
	readonly programMs: number;
	/** The newest file of the node. */
	readonly newestMs: number | undefined;
	/** The time that the node stored. */
	readonly kept: KeptTime | undefined;
};

/** Usual corrections of a clock are smaller. */
const toleranceMs = 60_000;

export async function clockFacts(folder: string, newestMs: number | undefined): Promise<ClockFacts> {
	const kept = await readFile(join(folder, 'clock.json'), 'utf8').then(
		text => parseKeptTime(JSON.parse(text)),
		() => undefined,
	);
	const programMs = await stat(fileURLToPath(import.meta.url)).then(
		({mtimeMs}) => mtimeMs,
		() => 0,
	);
	return {wallMs: Date.now(), uptimeMs: uptime() * 1000, programMs, newestMs, kept};
}

export function judgeClock(
	{wallMs, uptimeMs, programMs, newestMs = 0, kept}: ClockFacts,
	{retainAgeS}: Pick<Config['storage'], 'retainAgeS'>,
): Check {
	const [pastMs, what] = (
		[
			[programMs, 'the program itself'],
			[newestMs, 'the newest file in the data folder'],
		] as const
	).toSorted(([a], [b]) => b - a)[0]!;
	const values = {
		wallMs: Math.round(wallMs),
		uptimeMs: Math.round(uptimeMs),
		pastMs: Math.round(pastMs),
		keptMs: kept ? Math.round(kept.nowMs) : null,
	};
	if (wallMs < pastMs - toleranceMs) {
		return bad(
			'clock',
			'behind',
			{
				found: `The clock of this machine says ${timestamp(wallMs)}, but ${what} is of ${timestamp(pastMs)}`,
				remedy:
					'Set the clock (chrony, systemd-timesyncd) before you start the node: ' +
					'with a late clock it may delete messages too early',
			},
			values,
		);
	}

	const {skippedMs, nowMs} = resumedTime(kept, {wallMs, uptimeMs}, retainAgeS * 1000);
	if (skippedMs > 0) {
		return bad(
			'clock',
			'ahead',
			{
				found:
					`The clock of this machine is ${timeText(skippedMs)} ahead of the time that it ran since ` +
					`the node last kept it (${timestamp(nowMs)})`,
				remedy:
					'Nothing, if the machine was switched off meanwhile: messages are kept for that much longer. ' +
					'Otherwise set the clock (chrony, systemd-timesyncd)',
			},
			values,
		);
	}

	return good('clock', `${timestamp(wallMs)}, later than all files of the node`, values);
}
