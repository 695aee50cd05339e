/** The tables of docs/troubleshooting.md, for a comparison with the code. */
import {readFileSync} from 'node:fs';

/** One row: its name without backticks, and its other cells. `…` in a cell stands for any text. */
export type Row = {readonly section: string; readonly name: string; readonly cells: readonly string[]};

const page = readFileSync(new URL('../../../docs/troubleshooting.md', import.meta.url), 'utf8');

export const rows: readonly Row[] = page
	.split(/^##+ /mu)
	.slice(1)
	.flatMap(part => {
		const section = part.split('\n', 1)[0]!.replaceAll('`', '');
		return [...part.matchAll(/^\| `(?<name>[\w-]+)` \| (?<rest>.*) \|$/gmu)].map(({groups}) => ({
			section,
			name: groups!['name']!,
			cells: groups!['rest']!.split(' | '),
		}));
	});

export const rowsOf = (section: string): readonly Row[] => rows.filter(row => row.section === section);

/** Whether a text matches the words of a cell, in which `…` stands for any text. */
export function isMatch(words: string, text: string): boolean {
	const parts = words.split('…').map(part => part.replaceAll(/[.*+?^${}()|[\]\\]/gu, String.raw`\$&`));
	return new RegExp(`^${parts.join('[^]*')}$`, 'u').test(text);
}
