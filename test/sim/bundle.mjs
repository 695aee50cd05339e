/**
Bundles the simulator into one file, so that workers start fast and a mutant can change the sources while they are
bundled.
*/
import {mkdtempSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

const folders = [];
process.once('exit', () => {
	for (const folder of folders) rmSync(folder, {recursive: true, force: true});
});

/**
Returns the path of the bundle. Its folder is deleted when this process exits.
@param options more options of esbuild
*/
export async function bundle(plugins = [], entry = 'test/sim/main.ts', options = {}) {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-sim-'));
	folders.push(folder);
	symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
	const outfile = join(folder, 'main.mjs');
	await build({
		absWorkingDir: root,
		entryPoints: [entry],
		outfile,
		bundle: true,
		format: 'esm',
		platform: 'node',
		target: 'node22.13',
		plugins,
		external: ['@node-rs/crc32'],
		define: {dapssVersion: '"sim"', 'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"'},
		banner: {
			js: 'import {createRequire as $require} from "node:module"; const require = $require(import.meta.url);',
		},
		logLevel: 'error',
		sourcemap: 'inline',
		...options,
	});
	return outfile;
}
