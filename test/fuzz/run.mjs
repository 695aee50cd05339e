/**
Runs the fuzzer (`main.ts`).
*/
import {pathToFileURL} from 'node:url';
import {bundle} from '../sim/bundle.mjs';

await import(pathToFileURL(await bundle([], 'test/fuzz/main.ts', {packages: 'external'})).href);
