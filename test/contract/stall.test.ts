/**
A process that stalls during a handshake: its deadlines count the time in which it ran, not the time of the stall.
And a call whose connection was closed by the other side.
*/
import {once} from 'node:events';
import net, {type AddressInfo, type Socket} from 'node:net';
import {expect, test, vi} from 'vitest';
import {connect} from '../../core/connect.ts';
import {socketDeadline} from '../../core/io/net/socket-deadline.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {hello, listening, secret, side} from './support/channel-sides.ts';

/** Blocks the process. */
function stall(ms: number): void {
	const untilMs = performance.now() + ms;
	while (performance.now() < untilMs);
}

test('a deadline expires once, and never after it was disposed', () => {
	vi.useFakeTimers({toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate']});
	try {
		const ends: string[] = [];
		const met = socketDeadline(50, () => ends.push('met'));
		socketDeadline(50, () => ends.push('not met'));
		vi.advanceTimersByTime(30);
		met[Symbol.dispose]();
		vi.advanceTimersByTime(19);
		expect(ends).toEqual([]);
		vi.advanceTimersByTime(1000);
		expect(ends).toEqual(['not met']);
		expect(vi.getTimerCount()).toBe(0);
	} finally {
		vi.useRealTimers();
	}
});

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
	expect(front.calls).toBe(1);
});
