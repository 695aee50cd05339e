/**
Ids, sizes and times as people read them.
*/
export {
	bytesText,
	isRetainAge,
	isRetainBytes,
	keptText,
	retainAgeRange,
	retainBytesRange,
} from '../../core/observe/retention-text.ts';

/** The first 8 digits of a node id: enough to tell nodes apart. */
export function shortId(id: string): string {
	return id.slice(0, 8);
}

/** ISO 8601 in UTC; an impossible time is printed as a number. */
export function timestamp(atMs: number): string {
	const date = new Date(atMs);
	return Number.isNaN(date.getTime()) ? String(atMs) : date.toISOString();
}

export function timeText(ms: number): string {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
	// Rounded before it is split, or 119.6 s would be 1 min 60 s.
	const seconds = Math.round(ms / 1000);
	return seconds < 3600 ? `${Math.floor(seconds / 60)} min ${seconds % 60} s` : `${(ms / 3_600_000).toFixed(1)} h`;
}
