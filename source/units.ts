/**
Ids, sizes and times as people read them.
*/

/** The first 8 digits of a node id: enough to tell nodes apart. */
export function shortId(id: string | undefined): string {
	return id?.slice(0, 8) ?? 'nobody';
}

export function bytesText(bytes: number): string {
	if (bytes < 1024) return `${bytes} B`;
	const units = ['KiB', 'MiB', 'GiB', 'TiB'];
	let value = bytes / 1024;
	let unit = 0;
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}

	return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

/** ISO 8601 in UTC; a clock beyond the calendar must not stop what is printed. */
export function timestamp(atMs: number): string {
	const date = new Date(atMs);
	return Number.isNaN(date.getTime()) ? String(atMs) : date.toISOString();
}

export function timeText(ms: number): string {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
	return ms < 3_600_000 ? `${Math.floor(ms / 60_000)} min ${Math.round(ms % 60_000 / 1000)} s` : `${(ms / 3_600_000).toFixed(1)} h`;
}

/** What is kept of a topic, such as `7 d, 256 MiB`. */
export function retentionText({retainAgeS, retainBytes}: {readonly retainAgeS: number; readonly retainBytes: number}): string {
	const [unitS, unit] = ([[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']] as const).find(([seconds]) => retainAgeS % seconds === 0)!;
	return `${retainAgeS / unitS} ${unit}, ${bytesText(retainBytes)}`;
}
