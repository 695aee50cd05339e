import fc from 'fast-check';
import {expect, test} from 'vitest';
import {linesOf} from '../../../source/process/batches.ts';

/** The lines of a text that arrives in pieces, which end at these positions. */
async function lines(text: string, cuts: readonly number[], endsWithReturn: boolean): Promise<string[]> {
	const bytes = Buffer.from(text);
	const places = [0, ...cuts.map(cut => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
	const found: string[] = [];
	for await (const some of linesOf(
		(async function* () {
			for (let index = 1; index < places.length; index++) yield bytes.subarray(places[index - 1], places[index]);
		})(),
		1000,
		endsWithReturn,
	))
		found.push(...some.map(line => Buffer.from(line).toString()));
	return found;
}

test('a return before the end of a line is part of the message, except on Windows', async () => {
	const text = 'one\r\ntwo\r\n\r\na\rb\r\n\r\r\nlast\r';
	expect(await lines(text, [], false)).toEqual(['one\r', 'two\r', '\r', 'a\rb\r', '\r\r', 'last\r']);
	expect(await lines(text, [], true)).toEqual(['one', 'two', '', 'a\rb', '\r', 'last']);
	await fc.assert(
		fc.asyncProperty(fc.array(fc.nat({max: 100}), {maxLength: 8}), async cuts => {
			expect(await lines(text, cuts, true)).toEqual(await lines(text, [], true));
		}),
	);
});
