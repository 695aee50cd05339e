/**
Opens the state of a node at its start: its identity and its Raft log. If one of them is damaged, or the node left its
cluster, the node gets a new identity. A Raft log with a hole may lack a vote or an acknowledged entry, so the old id
must not be used again: its files are set aside as a whole, and the node joins its cluster again as a new member with
the old topics.
*/
import {RaftStore, type Blobs} from '../control/raft-store.ts';
import {DamagedError, errorMessage, NewerVersionError} from '../errors.ts';
import type {NodeId, Topic} from '../message.ts';
import type {Log} from '../ports.ts';
import {createIdentity, type Identity} from '../wire/seal.ts';
import {freshState, stateFromJson, stateToJson, type NodeState} from './node-state.ts';
import {salvage} from './salvage.ts';

export type NodeStateIo = {
	/**
	Called before anything is opened, because opening changes files.
	@throws {NewerVersionError} when a newer program wrote one of the files
	*/
	expectKnownFormats(): Promise<void>;
	/**
	The parsed `node.json`; `undefined` when there is none.
	@throws {DamagedError} when it is not JSON
	*/
	readState(): Promise<unknown>;
	writeState(json: unknown): Promise<void>;
	openLog(): Promise<Log & {readonly damaged: ReadonlyArray<{readonly file: string; readonly position: number}>}>;
	readonly blobs: Blobs;
	/**
	Creates a folder for damaged files, or for the files of a node that left, with a copy of `node.json` in it. Resolves
	with its name.
	*/
	reserve(why: 'damaged' | 'left'): Promise<string>;
	/** Moves Raft's files into that folder, as far as they are not there yet. */
	moveAside(name: string): Promise<void>;
	/** @default a random identity */
	createIdentity?(): Identity;
};
export type OpenedNodeState = {
	readonly state: NodeState;
	readonly store: RaftStore;
	/** Why the old files were set aside at this start, and their folder. */
	readonly quarantined:
		{readonly problem: string; readonly folder: string; readonly formerId: NodeId | undefined} | undefined;
};

/**
@param address the advertised address of this node, which its former identity had too
@throws `storage`, {NewerVersionError}
*/
export async function openNodeState(io: NodeStateIo, address: string): Promise<OpenedNodeState> {
	await io.expectKnownFormats();
	let read = await readState(io);
	if (read && !('problem' in read) && read.aside !== undefined) {
		await io.moveAside(read.aside);
		read = {...read, aside: undefined};
	}

	const log = await io.openLog();
	const opened =
		log.damaged.length > 0
			? {
					problem:
						'the Raft log is damaged ' +
						`(${log.damaged.map(({file, position}) => `${file} at ${position}`).join(', ')})`,
				}
			: await openStore(log, io.blobs);
	const hasLeft = read !== undefined && !('problem' in read) && read.left === true;
	const problem =
		read && 'problem' in read ? read.problem : 'problem' in opened ? opened.problem : missingPart(read, opened);
	if (!hasLeft && problem === undefined && !('problem' in opened))
		return {
			state: (read as NodeState | undefined) ?? freshState(io.createIdentity?.()),
			store: opened,
			quarantined: undefined,
		};

	const former = read && !('problem' in read) ? read : undefined;
	const salvaged = await salvage(log, io.blobs);
	await log[Symbol.asyncDispose]();
	const formerId = former?.identity.id ?? salvaged.members().find(member => member.address === address)?.id;
	const since = new Map<Topic, number>(
		salvaged.topics().flatMap(({name, subscribers}) => {
			const time = formerId === undefined ? undefined : subscribers.get(formerId);
			return time === undefined || (former && !former.topics.includes(name)) ? [] : [[name, time] as const];
		}),
	);
	for (const [topic, time] of former?.since ?? []) since.set(topic, time);
	const aside = await io.reserve(hasLeft ? 'left' : 'damaged');
	const state: NodeState = {
		identity: io.createIdentity?.() ?? createIdentity(),
		incarnation: 0,
		clusterId: former?.clusterId || salvaged.clusterId,
		lamport: former?.lamport ?? 0,
		topics: former?.topics ?? [...since.keys()],
		members: [
			...new Map([
				...salvaged.members().map(({id, address: at}) => [id, at] as const),
				...(former?.members ?? []),
			]),
		].filter(([id, at]) => id !== formerId && at !== address && at !== ''),
		since: [...since],
		mustJoin: true,
		aside,
	};
	await io.writeState(stateToJson(state));
	await io.moveAside(aside);
	return {
		state: {...state, aside: undefined},
		store: await RaftStore.open(await io.openLog(), io.blobs),
		quarantined: hasLeft ? undefined : {problem: problem ?? '', folder: aside, formerId},
	};
}

async function readState(io: NodeStateIo): Promise<NodeState | {readonly problem: string} | undefined> {
	try {
		const json = await io.readState();
		if (json === undefined) return undefined;
		const state = stateFromJson(json);
		if ('newer' in state && state.newer !== undefined)
			throw new NewerVersionError('The node.json of this node', state.newer);
		return 'problem' in state ? {problem: `node.json is damaged: ${state.problem}`} : state;
	} catch (error) {
		if (error instanceof DamagedError) return {problem: error.message};
		throw error;
	}
}

async function openStore(log: Log, blobs: Blobs): Promise<RaftStore | {readonly problem: string}> {
	try {
		return await RaftStore.open(log, blobs);
	} catch (error) {
		if (error instanceof DamagedError) return {problem: errorMessage(error)};
		throw error;
	}
}

/** The part that is missingPart as a whole, when the other one shows that it existed. */
function missingPart(
	state: NodeState | {readonly problem: string} | undefined,
	store: RaftStore | {readonly problem: string},
): string | undefined {
	if ('problem' in store || (state && 'problem' in state)) return undefined;
	if (!state) return store.isEmpty ? undefined : 'node.json is missing';
	return store.isEmpty && state.members.some(([id]) => id === state.identity.id)
		? 'the Raft log is missing'
		: undefined;
}
