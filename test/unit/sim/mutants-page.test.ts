import {expect, test} from 'vitest';
import {withMutants} from '../../sim/mutants/page.ts';

const header = '| Mutant | What goes wrong | Caught by | World | Seed |\n| --- | --- | --- | --- | ---: |\n';

test('the rows of the page are replaced by the results, and the text around them stays', () => {
	const page = `# Mutants\n\n${header}| \`old\` | x | y | nodes | 1 |\n\nThe end.\n`;
	const results = [
		{name: 'a', pitfall: 'wrong', isCaught: true, rule: 'no gap', world: 'nodes', seed: 7},
		{name: 'b', pitfall: 'worse', isCaught: false},
	];
	const expected = `# Mutants\n\n${header}| \`a\` | wrong | no gap | nodes | 7 |\n| \`b\` | worse | **missed** | — | — |\n\nThe end.\n`;
	expect(withMutants(page, results)).toBe(expected);
	expect(withMutants(expected, results)).toBe(expected);
	expect(() => withMutants('# Mutants\n', results)).toThrow('Expected the page to have a table');
});
