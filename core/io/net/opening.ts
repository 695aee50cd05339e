/**
Turns a socket into a channel: runs the handshake over it, and then leaves the socket to the channel. Until the
handshake has finished, a frame has at most 4 KiB. The caller sets the deadline.
*/
import type {Duplex} from 'node:stream';
import type {KeyId} from '../../cluster-keys.ts';
import {DapssError, type ErrorCode} from '../../errors.ts';
import {frameHead, FrameReader} from '../../wire/frame.ts';
import {systemClock} from '../clock.ts';
import type {Hello, Refusal, RefusalCode, TransportOptions} from './channel.ts';
import {Handshake, helloBytesMax, type HandshakeOptions} from './handshake.ts';
import {SocketChannel} from './socket-channel.ts';

/** How long the last payloads of a failed handshake may take to leave, in milliseconds. */
const goodbyeMs = 1000;

/** Codes of refusals that callers distinguish. */
const errorCodes: Partial<Readonly<Record<RefusalCode, ErrorCode>>> = {
	'not-authenticated': 'not-authenticated',
	'no-access': 'not-authorized',
};

/** The handshake ended with a refusal by one side. */
export class RefusedError extends DapssError {
	readonly refusal: Refusal;
	readonly by: 'us' | 'peer';

	constructor(refusal: Refusal, by: 'us' | 'peer') {
		super(errorCodes[refusal.code] ?? 'refused', refusal.reason, {cause: refusal});
		this.refusal = refusal;
		this.by = by;
	}
}

/**
The peer closed the connection during the handshake without a reason: it had no room or no time for this call, and may
have for the next.
*/
export class HungUpError extends DapssError {
	constructor(peerName: string, detail = '', options?: ErrorOptions) {
		super('unreachable', `${peerName} closed the connection during the handshake${detail}`, options);
	}
}

export type OpeningOptions = {
	readonly socket: Duplex;
	readonly remoteAddress: string;
	readonly handshake: Omit<HandshakeOptions, 'identity' | 'protocols'>;
	readonly transport: TransportOptions;
	/** Bytes that were read already. */
	readonly head?: Buffer | undefined;
};

/**
Opens a channel on the socket.
@throws {RefusedError}, or `unreachable` when the socket ends first; the socket is then closed
*/
export function open(options: OpeningOptions): Promise<SocketChannel> {
	return new Promise((resolve, reject) => {
		new Opening(options, resolve, reject).start();
	});
}

class Opening {
	readonly #options: OpeningOptions;
	readonly #resolve: (channel: SocketChannel) => void;
	readonly #reject: (error: Error) => void;
	readonly #handshake: Handshake;
	readonly #reader = new FrameReader(helloBytesMax);
	#channel: SocketChannel | undefined;
	#receivedBytes = 0;
	#isSettled = false;

	constructor(options: OpeningOptions, resolve: (channel: SocketChannel) => void, reject: (error: Error) => void) {
		const {identity, clientIdentity, protocols} = options.transport;
		this.#options = options;
		this.#resolve = resolve;
		this.#reject = reject;
		this.#handshake = new Handshake({...options.handshake, identity, clientIdentity, protocols});
	}

	start(): void {
		const {socket, head} = this.#options;
		socket.on('error', this.#onError);
		socket.on('close', this.#onClose);
		socket.on('data', this.#onData);
		write(socket, this.#handshake.start());
		if (head) this.#onData(head);
		if (!this.#isSettled) socket.resume();
	}

	/** Stays on the socket once the channel is open, and feeds it. */
	readonly #onData = (chunk: Buffer): void => {
		if (this.#channel) this.#channel.stats.receivedBytes += chunk.length;
		else this.#receivedBytes += chunk.length;
		const violation = this.#reader.push(chunk, payload => this.#onPayload(payload));
		if (violation === undefined) return;
		if (this.#channel) return this.#channel.violate(violation);
		const reason = `${this.#options.handshake.peerName} does not speak this protocol`;
		this.#fail(new RefusedError({code: 'malformed', reason}, 'us'));
	};

	readonly #onError = (error: Error): void => {
		const {peerName} = this.#options.handshake;
		this.#fail(new DapssError('unreachable', `${peerName}: ${error.message}`, {cause: error}));
	};

	readonly #onClose = (): void => this.#fail(new HungUpError(this.#options.handshake.peerName));

	#onPayload(payload: Buffer): void {
		if (this.#channel) return this.#channel.receive(payload);
		if (this.#isSettled) return;
		const outcome = this.#handshake.step(payload);
		switch (outcome.type) {
			case 'continue':
				return write(this.#options.socket, outcome.send);
			case 'refused':
				return this.#fail(new RefusedError(outcome.refusal, outcome.by), outcome.send);
			case 'open':
				return this.#succeed(outcome, outcome.send);
			default:
				return outcome satisfies never;
		}
	}

	#succeed({remote, key}: {readonly remote: Hello; readonly key: KeyId}, lastPayloads: readonly Buffer[]): void {
		const {
			socket,
			remoteAddress,
			transport: {
				limits: {frameBytes, outQueueBytes},
				budget,
				refusals,
				keys,
			},
		} = this.#options;
		// The key was removed during the handshake.
		if (!keys.valid.some(({id}) => id === key))
			return this.#fail(
				new RefusedError({code: 'not-authenticated', reason: `The key ${key} has just been removed`}, 'us'),
			);
		this.#isSettled = true;
		socket.off('error', this.#onError);
		socket.off('close', this.#onClose);
		this.#reader.frameBytesMax = frameBytes;
		this.#channel = new SocketChannel({
			socket,
			remote,
			remoteAddress,
			key,
			outQueueBytes,
			frameBytesMax: frameBytes,
			budget,
			refusals,
		});
		this.#channel.stats.receivedBytes = this.#receivedBytes;
		write(socket, lastPayloads);
		this.#resolve(this.#channel);
	}

	#fail(error: Error, lastPayloads: readonly Buffer[] = []): void {
		const {socket} = this.#options;
		if (this.#isSettled) return;
		this.#isSettled = true;
		socket.off('data', this.#onData);
		if (lastPayloads.length > 0 && socket.writable) {
			socket.resume(); // With unread bytes the end would become a reset, and the payloads would be lost.
			write(socket, lastPayloads);
			socket.end();
			const timer = systemClock.after(goodbyeMs, () => socket.destroy());
			socket.once('close', () => timer[Symbol.dispose]());
		} else socket.destroy();
		this.#reject(error);
	}
}

function write(socket: Duplex, payloads: readonly Buffer[]): void {
	if (payloads.length === 0 || !socket.writable) return;
	socket.write(Buffer.concat(payloads.flatMap(payload => [frameHead(payload.length), payload])));
}
