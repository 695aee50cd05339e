/**
Columns for people, as wide as their content, measured in cells of a terminal. The caller makes text from outside
printable.
*/
import {widthOf} from '../../core/observe/printable.ts';

export function table(titles: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
	const all = [titles, ...rows];
	const widths = titles.map((_, column) => Math.max(...all.map(row => widthOf(row[column] ?? ''))));
	return all
		.map(row =>
			titles
				.map((_, column) => {
					const cell = row[column] ?? '';
					return cell + ' '.repeat(widths[column]! - widthOf(cell));
				})
				.join('  ')
				.trimEnd(),
		)
		.join('\n');
}
