/** The retention of a topic as text. Pure. */
import type {TopicSettings} from '../topic-settings.ts';

export {isRetainAge, isRetainBytes, retainAgeRange, retainBytesRange} from '../cluster-state/retention-bounds.ts';

/** Such as `1.5 MiB`. */
export function bytesText(bytes: number): string {
	if (bytes < 1024) return `${bytes} B`;
	const units = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'];
	let value = bytes / 1024;
	let unit = 0;
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}

	return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** Such as `7 d, 256 MiB`. A setting that is not given is left out; empty without any. */
export function keptText({retainAgeS, retainBytes}: TopicSettings): string {
	return [
		...(retainAgeS === undefined ? [] : [spanText(retainAgeS)]),
		...(retainBytes === undefined ? [] : [bytesText(retainBytes)]),
	].join(', ');
}

/**
The same for a narrow column, in the units of the flags: `7d 256M`. A value without a short exact form is rounded:
`~1d`.
*/
export function keptBrief({retainAgeS, retainBytes}: TopicSettings): string {
	return [
		...(retainAgeS === undefined ? [] : [spanBrief(retainAgeS)]),
		...(retainBytes === undefined ? [] : [bytesBrief(retainBytes)]),
	].join(' ');
}

/** The topic has retention settings of its own, beside those of the node. */
export function hasOwnRetention({settings}: {readonly settings?: TopicSettings}): boolean {
	return Object.keys(settings ?? {}).length > 0;
}

const secondsOf = [
	[86_400, 'd'],
	[3600, 'h'],
	[60, 'm'],
	[1, 's'],
] as const;
const digitsMax = 4;

function spanBrief(seconds: number): string {
	const [exactS, exact] = secondsOf.find(([one]) => seconds % one === 0)!;
	if (seconds / exactS < 10 ** digitsMax) return `${seconds / exactS}${exact}`;
	const [unitS, unit] = secondsOf.find(([one]) => seconds >= one)!;
	return `~${Math.round(seconds / unitS)}${unit}`;
}

function bytesBrief(bytes: number): string {
	const units = ['B', 'k', 'M', 'G', 'T', 'P'];
	const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
	const value = bytes / 1024 ** power;
	return `${value < 10 && !Number.isInteger(value) ? value.toFixed(1) : Math.round(value)}${units[power]}`;
}

function spanText(seconds: number): string {
	const [unitS, unit] = (
		[
			[86_400, 'd'],
			[3600, 'h'],
			[60, 'min'],
			[1, 's'],
		] as const
	).find(([one]) => seconds % one === 0)!;
	return `${seconds / unitS} ${unit}`;
}
