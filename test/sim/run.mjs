/**
Bundles the simulator and runs it: one file, so that workers start fast and a mutant is a change of the text on its way in.
*/
import {mkdtempSync, rmSync, symlinkSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {pathToFileURL, fileURLToPath} from 'node:url';
import {build} from 'esbuild';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const folder = mkdtempSync(join(tmpdir(), 'dapss-sim-'));
process.once('exit', () => rmSync(folder, {recursive: true, force: true}));
symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
await build({
	absWorkingDir: root, entryPoints: ['test/sim/main.ts'], outfile: join(folder, 'main.mjs'), bundle: true, format: 'esm', platform: 'node', target: 'node22.13',
	external: ['@node-rs/crc32'], define: {'dapssVersion': '"sim"', 'process.env.MSGPACKR_NATIVE_ACCELERATION_DISABLED': '"true"'},
	banner: {js: 'import {createRequire as $require} from "node:module"; const require = $require(import.meta.url);'}, logLevel: 'warning', sourcemap: 'inline',
});
await import(pathToFileURL(join(folder, 'main.mjs')).href);
