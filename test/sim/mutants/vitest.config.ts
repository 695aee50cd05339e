/** Runs tests on sources with the mutant that the environment variable MUTANT names. */
import {dirname, relative} from 'node:path';
import process from 'node:process';
import {fileURLToPath} from 'node:url';
import {mergeConfig} from 'vitest/config';
import base from '../../vitest.config.ts';
import {mutants, mutated} from './index.ts';

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const mutant = mutants.find(({name}) => name === process.env['MUTANT']);

export default mergeConfig(base, {
	// A cached module would keep the mutant for other runs.
	test: {fsModuleCache: false},
	plugins: [
		{
			name: 'mutant',
			enforce: 'pre',
			transform: (code: string, id: string) => (mutant ? mutated(mutant, relative(root, id), code) : code),
		},
	],
});
