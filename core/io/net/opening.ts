/**
From a socket to a channel: drive the handshake over it, then leave the socket to the channel. Before the handshake is
done a frame is at most 4 KiB, and the whole takes at most as long as its caller allows.
*/
import type {Duplex} from 'node:stream';
import {DapssError} from '../../errors.ts';
import {frameHead, FrameReader} from '../../wire/frame.ts';
import type {Refusal, TransportOptions} from './channel.ts';
import {Handshake, helloBytesMax, type HandshakeOptions} from './handshake.ts';
import {SocketChannel} from './socket-channel.ts';

/** The handshake ended with a refusal; `by` says whose. */
export class RefusedError extends DapssError {
	readonly refusal: Refusal;
	readonly by: 'us' | 'peer';

	constructor(refusal: Refusal, by: 'us' | 'peer') {
		super(refusal.code === 'not-authenticated' ? 'not-authenticated' : 'refused', refusal.reason, {cause: refusal});
		this.refusal = refusal;
		this.by = by;
	}
}

/**
The peer ended the connection in the handshake without a word: it had no room or no time for this call, and may have for
the next.
*/
export class HungUpError extends DapssError {
	constructor(peerName: string, detail = '', options?: ErrorOptions) {
		super('unreachable', `${peerName} closed the connection during the handshake${detail}`, options);
	}
}

export type OpeningOptions = {
	readonly socket: Duplex;
	readonly remoteAddress: string;
	readonly handshake: Omit<HandshakeOptions, 'keys' | 'identity' | 'protocols'>;
	readonly transport: TransportOptions;
	/** Bytes that were read already. */
	readonly head?: Buffer | undefined;
};

/**
The channel, or why there is none: `RefusedError`, or `unreachable` when the socket ends first. The socket is then
closed.
*/
export function open({
	socket,
	remoteAddress,
	handshake: options,
	transport,
	head,
}: OpeningOptions): Promise<SocketChannel> {
	return new Promise((resolve, reject) => {
		const {keys, identity, limits, budget, refusals, protocols} = transport;
		const handshake = new Handshake({...options, keys, identity, protocols});
		const reader = new FrameReader(helloBytesMax);
		let channel: SocketChannel | undefined;
		let receivedBytes = 0;
		let isOver = false;

		const fail = (error: Error, lastWords: readonly Buffer[] = []): void => {
			if (isOver) return;
			isOver = true;
			socket.off('data', onData);
			if (lastWords.length > 0 && socket.writable) {
				socket.resume(); // An unread byte would turn the end into a reset, and the last words would be lost.
				write(socket, lastWords);
				socket.end();
				const timer = setTimeout(() => socket.destroy(), 1000).unref();
				socket.once('close', () => clearTimeout(timer));
			} else socket.destroy();
			reject(error);
		};

		const take = (payload: Buffer): void => {
			if (channel) return channel.receive(payload);
			if (isOver) return;
			const outcome = handshake.step(payload);
			switch (outcome.type) {
				case 'continue':
					return write(socket, outcome.send);
				case 'refused':
					return fail(new RefusedError(outcome.refusal, outcome.by), outcome.send);
				case 'open': {
					isOver = true;
					socket.off('error', onError);
					socket.off('close', onClose);
					reader.frameBytesMax = limits.frameBytes;
					channel = new SocketChannel({
						socket,
						remote: outcome.remote,
						remoteAddress,
						outQueueBytes: limits.outQueueBytes,
						frameBytesMax: limits.frameBytes,
						budget,
						refusals,
					});
					channel.stats.receivedBytes = receivedBytes;
					write(socket, outcome.send);
					return resolve(channel);
				}

				default:
					return outcome satisfies never;
			}
		};

		const onData = (chunk: Buffer): void => {
			if (channel) channel.stats.receivedBytes += chunk.length;
			else receivedBytes += chunk.length;
			const violation = reader.push(chunk, take);
			if (violation === undefined) return;
			if (channel) channel.violate(violation);
			else
				fail(
					new RefusedError(
						{code: 'malformed', reason: `${options.peerName} does not speak this protocol`},
						'us',
					),
				);
		};

		const onError = (error: Error): void =>
			fail(new DapssError('unreachable', `${options.peerName}: ${error.message}`, {cause: error}));
		const onClose = (): void => fail(new HungUpError(options.peerName));
		socket.on('error', onError);
		socket.on('close', onClose);
		socket.on('data', onData);
		write(socket, handshake.start());
		if (head) onData(head);
		if (!isOver) socket.resume();
	});
}

function write(socket: Duplex, payloads: readonly Buffer[]): void {
	if (payloads.length === 0 || !socket.writable) return;
	socket.write(Buffer.concat(payloads.flatMap(payload => [frameHead(payload.length), payload])));
}
