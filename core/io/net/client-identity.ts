/**
Who is at the other end of a client connection, as quotas count and reports name it: the key of the client, or its
address when it has none.
*/
import {parseAddress} from '../../address.ts';
import type {NodeId} from '../../message.ts';
import {idOf} from '../../wire/seal.ts';

export type ClientIdentity = {
	/** Unique, and fit to be shown: `client 0123456789abcdef`, `node 0123456789abcdef` or `address 10.0.0.1`. */
	readonly name: string;
	/** It has a key of its own. Others at its address share the name of one that has none. */
	readonly hasKey: boolean;
	/** The address without the port. */
	readonly host: string;
};

/** The fields of a hello that say who its sender is. */
type Sender = {readonly id: NodeId | undefined; readonly clientKey?: Uint8Array | undefined};

/** @param host the address of the peer, without the port */
export function clientIdentityOf({id, clientKey}: Sender, host: string): ClientIdentity {
	const name = clientKey ? `client ${idOf(clientKey)}` : id === undefined ? `address ${host}` : `node ${id}`;
	return {name, hasKey: clientKey !== undefined || id !== undefined, host};
}

/** The identity at the other end of a channel. */
export function clientOf({
	remote,
	remoteAddress,
}: {
	readonly remote: Sender;
	readonly remoteAddress: string;
}): ClientIdentity {
	return clientIdentityOf(remote, parseAddress(remoteAddress)?.host ?? remoteAddress);
}
