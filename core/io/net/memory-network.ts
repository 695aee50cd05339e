/**
An in-process network and a manual clock, for tests. The channels of the network run the real handshake and framing over
pairs of streams, so the tested code is the one that runs on sockets.
*/
import {Duplex} from 'node:stream';
import {expectAddress, formatAddress} from '../../address.ts';
import {DapssError} from '../../errors.ts';
import type {Clock} from '../../ports.ts';
import type {Channel, DialOptions, Listener, ListenOptions, Transport, TransportOptions} from './channel.ts';
import {helloOf} from './dial.ts';
import {open} from './opening.ts';

type Accept = (socket: Duplex, remoteAddress: string) => void;

export class MemoryNetwork {
	readonly #listeners = new Map<string, Accept>();
	#lastPort = 40_000;

	/** A transport on this network. TLS is left out whatever the flags say; the flags are compared nevertheless. */
	transport(options: TransportOptions): Transport {
		return {
			listen: async listenOptions => this.#listen(options, listenOptions),
			dial: (address, dialOptions) => this.#dial(options, address, dialOptions),
		};
	}

	#listen(options: TransportOptions, {host, port, hello, admit, onChannel}: ListenOptions): Listener {
		const bound = port === 0 ? ++this.#lastPort : port;
		const address = formatAddress(host, bound);
		if (this.#listeners.has(address)) throw new DapssError('port-in-use', `Port ${bound} of ${host} is in use`);
		const sockets = new Set<Duplex>();
		let unauthenticated = 0;
		this.#listeners.set(address, (socket, remoteAddress) => {
			sockets.add(socket);
			unauthenticated++;
			socket.once('close', () => sockets.delete(socket));
			const timer = setTimeout(() => socket.destroy(), options.limits.handshakeMs);
			const local = hello();
			open({
				socket,
				remoteAddress,
				transport: options,
				handshake: {
					side: 'listener',
					local: helloOf(options, local),
					keys: options.keys.valid,
					binding: Buffer.alloc(0),
					peerName: `peer ${remoteAddress}`,
					admit,
					protocolMin: local.protocolMin,
				},
			})
				.then(onChannel, () => {
					options.refusals.add('handshake');
					sockets.delete(socket);
				})
				.finally(() => {
					unauthenticated--;
					clearTimeout(timer);
				});
		});
		return {
			port: bound,
			get connections() {
				return sockets.size - unauthenticated;
			},
			get unauthenticated() {
				return unauthenticated;
			},
			[Symbol.asyncDispose]: async () => {
				this.#listeners.delete(address);
				for (const socket of sockets) socket.destroy();
			},
		};
	}

	async #dial(
		options: TransportOptions,
		address: string,
		{hello, timeoutMs, expect, signal}: DialOptions,
	): Promise<Channel> {
		const name = `peer ${address}`;
		const local = helloOf(options, hello);
		const near = this.#connect(address, local.address || 'memory:1');
		let end: Error | undefined;
		const stop = (error: Error): void => {
			end ??= error;
			near.destroy();
		};

		const timer = setTimeout(
			() => stop(new DapssError('unreachable', `${name} does not answer within ${timeoutMs} ms (timeout)`)),
			timeoutMs,
		);
		signal?.addEventListener('abort', () => stop(new DapssError('closed', `The call to ${name} was given up`)), {
			once: true,
		});
		try {
			return await open({
				socket: near,
				remoteAddress: address,
				transport: options,
				handshake: {
					side: 'dialer',
					local,
					keys: options.keys.valid.slice(0, 1),
					binding: Buffer.alloc(0),
					peerName: name,
					expect,
					protocolMin: hello.protocolMin,
				},
			});
		} catch (error) {
			throw end ?? error;
		} finally {
			clearTimeout(timer);
		}
	}

	/** Connects to the listener at the address. Returns the near end. */
	#connect(address: string, ownAddress: string): End {
		const {host, port} = expectAddress(address);
		const accept = this.#listeners.get(formatAddress(host, port));
		if (!accept)
			throw new DapssError(
				'unreachable',
				`peer ${address} refuses connections: nothing listens there (ECONNREFUSED)`,
				{cause: Object.assign(new Error('connect ECONNREFUSED'), {code: 'ECONNREFUSED'})},
			);
		const near = new End();
		const far = new End();
		near.connect(far);
		far.connect(near);
		accept(far, ownAddress);
		return near;
	}
}

type WriteDone = (error?: Error | null) => void;

/**
One end of a connection. As on a socket, written data arrive in a later turn and wait for their reader, and closing one
end closes both.
*/
class End extends Duplex {
	#peer: End | undefined;
	#onRead: WriteDone | undefined;

	connect(peer: End): void {
		this.#peer = peer;
	}

	override _read(): void {
		const done = this.#onRead;
		this.#onRead = undefined;
		done?.();
	}

	override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
		setImmediate(() => this.#peer?.arrive(chunk, done));
	}

	override _writev(chunks: ReadonlyArray<{readonly chunk: Buffer}>, done: WriteDone): void {
		this._write(Buffer.concat(chunks.map(({chunk}) => chunk)), 'binary', done);
	}

	override _final(done: WriteDone): void {
		setImmediate(() => this.#peer?.arrive(null, done));
	}

	override _destroy(error: Error | null, done: WriteDone): void {
		setImmediate(() => this.#peer?.destroy());
		done(error);
	}

	arrive(chunk: Buffer | null, done: WriteDone): void {
		if (this.destroyed) return;
		if (this.push(chunk) || chunk === null) done();
		else this.#onRead = done;
	}
}

/** A clock whose time the test advances. */
export class ManualClock implements Clock {
	#nowMs = 0;
	readonly #timers = new Set<{readonly intervalMs: number; readonly run: () => void; dueMs: number}>();

	monotonicMs(): number {
		return this.#nowMs;
	}

	wallMs(): number {
		return 1_700_000_000_000 + this.#nowMs;
	}

	every(intervalMs: number, run: () => void): Disposable {
		const timer = {intervalMs, run, dueMs: this.#nowMs + intervalMs};
		this.#timers.add(timer);
		return {[Symbol.dispose]: () => void this.#timers.delete(timer)};
	}

	after(delayMs: number, run: () => void): Disposable {
		const timer = this.every(delayMs, () => {
			timer[Symbol.dispose]();
			run();
		});
		return timer;
	}

	soon(run: () => void): void {
		this.after(0, run);
	}

	/** Advances the time. Timers that are due run in the order of their times. */
	advance(ms: number): void {
		const endMs = this.#nowMs + ms;
		for (;;) {
			const next = [...this.#timers].filter(({dueMs}) => dueMs <= endMs).toSorted((a, b) => a.dueMs - b.dueMs)[0];
			if (!next) break;
			this.#nowMs = next.dueMs;
			next.dueMs += next.intervalMs;
			next.run();
		}

		this.#nowMs = endMs;
	}
}
