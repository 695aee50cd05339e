/**
TLS for every link: version 1.3 only, with an external pre-shared key (RFC 8446, 2.2) derived from the cluster's secret.
One standard step provides mutual authentication, AES-GCM and, because the key exchange is kept (psk_dhe_ke), forward
secrecy.

- The cipher is set explicitly: Node's default order would select ChaCha20, which is slower here.
- A session ticket would admit its holder without the secret. OpenSSL sends one nevertheless; with `SSL_OP_NO_TICKET` it
  is only an index into a cache that Node does not keep, so it is useless.
- A ClientHello shows the name of the key in plain text. The name is derived from the key (`dapss2:…`), so it tells
  nobody the name of the cluster; it does tell that two connections belong to the same cluster. Nodes of earlier
  versions know only the former name, which contains the cluster's. A listener accepts both. A dialer uses the new one,
  and calls again with the former one only if the peer does not know the new one, and if the cluster may have members
  of earlier versions (`mayUseFormerName`). Somebody on the path can provoke that by answering in place of the peer, and
  learns the name of the cluster then, not more.
- During a rotation two keys are valid. The name of the key tells the listener which one the dialer uses. A dialer uses
  the active key, and calls again with the other one if the peer does not know the first yet.
- No data are read before the handshake has finished: Node offers no early data, and accepts none.
*/
import {constants} from 'node:crypto';
import type {Socket} from 'node:net';
import tls, {type SecureContext, type TLSSocket, type TLSSocketOptions} from 'node:tls';
import {DapssError} from '../../errors.ts';
import type {KeyId} from '../../cluster-keys.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import {keyIdOfName, type Keys} from '../../wire/seal.ts';
import type {RefusalCode} from './channel.ts';
import {HungUpError, RefusedError} from './opening.ts';

const ciphers = 'TLS_AES_128_GCM_SHA256';
const versions = {minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3'} as const;
const exporterLabel = 'EXPERIMENTAL dapss hello';
const exporterBytes = 32;

/** All nodes that speak this protocol know the derived name of the key. */
const derivedNameProtocol = 4;
/** Ends the name of the key if the dialer calls again with another one: the listener then need not report it. */
const callsAgain = '?';

/** Which name of the key a call shows: the derived one, as the only one or first; or that of earlier versions. */
export type KeyName = 'only' | 'first' | 'former';

export function keyNameOf(keys: Keys, name: KeyName): string {
	return name === 'former' ? keys.formerPskIdentity : keys.pskIdentity + (name === 'first' ? callsAgain : '');
}

/** @param agreed the protocol of the cluster, as far as the dialer knows: a client or a joining node knows none */
export function mayUseFormerName(agreed: number | undefined): boolean {
	return (agreed ?? 0) < derivedNameProtocol;
}

/** The context of the listening side. */
export function serverContext(): SecureContext {
	return tls.createSecureContext({...versions, ciphers, secureOptions: constants.SSL_OP_NO_TICKET});
}

/**
The listening side of TLS on an accepted socket. `onKey` gets the key that the peer names, `onUnknownKey` the name of
one that is not valid here. The former name does not tell which key it is, so it stands for the active one.
*/
export function secureServerSide(
	socket: Socket,
	context: SecureContext,
	keys: KeySet,
	{onKey, onUnknownKey}: {readonly onKey: (key: Keys) => void; readonly onUnknownKey: (pskIdentity: string) => void},
): TLSSocket {
	// Node accepts the callback here as in `createServer`; the types know only the latter.
	const options: TLSSocketOptions & {readonly pskCallback: (socket: TLSSocket, identity: string) => Buffer | null} = {
		isServer: true,
		secureContext: context,
		requestCert: false,
		pskCallback(_socket, identity) {
			const key = keys.valid.find(({pskIdentity, formerPskIdentity}) =>
				[pskIdentity, pskIdentity + callsAgain, formerPskIdentity].includes(identity),
			);
			if (!key) {
				onUnknownKey(identity);
				return null;
			}

			onKey(key);
			return key.psk;
		},
	};
	return new tls.TLSSocket(socket, options);
}

/** The dialling side of TLS on a connected socket, with one of the names of `keyNameOf`. */
export function secureClientSide(socket: Socket, keys: Keys, keyName: string): TLSSocket {
	return tls.connect({
		socket,
		...versions,
		ciphers,
		pskCallback: () => ({psk: keys.psk, identity: keyName}),
		// There is no certificate to check. `isPreShared` verifies that none was accepted instead of the key.
		checkServerIdentity: () => undefined,
	});
}

/**
Whether the peer proved the pre-shared key, and no certificate was accepted instead. No session is ever offered, so
"reused" can only mean the key.
*/
export function isPreShared(socket: TLSSocket): boolean {
	return (
		socket.isSessionReused() &&
		Object.keys(socket.getPeerCertificate() ?? {}).length === 0 &&
		socket.getProtocol() === 'TLSv1.3'
	);
}

/** A value that only the two ends of this connection know (TLS exporter). */
export function bindingOf(socket: TLSSocket): Buffer {
	return socket.exportKeyingMaterial(exporterBytes, exporterLabel, Buffer.alloc(0));
}

/** The key that a caller names; `undefined` for the former name or other text. The name is untrusted text. */
export function keyIdShown(keyName: string): KeyId | undefined {
	return keyIdOfName(keyName.endsWith(callsAgain) ? keyName.slice(0, -callsAgain.length) : keyName);
}

/**
The refusal of a peer that showed this key name; `undefined` for one that calls again, unless with a key that was
removed: no other one helps it. The name is untrusted text.
*/
export function describeUnknownKey(
	keyName: string,
	{active, valid, isRemoved}: KeySet & {readonly isRemoved: (id: KeyId) => boolean},
	name: string,
): {readonly code: RefusalCode; readonly reason: string} | undefined {
	const keys = active;
	const theirKey = keyIdShown(keyName);
	if (theirKey !== undefined && isRemoved(theirKey))
		return {code: 'not-authenticated', reason: removedKeyText(name, theirKey, active.id)};
	if (theirKey !== undefined && keyName.endsWith(callsAgain)) return undefined;
	if (theirKey !== undefined)
		return {
			code: 'not-authenticated',
			reason: `${unknownNameText(name)}: it uses the key ${theirKey}, here ${keysText(valid)}`,
		};
	const former = /^dapss1:(?<cluster>[\w.-]{1,63})(?<open>:open)?$/;
	const theirs = former.exec(keyName)?.groups;
	const ours = former.exec(keys.formerPskIdentity)?.groups;
	if (!theirs || !ours) return {code: 'malformed', reason: `${name} does not speak this protocol`};
	if (theirs['cluster'] !== ours['cluster'])
		return {
			code: 'cluster',
			reason: `${name} is of the cluster "${theirs['cluster']}", this node of "${ours['cluster']}"`,
		};
	return {
		code: 'flags',
		reason:
			`${name} has enable_node_auth=${theirs['open'] === undefined}, ` +
			`this node has ${ours['open'] === undefined}`,
	};
}

/** The refusal of a peer with a key that the cluster removed. */
export function removedKeyText(name: string, theirs: KeyId, ours: KeyId): string {
	return (
		`${name} has another secret than this node: it uses the key ${theirs}, which was removed from the cluster; ` +
		`its key is ${ours} now. Put the present secret into its secret file`
	);
}

/** Such as `0011223344556677 is valid`. */
export function keysText(valid: ReadonlyArray<Pick<Keys, 'id'>>): string {
	return `${valid.map(({id}) => id).join(' and ')} ${valid.length === 1 ? 'is' : 'are'} valid`;
}

/** What a dialer whose key the peer does not accept can do. */
function ownKeyText(key: KeyId): string {
	return (
		`it does not accept the key ${key}. If that key was removed by a rotation, ` +
		'put the present secret of the cluster into the secret file here'
	);
}

/** The derived name of the key depends on all three, so a peer without it cannot say more. */
function unknownNameText(name: string): string {
	return `${name} has another secret, cluster or enable_node_auth than this node`;
}

/** The peer answered with something other than TLS: it has encryption off, or is no node of dapss-tui. */
export class NoTlsError extends DapssError {
	constructor(peerName: string) {
		super('unreachable', `${peerName} does not answer as a dapss node does`);
	}
}

/** The peer does not know the name of the key that this side showed. */
export class UnknownKeyNameError extends RefusedError {}

/** The error of a dialler that showed this name of the key, from the alert that the listener sent. */
export function explainClientError(
	error: NodeJS.ErrnoException,
	name: string,
	keys: Keys,
	keyName: KeyName,
): DapssError {
	const code = error.code ?? '';
	const cluster = keys.formerPskIdentity.split(':')[1];
	const isAuth = !keys.formerPskIdentity.endsWith(':open');
	// The listener could not verify the binder (RFC 8446, 4.2.11.2): it has another key of the same name.
	if (code.includes('ALERT_DECRYPT_ERROR'))
		return new RefusedError(
			{code: 'not-authenticated', reason: `${name} has another secret than this node: ${ownKeyText(keys.id)}`},
			'peer',
		);
	// The listener has no key of this name.
	if (code.includes('ALERT_HANDSHAKE_FAILURE') && keyName !== 'former')
		return new UnknownKeyNameError(
			{code: 'not-authenticated', reason: `${unknownNameText(name)}: ${ownKeyText(keys.id)}`},
			'peer',
		);
	if (code.includes('ALERT_HANDSHAKE_FAILURE'))
		return new RefusedError(
			{
				code: 'cluster',
				reason:
					`${name} is not of the cluster "${cluster}", ` +
					`or its enable_node_auth is not ${isAuth} as on this node`,
			},
			'peer',
		);
	if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
		return new NoTlsError(name);
	if (code.startsWith('ERR_SSL'))
		return new RefusedError({code: 'malformed', reason: `${name} failed the TLS handshake (${code})`}, 'peer');
	return new HungUpError(name, code === '' ? '' : ` (${code})`, {cause: error});
}
