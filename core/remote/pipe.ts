/**
A connection as the remote protocol needs it: whole frames in order, with notifications of its end and of free room. It
is a TLS channel or a MessagePort to a worker thread.
*/
export type Pipe = {
	/**
	Sends one frame, given in pieces. False when it could not be queued; then `onDrain` is called once there is room.
	*/
	send(pieces: readonly Uint8Array[]): boolean;
	/** Maximum size of a frame to send, in bytes. */
	readonly frameBytesMax: number;
	/**
	Bytes of a long stream (deliveries, events) that may be queued now. If 0, `onDrain` is called once there is room.
	*/
	room(): number;
	onDrain: () => void;
	/** Stops reading frames until `resume`, so that the other side has to wait. */
	pause(): void;
	resume(): void;
	/** Set once, before any frame can arrive. The payload stays valid. */
	onFrame: (payload: Buffer) => void;
	onClose: (why: string) => void;
	close(why: string): void;
};

/** The part of a `node:worker_threads` MessagePort that is used, so that this module does not depend on threads. */
export type Port = {
	postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
	on(event: 'message', listener: (value: unknown) => void): unknown;
	on(event: 'close', listener: () => void): unknown;
	close(): void;
};

/** A port as a pipe. Its queue length is unknown; credit and the windows of both sides bound it. */
export function portPipe(port: Port): Pipe {
	let isClosed = false;
	let isPaused = false;
	const backlog: Buffer[] = [];
	const next = (): Buffer | undefined => (isPaused ? undefined : backlog.shift());
	const pipe: Pipe = {
		frameBytesMax: Number.MAX_SAFE_INTEGER,
		room: () => (isClosed ? 0 : Number.MAX_SAFE_INTEGER),
		onDrain() {},
		send(pieces) {
			if (isClosed) return false;
			let length = 0;
			for (const piece of pieces) length += piece.length;
			const frame = new Uint8Array(length); // Not pooled, because it is transferred and not copied.
			let at = 0;
			for (const piece of pieces) {
				frame.set(piece, at);
				at += piece.length;
			}

			port.postMessage(frame, [frame.buffer]);
			return true;
		},
		pause() {
			isPaused = true;
		},
		resume() {
			isPaused = false;
			for (let frame = next(); frame !== undefined; frame = next()) pipe.onFrame(frame);
		},
		onFrame() {},
		onClose() {},
		close() {
			isClosed = true;
			port.close();
		},
	};
	port.on('message', value => {
		if (!(value instanceof Uint8Array)) return;
		const frame = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
		if (isPaused || backlog.length > 0) backlog.push(frame);
		else pipe.onFrame(frame);
	});
	port.on('close', () => {
		isClosed = true;
		pipe.onClose('the node has stopped');
	});
	return pipe;
}
