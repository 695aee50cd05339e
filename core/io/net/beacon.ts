/**
Discovery: small authenticated multicast datagrams that announce a node, its cluster and its topics. A beacon is only a
hint: it never makes a member. Each beacon is accepted once, and not after a newer one of the same sender; an answered
challenge proves that it is no replay (`challenges.ts`). A member answers the beacon of a node that seeks a cluster with
its own, so that the seeker needs only one of several datagrams. A program that searches for a node can ask for all
beacons (`beacon-search.ts`).

Beacons of a cluster with another name or secret do not verify; they are only counted.
*/
import {isAdvertisable} from '../../address.ts';
import {decode, encode} from '../../codec.ts';
import {isNodeId, type NodeId} from '../../message.ts';
import {isNodeName} from '../../node-name.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';
import {answersMax, isChallenge} from './challenges.ts';

export type Beacon = {
	readonly id: NodeId;
	readonly incarnation: number;
	readonly clusterId: string;
	readonly address: string;
	readonly phase: 'member' | 'seeking';
	/** Topics that the node subscribes to, as many as fit. In earlier versions: topics that it has messages of. */
	readonly topics: readonly string[];
	/** The agreed name; empty until it is agreed, and for nodes of earlier versions, which ignore the field. */
	readonly name: string;
};
/** What only one beacon of a node has. */
export type BeaconMark = {
	readonly counter: number;
	/** To be repeated in a beacon of its receivers. */
	readonly challenge?: string | undefined;
	/** Challenges of other programs. */
	readonly answers?: readonly string[];
};
export type DecodedBeacon = Beacon &
	BeaconMark & {
		readonly answers: readonly string[];
		/** Its sender answers challenges. A node of an earlier version does not. */
		readonly canProve: boolean;
	};
export const beaconBytesMax = 512;
const macBytes = 32;
const version = 1;

/** The datagram. Topics are left out until it fits, then answers. */
export function encodeBeacon(
	beacon: Beacon,
	{counter, challenge = '', answers: given = []}: BeaconMark,
	keys: Pick<Keys, 'beacon'>,
): Buffer {
	const {id, incarnation, clusterId, address, phase, name} = beacon;
	let {topics} = beacon;
	let answers = given;
	for (;;) {
		const body = Buffer.concat([
			Buffer.of(version),
			encode([id, incarnation, counter, clusterId, address, phase, topics, name, challenge, answers]),
		]);
		if (body.length + macBytes <= beaconBytesMax || topics.length + answers.length === 0)
			return Buffer.concat([macOf(keys.beacon, body), body]);
		if (topics.length > 0) topics = topics.slice(0, Math.floor(topics.length / 2));
		else answers = answers.slice(0, Math.floor(answers.length / 2));
	}
}

/** The content of a beacon, or why the datagram is ignored. The MAC is verified before anything is decoded. */
export function decodeBeacon(datagram: Buffer, keys: Pick<Keys, 'beacon'>): DecodedBeacon | 'malformed' | 'foreign' {
	if (datagram.length <= macBytes + 1 || datagram.length > beaconBytesMax) return 'malformed';
	const body = datagram.subarray(macBytes);
	if (!isMac(keys.beacon, datagram.subarray(0, macBytes), body)) return 'foreign';
	const value = body[0] === version ? decode(body.subarray(1)) : undefined;
	if (!Array.isArray(value)) return 'malformed';
	const [id, incarnation, counter, clusterId, address, phase, topics, name, challenge, answers] =
		value as readonly unknown[];
	const isText = (text: unknown): text is string => typeof text === 'string' && text.length <= 261;
	if (
		!isNodeId(id) ||
		!isCount(incarnation) ||
		!isCount(counter) ||
		!isText(clusterId) ||
		!isText(address) ||
		!isAdvertisable(address) ||
		(phase !== 'member' && phase !== 'seeking')
	)
		return 'malformed';
	if (!Array.isArray(topics) || !topics.every(topic => isText(topic))) return 'malformed';
	return {
		id,
		incarnation,
		counter,
		clusterId,
		address,
		phase,
		topics,
		name: isNodeName(name) ? name : '',
		challenge: isChallenge(challenge) ? challenge : undefined,
		answers: Array.isArray(answers) ? answers.slice(0, answersMax).filter(isChallenge) : [],
		canProve: Array.isArray(answers),
	};
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
