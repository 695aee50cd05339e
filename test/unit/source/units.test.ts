/** Times as texts for people. */
import {expect, test} from 'vitest';
import {timeText} from '../../../source/output/units.ts';

test.each([
	[0, '0 ms'],
	[999.4, '999 ms'],
	[1000, '1.0 s'],
	[59_949, '59.9 s'],
	[59_960, '1 min 0 s'],
	[119_600, '2 min 0 s'],
	[3_599_996, '1.0 h'],
	[5_400_000, '1.5 h'],
])('%d ms are %s', (ms, text) => {
	expect(timeText(ms)).toBe(text);
});
