/**
What `npm pack` adds to a build: the declarations of the library, in dist/types/. TypeScript writes one for each module;
those that `library.ts` names, and the ones that those name, are kept. No tool that merges declarations into one file
works with TypeScript 7 yet.
*/
import {spawnSync} from 'node:child_process';
import {mkdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {dirname, join} from 'node:path';
import process from 'node:process';
import {removeEarlierBuilds, root} from './build.mjs';

const emitted = join(root, 'dist/declarations');
const types = join(root, 'dist/types');
/** A module that a declaration names, in `from '…'` or `import('…')`, without its extension. */
const specifier = /(?<=\b(?:from |import\()['"])(\.[^'"]+)\.ts(?=['"])/g;

removeEarlierBuilds();
const {status} = spawnSync(
	process.execPath,
	[join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'source/types.tsconfig.json')],
	{stdio: 'inherit'},
);
if (status !== 0) process.exit(1);
keep('library', new Set());
rmSync(emitted, {recursive: true});

/** @param module its path without an extension */
function keep(module, kept) {
	if (kept.has(module)) return;
	kept.add(module);
	const text = readFileSync(join(emitted, `${module}.d.ts`), 'utf8');
	const path = join(types, `${module}.d.ts`);
	mkdirSync(dirname(path), {recursive: true});
	// Programs resolve `.js`, for which TypeScript finds the declaration beside it.
	writeFileSync(path, text.replaceAll(specifier, '$1.js'));
	for (const [, name] of text.matchAll(specifier)) keep(join(dirname(module), name), kept);
}
