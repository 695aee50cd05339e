/**
Unsafe recovery: the quorum is lost for good, and one stopped node shall go on alone. It becomes the only voter of a cluster with a new
id, with everything that its own log has, agreed or not. What was agreed and is not in this log is lost; that is what is unsafe. The new id
keeps the nodes of the old cluster out, whose logs may say otherwise.

One write decides: a snapshot that replaces the log. A crash before it leaves the old cluster, after it the new one.
*/
import {randomBytes} from 'node:crypto';
import {join} from 'node:path';
import type {Config} from './config.ts';
import {DapssError} from './errors.ts';
import {realFiles} from './io/files.ts';
import {Folder} from './io/folder.ts';
import {openLog} from './io/log.ts';
import {NodeFiles} from './io/node-files.ts';
import type {NodeId} from './message.ts';
import {loadState, logOptions, refuseDamage, stateFile} from './open.ts';
import {decodeConfigurationData} from './raft/configuration.ts';
import {RaftStore} from './raft-store.ts';
import {Topics} from './topics/topics.ts';

export type Refounding = AsyncDisposable & {
	readonly node: NodeId;
	readonly formerClusterId: string;
	readonly formerVoters: readonly NodeId[];
	readonly members: number;
	readonly topics: number;
	/** The last entry of the log, and how far it was known to be agreed. */
	readonly lastIndex: number;
	readonly commit: number;
	/** Do it. Resolves with the id of the new cluster when it will outlive a crash. */
	carryOut(): Promise<string>;
};

/** Look at a stopped node's folder, and hold it. @throws `locked` while it runs, `storage` when it is damaged, `refused` when there is nothing to go on with */
export async function openRefounding(config: Pick<Config, 'data' | 'storage' | 'limits'>): Promise<Refounding> {
	await using resources = new AsyncDisposableStack();
	const {path} = resources.use(await Folder.open(config.data));
	const folder = new NodeFiles(realFiles, path);
	const state = await loadState(folder);
	const log = resources.use(await openLog({folder: join(config.data, 'raft'), ...logOptions(config)}));
	refuseDamage(log);
	const store = await RaftStore.open(log, folder.blobs);
	const {hardState, snapshot, entries} = store.recovered;
	const {identity: {id}} = state;
	const topics = new Topics({topicsMax: config.limits.topics, membersMax: config.limits.members});
	if (snapshot) topics.load(snapshot.data);
	let voters = snapshot?.configuration.voters ?? [];
	for (const {kind, index, data} of entries) {
		if (kind === 'command') topics.apply(index, data);
		const decoded = kind === 'configuration' ? decodeConfigurationData(data) : undefined;
		if (!decoded) continue;
		voters = decoded.configuration.voters;
		topics.applyConfiguration(index, [...decoded.configuration.voters, ...decoded.configuration.learners], decoded.context);
	}

	const lastIndex = entries.at(-1)?.index ?? snapshot?.index ?? 0;
	const lastTerm = entries.at(-1)?.term ?? snapshot?.term ?? 0;
	if (topics.address(id) === undefined) throw new DapssError('refused', `The folder ${config.data} holds no agreed state that names its node ${id}: there is nothing to go on with`);
	const held = resources.move();
	return {
		node: id, formerClusterId: topics.clusterId, formerVoters: voters, members: topics.members().length, topics: topics.topics().length, lastIndex, commit: hardState.commit,
		async carryOut() {
			const clusterId = randomBytes(16).toString('hex');
			const term = Math.max(hardState.term, lastTerm) + 1;
			topics.refound(lastIndex + 1, clusterId, id);
			await store.append({term, vote: id, commit: lastIndex}, []);
			await store.saveSnapshot({index: lastIndex + 1, term, configuration: {voters: [id], learners: []}, data: topics.save()}, 'installed');
			await folder.writeJson(stateFile, {version: 1, identity: state.identity.toJson(), incarnation: state.incarnation, clusterId, lamport: state.lamport, topics: state.topics});
			return clusterId;
		},
		[Symbol.asyncDispose]: () => held.disposeAsync(),
	};
}
