/**
The configuration: voters and learners. It is data in the log, and counts from the moment it is appended (Raft, 6). It
changes by one node at a time, so that any majorities of two consecutive configurations share a voter (thesis, 4.1). It
is rolled back when its entry is truncated.
*/
import {isNodeId, type NodeId} from '../message.ts';

export type Configuration = {
	/** Sorted. */
	readonly voters: readonly NodeId[];
	/** Sorted. Learners receive all entries, and count for no majority. */
	readonly learners: readonly NodeId[];
};
export type Change = {readonly type: 'add-learner' | 'promote' | 'demote' | 'remove'; readonly node: NodeId};

export const noConfiguration: Configuration = {voters: [], learners: []};
const idBytes = 8;
const nodesMax = 4096;

/** The configuration after the change; `undefined` when the change does not apply to it, or would leave no voter. */
export function changed({voters, learners}: Configuration, {type, node}: Change): Configuration | undefined {
	const isVoter = voters.includes(node);
	const isLearner = learners.includes(node);
	switch (type) {
		case 'add-learner':
			return isVoter || isLearner ? undefined : {voters, learners: [...learners, node].toSorted()};
		case 'promote':
			return isLearner ? {voters: [...voters, node].toSorted(), learners: without(learners, node)} : undefined;
		case 'demote':
			return isVoter && voters.length > 1
				? {voters: without(voters, node), learners: [...learners, node].toSorted()}
				: undefined;
		case 'remove': {
			if (isLearner) return {voters, learners: without(learners, node)};
			return isVoter && voters.length > 1 ? {voters: without(voters, node), learners} : undefined;
		}

		default:
			return type satisfies never;
	}
}

export function majority(voters: number): number {
	return Math.floor(voters / 2) + 1;
}

/** Version of the data of a configuration entry. */
export const configurationVersion = 1;

/**
Data of a configuration entry: u8 version, u16 voters, u16 learners, 8 bytes per node, then the caller's `context`.
*/
export function encodeConfigurationData({voters, learners}: Configuration, context: Uint8Array): Uint8Array {
	const head = Buffer.alloc(5 + (voters.length + learners.length) * idBytes);
	head[0] = configurationVersion;
	head.writeUInt16BE(voters.length, 1);
	head.writeUInt16BE(learners.length, 3);
	let at = 5;
	for (const node of [...voters, ...learners]) at += head.write(node, at, idBytes, 'hex');
	return Buffer.concat([head, context]);
}

export function decodeConfigurationData(
	data: Uint8Array,
): {readonly configuration: Configuration; readonly context: Uint8Array} | undefined {
	const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
	if (bytes.length < 5 || bytes[0] !== configurationVersion) return undefined;
	const voterCount = bytes.readUInt16BE(1);
	const learnerCount = bytes.readUInt16BE(3);
	const end = 5 + (voterCount + learnerCount) * idBytes;
	if (voterCount + learnerCount > nodesMax || end > bytes.length) return undefined;
	const nodes = Array.from(
		{length: voterCount + learnerCount},
		(_, index) => bytes.toString('hex', 5 + index * idBytes, 5 + (index + 1) * idBytes) as NodeId,
	);
	const configuration = parseConfiguration({voters: nodes.slice(0, voterCount), learners: nodes.slice(voterCount)});
	return configuration && {configuration, context: bytes.subarray(end)};
}

export function parseConfiguration(value: unknown): Configuration | undefined {
	if (typeof value !== 'object' || value === null) return undefined;
	const {voters, learners} = value as Record<string, unknown>;
	if (!areIds(voters) || !areIds(learners)) return undefined;
	const known = new Set(voters);
	return learners.some(learner => known.has(learner)) ? undefined : {voters, learners};
}

/** Sorted and without duplicates, so that equal configurations have equal bytes. */
function areIds(list: unknown): list is NodeId[] {
	return (
		Array.isArray(list) &&
		list.length <= nodesMax &&
		list.every((id: unknown, index) => isNodeId(id) && (index === 0 || list[index - 1] < id))
	);
}

function without(nodes: readonly NodeId[], node: NodeId): NodeId[] {
	return nodes.filter(other => other !== node);
}
