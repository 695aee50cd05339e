/**
Opens the data folder of a stopped node to create a new cluster from it (`node-state/force-new-cluster.ts`). The folder
is locked meanwhile. Nothing in it changes until `forceNewCluster` is called.
*/
import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import type {Config} from './config.ts';
import {RaftStore} from './control/raft-store.ts';
import {DapssError, errorMessage, NewerVersionError} from './errors.ts';
import {realFiles} from './io/file-system.ts';
import {Folder} from './io/files/data-folder.ts';
import {expectKnownFormats} from './io/files/known-formats.ts';
import {NodeFiles} from './io/files/node-files.ts';
import {openLog} from './io/log/log.ts';
import {forceNewCluster, surveySurvivor, type SurvivorReport} from './node-state/force-new-cluster.ts';
import {AsyncStack} from './stack.ts';
import {identityFrom} from './wire/seal.ts';

export type {SurvivorReport} from './node-state/force-new-cluster.ts';
export type Survivor = AsyncDisposable & {
	readonly report: SurvivorReport;
	/** Creates the new cluster. Resolves with its id when it is on the disk. Call it once. */
	forceNewCluster(): Promise<string>;
};

const stateFile = 'node.json';

/**
@throws `refused` when there is nothing to recover, `locked` when the node runs, `storage` when a part is damaged
*/
export async function openSurvivor({
	data,
	limits,
	storage: {segmentBytes, writeDeadlineMs},
}: Pick<Config, 'data' | 'limits' | 'storage'>): Promise<Survivor> {
	await expectNode(data);
	await using resources = new AsyncStack();
	const folder = new NodeFiles(realFiles, resources.use(await Folder.open(data)).path);
	try {
		await expectKnownFormats(realFiles, folder.path, stateFile);
		const identity = identityFrom(Object(await folder.readJson(stateFile))['identity']);
		if ('problem' in identity)
			throw new DapssError('storage', `${join(folder.path, stateFile)}: ${identity.problem}`);
		const log = await openLog({folder: join(folder.path, 'raft'), segmentBytes, writeDeadlineMs});
		resources.use(log);
		if (log.damaged.length > 0)
			throw new DapssError(
				'storage',
				'the Raft log has holes ' +
					`(${log.damaged.map(({file, position}) => `${file} at ${position}`).join(', ')})`,
			);
		const store = await RaftStore.open(log, folder.blobs);
		const survey = surveySurvivor(store.recovered, identity.id, {
			topicsMax: limits.topics,
			membersMax: limits.members,
		});
		const held = resources.move();
		return {
			report: survey.report,
			async forceNewCluster() {
				const clusterId = randomBytes(16).toString('hex');
				await forceNewCluster(store, survey, clusterId);
				return clusterId;
			},
			[Symbol.asyncDispose]: () => held.disposeAsync(),
		};
	} catch (error) {
		if (error instanceof NewerVersionError || (error instanceof DapssError && error.code !== 'storage'))
			throw error;
		throw new DapssError(
			'storage',
			`The data folder ${folder.path} cannot be recovered from, it is damaged: ${errorMessage(error)}. ` +
				'Recover another survivor',
			{cause: error},
		);
	}
}

/** Opening creates what is missing, and a wrong path must not become a data folder. */
async function expectNode(path: string): Promise<void> {
	const names = await realFiles.list(path).catch((error: unknown): readonly string[] => {
		if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
		throw new DapssError('storage', `The data folder ${path} cannot be read: ${errorMessage(error)}`, {
			cause: error,
		});
	});
	if (!names.includes(stateFile) || !names.includes('raft'))
		throw new DapssError(
			'refused',
			`Expected the data folder of a node, ${path} ${names.length === 0 ? 'is empty or not there' : 'is none'}`,
		);
}
