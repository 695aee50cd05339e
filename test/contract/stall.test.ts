/**
A process that stalls during a handshake, a write to the disk or a write to a peer: its deadlines count the time in
which it ran, not the time of the stall. And a call whose connection was closed by the other side.
*/
import {once} from 'node:events';
import {mkdtempSync, rmSync} from 'node:fs';
import net, {type AddressInfo, type Socket} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {Duplex} from 'node:stream';
import {expect, test} from 'vitest';
import {connect} from '../../core/connect.ts';
import {realFiles, type Files} from '../../core/io/file-system.ts';
import {openLog} from '../../core/io/log/log.ts';
import {SocketChannel} from '../../core/io/net/socket-channel.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {hello, listening, secret, side} from './support/channel-sides.ts';
import type {KeyId} from '../../core/cluster-keys.ts';

/** Blocks the process. */
function stall(ms: number): void {
	const untilMs = performance.now() + ms;
	while (performance.now() < untilMs);
}

test('a caller that stalled reads the answer before it gives up', async () => {
	const server = side(createTransport, {});
	await using listener = await listening(server);
	for (const turns of [0, 1, 2, 4, 8]) {
		const calling = side(createTransport, {}).transport.dial(listener.address, {hello, timeoutMs: 200});
		for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve));
		stall(300);
		(await calling).close('done');
	}
});

test('a listener that stalled reads the requests of its callers before it drops them', async () => {
	const server = side(createTransport, {limits: {handshakeMs: 200}});
	await using listener = await listening(server);
	const calling = Promise.all(
		Array.from({length: 8}, () =>
			side(createTransport, {}).transport.dial(listener.address, {hello, timeoutMs: 5000}),
		),
	);
	while (listener.unauthenticated === 0) await new Promise(resolve => setImmediate(resolve));
	stall(300);
	for (const channel of await calling) channel.close('done');
	expect(server.options.refusals.of('handshake-timeout')).toBe(0);
});

test.each(['write', 'datasync', 'open'] as const)(
	'a log whose process stalled during the call `%s` does not report a failure of the disk',
	async stalled => {
		const folder = mkdtempSync(join(tmpdir(), 'dapss-stall-'));
		let isArmed = false;
		/** The call has begun when the process stalls. */
		const during = async <Result>(call: string, done: Promise<Result>): Promise<Result> => {
			if (isArmed && call === stalled) {
				isArmed = false;
				setImmediate(() => stall(300));
			}

			return done;
		};
		const files: Files = {
			...realFiles,
			async open(...wanted) {
				const file = await during('open', realFiles.open(...wanted));
				return {
					size: file.size,
					read: (...place) => file.read(...place),
					write: (...place) => during('write', file.write(...place)),
					datasync: () => during('datasync', file.datasync()),
					truncate: size => file.truncate(size),
					close: () => file.close(),
				};
			},
		};
		const log = await openLog({folder, segmentBytes: 1000, writeDeadlineMs: 100, files});
		try {
			await log.append([Buffer.from('a')]).synced;
			isArmed = true;
			await log.roll();
			await log.append([Buffer.from('b')]).synced;
			expect(isArmed).toBe(false);
		} finally {
			await log[Symbol.asyncDispose]();
			rmSync(folder, {recursive: true});
		}
	},
);

test('a node that stalled sees that its peer took the data before it drops the peer', async () => {
	const {options} = side(createTransport, {});
	const taken: Array<() => void> = [];
	const socket = new Duplex({read() {}, write: (_bytes, _encoding, done) => void taken.push(done)});
	const channel = new SocketChannel({
		key: '0000000000000000' as KeyId,
		socket,
		remote: {role: 'client', id: undefined, cluster: 'dapss', flags: '', version: '', protocol: 2, ...hello},
		remoteAddress: '127.0.0.1:1',
		outQueueBytes: 1000,
		frameBytesMax: 1000,
		budget: options.budget,
		refusals: options.refusals,
		writeDeadlineMs: 100,
	});
	channel.send([Buffer.of(1)]);
	await new Promise(resolve => setImmediate(resolve));
	stall(300);
	// The system reports it in the next turn, after the timers.
	await new Promise(resolve => setImmediate(resolve));
	for (const done of taken.splice(0)) done();
	expect(options.refusals.of('write-deadline')).toBe(0);
	expect(options.budget.usedBytes).toBe(0);
	channel.close('done');
});

/**
A proxy before a listener that closes the first connections once they carried data. Returns its port and a counter.
*/
async function closingProxy(
	on: number,
	port: number,
): Promise<AsyncDisposable & {readonly address: string; calls: number}> {
	const sockets = new Set<Socket>();
	const front = {
		calls: 0,
		address: '',
		async [Symbol.asyncDispose]() {
			for (const socket of sockets) socket.destroy();
			await new Promise(resolve => server.close(resolve));
		},
	};
	const server = net.createServer(socket => {
		sockets.add(socket);
		socket.on('error', () => undefined);
		if (front.calls++ < on) {
			socket.once('data', () => socket.destroy());
			return;
		}

		const behind = net.connect(port, '127.0.0.1');
		sockets.add(behind);
		behind.on('error', () => undefined);
		socket.pipe(behind).pipe(socket);
	});
	await once(server.listen(0, '127.0.0.1'), 'listening');
	front.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
	return front;
}

const clientOptions = {
	secret,
	cluster: 'dapss',
	enableNodeAuth: true,
	enableMessageSigning: true,
	enableEncryption: true,
};

test('a client whose connection was closed calls again, a bounded number of times', async () => {
	await using listener = await listening(side(createTransport, {}));
	await using front = await closingProxy(2, listener.port);
	const broker = await connect({...clientOptions, servers: [front.address]});
	expect([front.calls, broker.server]).toEqual([3, front.address]);
	await broker[Symbol.asyncDispose]();
	await using closed = await closingProxy(Infinity, listener.port);
	await expect(connect({...clientOptions, servers: [closed.address]})).rejects.toMatchObject({
		code: 'unreachable',
		message: expect.stringContaining('closed the connection during the handshake') as string,
	});
	expect(closed.calls).toBe(3);
});

test('a client with another secret is refused at once', async () => {
	await using listener = await listening(side(createTransport, {}));
	await using front = await closingProxy(0, listener.port);
	await expect(
		connect({...clientOptions, secret: Buffer.alloc(32, 8), servers: [front.address]}),
	).rejects.toMatchObject({code: 'not-authenticated'});
	expect(front.calls).toBe(2); // With the name of the key, and with its former name.
});
