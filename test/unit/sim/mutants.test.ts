/**
The mutants fit the sources: each text occurs once, and the result of an edit is a program. `npm run sim:mutants` runs
them.
*/
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {transform} from 'esbuild';
import {expect, test} from 'vitest';
import {mutants, mutated} from '../../sim/mutants/index.ts';
import {pitfalls} from '../../sim/mutants/pitfalls.ts';

const root = join(import.meta.dirname, '../../..');

test.each(mutants.map(mutant => [mutant.name, mutant] as const))('%s can be planted', async (_name, mutant) => {
	for (const file of new Set(mutant.edits.map(edit => edit.file))) {
		const text = readFileSync(join(root, file), 'utf8');
		const changed = mutated(mutant, file, text);
		expect(changed).not.toBe(text);
		await transform(changed, {loader: 'ts'});
	}
});

test('every mutant has its own name and one pitfall, and every pitfall has a mutant', () => {
	const planted = pitfalls.flatMap(({mutants: names}) => names);
	expect(planted.toSorted()).toEqual(mutants.map(({name}) => name).toSorted());
	expect(new Set(planted).size).toBe(planted.length);
	expect(pitfalls.filter(({mutants: names}) => names.length === 0)).toEqual([]);
});
