/**
Sealed datagrams on the node's port. Each process seals with AES-256-GCM under a key of its own for each peer: HKDF of
the secret that both processes share (`datagram-keys.ts`) over sender, incarnation and instance. Datagrams to and from
nodes before protocol 4, and those before the first link, use the cluster's datagram key instead of that secret (the
active one; each valid one is accepted); they prove only that the sender has the secret of the cluster. The nonce is a
counter, so no nonce is used twice, not even after a restart. A receiver accepts each counter of a sender once, and no
earlier incarnation of it, so recorded datagrams cannot be replayed. (A receiver that has just started has no history;
the packets carry numbers that make old ones useless.) Datagrams that do not verify are counted and not answered.
Without encryption the tag is an HMAC.

```
u8 version | 8 B sender | u32 incarnation | 8 B instance | u48 counter | sealed bytes | 16 B tag
```

Versions: 1 (2 without encryption) under the key of the cluster, 3 (4) under the key of the two processes.
*/
import {createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject} from 'node:crypto';
import {createSocket, type RemoteInfo, type Socket} from 'node:dgram';
import {lookup} from 'node:dns/promises';
import {isIP} from 'node:net';
import {formatAddress, parseAddress, plainHost, type HostPort} from '../../address.ts';
import {DapssError, errorMessage} from '../../errors.ts';
import type {NodeId} from '../../message.ts';
import {isPortTaken} from '../../platform.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import {isMac, macOf, type Keys} from '../../wire/seal.ts';
import type {Counters} from './counters.ts';
import type {Faults} from './faults.ts';
import {Names} from './host-names.ts';

export type DatagramOptions = {
	readonly host: string;
	readonly port: number;
	readonly keys: KeySet<Pick<Keys, 'datagram'>>;
	readonly id: NodeId;
	readonly incarnation: number;
	/** The random instance number of this process, 16 hexadecimal digits: the salt of its key. */
	readonly instance: string;
	/** The instance of a peer according to its link; `undefined` without a link. @default no peer is linked */
	readonly instanceOf?: (id: NodeId) => string | undefined;
	/** The secret that this process shares with the linked process of a peer. @default none */
	readonly secretOf?: (id: NodeId) => Buffer | undefined;
	readonly encrypt: boolean;
	readonly refusals: Counters;
	/** Resolves host names; shared with TCP. */
	readonly names?: Names;
	readonly faults: Faults | undefined;
	readonly onDatagram: (from: NodeId, bytes: Buffer) => void;
};
export type OpenDatagrams = AsyncDisposable & {
	readonly port: number;
	/** Sends at most `datagramBytesMax` less the seal (43 bytes). Longer ones are counted and dropped. */
	send(address: string, bytes: Uint8Array, to?: NodeId): void;
};

export const datagramBytesMax = 1400;
const headerBytes = 27;
const tagBytes = 16;
const sendersMax = 4096;
const windowBits = 64n;

type Sender = {
	incarnation: number;
	salt: string;
	/** What `key` was derived from: the shared secret, or the key of the cluster. */
	base: Buffer;
	key: KeyObject;
	newest: number;
	window: bigint;
};

const versions = {cluster: {sealed: 1, open: 2}, pair: {sealed: 3, open: 4}} as const;

/** Seals and opens datagrams. Keeps a replay window for each sender, for at most `sendersMax` of them. */
export class Seal {
	readonly #keys: DatagramOptions['keys'];
	readonly #id: NodeId;
	readonly #isEncrypted: boolean;
	readonly #header = Buffer.alloc(headerBytes);
	#clusterKey: {readonly base: Buffer; readonly key: KeyObject} | undefined;
	/** By peer: the shared secret, and the key that was derived from it. */
	readonly #pairs = new Map<NodeId, {readonly secret: Buffer; readonly key: KeyObject; readonly header: Buffer}>();
	readonly #secretOf: (id: NodeId) => Buffer | undefined;
	readonly #senders = new Map<NodeId, Sender>();
	readonly #instanceOf: (id: NodeId) => string | undefined;
	#counter = 0;

	constructor({
		keys,
		id,
		incarnation,
		instance,
		instanceOf = () => undefined,
		secretOf = () => undefined,
		encrypt,
	}: Pick<DatagramOptions, 'keys' | 'id' | 'incarnation' | 'instance' | 'instanceOf' | 'secretOf' | 'encrypt'>) {
		this.#keys = keys;
		this.#id = id;
		this.#isEncrypted = encrypt;
		this.#header[0] = this.#versionOf('cluster');
		this.#header.write(id, 1, 8, 'hex');
		this.#header.writeUInt32BE(incarnation, 9);
		Buffer.from(instance, 'hex').copy(this.#header, 13);
		this.#instanceOf = instanceOf;
		this.#secretOf = secretOf;
	}

	/** @param to the peer; without one, or before the first link to it, the key of the cluster is used */
	seal(bytes: Uint8Array, to?: NodeId): Buffer {
		this.#counter++;
		const pair = to === undefined ? undefined : this.#pair(to);
		const key = pair?.key ?? this.#ownKey();
		const header = Buffer.from(pair?.header ?? this.#header);
		header.writeUIntBE(this.#counter, 21, 6);
		if (!this.#isEncrypted) return Buffer.concat([header, bytes, macOf(key, header, bytes).subarray(0, tagBytes)]);
		const cipher = createCipheriv('aes-256-gcm', key, nonceOf(this.#counter));
		cipher.setAAD(header);
		return Buffer.concat([header, cipher.update(bytes), cipher.final(), cipher.getAuthTag()]);
	}

	/** The sender and its bytes, or the reason why the datagram is dropped. */
	open(
		datagram: Buffer,
	): {readonly from: NodeId; readonly bytes: Buffer} | 'malformed' | 'bad-datagram' | 'replayed' | 'other-process' {
		if (datagram.length < headerBytes + tagBytes) return 'malformed';
		const isPair = datagram[0] === this.#versionOf('pair');
		if (!isPair && datagram[0] !== this.#versionOf('cluster')) return 'malformed';
		const from = datagram.toString('hex', 1, 9) as NodeId;
		const incarnation = datagram.readUInt32BE(9);
		if (from === this.#id) return 'replayed'; // Our own datagram, sent back to us.
		const salt = datagram.toString('hex', 13, 21);
		const counter = datagram.readUIntBE(21, 6);
		// The link determines the instance of the sender that counts. A second process with a copied data folder may
		// have a higher incarnation.
		const linked = this.#instanceOf(from);
		if (linked !== undefined && linked !== salt) return 'other-process';
		const known = this.#senders.get(from);
		const isKnown = known?.incarnation === incarnation && known.salt === salt;
		if (known && !isKnown && linked === undefined && incarnation <= known.incarnation) return 'replayed';
		if (isKnown && !isFresh(known, counter)) return 'replayed';
		// A peer that shares a secret with this process seals with it: anything else comes from another node.
		const secret = this.#secretOf(from);
		if (isPair !== (secret !== undefined)) return 'bad-datagram';
		const opened = this.#openUnder(secret ? [secret] : this.#bases(), datagram, isKnown ? known : undefined);
		if (!opened) return 'bad-datagram';
		const {base, key, bytes} = opened;
		// Only a datagram that verified changes the state: an unauthenticated peer cannot advance a sender's window.
		const sender = isKnown ? known : {incarnation, salt, base, key, newest: 0, window: 0n};
		sender.base = base;
		sender.key = key;
		if (!isKnown) {
			if (this.#senders.size >= sendersMax) this.#senders.delete(this.#senders.keys().next().value!);
			this.#senders.set(from, sender);
		}

		markSeen(sender, counter);
		return {from, bytes};
	}

	/** The key under which this process seals for peers without a key of their own. */
	#ownKey(): KeyObject {
		const {datagram: base} = this.#keys.active;
		if (this.#clusterKey?.base !== base) this.#clusterKey = {base, key: derive(base, this.#header)};
		return this.#clusterKey.key;
	}

	#bases(): readonly Buffer[] {
		return this.#keys.valid.map(({datagram}) => datagram);
	}

	#openUnder(
		bases: readonly Buffer[],
		datagram: Buffer,
		known: Pick<Sender, 'base' | 'key'> | undefined,
	): {readonly base: Buffer; readonly key: KeyObject; readonly bytes: Buffer} | undefined {
		const counter = datagram.readUIntBE(21, 6);
		for (const base of bases) {
			const key = known?.base === base ? known.key : derive(base, datagram);
			const bytes = this.#openWith(key, datagram, counter);
			if (bytes) return {base, key, bytes};
		}

		return undefined;
	}

	#openWith(key: KeyObject, datagram: Buffer, counter: number): Buffer | undefined {
		const header = datagram.subarray(0, headerBytes);
		const sealed = datagram.subarray(headerBytes, -tagBytes);
		const tag = datagram.subarray(-tagBytes);
		if (!this.#isEncrypted) return isMac(key, tag, header, sealed) ? sealed : undefined;
		try {
			const decipher = createDecipheriv('aes-256-gcm', key, nonceOf(counter), {authTagLength: tagBytes});
			decipher.setAAD(header);
			decipher.setAuthTag(tag);
			return Buffer.concat([decipher.update(sealed), decipher.final()]);
		} catch {
			return undefined;
		}
	}

	#versionOf(key: keyof typeof versions): number {
		return this.#isEncrypted ? versions[key].sealed : versions[key].open;
	}

	#pair(to: NodeId): {readonly key: KeyObject; readonly header: Buffer} | undefined {
		const secret = this.#secretOf(to);
		if (!secret) return undefined;
		const known = this.#pairs.get(to);
		if (known?.secret === secret) return known;
		if (this.#pairs.size >= sendersMax) this.#pairs.clear();
		const header = Buffer.from(this.#header);
		header[0] = this.#versionOf('pair');
		const pair = {secret, header, key: derive(secret, header)};
		this.#pairs.set(to, pair);
		return pair;
	}
}

/** The key of one process of a sender, from the version of the seal, the sender, its incarnation and its instance. */
function derive(base: Buffer, header: Buffer): KeyObject {
	return createSecretKey(Buffer.from(hkdfSync('sha256', base, header.subarray(0, 21), 'dapss1 datagram key', 32)));
}

/**
Binds the UDP port.
@throws `port-in-use`, `failure`
*/
export async function openDatagrams(options: DatagramOptions): Promise<OpenDatagrams> {
	const {host, port, refusals, faults, onDatagram, names = new Names()} = options;
	const seal = new Seal(options);
	const at = await listeningAddress(host);
	const socket = createSocket(isIP(at) === 6 ? 'udp6' : 'udp4');
	const targets = new Targets(names, isIP(at) === 6);
	socket.on('message', (datagram: Buffer, {address: source}: RemoteInfo) => {
		const opened = seal.open(datagram);
		if (typeof opened === 'string') return refusals.add(opened);
		if (faults?.isDatagramLost(opened.from)) return;
		targets.heard(opened.from, source);
		onDatagram(opened.from, opened.bytes);
	});
	await bound(socket, at, port);
	socket.on('error', () => refusals.add('datagram-error'));
	const {port: boundPort} = socket.address();
	let isClosed = false;
	return {
		port: boundPort,
		send(address, bytes, to) {
			const target = targets.of(address, to);
			const fate = faults?.datagramOut(to) ?? 0;
			if (isClosed || !target || fate === 'lost') return;
			if (bytes.length > datagramBytesMax - headerBytes - tagBytes) {
				refusals.add('datagram-too-large');
				return;
			}

			const datagram = seal.seal(bytes, to);
			const leave = (): void => {
				// An error such as a missing route is ignored: failed probes report it.
				if (!isClosed) socket.send(datagram, target.port, target.host, () => undefined);
			};

			if (fate > 0) setTimeout(leave, fate).unref();
			else leave();
		},
		async [Symbol.asyncDispose]() {
			if (isClosed) return;
			isClosed = true;
			await new Promise<void>(resolve => {
				socket.close(() => resolve());
			});
		},
	};
}

/**
Resolves the destinations of datagrams to numeric addresses; the socket would query a name server for each datagram.
When a name has several addresses, the source address of that peer's datagrams is preferred, then the address of a
working link. Otherwise the addresses are used in turn.
*/
class Targets {
	readonly #names: Names;
	readonly #isV6: boolean;
	readonly #parsed = new Map<string, HostPort | undefined>();
	readonly #sources = new Map<NodeId, string>();
	#turn = 0;

	constructor(names: Names, isV6: boolean) {
		this.#names = names;
		this.#isV6 = isV6;
	}

	heard(from: NodeId, source: string): void {
		if (this.#sources.size >= sendersMax && !this.#sources.has(from)) this.#sources.clear();
		this.#sources.set(from, source);
	}

	/** `undefined` when the address is invalid or not resolved yet, or when this socket's family cannot reach it. */
	of(address: string, to: NodeId | undefined): HostPort | undefined {
		const at = this.#parse(address);
		if (!at) return undefined;
		const host = isIP(at.host) === 0 ? this.#addressOf(at.host, to) : at.host;
		if (host === undefined || !this.#canReach(host)) return undefined;
		return {host: this.#isV6 && isIP(host) === 4 ? `::ffff:${host}` : host, port: at.port};
	}

	#addressOf(name: string, to: NodeId | undefined): string | undefined {
		const addresses = this.#names.known(name).filter(address => this.#canReach(address));
		if (addresses.length < 2) return addresses[0];
		const source = to === undefined ? undefined : plainHost(this.#sources.get(to));
		if (source !== undefined && addresses.includes(source)) return source;
		return this.#names.preferred(name) ?? addresses[this.#turn++ % addresses.length];
	}

	#canReach(host: string): boolean {
		return this.#isV6 || isIP(host) === 4;
	}

	#parse(address: string): HostPort | undefined {
		if (this.#parsed.has(address)) return this.#parsed.get(address);
		if (this.#parsed.size >= sendersMax) this.#parsed.clear();
		const parsed = parseAddress(address);
		this.#parsed.set(address, parsed);
		return parsed;
	}
}

/** The first address of the name, which a listening TCP socket uses too. */
async function listeningAddress(host: string): Promise<string> {
	if (isIP(host) !== 0) return host;
	try {
		return (await lookup(host)).address;
	} catch (error) {
		throw new DapssError(
			'failure',
			`Cannot listen on UDP ${host}: ` +
				`the name is not found (${(error as NodeJS.ErrnoException).code ?? errorMessage(error)})`,
			{cause: error},
		);
	}
}

function bound(socket: Socket, host: string, port: number): Promise<void> {
	return new Promise((resolve, reject) => {
		socket.once('error', (error: NodeJS.ErrnoException) =>
			reject(
				new DapssError(
					isPortTaken(error) ? 'port-in-use' : 'failure',
					isPortTaken(error)
						? `UDP port ${port} of ${host} is in use`
						: `Cannot listen on UDP ${formatAddress(host, port)}: ${errorMessage(error)}`,
					{cause: error},
				),
			),
		);
		socket.bind(port, host, () => {
			socket.removeAllListeners('error');
			resolve();
		});
	});
}

function nonceOf(counter: number): Buffer {
	const nonce = Buffer.alloc(12);
	nonce.writeUIntBE(counter, 6, 6);
	return nonce;
}

/** Newer than all counters, or within the last 64 and not seen yet. */
function isFresh({newest, window}: Sender, counter: number): boolean {
	if (counter > newest) return true;
	const back = BigInt(newest - counter);
	return back < windowBits && ((window >> back) & 1n) === 0n;
}

function markSeen(sender: Sender, counter: number): void {
	if (counter > sender.newest) {
		const ahead = BigInt(counter - sender.newest);
		sender.window = ahead >= windowBits ? 1n : ((sender.window << ahead) | 1n) & ((1n << windowBits) - 1n);
		sender.newest = counter;
	} else sender.window |= 1n << BigInt(sender.newest - counter);
}
