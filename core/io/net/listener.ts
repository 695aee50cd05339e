/**
The listening end: takes connections, keeps strangers within bounds, and hands over those that proved themselves.

Until a connection has authenticated it is a stranger, and there is room for few of them: 64, 16 of one address, 2 s
each. A full room is no reason to turn the newest away, or one flood would keep every honest peer out: the stranger that
has said least for longest goes instead. An honest handshake takes milliseconds, so it is through before its turn comes.

The first bytes decide. A node with encryption takes only what begins as TLS; anything else is closed without an answer,
but for one case: a hello in plain text from one who knows the cluster is told that encryption is on here, so that a
wrong setting shows as one clear line on both sides and not as a riddle.
*/
import net, {type Socket} from 'node:net';
import type {Duplex} from 'node:stream';
import type {SecureContext} from 'node:tls';
import {formatAddress, parseAddress, plainHost} from '../../address.ts';
import {DapssError, errorMessage} from '../../errors.ts';
import {isPortTaken} from '../../platform.ts';
import {frameHead, FrameReader} from '../../wire/frame.ts';
import type {Listener, ListenOptions, RefusalCode, TransportOptions} from './channel.ts';
import {helloOf} from './dial.ts';
import {differs, encodeRefusal, helloBytesMax, isHelloOfKin, parseHello} from './handshake.ts';
import {open, RefusedError} from './opening.ts';
import {socketDeadline} from './socket-deadline.ts';
import {bindingOf, describeStranger, isPreShared, secureServerSide, serverContext} from './tls.ts';

/** How far a stranger has come: nothing said; talking; TLS done, so it has the secret. */
type Stage = 0 | 1 | 2;
type Stranger = {
	readonly socket: Socket;
	readonly host: string;
	readonly name: string;
	readonly deadline: Disposable;
	stage: Stage;
	why: string;
};

/** A TLS record of type handshake, version 3.x. Shorter beginnings are waited for. */
const decidingBytes = 3;
/** What is open has this long to end by itself when the listener stops. */
const goodbyeMs = 300;
/** Refusals that are told in any ten seconds: strangers choose part of the text, and must not drown what matters. */
const linesMax = 8;
const linesMs = 10_000;

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
	/** Oldest first. */
	readonly #strangers = new Set<Stranger>();
	readonly #open = new Set<Socket>();
	/** Lines already said, by peer; so that a peer that tries again and again is told of once. */
	readonly #said = new Map<string, string>();
	#saidSinceMs = 0;
	#saidCount = 0;

	constructor(transport: TransportOptions, options: ListenOptions) {
		this.#transport = transport;
		this.#options = options;
		this.#context = serverContext();
	}

	get port(): number {
		const address = this.#server.address();
		return typeof address === 'object' && address ? address.port : 0;
	}

	get connections(): number {
		return this.#open.size;
	}

	get unauthenticated(): number {
		return this.#strangers.size;
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
							: `Cannot listen on ${formatAddress(host, port)}: ${whyNot(host, error)}`,
						{cause: error},
					),
				);
			});
			this.#server.listen({host, port, exclusive: true}, () => {
				this.#server.removeAllListeners('error');
				// Out of descriptors, for one: a connection is lost, the node is not.
				this.#server.on('error', () => this.#transport.refusals.add('accept'));
				resolve();
			});
		});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		const closed = new Promise<void>(resolve => {
			this.#server.close(() => resolve());
		});
		for (const stranger of this.#strangers) this.#drop(stranger, 'stopping');
		// Last words may still be leaving.
		const timer = setTimeout(() => {
			for (const socket of this.#open) socket.destroy();
		}, goodbyeMs);
		await closed;
		clearTimeout(timer);
	}

	#onConnection(socket: Socket): void {
		socket.on('error', () => {}); // Told by its close.
		const {limits, refusals} = this.#transport;
		const host = plainHost(socket.remoteAddress);
		if (
			this.#open.size + this.#strangers.size >= limits.connections &&
			!this.#dropLeast(undefined, 'connections')
		) {
			refusals.add('connections');
			socket.destroy();
			return;
		}

		let ofHost = 0;
		for (const stranger of this.#strangers) if (stranger.host === host) ofHost++;
		if (ofHost >= limits.unauthenticatedPerAddress) this.#dropLeast(host, 'unauthenticated-per-address');
		else if (this.#strangers.size >= limits.unauthenticated) this.#dropLeast(undefined, 'unauthenticated');

		const stranger: Stranger = {
			socket,
			host,
			name: `peer ${formatAddress(host, socket.remotePort ?? 0)}`,
			stage: 0,
			why: '',
			deadline: socketDeadline(limits.handshakeMs, () => this.#drop(stranger, 'handshake-timeout')),
		};
		this.#strangers.add(stranger);
		socket.once('close', () => {
			this.#forget(stranger);
			this.#open.delete(socket);
		});
		this.#decide(stranger);
	}

	/** Look at the first bytes before anything is answered. */
	#decide(stranger: Stranger): void {
		const {socket} = stranger;
		let head: Buffer = Buffer.alloc(0);
		const onData = (chunk: Buffer): void => {
			head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
			stranger.stage = 1;
			if (head.length < decidingBytes) return;
			socket.off('data', onData);
			socket.pause();
			const isTls = head[0] === 0x16 && head[1] === 3 && head[2]! <= 4;
			const {encrypt} = this.#transport.flags;
			if (isTls && encrypt) void this.#openSecure(stranger, head);
			else if (!isTls && !encrypt) void this.#openChannel(stranger, socket, Buffer.alloc(0), head);
			else if (isTls) this.#refuseTls(stranger);
			else this.#refusePlain(stranger, head);
		};

		socket.on('data', onData);
	}

	async #openSecure(stranger: Stranger, head: Buffer): Promise<void> {
		const {keys} = this.#transport;
		const {socket, name} = stranger;
		socket.unshift(head);
		const isSecure = await new Promise<boolean>(resolve => {
			const secured = secureServerSide(socket, this.#context, keys, pskIdentity => {
				const {code, reason} = describeStranger(pskIdentity, keys, name);
				stranger.why = code;
				this.#say(stranger, code, reason);
			});
			secured.once('secure', () => {
				if (!isPreShared(secured)) return resolve(false);
				stranger.stage = 2;
				resolve(true);
				void this.#openChannel(stranger, secured, bindingOf(secured));
			});
			secured.on('error', (error: NodeJS.ErrnoException) => {
				if (error.code === 'ERR_SSL_BINDER_DOES_NOT_VERIFY') {
					stranger.why = 'not-authenticated';
					this.#say(stranger, 'not-authenticated', `${name} has another secret than this node`);
				} else if (stranger.why === '') stranger.why = 'malformed';
				resolve(false);
			});
			secured.once('close', () => resolve(false));
		});
		if (!isSecure) this.#drop(stranger, stranger.why || 'malformed');
	}

	async #openChannel(stranger: Stranger, socket: Duplex, binding: Buffer, head?: Buffer): Promise<void> {
		const {hello, admit, onChannel} = this.#options;
		const {name} = stranger;
		const remoteAddress = name.slice('peer '.length);
		try {
			const said = hello();
			const local = helloOf(this.#transport, said);
			const channel = await open({
				socket,
				remoteAddress,
				transport: this.#transport,
				head,
				handshake: {side: 'listener', local, binding, peerName: name, admit, protocolMin: said.protocolMin},
			});
			this.#forget(stranger);
			if (stranger.socket.destroyed) return channel.destroy('the connection was lost');
			this.#open.add(stranger.socket);
			const peer = parseAddress(channel.remote.address);
			if (peer) this.#transport.names.worked(peer.host, stranger.host);
			onChannel(channel);
		} catch (error) {
			if (error instanceof RefusedError) {
				this.#transport.refusals.add(error.refusal.code);
				if (!error.refusal.isExpected && !['malformed', 'duplicate', 'busy'].includes(error.refusal.code))
					this.#say(stranger, error.refusal.code, error.refusal.reason);
				stranger.why = 'told';
			} else this.#drop(stranger, 'malformed');
		}
	}

	/** TLS at a node that speaks plain text: what it sends back makes the other side say so. */
	#refuseTls(stranger: Stranger): void {
		const reason = `${stranger.name} has enable_encryption=true, this node has false`;
		this.#say(stranger, 'flags', reason);
		this.#answer(stranger, reason);
		this.#transport.refusals.add('flags');
	}

	/** Plain text at a node with encryption: only one who knows the cluster gets a word. */
	#refusePlain(stranger: Stranger, head: Buffer): void {
		const {socket, name} = stranger;
		const reader = new FrameReader(helloBytesMax);
		const onData = (chunk: Buffer): void => {
			const violation = reader.push(chunk, payload => {
				socket.off('data', onData);
				const hello = isHelloOfKin(payload, this.#transport.keys) ? parseHello(payload) : undefined;
				if (!hello) return this.#drop(stranger, 'plaintext');
				const local = helloOf(this.#transport, this.#options.hello());
				const reason =
					differs(
						local,
						{...hello, id: hello.id, protocol: 0},
						hello.address === '' ? name : `peer ${hello.address}`,
					)?.reason ?? `${name} sent plain text`;
				this.#say(stranger, 'flags', reason);
				this.#transport.refusals.add('flags');
				this.#answer(stranger, reason);
			});
			if (violation !== undefined) this.#drop(stranger, 'plaintext');
		};

		socket.on('data', onData);
		socket.resume();
		onData(head);
	}

	#answer(stranger: Stranger, reason: string): void {
		const refusal = encodeRefusal({code: 'flags', reason}, helloOf(this.#transport, this.#options.hello()));
		stranger.why = 'told';
		stranger.socket.resume();
		stranger.socket.end(Buffer.concat([frameHead(refusal.length), refusal]));
	}

	/** Make room: of those of that address (or all), the one that has said least, for longest. */
	#dropLeast(host: string | undefined, reason: string): boolean {
		let least: Stranger | undefined;
		for (const stranger of this.#strangers) {
			if ((host === undefined || stranger.host === host) && (least === undefined || stranger.stage < least.stage))
				least = stranger;
		}

		if (least) this.#drop(least, reason);
		return least !== undefined;
	}

	#drop(stranger: Stranger, reason: string): void {
		if (!this.#strangers.has(stranger)) return;
		this.#forget(stranger);
		if (stranger.why !== 'told') this.#transport.refusals.add(reason);
		stranger.socket.destroy();
	}

	#forget(stranger: Stranger): void {
		stranger.deadline[Symbol.dispose]();
		this.#strangers.delete(stranger);
	}

	#say({host, name}: Stranger, code: RefusalCode, reason: string): void {
		if (code === 'itself') return; // This node asked at one of its own addresses, and learned that.
		const text = reason.replace(/^peer \S+/, ''); // The port differs at each try.
		if (this.#said.get(host) === text) return;
		if (this.#said.size >= 256) this.#said.clear();
		this.#said.set(host, text);
		const nowMs = performance.now();
		if (nowMs - this.#saidSinceMs >= linesMs) {
			this.#saidSinceMs = nowMs;
			this.#saidCount = 0;
		}

		if (++this.#saidCount > linesMax) return this.#transport.refusals.add('unsaid');
		this.#transport.onRefusal?.({id: undefined, address: name.slice('peer '.length), code, reason, by: 'us'});
	}
}

function whyNot(host: string, error: NodeJS.ErrnoException): string {
	switch (error.code) {
		// A mapped or a virtual address is often meant.
		case 'EADDRNOTAVAIL':
			return `host ${host} is no address of this machine: say with --host on which one to listen, and with --advertise where others call`;
		case 'ENOTFOUND':
		case 'EAI_AGAIN':
			return `the host name ${host} is not found (${error.code}): name an address of this machine with --host, or mend DNS or /etc/hosts`;
		case 'EACCES':
			return `this user may not (${error.code}): choose a --port from 1024 on`;
		default:
			return errorMessage(error);
	}
}
