/** What npm installs is fixed by hashes, and an installed package runs no script of others. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';

type Entry = {
	readonly version?: string;
	readonly integrity?: string;
	readonly resolved?: string;
	readonly link?: boolean;
	readonly inBundle?: boolean;
	readonly dev?: boolean;
	readonly hasInstallScript?: boolean;
};
const root = join(import.meta.dirname, '../..');
const read = (name: string): unknown => JSON.parse(readFileSync(join(root, name), 'utf8'));
const {packages} = read('package-lock.json') as {readonly packages: Readonly<Record<string, Entry>>};
const manifest = read('package.json') as {
	readonly scripts: Readonly<Record<string, string>>;
	readonly dependencies: Readonly<Record<string, string>>;
	readonly allowScripts: Readonly<Record<string, boolean>>;
};
/** All but this package itself. */
const entries = Object.entries(packages).filter(([path]) => path !== '');

describe('package-lock.json', () => {
	test('has a SHA-512 hash for each package, for those of other platforms too', () => {
		expect(entries.length).toBeGreaterThan(200);
		// A bundled package is a part of the archive of its parent, whose hash covers it; a link is a folder here.
		const without = entries.filter(
			([, {integrity, inBundle, link}]) => !inBundle && !link && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
		);
		expect(without.map(([path]) => path)).toEqual([]);
	});

	test('names no registry, so that each machine may use its own', () => {
		expect(entries.filter(([, {resolved}]) => resolved !== undefined).map(([path]) => path)).toEqual([]);
	});

	test('has install scripts for the tools of developers only, and only those that package.json allows', () => {
		const scripted = entries.filter(([, {hasInstallScript}]) => hasInstallScript);
		expect(scripted.filter(([, {dev}]) => !dev).map(([path]) => path)).toEqual([]);
		expect(scripted.map(([path]) => path.replace(/^.*node_modules\//, '')).toSorted()).toEqual(
			Object.keys(manifest.allowScripts).toSorted(),
		);
	});
});

describe('the installed package', () => {
	test('depends on one package, and runs no script when it is installed', () => {
		expect(Object.keys(manifest.dependencies)).toEqual(['@node-rs/crc32']);
		for (const script of ['preinstall', 'install', 'postinstall', 'prepare'])
			expect(manifest.scripts[script], script).toBeUndefined();
	});
});
