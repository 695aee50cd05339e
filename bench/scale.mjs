/**
Runs `scale.ts`, bundled, so that any supported Node can.
*/
import {dirname} from 'node:path';
import process from 'node:process';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {bundle} from '../test/sim/bundle.mjs';

process.argv.push('--folder', dirname(fileURLToPath(import.meta.url)));
await import(pathToFileURL(await bundle([], 'bench/scale.ts')).href);
