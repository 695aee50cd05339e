/**
A channel over a socket after its handshake: frames in and out, with bounds for both directions.

Small pieces are collected in a slab, and large ones are written as they are; the collected pieces leave in one write.
The first frame after a pause leaves at the end of the current callback. Frames that are sent while that write is
pending are collected until the turn of the event loop ends. So a lone message is not delayed, and writes grow under
load. The queue is counted here, because `socket.write` has no limit: it accepted 200 MiB for a peer that did not read.
*/
import type {Duplex} from 'node:stream';
import type {KeyId} from '../../cluster-keys.ts';
import {runDeadline} from '../../run-deadline.ts';
import {frameHead, lengthBytes} from '../../wire/frame.ts';
import {systemClock} from '../clock.ts';
import type {Channel, Hello} from './channel.ts';
import type {Budget, Counters} from './counters.ts';
import {channelKind, decodeBye, encodeBye} from './handshake.ts';

/** Pieces up to this size are copied into the slab; larger ones cost less as writes of their own. */
const copiedBytesMax = 8192;
const slabBytes = 65_536;
/** A peer that accepts no data for this long counts as gone, in milliseconds. */
export const writeDeadlineMs = 10_000;
/** The share of the queue that long streams may fill. */
const streamShare = 0.75;
/** How long the goodbye may take to leave. */
const goodbyeMs = 1000;

export type SocketChannelOptions = {
	readonly socket: Duplex;
	readonly remote: Hello;
	readonly remoteAddress: string;
	readonly key: KeyId;
	readonly outQueueBytes: number;
	readonly frameBytesMax: number;
	readonly budget: Budget;
	readonly refusals: Counters;
	readonly writeDeadlineMs?: number;
};

export class SocketChannel implements Channel {
	readonly remote: Hello;
	readonly remoteAddress: string;
	readonly key: KeyId;
	readonly stats = {receivedBytes: 0, sentBytes: 0};
	onDrain: () => void = () => {};
	readonly #options: SocketChannelOptions;
	readonly #socket: Duplex;
	#onFrame: ((payload: Buffer) => void) | undefined;
	#onClose: ((why: string) => void) | undefined;
	/** The reason, once the channel is closed. */
	#why: string | undefined;
	#bye: string | undefined;
	#isPaused = true;
	#isReplaying = false;
	/** Frames that arrived before `onFrame` was set, or while paused: at most the content of one chunk. */
	readonly #backlog: Buffer[] = [];
	#slab = Buffer.alloc(0);
	#slabStart = 0;
	#slabEnd = 0;
	#writes: Uint8Array[] = [];
	#pendingBytes = 0;
	#queuedBytes = 0;
	/** A `send` was refused or there was no `room`: `onDrain` must be called. */
	#mustNotifyDrain = false;
	#isFlushScheduled = false;
	/** A write has been made in this turn of the event loop. */
	#hasFlushed = false;
	#stallTimer: Disposable | undefined;

	constructor(options: SocketChannelOptions) {
		this.#options = options;
		this.#socket = options.socket;
		this.remote = options.remote;
		this.remoteAddress = options.remoteAddress;
		this.key = options.key;
		this.#socket.on('error', (error: Error) => this.#finish(error.message));
		this.#socket.on('close', () => this.#finish(this.#bye ?? 'the connection was lost'));
		this.#socket.on('end', () => this.#socket.end());
		this.#socket.pause();
	}

	get queuedBytes(): number {
		return this.#queuedBytes;
	}

	get frameBytesMax(): number {
		return this.#options.frameBytesMax;
	}

	get onFrame(): (payload: Buffer) => void {
		return this.#onFrame ?? (() => {});
	}

	set onFrame(onFrame: (payload: Buffer) => void) {
		const isFirst = this.#onFrame === undefined;
		this.#onFrame = onFrame;
		if (isFirst) this.resume();
	}

	get onClose(): (why: string) => void {
		return this.#onClose ?? (() => {});
	}

	set onClose(onClose: (why: string) => void) {
		const isFirst = this.#onClose === undefined;
		this.#onClose = onClose;
		if (isFirst && this.#why !== undefined) this.#notifyClosed(this.#why);
	}

	send(pieces: readonly Uint8Array[]): boolean {
		if (this.#why !== undefined) return false;
		let length = 0;
		for (const piece of pieces) length += piece.length;
		const {outQueueBytes, frameBytesMax, budget, refusals} = this.#options;
		const size = length + lengthBytes;
		if (length === 0 || length > frameBytesMax) {
			refusals.add('frame-too-large');
			return false;
		}

		if (this.#queuedBytes + size > outQueueBytes) {
			refusals.add('out-queue');
			this.#mustNotifyDrain = true;
			return false;
		}

		if (!budget.take(size)) {
			refusals.add('out-queue-total');
			this.#awaitBudget();
			return false;
		}

		this.#queuedBytes += size;
		this.#enqueue(pieces, length);
		if (!this.#isFlushScheduled) this.#scheduleFlush();
		return true;
	}

	room(): number {
		if (this.#why !== undefined) return 0;
		const {outQueueBytes, budget} = this.#options;
		const own = Math.floor(outQueueBytes * streamShare) - this.#queuedBytes;
		const total = Math.floor(budget.bytesMax * streamShare) - budget.usedBytes;
		if (own <= 0) this.#mustNotifyDrain = true;
		else if (total <= 0) this.#awaitBudget();
		return Math.max(0, Math.min(own, total));
	}

	pause(): void {
		this.#isPaused = true;
		this.#socket.pause();
	}

	resume(): void {
		if (!this.#isPaused || this.#onFrame === undefined) return;
		this.#isPaused = false;
		this.#isReplaying = true;
		queueMicrotask(() => this.#replay());
	}

	close(why: string): void {
		if (this.#why !== undefined) return;
		const bye = encodeBye(why);
		this.#enqueue([bye], bye.length);
		this.#flush();
		this.#socket.end();
		// The peer may never read the goodbye.
		const timer = setTimeout(() => this.#socket.destroy(), goodbyeMs);
		this.#socket.once('close', () => clearTimeout(timer));
		this.#finish(why);
		this.#socket.resume(); // Frames are ignored from here on, but the socket closes only when its end is read.
	}

	destroy(why: string): void {
		this.#finish(why);
		this.#socket.destroy();
	}

	/** Called by the reader of the socket with each complete payload. */
	receive(payload: Buffer): void {
		if (this.#why !== undefined) return;
		if (payload[0] === channelKind) {
			this.#bye = decodeBye(payload);
			if (this.#bye === undefined) this.violate('malformed');
			return;
		}

		if (this.#isPaused || this.#isReplaying) this.#backlog.push(payload);
		else this.#onFrame!(payload);
	}

	/** The peer violated the protocol of the stream. */
	violate(reason: 'malformed' | 'empty-frame' | 'frame-too-large'): void {
		if (this.#why !== undefined) return;
		this.#options.refusals.add(reason);
		this.destroy(reason);
	}

	#replay(): void {
		while (!this.#isPaused && this.#backlog.length > 0 && this.#why === undefined)
			this.#onFrame!(this.#backlog.shift()!);
		this.#isReplaying = false;
		if (!this.#isPaused && this.#why === undefined) this.#socket.resume();
	}

	#enqueue(pieces: readonly Uint8Array[], length: number): void {
		this.#pendingBytes += length + lengthBytes;
		this.#copy(frameHead(length));
		for (const piece of pieces) {
			if (piece.length <= copiedBytesMax) this.#copy(piece);
			else {
				this.#seal();
				this.#writes.push(piece);
			}
		}
	}

	#copy(piece: Uint8Array): void {
		if (this.#slabEnd + piece.length > this.#slab.length) {
			this.#seal();
			// The socket may still read from the old slab.
			this.#slab = Buffer.allocUnsafeSlow(slabBytes);
			this.#slabStart = 0;
			this.#slabEnd = 0;
		}

		this.#slab.set(piece, this.#slabEnd);
		this.#slabEnd += piece.length;
	}

	/** Turns the collected pieces into a write. */
	#seal(): void {
		if (this.#slabEnd === this.#slabStart) return;
		this.#writes.push(this.#slab.subarray(this.#slabStart, this.#slabEnd));
		this.#slabStart = this.#slabEnd;
	}

	#scheduleFlush(): void {
		this.#isFlushScheduled = true;
		if (this.#hasFlushed) return; // The flush at the end of this turn is already scheduled.
		process.nextTick(() => {
			this.#hasFlushed = true;
			this.#flush();
			setImmediate(() => {
				this.#hasFlushed = false;
				if (this.#isFlushScheduled) this.#flush();
			});
		});
	}

	#flush(): void {
		this.#isFlushScheduled = false;
		this.#seal();
		const writes = this.#writes;
		if (writes.length === 0 || this.#socket.destroyed) return;
		this.#writes = [];
		const bytes = this.#pendingBytes;
		this.#pendingBytes = 0;
		const isMany = writes.length > 1;
		if (isMany) this.#socket.cork();
		for (let index = 0; index < writes.length - 1; index++) this.#socket.write(writes[index]);
		this.#socket.write(writes.at(-1), () => this.#written(bytes));
		if (isMany) this.#socket.uncork();
		this.#stallTimer ??= this.#watchStall();
	}

	#written(bytes: number): void {
		this.stats.sentBytes += bytes;
		if (this.#why !== undefined) return;
		this.#queuedBytes -= bytes;
		this.#options.budget.release(bytes);
		if (this.#mustNotifyDrain && this.#queuedBytes <= this.#options.outQueueBytes / 2) this.#drained();
	}

	readonly #drained = (): void => {
		if (!this.#mustNotifyDrain || this.#why !== undefined) return;
		this.#mustNotifyDrain = false;
		this.onDrain();
	};

	#awaitBudget(): void {
		this.#mustNotifyDrain = true;
		this.#options.budget.whenFree(this.#drained);
	}

	#watchStall(): Disposable {
		const before = this.stats.sentBytes;
		return runDeadline(systemClock, this.#options.writeDeadlineMs ?? writeDeadlineMs, () => {
			this.#stallTimer = undefined;
			if (this.#queuedBytes === 0 || this.#why !== undefined) return;
			if (this.stats.sentBytes === before) {
				this.#options.refusals.add('write-deadline');
				this.destroy('the peer took nothing for too long');
			} else this.#stallTimer = this.#watchStall();
		});
	}

	#finish(why: string): void {
		if (this.#why !== undefined) return;
		this.#why = why;
		this.#stallTimer?.[Symbol.dispose]();
		this.#options.budget.forget(this.#drained);
		this.#options.budget.release(this.#queuedBytes);
		this.#queuedBytes = 0;
		this.#backlog.length = 0;
		this.#notifyClosed(why);
	}

	#notifyClosed(why: string): void {
		if (this.#onClose) queueMicrotask(() => this.#onClose?.(why));
	}
}
