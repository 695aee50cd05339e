/**
The mutants fit the sources: each text is found once, and what comes out is a program. Whether they are caught, `npm run sim:mutants` says.
*/
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {transform} from 'esbuild';
import {expect, test} from 'vitest';
import {mutants, mutated} from '../sim/mutants/index.ts';

const root = join(import.meta.dirname, '../..');

test.each(mutants.map(mutant => [mutant.name, mutant] as const))('%s can be planted', async (_name, mutant) => {
	for (const file of new Set(mutant.edits.map(edit => edit.file))) {
		const text = readFileSync(join(root, file), 'utf8');
		const changed = mutated(mutant, file, text);
		expect(changed).not.toBe(text);
		await transform(changed, {loader: 'ts'});
	}
});

test('there are at least thirty, each with a name of its own', () => {
	expect(mutants.length).toBeGreaterThanOrEqual(30);
	expect(new Set(mutants.map(({name}) => name)).size).toBe(mutants.length);
});
