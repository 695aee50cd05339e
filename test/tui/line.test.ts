/** The parser of the `:` line and of the prompts. */
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {lastWordStart, quoteWord, topicsOf, wordsOf} from '../../tui/input/line.ts';

const texts = (line: string, flags: Parameters<typeof wordsOf>[1] = {}): unknown => {
	const parsed = wordsOf(line, flags);
	return 'problem' in parsed ? parsed.problem : [parsed.words.map(({text}) => text), parsed.flags];
};

test.each([
	['a  b', [['a', 'b'], {}]],
	['"my topic" x', [['my topic', 'x'], {}]],
	['\'my "topic"\' ""', [['my "topic"', ''], {}]],
	[String.raw`"a \"quoted\" \\ word" C:\data`, [['a "quoted" \\ word', 'C:\\data'], {}]],
	['in"side of"word', [['inside ofword'], {}]],
	['a --from beginning b --loud', [['a', 'b'], {from: 'beginning', loud: ''}]],
	['a --from="the end"', [['a', '--from=the end'], {}]],
	['a --from=beginning', [['a'], {from: 'beginning'}]],
	['--from "the end"', [[], {from: 'the end'}]],
	['"--from" x', [['--from', 'x'], {}]],
	['-- --from x', [['--from', 'x'], {}]],
	['--loud=1', 'Expected no value after `--loud`'],
	['--from', 'Expected a value after `--from`'],
	[
		'--__proto__ x',
		'There is no flag `--__proto__` here; there is `--from`, `--loud`. ' +
			'Put a word that begins with dashes in quotes',
	],
	['a "b c', 'The quote at "\\"b c" is not closed'],
	['', [[], {}]],
])('the line %s is parsed into words and flags', (line, expected) => {
	expect(texts(line, {from: 'value', loud: 'switch'})).toEqual(expected);
});

test('any text in quotes is read back unchanged', () => {
	fc.assert(
		fc.property(fc.array(fc.string({unit: 'binary'}), {maxLength: 4}), words => {
			const line = words.map(word => quoteWord(word)).join(' ');
			const parsed = wordsOf(line);
			expect('problem' in parsed ? parsed : topicsOf(parsed.words)).toEqual(words);
		}),
	);
});

test('any line is parsed without an exception, and its last word begins within it', () => {
	fc.assert(
		fc.property(fc.array(fc.constantFrom('a', ' ', '"', "'", '\\', '--', '=', ','), {maxLength: 20}), parts => {
			const line = parts.join('');
			wordsOf(line, {a: 'value'});
			const start = lastWordStart(line);
			expect(start).toBeLessThanOrEqual(line.length);
			expect(start === 0 || line[start - 1] === ' ').toBe(true);
		}),
	);
	expect(['', 'a', 'a ', 'a b', 'a "b c', 'a "b c" d'].map(line => lastWordStart(line))).toEqual([0, 0, 2, 2, 2, 8]);
});
