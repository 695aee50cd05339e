/**
What is kept of a topic, and how much, in words. Pure.
*/
import type {TopicSettings} from '../topic-settings.ts';

export {isRetainAge, isRetainBytes, retainAgeRange, retainBytesRange} from '../topics/retention-bounds.ts';

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

/** Such as `7 d, 256 MiB`; what is not set is left out, and of nothing the text is empty. */
export function keptText({retainAgeS, retainBytes}: TopicSettings): string {
	return [...(retainAgeS === undefined ? [] : [spanText(retainAgeS)]), ...(retainBytes === undefined ? [] : [bytesText(retainBytes)])].join(', ');
}

function spanText(seconds: number): string {
	const [unitS, unit] = ([[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']] as const).find(([one]) => seconds % one === 0)!;
	return `${seconds / unitS} ${unit}`;
}
