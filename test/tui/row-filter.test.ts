import {describe, expect, test} from 'vitest';
import {printable} from '../../core/observe/printable.ts';
import {rowFilter} from '../../tui/view/row-filter.ts';

/** The texts that the filter keeps, or its problem. */
function kept(line: string, ...texts: readonly string[]): readonly string[] | string {
	const filter = rowFilter(line);
	if (filter === undefined) return texts;
	const found = 'problem' in filter ? filter : filter.test(texts.map(text => printable(text)));
	return 'problem' in found ? found.problem : texts.filter((_, index) => found[index]);
}

describe('a text', () => {
	test.each([
		['JOB', ['a job', 'Job 2', 'other'], ['a job', 'Job 2']],
		['!job', ['a job', 'other'], ['other']],
		['! job', ['a job', 'other'], ['other']],
		['', ['a'], ['a']],
		['!', ['a'], ['a']],
		// The row shows the composed form and a reduced emoji; the term is brought to the same form.
		['cafe\u0301', ['caf\u00E9'], ['caf\u00E9']],
		['👨‍👩‍👧', ['a 👨‍👩‍👧 b'], ['a 👨‍👩‍👧 b']],
		['\u202E', ['a\u202Eb', 'ab'], ['a\u202Eb']],
		['a.c', ['abc', 'a.c'], ['a.c']],
		['/', ['a/b', 'ab'], ['a/b']],
		['a/b', ['a/b', 'ab'], ['a/b']],
	] as const)('%s', (line, texts, expected) => {
		expect(kept(line, ...texts)).toEqual(expected);
	});
});

describe('a regular expression', () => {
	test.each([
		['/jobs-[0-9]+/', ['jobs-7', 'jobs-x', 'JOBS-12'], ['jobs-7', 'JOBS-12']],
		['!/^a/', ['ab', 'ba'], ['ba']],
		['/a|c/', ['a', 'b', 'c'], ['a', 'c']],
		['/é/', ['e\u0301'], ['e\u0301']],
	] as const)('%s', (line, texts, expected) => {
		expect(kept(line, ...texts)).toEqual(expected);
	});

	test('an invalid one says why', () => {
		expect(kept('/(/', 'a')).toMatch(/^no pattern: Unterminated group/);
		expect(kept('/a{2,1}/', 'a')).toMatch(/^no pattern: /);
	});

	test('one that takes exponential time is given up', () => {
		const texts = Array.from({length: 200}, () => `${'a'.repeat(40)}!`);
		const startMs = performance.now();
		for (let frame = 0; frame < 3; frame++) expect(kept('/^(a+)+$/', ...texts)).toMatch(/takes long/);
		for (let frame = 0; frame < 100; frame++) expect(kept('/^(a+)+$/', ...texts)).toMatch(/not applied/);
		expect(performance.now() - startMs).toBeLessThan(5000);
	});
});
