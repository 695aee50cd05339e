/**
The options of a node, put together from the parts of its process.
*/
import {identityKeyOf} from '../access.ts';
import type {FaultCommand} from '../broker.ts';
import {topicsOf} from '../control/desired-subscriptions.ts';
import {systemClock, systemEntropy} from '../io/clock.ts';
import type {Discovery} from '../io/net/discovery.ts';
import {endorse} from '../membership/endorsement.ts';
import type {WantedName} from '../membership/naming.ts';
import type {NodeIo, NodeOptions} from '../node/node-options.ts';
import {protocolMax, version} from '../version.ts';
import {SignedBatches, signGroup} from '../wire/batch-signature.ts';
import {addBatchMac, hasBatchMac, signerOf, type Identity} from '../wire/seal.ts';
import type {KeptClock} from './kept-clock.ts';
import type {Network} from './network.ts';
import type {NodeSlot} from './node-slot.ts';
import type {RecoveredState} from './recovered-state.ts';
import type {Storage} from './storage.ts';
import {openTopicIn} from './topic-logs.ts';

export type Parts = {
	readonly storage: Storage;
	readonly recovered: RecoveredState;
	readonly clock: KeptClock;
	readonly network: Network;
	readonly discovery: Discovery;
	readonly slot: NodeSlot;
	/** Drawn by this process at its start. */
	readonly instance: string;
	readonly name: WantedName;
	/** The identity of the user who runs the node. */
	readonly owner: Identity | undefined;
	/** Where other nodes reach this node. */
	readonly address: string;
};

export function nodeOptions(parts: Parts): NodeOptions {
	const {
		storage: {config},
		recovered: {state, incarnation, lamport, resignations, isFresh},
		instance,
		name,
		owner,
		address,
	} = parts;
	return {
		id: state.identity.id,
		incarnation,
		lamport,
		config,
		owner: owner && identityKeyOf(owner.publicKey),
		endorsement: owner && endorse(owner, config.cluster, state.identity.id),
		address,
		version,
		protocolMax,
		instance,
		name,
		clusterId: state.clusterId,
		topics: [...new Set([...state.topics, ...topicsOf(config.topics)])],
		former: state,
		founding: isFresh
			? {
					seeds: config.bootstrap,
					expect: config.expect,
					seekMs: config.discovery.enabled ? config.discovery.seekMs : 0,
				}
			: undefined,
		resignations: resignations.former,
		io: nodeIo(parts),
	};
}

function nodeIo({storage, recovered, clock, network, discovery, slot}: Parts): NodeIo {
	const {config, folder, reserve} = storage;
	const {ring, keys, mesh, datagrams, faults, ask} = network;
	const signatures = new SignedBatches();
	const topicLogs = {
		storage,
		self: recovered.state.identity.id,
		warn: (text: string) => slot.warn(text),
		nowMs: clock.nowMs,
	};
	return {
		clock: systemClock,
		entropy: systemEntropy,
		links: mesh,
		datagrams,
		signer: signerOf(recovered.state.identity),
		raftStore: recovered.raftStore,
		knownTopics: recovered.knownTopics,
		save: recovered.save,
		room: reserve,
		keys,
		peers: {candidates: () => discovery.candidates(), ask},
		proofs: {
			isRequired: config.enableMessageSigning,
			isLinkProof: config.enableEncryption && config.enableNodeAuth,
			addMac: bytes => addBatchMac(bytes, ring.active.batch),
			hasMac: bytes => hasBatchMac(bytes, ring.batchKeys),
			sign: group => signGroup(group, recovered.state.identity),
			isSigned: (bytes, origin) => signatures.isGenuine(bytes, origin),
		},
		openTopic: (topic, onHeader) => openTopicIn(topicLogs, topic, onHeader),
		retentionMs: clock.nowMs,
		noteAge: clock.noteAge,
		removeTopic: topic => folder.removeTopic(topic),
		faults: faults && {
			apply: (command: FaultCommand, by: string) => faults.apply(command, by),
			active: label => faults.active(label),
		},
	};
}
