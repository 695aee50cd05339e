/**
The request of a node that wants to become a member, and the answers to it. Fields that version 1 of the protocol does
not know are optional, and version 1 ignores them.
*/
import {isJoinToken} from '../access.ts';
import {parseAddress} from '../address.ts';
import {decode} from '../codec.ts';
import {isNodeId, type NodeId} from '../message.ts';
import {isNodeName} from '../node-name.ts';
import type {Spoken} from '../ports.ts';
import {kinds} from '../wire/wire.ts';
import {parseEndorsement, type Endorsement} from './endorsement.ts';
import {seekersMax, type SeekerState} from './founding.ts';
import {parseResignation, resignationsMax, type Resignation} from './resignation.ts';

export type JoinRequest = {
	/** Proved by the handshake of the connection that carries the request. */
	readonly id: NodeId;
	readonly address: string;
	/** Empty for a node without data. */
	readonly clusterId: string;
	/** The name that the node requests, and whether its operator chose it. */
	readonly name?: string;
	readonly isNameChosen?: boolean;
	/** Resignations of former identities of the same data folder, whose data were lost. */
	readonly resignations?: readonly Resignation[];
	/** The user who runs the node says that it may join. */
	readonly endorsement?: Endorsement;
	/** A join token, as an operator made it. */
	readonly token?: string;
	/** The state of a node that seeks a cluster, and may found one. */
	readonly seeking?: SeekerState;
	/** The facts from the hello of the connection; absent when a member asks over its link for the members. */
	readonly facts?: JoinFacts;
};

/** The facts that the hello of a joining node gives. A node of protocol 1 gives only its version. */
export type JoinFacts = Spoken & {
	/** The incarnation and instance of the process that uses the identity. */
	readonly incarnation?: number;
	readonly instance?: string;
};

/** The answer to a node that asks to join. */
export type JoinAnswer =
	| {readonly type: 'joined'; readonly clusterId: string; readonly members: ReadonlyArray<readonly [NodeId, string]>}
	| {readonly type: 'ask'; readonly leader: NodeId; readonly address: string}
	| {readonly type: 'wait'; readonly reason: string}
	/** From a seeker to another seeker; never sent to a node of protocol 1. */
	| {readonly type: 'seeking'; readonly address: string; readonly word: SeekerState}
	/** `clusterId`: set when the answer comes from another cluster of the same name, this one. */
	| {readonly type: 'refused'; readonly reason: string; readonly clusterId?: string};
export type Joined = Extract<JoinAnswer, {type: 'joined'}>;

/** Decodes a request; `undefined` for any other frame. */
export function parseJoin(frame: Buffer): JoinRequest | undefined {
	if (frame[0] !== kinds.join) return undefined;
	const value = decode(frame.subarray(1));
	if (typeof value !== 'object' || value === null) return undefined;
	const {id, address, clusterId, name, isNameChosen, resignations, seeking, token, ...rest} = value as Record<
		string,
		unknown
	>;
	if (!isNodeId(id) || !isShortText(address) || address === '' || !isShortText(clusterId)) return undefined;
	const word = seeking === undefined ? undefined : parseSeekerState(seeking);
	const endorsement = parseEndorsement(rest['endorsement']);
	const resigned =
		Array.isArray(resignations) && resignations.length <= resignationsMax
			? resignations.flatMap(one => parseResignation(one) ?? [])
			: [];
	return {
		id,
		address,
		clusterId,
		...(isNodeName(name) ? {name, isNameChosen: isNameChosen === true} : {}),
		...(resigned.length > 0 ? {resignations: resigned} : {}),
		...(word ? {seeking: word} : {}),
		...(endorsement ? {endorsement} : {}),
		...(isJoinToken(token) ? {token} : {}),
	};
}

/** Decodes an answer; `undefined` for any other frame. */
export function parseJoinAnswer(frame: Buffer): JoinAnswer | undefined {
	if (frame[0] !== kinds.joined) return undefined;
	const value = decode(frame.subarray(1));
	if (typeof value !== 'object' || value === null) return undefined;
	const {type, reason, leader, address, clusterId, members, word: raw} = value as Record<string, unknown>;
	switch (type) {
		case 'wait':
			return isShortText(reason) ? {type, reason} : undefined;
		case 'refused':
			return isShortText(reason)
				? {type, reason, ...(isShortText(clusterId) && clusterId !== '' ? {clusterId} : {})}
				: undefined;
		case 'ask':
			return isNodeId(leader) && isShortText(address) ? {type, leader, address} : undefined;
		case 'seeking': {
			const word = parseSeekerState(raw);
			return word && isAddress(address) ? {type, address, word} : undefined;
		}

		case 'joined': {
			const areMembers = (list: unknown): list is Array<[NodeId, string]> =>
				Array.isArray(list) &&
				list.length <= 4096 &&
				list.every(item => Array.isArray(item) && isNodeId(item[0]) && isShortText(item[1]));
			return isShortText(clusterId) && areMembers(members) ? {type, clusterId, members} : undefined;
		}

		default:
			return undefined;
	}
}

/** The cluster id of the node that answers, when it differs from this node's. */
export function otherCluster(answer: JoinAnswer, clusterId: string): string | undefined {
	const theirs = answer.type === 'joined' || answer.type === 'refused' ? answer.clusterId : undefined;
	return clusterId === '' || theirs === clusterId ? undefined : theirs;
}

function parseSeekerState(value: unknown): SeekerState | undefined {
	const {choice, isAble, seekers} = Object(value) as Record<string, unknown>;
	if (
		typeof isAble !== 'boolean' ||
		!Array.isArray(seekers) ||
		seekers.length > seekersMax ||
		!seekers.every(one => isAddress(one))
	)
		return undefined;
	return choice === undefined || choice === null
		? {choice: undefined, isAble, seekers}
		: isNodeId(choice)
			? {choice, isAble, seekers}
			: undefined;
}

function isAddress(value: unknown): value is string {
	return isShortText(value) && parseAddress(value) !== undefined;
}

function isShortText(value: unknown): value is string {
	return typeof value === 'string' && value.length <= 1024;
}
