/**
The filter of a list: a text, or a regular expression between slashes (`/jobs-[0-9]+/`); `!` before either keeps the
other rows. Upper and lower case are the same. Pure.

A pattern can take exponential time, so all rows of one search share a time limit. V8 can interrupt a pattern only in a
context of its own.
*/
import {createContext, Script} from 'node:vm';
import {printable} from '../../core/observe/printable.ts';

export type RowFilter = {
	/**
	Which of these texts match. They must have been made printable.
	@returns the problem when the pattern took too long
	*/
	readonly test: (texts: readonly string[]) => readonly boolean[] | {readonly problem: string};
};

/** Time of one search, milliseconds. */
const searchMs = 100;
/** Searches in a row that take longer. */
const lateMax = 3;
/** Filters that are kept ready: each list has one, and the texts before it while it is typed. */
const keptMax = 32;

const kept = new Map<string, RowFilter | {readonly problem: string}>();

/** The filter for this line; `undefined` for an empty one. A problem is for people. */
export function rowFilter(line: string): RowFilter | {readonly problem: string} | undefined {
	const text = line.trim();
	if (text === '' || text === '!') return undefined;
	let filter = kept.get(text);
	if (filter === undefined) {
		if (kept.size >= keptMax) kept.clear();
		filter = made(text);
		kept.set(text, filter);
	}

	return filter;
}

function made(line: string): RowFilter | {readonly problem: string} {
	const isNegated = line.startsWith('!');
	const text = isNegated ? line.slice(1).trimStart() : line;
	const pattern = /^\/(.+)\/$/su.exec(text)?.[1];
	if (pattern === undefined) {
		// The rows show text in its visible form, so that is what a user searches for.
		const wanted = printable(text).toLowerCase();
		return {test: texts => texts.map(row => row.toLowerCase().includes(wanted) !== isNegated)};
	}

	let expression: RegExp;
	try {
		expression = new RegExp(pattern.normalize('NFC'), 'iu');
	} catch (error) {
		return {problem: `no pattern: ${printable(reasonOf(error))}`};
	}

	return limited(expression, isNegated);
}

const search = new Script('texts.map(text => expression.test(text))');
const shared: {texts: readonly string[]; expression: RegExp} = {texts: [], expression: /^/u};
const searchContext = createContext(shared);

/** Given up for good after some searches that take too long, so that it does not stop every frame. */
function limited(expression: RegExp, isNegated: boolean): RowFilter {
	let late = 0;
	return {
		test(texts) {
			if (late >= lateMax) return {problem: 'the pattern takes too long, so it is not applied'};
			try {
				Object.assign(shared, {texts, expression});
				const found = search.runInContext(searchContext, {timeout: searchMs}) as readonly boolean[];
				late = 0;
				return Array.from(found, isMatch => isMatch !== isNegated);
			} catch {
				// A busy machine may be the reason, so the next frame tries again.
				late++;
				return {problem: 'the pattern takes long …'};
			}
		},
	};
}

/** The reason without the pattern, which the user sees anyway. */
function reasonOf(error: unknown): string {
	const text = error instanceof Error ? error.message : String(error);
	return text.replace(/^Invalid regular expression: \/[^]*\/[a-z]*: /u, '');
}
