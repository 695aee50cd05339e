/**
Channels over TCP: the dialling and the listening side with their shared options. A process may have several transports,
each with its own identity.
*/
import type {Config} from '../../config.ts';
import {fixedKeys, type KeySet} from '../../wire/key-ring.ts';
import {deriveKeys, type Identity} from '../../wire/seal.ts';
import {flagsOf, type RefusedPeer, type Transport, type TransportOptions} from './channel.ts';
import {Budget, Counters} from './counters.ts';
import {dial} from './dial.ts';
import {FormerPeers} from './former-peers.ts';
import {Names} from './host-names.ts';
import {listen} from './listener.ts';

/** Connects `listen` and `dial` to their shared options. */
export function createTransport(options: TransportOptions): Transport {
	return {
		listen: listenOptions => listen(options, listenOptions),
		dial: (address, dialOptions) => dial(options, address, dialOptions),
	};
}

/**
The options that all connections of a process with this configuration share. `identity` is `undefined` for a client.
*/
export function transportOptions(
	config: Pick<
		Config,
		'cluster' | 'secret' | 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption' | 'limits'
	>,
	{
		identity,
		clientIdentity,
		version,
		keys = fixedKeys(deriveKeys(config)),
		onRefusal,
		onQuota,
		onWrongKey,
	}: {
		readonly identity: Identity | undefined;
		readonly clientIdentity?: Identity | undefined;
		readonly version: string;
		readonly onRefusal?: (refused: RefusedPeer) => void;
		/** @default the key of the secret in the configuration */
		readonly keys?: KeySet;
		readonly onQuota?: TransportOptions['onQuota'];
		readonly onWrongKey?: TransportOptions['onWrongKey'];
	},
): TransportOptions {
	return {
		cluster: config.cluster,
		keys,
		identity,
		clientIdentity,
		flags: flagsOf(config),
		limits: config.limits,
		version,
		refusals: new Counters(),
		budget: new Budget(config.limits.outQueueTotalBytes),
		names: new Names(),
		formerPeers: new FormerPeers(),
		...(onRefusal && {onRefusal}),
		...(onQuota && {onQuota}),
		...(onWrongKey && {onWrongKey}),
	};
}
