/**
The state of a node from before this start: identity, incarnation, Raft log, clock and topics. The incarnation of this
start is on disk before anything is sent, so that its sequence numbers are never those of an earlier start.
*/
import {join} from 'node:path';
import type {AgreedKey} from '../cluster-keys.ts';
import {topicsOf} from '../control/desired-subscriptions.ts';
import type {RaftStore} from '../control/raft-store.ts';
import {expectKnownFormats} from '../io/files/known-formats.ts';
import {moveAside, reserveLeft, reserveQuarantine} from '../io/files/quarantine.ts';
import {Resignations} from '../io/files/resignations.ts';
import {openLog} from '../io/log/log.ts';
import {Lamport} from '../lamport.ts';
import type {Topic} from '../message.ts';
import {replay} from '../node-state/force-new-cluster.ts';
import {stateToJson, type KeptState, type NodeState} from '../node-state/node-state.ts';
import {openNodeState, type NodeStateIo, type OpenedNodeState} from '../node-state/open-node-state.ts';
import type {NodeSlot} from './node-slot.ts';
import type {Storage} from './storage.ts';
import {logOptions} from './topic-logs.ts';

const stateFile = 'node.json';

export type RecoveredState = {
	readonly state: NodeState;
	readonly raftStore: RaftStore;
	readonly quarantined: OpenedNodeState['quarantined'];
	/** Of this start. */
	readonly incarnation: number;
	/** Its ceiling is on disk. */
	readonly lamport: Lamport;
	/** Resignations that this user's folder keeps for former nodes of this data folder. */
	readonly resignations: Resignations;
	/** Topics that have a log on disk. */
	readonly knownTopics: readonly Topic[];
	/** The data folder is new: the node may found a cluster. */
	readonly isFresh: boolean;
	readonly save: (kept: KeptState) => Promise<void>;
	/** The keys of the cluster in the log on disk, committed or not, and the index of its last entry. */
	readonly keys: {readonly keys: readonly AgreedKey[]; readonly index: number};
};

/**
@param address where other nodes reach this node
@throws `storage`
*/
export async function recoverState(storage: Storage, address: string, slot: NodeSlot): Promise<RecoveredState> {
	const {config, path, files, folder} = storage;
	const {state, quarantined, store: raftStore} = await openNodeState(nodeStateIo(storage), address);
	const incarnation = state.incarnation + 1;
	const lamport = new Lamport(state.lamport, config.gossip.lamportJumpMax);
	lamport.nextCeiling();
	const save = (kept: KeptState): Promise<void> =>
		folder.writeJson(stateFile, stateToJson({...state, ...kept, incarnation}));
	await save({...state, lamport: lamport.ceiling});
	lamport.persisted(lamport.ceiling);
	const resignations = await Resignations.open(path, state.identity, text => slot.warn(text));
	// Committed or not: these names serve only to recognise folders.
	const {topics: logged} = replay(raftStore.recovered, {topicsMax: Infinity, membersMax: Infinity});
	const knownTopics = await folder.topics({
		known: () => [
			...state.topics,
			...state.since.map(([topic]) => topic),
			...topicsOf(config.topics),
			...logged.topics().map(({name}) => name),
		],
		openLog: at => openLog({folder: at, files, ...logOptions(config)}),
	});
	return {
		state,
		raftStore,
		quarantined,
		incarnation,
		lamport,
		resignations,
		knownTopics,
		isFresh: raftStore.isEmpty && state.clusterId === '' && !state.mustJoin,
		save,
		keys: {keys: logged.keys.keys, index: logged.applied},
	};
}

function nodeStateIo({config, files, folder}: Storage): NodeStateIo {
	return {
		expectKnownFormats: () => expectKnownFormats(files, folder.path, stateFile),
		readState: () => folder.readJson(stateFile),
		writeState: json => folder.writeJson(stateFile, json),
		openLog: () => openLog({folder: join(folder.path, 'raft'), files, ...logOptions(config)}),
		blobs: folder.blobs,
		reserve: why => (why === 'left' ? reserveLeft : reserveQuarantine)(files, folder.path, stateFile),
		moveAside: name => moveAside(files, folder.path, name),
	};
}
