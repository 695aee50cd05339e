/**
Who is at the other end of a client connection, as quotas count and reports name it: its identity, or its address when
it showed none.
*/
import {identityKeyOf} from '../../access.ts';
import type {NodeId} from '../../message.ts';
import {addressKey} from './pending-connections.ts';

export type ClientIdentity = {
	/** Unique, and fit to be shown: `identity …`, `node 0123456789abcdef` or `address 10.0.0.1`. */
	readonly name: string;
	/** It has an identity. Others at its address share the name of one that has none. */
	readonly hasIdentity: boolean;
	/** The address without the port; of IPv6 the network, which one machine may have for itself. */
	readonly host: string;
};

/** The fields of a hello that say who its sender is. */
type Sender = {readonly id: NodeId | undefined; readonly clientKey?: Uint8Array | undefined};

/** @param address the address of the peer, without the port */
export function clientIdentityOf({id, clientKey}: Sender, address: string): ClientIdentity {
	const host = addressKey(address);
	const name = clientKey
		? `identity ${identityKeyOf(clientKey)}`
		: id === undefined
			? `address ${host}`
			: `node ${id}`;
	return {name, hasIdentity: clientKey !== undefined || id !== undefined, host};
}
