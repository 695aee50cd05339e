/**
All mutants, and the plugin that plants one.
*/
import {readFile} from 'node:fs/promises';
import {relative} from 'node:path';
import type {Plugin} from 'esbuild';
import {accessMutants} from './access.ts';
import {gossipMutants} from './gossip.ts';
import {healthMutants} from './health.ts';
import {identityMutants} from './identity.ts';
import {keyMutants} from './keys.ts';
import {liarMutants} from './liars.ts';
import {limitMutants} from './limits.ts';
import {mutated, type Mutant} from './mutant.ts';
import {outsiderMutants} from './outsiders.ts';
import {raftMutants} from './raft.ts';
import {readerMutants} from './readers.ts';
import {storageMutants} from './storage.ts';
import {topicMutants} from './topics.ts';
import {versionMutants} from './versions.ts';

export {mutated, type Mutant} from './mutant.ts';

export const mutants: readonly Mutant[] = [
	...raftMutants,
	...storageMutants,
	...gossipMutants,
	...healthMutants,
	...identityMutants,
	...readerMutants,
	...versionMutants,
	...topicMutants,
	...accessMutants,
	...keyMutants,
	...outsiderMutants,
	...liarMutants,
	...limitMutants,
];

/** Changes the sources while they are bundled. @param root of the repository */
export function mutantPlugin(mutant: Mutant, root: string): Plugin {
	const files = new Set(mutant.edits.map(({file}) => file));
	return {
		name: 'mutant',
		setup(build) {
			build.onLoad({filter: /\.ts$/}, async ({path}) => {
				const file = relative(root, path);
				return files.has(file)
					? {contents: mutated(mutant, file, await readFile(path, 'utf8')), loader: 'ts'}
					: undefined;
			});
		},
	};
}
