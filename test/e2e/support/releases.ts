/**
Programs of other releases, built in temporary folders: the previous release from the history, and a later release,
which is the current source with other protocol versions.
*/
import {execFileSync} from 'node:child_process';
import {cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';

const root = fileURLToPath(new URL('../../..', import.meta.url));
/** The last commit of protocol 1. */
export const previousCommit = '577ee11';
const parts = ['core', 'source', 'tui', 'bench', 'package.json', 'package-lock.json', 'tsconfig.json', 'config.json'];

export type Release = Disposable & {readonly cli: string};

/** Builds the previous release; `undefined` if this clone does not contain its commit (a shallow clone). */
export function previousRelease(): Release | undefined {
	try {
		execFileSync('git', ['cat-file', '-e', `${previousCommit}^{commit}`], {cwd: root, stdio: 'ignore'});
	} catch {
		return undefined;
	}

	return build(folder => {
		const archive = execFileSync('git', ['archive', previousCommit, ...parts], {cwd: root, maxBuffer: 1e9});
		execFileSync('tar', ['-x', '-C', folder], {input: archive});
	});
}

/** Builds this program with other protocol versions. @param protocols the lowest and the highest */
export function releaseOf(protocols: readonly [number, number], version: string): Release {
	return build(folder => {
		for (const part of parts) cpSync(join(root, part), join(folder, part), {recursive: true});
		edit(join(folder, 'core/version.ts'), '= [1, 4];', `= [${protocols.join(', ')}];`);
		edit(join(folder, 'package.json'), /"version": "[^"]+"/, `"version": "${version}"`);
	});
}

/** @param addSources puts the source of the release into the folder */
function build(addSources: (folder: string) => void): Release {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-release-'));
	const dispose = (): void => rmSync(folder, {recursive: true, force: true});
	try {
		addSources(folder);
		symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
		execFileSync(
			process.execPath,
			['--input-type=module', '-e', 'await (await import("./source/build.mjs")).build()'],
			{cwd: folder, stdio: 'inherit'},
		);
	} catch (error) {
		dispose();
		throw error;
	}

	return {cli: join(folder, 'dist/cli.js'), [Symbol.dispose]: dispose};
}

function edit(path: string, from: string | RegExp, to: string): void {
	const text = readFileSync(path, 'utf8');
	const changed = text.replace(from, to);
	if (changed === text) throw new Error(`Expected ${String(from)} in ${path.slice(dirname(path).length + 1)}`);
	writeFileSync(path, changed);
}
