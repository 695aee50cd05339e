/**
The files of the repository, and their imports.
*/
import {readdirSync, readFileSync} from 'node:fs';
import {dirname, join, relative, resolve} from 'node:path';

export const root = resolve(import.meta.dirname, '../..');

export type Import = {
	readonly from: string;
	readonly to: string;
	readonly isType: boolean;
	readonly isLazy: boolean;
};

export const files = ['core', 'tui', 'source', 'bench', 'test']
	.flatMap(folder => walk(join(root, folder)))
	.map(path => relative(root, path))
	.toSorted();
export const text = new Map(files.map(file => [file, readFileSync(join(root, file), 'utf8')]));
export const imports: readonly Import[] = files.flatMap(file => importsOf(file));

function walk(folder: string): string[] {
	return readdirSync(folder, {withFileTypes: true}).flatMap(entry =>
		entry.isDirectory()
			? walk(join(folder, entry.name))
			: /\.(?:tsx?|mjs)$/.test(entry.name)
				? [join(folder, entry.name)]
				: [],
	);
}

function importsOf(file: string): Import[] {
	const code = text.get(file)!;
	const name = (specifier: string): string =>
		specifier.startsWith('.') ? relative(root, resolve(root, dirname(file), specifier)) : specifier;
	return [
		...[...code.matchAll(/^(?:import|export)\s(?:[^;'"`]*?\sfrom\s)?'([^']+)'/gmu)].map(match => ({
			// `import type …`, and `import {type A, type B} …`, do not exist at run time.
			from: file,
			to: name(match[1]!),
			isLazy: false,
			isType:
				/^(?:import|export) type\s/.test(match[0]) ||
				/^import \{(?:\s*type [^,}]+,?)+\s*\} from/.test(match[0]),
		})),
		...[...code.matchAll(/\bimport\('([^']+)'\)/gu)].map(match => ({
			from: file,
			to: name(match[1]!),
			isLazy: true,
			isType: false,
		})),
	];
}

export const isIn = (file: string, ...folders: readonly string[]): boolean =>
	folders.some(folder => file === folder || file.startsWith(`${folder}/`));
export const show = (found: readonly Import[]): string[] => found.map(({from, to}) => `${from} → ${to}`);
