/**
Runs the crash campaign (`main.ts`).
*/
import {pathToFileURL} from 'node:url';
import {bundle} from '../bundle.mjs';

await import(pathToFileURL(await bundle([], 'test/sim/store/main.ts')).href);
