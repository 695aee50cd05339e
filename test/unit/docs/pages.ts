/** The Markdown pages of the repository, for tests. */
import {existsSync, readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative} from 'node:path';
import {root} from '../../support/imports.ts';

export type Page = {
	/** From the root of the repository. */
	readonly path: string;
	readonly text: string;
};
export type Block = {readonly language: string; readonly code: string};
export type Link = {readonly target: string; readonly anchor: string};

const skipped = new Set(['node_modules', 'dist', 'coverage']);

export const pages: readonly Page[] = walk(root)
	.map(path => ({path: relative(root, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8')}))
	.toSorted((one, other) => (one.path < other.path ? -1 : 1));

export const pageOf = (path: string): Page => pages.find(page => page.path === path) ?? {path, text: ''};

/** Fenced blocks of code. */
export function blocksOf(text: string): Block[] {
	return [...text.matchAll(/^```(?<language>\w*)\n(?<code>[^]*?)^```$/gmu)].map(({groups}) => ({
		language: groups!['language']!,
		code: groups!['code']!,
	}));
}

/** The text without fenced blocks. */
export const proseOf = (text: string): string => text.replaceAll(/^```[^]*?^```$/gmu, '');

/** The texts between backticks in the prose. */
export function codesOf(text: string): string[] {
	return [...proseOf(text).matchAll(/(?<!`)`(?<code>[^`\n]+)`/gu)].map(({groups}) => groups!['code']!);
}

/** Links to other places of the repository. */
export function linksOf(text: string): Link[] {
	return [
		...proseOf(text)
			.replaceAll(/`[^`\n]*`/gu, '``')
			.matchAll(/\]\((?<target>[^)\s]+)\)/gu),
	]
		.map(({groups}) => groups!['target']!)
		.filter(target => !/^[a-z][a-z+.-]*:/iu.test(target))
		.map(target => {
			const [path = '', anchor = ''] = target.split('#');
			return {target: path, anchor};
		});
}

/** The anchors that GitHub gives to the headings of a page. */
export function anchorsOf(text: string): ReadonlySet<string> {
	const anchors = new Set<string>();
	for (const [, heading = ''] of proseOf(text).matchAll(/^#{1,6} (.+)$/gmu)) {
		const base = heading
			.trim()
			.toLowerCase()
			.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
			.replaceAll(/\s/gu, '-');
		let anchor = base;
		for (let count = 1; anchors.has(anchor); count++) anchor = `${base}-${count}`;
		anchors.add(anchor);
	}

	return anchors;
}

/** The rows of the tables of a page, below the heading if there is one: cells without white space around them. */
export function rowsOf(text: string, heading?: string): string[][] {
	const parts = text.split(/^(?=#{1,6} )/mu);
	const part = heading === undefined ? text : (parts.find(one => one.startsWith(`${heading}\n`)) ?? '');
	return [...part.matchAll(/^\| (?<cells>.*) \|$/gmu)]
		.map(({groups}) => groups!['cells']!.split(/(?<!\\) \| /u).map(cell => cell.trim()))
		.filter(cells => !cells.every(cell => /^:?-+:?$/u.test(cell)));
}

/** The path that a link of a page leads to, from the root of the repository. */
export const resolved = (page: Page, target: string): string =>
	target === '' ? page.path : relative(root, join(root, dirname(page.path), decodeURI(target))).replaceAll('\\', '/');

export const exists = (path: string): boolean => existsSync(join(root, path));

function walk(folder: string): string[] {
	return readdirSync(folder, {withFileTypes: true}).flatMap(entry =>
		entry.isDirectory()
			? skipped.has(entry.name) || entry.name.startsWith('.')
				? []
				: walk(join(folder, entry.name))
			: entry.name.endsWith('.md')
				? [join(folder, entry.name)]
				: [],
	);
}
