/**
Columns for people: as wide as what stands in them, measured in cells of a terminal. Text from outside must be printable already.
*/
import {widthOf} from '../core/observe/printable.ts';

export function table(titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
	const all = [titles, ...rows];
	const widths = titles.map((_, column) => Math.max(...all.map(row => widthOf(row[column] ?? ''))));
	return all.map(row => titles.map((_, column) => {
		const cell = row[column] ?? '';
		return cell + ' '.repeat(widths[column]! - widthOf(cell));
	}).join('  ').trimEnd()).join('\n');
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

export function timeText(ms: number): string {
	if (ms < 1000) return `${Math.round(ms)} ms`;
	if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
	return ms < 3_600_000 ? `${Math.floor(ms / 60_000)} min ${Math.round(ms % 60_000 / 1000)} s` : `${(ms / 3_600_000).toFixed(1)} h`;
}
