/**
What the remote protocol needs of a connection: whole frames in order, and a word when it ends. A TLS channel is one, a
MessagePort to a worker thread another.
*/
export type Pipe = {
	/** One frame, in pieces. False when it could not be queued. */
	send(pieces: readonly Uint8Array[]): boolean;
	/** Set once, before any frame can arrive. The payload stays valid. */
	onFrame: (payload: Buffer) => void;
	onClose: (why: string) => void;
	close(why: string): void;
};

/** The side of `node:worker_threads` MessagePort that is used; so that nothing here depends on threads. */
export type Port = {
	postMessage(value: unknown, transfer?: readonly ArrayBuffer[]): void;
	on(event: 'message', listener: (value: unknown) => void): unknown;
	on(event: 'close', listener: () => void): unknown;
	close(): void;
};

export function portPipe(port: Port): Pipe {
	let isClosed = false;
	const pipe: Pipe = {
		send(pieces) {
			if (isClosed) return false;
			let length = 0;
			for (const piece of pieces) length += piece.length;
			const frame = new Uint8Array(length); // Not pooled: it is handed over, not copied.
			let at = 0;
			for (const piece of pieces) {
				frame.set(piece, at);
				at += piece.length;
			}

			port.postMessage(frame, [frame.buffer]);
			return true;
		},
		onFrame() {},
		onClose() {},
		close() {
			isClosed = true;
			port.close();
		},
	};
	port.on('message', value => {
		if (value instanceof Uint8Array) pipe.onFrame(Buffer.from(value.buffer, value.byteOffset, value.byteLength));
	});
	port.on('close', () => {
		isClosed = true;
		pipe.onClose('the node has stopped');
	});
	return pipe;
}
