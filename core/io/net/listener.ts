/**
The listening side: accepts connections, bounds the unauthenticated ones, and hands over those that have authenticated.

There is room for few unauthenticated connections: 512 in total, 64 for each address, 2 s each. When the limit is
reached, the newest is not refused, because then one flood would keep every honest peer out. Instead, a random one is
dropped (`pending-connections.ts`).

The first bytes decide. A node with encryption accepts only connections that begin with TLS. It closes all others
without an answer, with one exception: a plain-text hello from a peer that knows the cluster is answered with a refusal,
so that a wrong setting shows as one clear line on both sides.

Times are real time: sockets belong to the process, and no simulation runs them. (The simulator replaces the whole
transport.)
*/
import net, {type Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import type {SecureContext} from 'node:tls';
import {formatAddress, parseAddress, plainHost} from '../../address.ts';
import type {KeyId} from '../../cluster-keys.ts';
import {DapssError, errorMessage} from '../../errors.ts';
import {isPortTaken} from '../../platform.ts';
import {runDeadline} from '../../run-deadline.ts';
import {frameHead, FrameReader} from '../../wire/frame.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock, systemEntropy} from '../clock.ts';
import type {Hello, Listener, ListenOptions, Refusal, RefusalCode, TransportOptions} from './channel.ts';
import {clientIdentityOf} from './client-identity.ts';
import {ConnectionQuotas, type UsedUp} from './connection-quotas.ts';
import {helloOf} from './dial.ts';
import {clientKeysProtocol, differs, encodeRefusal, helloBytesMax, isHelloOfCluster, parseHello} from './handshake.ts';
import {open, RefusedError} from './opening.ts';
import {PendingConnections} from './pending-connections.ts';
import {helloHeadBytes, SeenHellos} from './seen-hellos.ts';
import {
	bindingOf,
	describeUnknownKey,
	isPreShared,
	keyIdShown,
	keysText,
	removedKeyText,
	secureServerSide,
	serverContext,
} from './tls.ts';

type PendingConnection = {
	readonly socket: Socket;
	readonly host: string;
	readonly name: string;
	readonly deadline: Disposable;
	/** Why it is about to be dropped; `counted` once its refusal has been counted. */
	why: string;
	/** The random value of its ClientHello. */
	hello: string | undefined;
};

/** Enough to recognise a TLS record of type handshake, version 3.x; shorter input waits for more. */
const decidingBytes = 3;
/**
A TLS alert is the only answer to a peer without the secret, in bytes: 5 of its record, 2 of the alert. Everything
longer is sent after the peer has shown the secret.
*/
const alertBytes = 7;
/** How long the addresses of members are used before they are read again, in milliseconds. */
const membersMs = 1000;
/** How long open connections may take to end by themselves when the listener stops, in milliseconds. */
const goodbyeMs = 300;
/**
Bound on the refusals that are reported in ten seconds: peers choose a part of the text, and must not flood the log.
*/
const linesMax = 8;
const linesMs = 10_000;

/** Hosts whose last key is remembered. */
const callingAgainMax = 256;

/** See `Transport.listen`. */
export async function listen(transport: TransportOptions, options: ListenOptions): Promise<Listener> {
	const server = new ChannelServer(transport, options);
	await server.start();
	return server;
}

class ChannelServer implements Listener {
	readonly #transport: TransportOptions;
	readonly #options: ListenOptions;
	readonly #server = net.createServer({noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000}, socket =>
		this.#onConnection(socket),
	);
	readonly #context: SecureContext;
	readonly #quotas: ConnectionQuotas;
	readonly #pending: PendingConnections<PendingConnection>;
	#members: ReadonlySet<string> = new Set();
	#membersAtMs = Number.NEGATIVE_INFINITY;
	readonly #open = new Set<Socket>();
	readonly #hellos = new SeenHellos();
	/** The key that a host showed last, when it said that it would call again with another one. */
	readonly #callingAgain = new Map<string, KeyId>();
	/** The last reported text for each host, so that a peer that retries is reported once. */
	readonly #reported = new Map<string, string>();
	#reportedSinceMs = 0;
	#reportedCount = 0;

	constructor(transport: TransportOptions, options: ListenOptions) {
		this.#transport = transport;
		this.#options = options;
		this.#context = serverContext();
		this.#quotas = new ConnectionQuotas(transport.limits);
		const {limits, random = systemEntropy} = transport;
		this.#pending = new PendingConnections({
			max: limits.unauthenticated,
			perAddressMax: limits.unauthenticatedPerAddress,
			random,
			hasAnswer: ({socket}) => socket.bytesWritten > alertBytes,
			isMember: host => this.#isMember(host),
			onDropped: (pending, reason) => this.#close(pending, reason),
		});
	}

	get port(): number {
		const address = this.#server.address();
		return typeof address === 'object' && address ? address.port : 0;
	}

	get connections(): number {
		return this.#open.size;
	}

	get unauthenticated(): number {
		return this.#pending.size;
	}

	start(): Promise<void> {
		const {host, port} = this.#options;
		return new Promise((resolve, reject) => {
			this.#server.once('error', (error: NodeJS.ErrnoException) => {
				reject(
					new DapssError(
						isPortTaken(error) ? 'port-in-use' : 'failure',
						isPortTaken(error)
							? `Port ${port} of ${host} is in use`
							: `Cannot listen on ${formatAddress(host, port)}: ${listenFailure(host, error)}`,
						{cause: error},
					),
				);
			});
			this.#server.listen({host, port, exclusive: true}, () => {
				this.#server.removeAllListeners('error');
				// For example, no descriptor was left: a connection is lost, but the node continues.
				this.#server.on('error', () => this.#transport.refusals.add('accept'));
				resolve();
			});
		});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const closed = new Promise<void>(resolve => {
			this.#server.close(() => resolve());
		});
		for (const pending of this.#pending) this.#drop(pending, 'stopping');
		// Goodbyes may still be in flight.
		using _timer = systemClock.after(goodbyeMs, () => {
			for (const socket of this.#open) socket.destroy();
		});
		await closed;
	}

	#onConnection(socket: Socket): void {
		socket.on('error', () => {}); // Handled by its close.
		const {limits, refusals} = this.#transport;
		const host = plainHost(socket.remoteAddress);
		if (this.#open.size + this.#pending.size >= limits.connections && !this.#pending.dropOne()) {
			refusals.add('connections');
			socket.destroy();
			return;
		}

		const pending: PendingConnection = {
			socket,
			host,
			name: `peer ${formatAddress(host, socket.remotePort ?? 0)}`,
			why: '',
			hello: undefined,
			deadline: runDeadline(systemClock, limits.handshakeMs, () => this.#drop(pending, 'handshake-timeout')),
		};
		this.#pending.add(pending, host);
		socket.once('close', () => {
			this.#forget(pending);
			this.#open.delete(socket);
		});
		this.#decide(pending);
	}

	/** Waits for the first bytes, and chooses TLS, plain text or a refusal. */
	#decide(pending: PendingConnection): void {
		const {socket} = pending;
		let head: Buffer = Buffer.alloc(0);
		const onData = (chunk: Buffer): void => {
			head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
			if (head.length < decidingBytes) return;
			const isTls = head[0] === 0x16 && head[1] === 3 && head[2]! <= 4;
			const {encrypt} = this.#transport.flags;
			if (isTls && encrypt && head.length < helloHeadBytes) return;
			socket.off('data', onData);
			socket.pause();
			if (isTls && encrypt) void this.#openSecure(pending, head);
			else if (!isTls && !encrypt) void this.#openPlain(pending, head);
			else if (isTls) this.#refuseTls(pending);
			else this.#refusePlain(pending, head);
		};

		socket.on('data', onData);
	}

	async #openPlain(pending: PendingConnection, head: Buffer): Promise<void> {
		const {valid} = this.#transport.keys;
		await this.#openChannel(pending, pending.socket, {binding: Buffer.alloc(0), keys: valid}, head);
	}

	async #openSecure(pending: PendingConnection, head: Buffer): Promise<void> {
		const {keys} = this.#transport;
		const {socket} = pending;
		pending.hello = this.#hellos.begun(head);
		if (pending.hello === undefined) return this.#drop(pending, 'replayed-hello');
		socket.unshift(head);
		const isSecure = await new Promise<boolean>(resolve => {
			let key: Keys | undefined;
			const secured = secureServerSide(socket, this.#context, keys, {
				onKey(used) {
					key = used;
				},
				onUnknownKey: pskIdentity => this.#onUnknownKey(pending, pskIdentity),
			});
			secured.once('secure', () => {
				if (!key || !isPreShared(secured)) return resolve(false);
				resolve(true);
				void this.#openChannel(pending, secured, {binding: bindingOf(secured), keys: [key]});
			});
			secured.on('error', (error: NodeJS.ErrnoException) => {
				if (error.code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY') {
					pending.why = 'not-authenticated';
					this.#report(pending, 'not-authenticated', this.#otherSecretText(pending));
				} else if (pending.why === '') pending.why = 'malformed';
				resolve(false);
			});
			secured.once('close', () => resolve(false));
		});
		if (!isSecure) this.#drop(pending, pending.why || 'malformed');
	}

	#onUnknownKey(pending: PendingConnection, pskIdentity: string): void {
		const {keys, onWrongKey} = this.#transport;
		const {host, name} = pending;
		const isRemoved = (id: KeyId): boolean => keys.isRemoved?.(id) ?? false;
		const refusal = describeUnknownKey(pskIdentity, {active: keys.active, valid: keys.valid, isRemoved}, name);
		const shown = keyIdShown(pskIdentity);
		pending.why = refusal?.code ?? 'key-name';
		if (refusal) this.#report(pending, refusal.code, refusal.reason);
		if (refusal && shown !== undefined) onWrongKey?.(shown, name.slice('peer '.length));
		if (shown === undefined) return;
		if (this.#callingAgain.size >= callingAgainMax) this.#callingAgain.clear();
		this.#callingAgain.set(host, shown);
	}

	/** The former name of a key does not show which key it is; the call before this one did. */
	#otherSecretText({host, name}: PendingConnection): string {
		const text = `${name} has another secret than this node`;
		const shown = this.#callingAgain.get(host);
		if (shown === undefined) return text;
		const {keys, onWrongKey} = this.#transport;
		if (keys.isRemoved?.(shown)) return removedKeyText(name, shown, keys.active.id);
		onWrongKey?.(shown, name.slice('peer '.length));
		return `${text}: it uses the key ${shown}, here ${keysText(keys.valid)}`;
	}

	async #openChannel(
		pending: PendingConnection,
		socket: Duplex,
		{binding, keys}: {readonly binding: Buffer; readonly keys: readonly Keys[]},
		head?: Buffer,
	): Promise<void> {
		const {hello, admit, onChannel} = this.#options;
		const {name} = pending;
		const remoteAddress = name.slice('peer '.length);
		try {
			const said = hello();
			const local = helloOf(this.#transport, said);
			const channel = await open({
				socket,
				remoteAddress,
				transport: this.#transport,
				head,
				handshake: {
					side: 'listener',
					local,
					binding,
					keys,
					peerName: name,
					admit: remoteHello => admit(remoteHello) ?? this.#quotaRefusal(remoteHello, pending.host),
					protocolMin: said.protocolMin,
				},
			});
			this.#forget(pending);
			if (pending.socket.destroyed) return channel.destroy('the connection was lost');
			this.#open.add(pending.socket);
			// Counted once it has proved who it is. Others may have used up the quota since its hello.
			const usedUp = this.#countClient(channel.remote, pending);
			if (usedUp) return channel.close(usedUp.reason);
			const remote = parseAddress(channel.remote.address);
			if (remote) this.#transport.names.worked(remote.host, pending.host);
			onChannel(channel);
		} catch (error) {
			if (error instanceof RefusedError) {
				this.#transport.refusals.add(error.refusal.code);
				if (!error.refusal.isExpected && !['malformed', 'duplicate', 'busy'].includes(error.refusal.code))
					this.#report(pending, error.refusal.code, error.refusal.reason);
				pending.why = 'counted';
			} else this.#drop(pending, 'malformed');
		}
	}

	#quotaRefusal(remote: Hello, host: string): Refusal | undefined {
		if (remote.via === 'peer') return undefined;
		const client = clientIdentityOf(remote, host);
		const usedUp = this.#quotas.usedUp(client);
		if (!usedUp) return undefined;
		this.#transport.onQuota?.(usedUp.quota, client.name);
		// Earlier releases do not know the code, and show the reason of this one.
		return {code: remote.protocol >= clientKeysProtocol ? 'limit' : 'not-a-member', reason: usedUp.reason};
	}

	/** Counts the connection until it closes; the quota, if there is no room. Links of members are not counted. */
	#countClient(remote: Hello, {host, socket}: PendingConnection): UsedUp | undefined {
		if (remote.via === 'peer') return undefined;
		const client = clientIdentityOf(remote, host);
		const usedUp = this.#quotas.usedUp(client);
		if (usedUp) {
			this.#transport.onQuota?.(usedUp.quota, client.name);
			return usedUp;
		}

		const counted = this.#quotas.add(client);
		socket.once('close', () => counted[Symbol.dispose]());
		return undefined;
	}

	/** TLS at a node that speaks plain text: the plain answer makes the other side report the difference. */
	#refuseTls(pending: PendingConnection): void {
		const reason = `${pending.name} has enable_encryption=true, this node has false`;
		this.#report(pending, 'flags', reason);
		this.#answer(pending, reason);
		this.#transport.refusals.add('flags');
	}

	/** Plain text at a node with encryption: only a peer that knows the cluster gets an answer. */
	#refusePlain(pending: PendingConnection, head: Buffer): void {
		const {socket, name} = pending;
		const reader = new FrameReader(helloBytesMax);
		const onData = (chunk: Buffer): void => {
			const violation = reader.push(chunk, payload => {
				socket.off('data', onData);
				const hello = isHelloOfCluster(payload, this.#transport.keys.valid) ? parseHello(payload) : undefined;
				if (!hello) return this.#drop(pending, 'plaintext');
				const local = helloOf(this.#transport, this.#options.hello());
				const reason =
					differs(
						local,
						{...hello, id: hello.id, protocol: 0},
						hello.address === '' ? name : `peer ${hello.address}`,
					)?.reason ?? `${name} sent plain text`;
				this.#report(pending, 'flags', reason);
				this.#transport.refusals.add('flags');
				this.#answer(pending, reason);
			});
			if (violation !== undefined) this.#drop(pending, 'plaintext');
		};

		socket.on('data', onData);
		socket.resume();
		onData(head);
	}

	#answer(pending: PendingConnection, reason: string): void {
		const refusal = encodeRefusal({code: 'flags', reason}, helloOf(this.#transport, this.#options.hello()));
		pending.why = 'counted';
		pending.socket.resume();
		pending.socket.end(Buffer.concat([frameHead(refusal.length), refusal]));
	}

	/** Whether a known member has the address; names of members count with the addresses that are known of them. */
	#isMember(host: string): boolean {
		const nowMs = systemClock.monotonicMs();
		if (nowMs - this.#membersAtMs >= membersMs) {
			const {names} = this.#transport;
			const hosts = this.#options.memberHosts?.() ?? [];
			this.#members = new Set(hosts.flatMap(one => (net.isIP(one) === 0 ? names.known(one) : [one])));
			this.#membersAtMs = nowMs;
		}

		return this.#members.has(host);
	}

	#drop(pending: PendingConnection, reason: string): void {
		if (!this.#pending.has(pending)) return;
		this.#pending.delete(pending);
		this.#close(pending, reason);
	}

	#close(pending: PendingConnection, reason: string): void {
		this.#settle(pending);
		if (pending.why !== 'counted') this.#transport.refusals.add(reason);
		pending.socket.destroy();
	}

	#forget(pending: PendingConnection): void {
		this.#settle(pending);
		this.#pending.delete(pending);
	}

	/** The connection has authenticated, or has ended. */
	#settle(pending: PendingConnection): void {
		pending.deadline[Symbol.dispose]();
		if (pending.hello !== undefined) this.#hellos.ended(pending.hello, pending.socket.bytesWritten > alertBytes);
		pending.hello = undefined;
	}

	#report({host, name}: PendingConnection, code: RefusalCode, reason: string): void {
		if (code === 'itself') return; // This node called one of its own addresses, and has noticed.
		const text = reason.replace(/^peer \S+/, ''); // The port differs at each attempt.
		if (this.#reported.get(host) === text) return;
		if (this.#reported.size >= 256) this.#reported.clear();
		this.#reported.set(host, text);
		const nowMs = systemClock.monotonicMs();
		if (nowMs - this.#reportedSinceMs >= linesMs) {
			this.#reportedSinceMs = nowMs;
			this.#reportedCount = 0;
		}

		if (++this.#reportedCount > linesMax) return this.#transport.refusals.add('unsaid');
		this.#transport.onRefusal?.({id: undefined, address: name.slice('peer '.length), code, reason, by: 'us'});
	}
}

function listenFailure(host: string, error: NodeJS.ErrnoException): string {
	switch (error.code) {
		// Often a port-mapped or virtual address was meant.
		case 'EADDRNOTAVAIL':
			return (
				`host ${host} is no address of this machine: ` +
				'use --host to set an address to listen on, and --advertise to set the one that others call'
			);
		case 'ENOTFOUND':
		case 'EAI_AGAIN':
			return (
				`the host name ${host} is not found (${error.code}): ` +
				'name an address of this machine with --host, or repair DNS or /etc/hosts'
			);
		case 'EACCES':
			return `this user may not (${error.code}): choose a --port from 1024 on`;
		default:
			return errorMessage(error);
	}
}
