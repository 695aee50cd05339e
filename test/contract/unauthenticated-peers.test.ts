/**
A listener gives unauthenticated peers nothing, bounds their number, and reports each with one clear line.
*/
import net, {type Socket} from 'node:net';
import {Duplex} from 'node:stream';
import tls, {type TLSSocket} from 'node:tls';
import {expect, test} from 'vitest';
import type {DapssError} from '../../core/errors.ts';
import {SocketChannel} from '../../core/io/net/socket-channel.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {deriveKeys} from '../../core/wire/seal.ts';
import {closing, hello, listening, secret, side, type Settings, type Side} from './support/channel-sides.ts';
import type {KeyId} from '../../core/cluster-keys.ts';

/** The error of the dialer, and the lines that the listener reports. */
async function mismatch(
	called: Settings,
	caller: Settings,
): Promise<{readonly error: DapssError; readonly server: Side}> {
	const server = side(createTransport, called);
	await using listener = await listening(server);
	const call = side(createTransport, caller).transport.dial(listener.address, {hello, timeoutMs: 3000});
	const error = await call.then(
		() => undefined,
		(reason: unknown) => reason as DapssError,
	);
	await until(() => listener.unauthenticated === 0);
	if (!error) throw new Error('Expected the call to fail');
	return {error, server};
}

/** Waits until the condition holds. */
async function until(isMet: () => boolean): Promise<void> {
	while (!isMet()) await new Promise(resolve => setImmediate(resolve));
}

/** Everything that the listener sends until it closes. */
function answers(socket: Socket): Promise<Buffer> {
	return new Promise(resolve => {
		const chunks: Buffer[] = [];
		socket.on('data', chunk => chunks.push(chunk));
		socket.on('error', () => {});
		socket.on('close', () => resolve(Buffer.concat(chunks)));
	});
}

test.each([
	['with TLS', true],
	['without', false],
])('another secret is reported on both sides, %s', async (_name, enableEncryption) => {
	const {error, server} = await mismatch({enableEncryption}, {enableEncryption, secret: Buffer.alloc(32, 8)});
	expect(error).toMatchObject({
		code: 'not-authenticated',
		message: expect.stringMatching(/^peer 127\.0\.0\.1:\d+ has another secret than this node/),
	});
	expect(server.problems).toEqual([
		expect.stringMatching(/^peer 127\.0\.0\.1:\d+ has another secret than this node/),
	]);
	expect(server.options.refusals.of('not-authenticated')).toBe(1);
});

test('a wrong secret is always reported as such, not as a lost connection', async () => {
	const server = side(createTransport, {});
	await using listener = await listening(server);
	const {transport} = side(createTransport, {secret: Buffer.alloc(32, 8)});
	const calls = await Promise.allSettled(
		Array.from({length: 12}, () => transport.dial(listener.address, {hello, timeoutMs: 3000})),
	);
	expect(new Set(calls.map(call => call.status === 'rejected' && (call.reason as DapssError).code))).toEqual(
		new Set(['not-authenticated']),
	);
});

test('another cluster is reported on both sides, with TLS and without', async () => {
	const secure = await mismatch({cluster: 'here'}, {cluster: 'there'});
	expect(secure.error).toMatchObject({
		code: 'refused',
		message: expect.stringContaining('not of the cluster "there"'),
	});
	expect(secure.server.problems[0]).toMatch(/is of the cluster "there", this node of "here"$/);
	const plain = await mismatch(
		{cluster: 'here', enableEncryption: false},
		{cluster: 'there', enableEncryption: false},
	);
	expect(plain.error.message).toMatch(/is of the cluster "here", this node of "there"$/);
	expect(plain.server.problems[0]).toMatch(/is of the cluster "there", this node of "here"$/);
});

test('a program that does not speak TLS counts as unreachable, not as a node with encryption off', async () => {
	const server = net.createServer(socket => {
		socket.on('error', () => {});
		socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n'));
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	const {port} = server.address() as net.AddressInfo;
	const call = side(createTransport, {}).transport.dial(`127.0.0.1:${port}`, {hello, timeoutMs: 3000});
	await expect(call).rejects.toMatchObject({
		code: 'unreachable',
		message: `peer 127.0.0.1:${port} does not answer as a dapss node does`,
	});
	await new Promise(resolve => server.close(resolve));
});

test.each([
	[
		'encryption here',
		{},
		{enableEncryption: false},
		'has enable_encryption=true, this node has false',
		'has enable_encryption=false, this node has true',
	],
	[
		'encryption there',
		{enableEncryption: false},
		{},
		'has enable_encryption=false, this node has true',
		'has enable_encryption=true, this node has false',
	],
	[
		'signing here',
		{},
		{enableMessageSigning: false},
		'has enable_message_signing=true, this node has false',
		'has enable_message_signing=false, this node has true',
	],
	[
		'signing there',
		{enableMessageSigning: false},
		{},
		'has enable_message_signing=false, this node has true',
		'has enable_message_signing=true, this node has false',
	],
	[
		'authentication here',
		{},
		{enableNodeAuth: false},
		'or its enable_node_auth is not false',
		'has enable_node_auth=false, this node has true',
	],
	[
		'authentication there',
		{enableNodeAuth: false},
		{},
		'or its enable_node_auth is not true',
		'has enable_node_auth=true, this node has false',
	],
	[
		'authentication here, without TLS',
		{enableEncryption: false},
		{enableEncryption: false, enableNodeAuth: false},
		'has enable_node_auth=true, this node has false',
		'has enable_node_auth=false, this node has true',
	],
	[
		'everything',
		{},
		{enableEncryption: false, enableNodeAuth: false, enableMessageSigning: false},
		'has enable_node_auth=true, this node has false; enable_message_signing=true, this node has false; ' +
			'enable_encryption=true, this node has false',
		'has enable_node_auth=false, this node has true',
	],
])(
	'different flags are reported on both sides: %s',
	async (_name, called: Settings, caller: Settings, callerLine, calledLine) => {
		const {error, server} = await mismatch(called, caller);
		expect(error.code).toBe('refused');
		expect(error.message).toContain(callerLine);
		expect(server.problems).toHaveLength(1);
		expect(server.problems[0]).toContain(calledLine);
	},
);

test('plain text and random bytes get no answer from a node with encryption', async () => {
	const server = side(createTransport, {limits: {handshakeMs: 300}});
	await using listener = await listening(server);
	const plainPeer = side(createTransport, {secret: Buffer.alloc(32, 9), enableEncryption: false});
	// A plain-text hello under another secret is unauthenticated, too.
	const refused = await plainPeer.transport
		.dial(listener.address, {hello, timeoutMs: 3000})
		.catch((error: unknown) => error as DapssError);
	expect(refused).toMatchObject({code: 'unreachable'});
	const unauthenticated: readonly Buffer[] = [
		Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'),
		Buffer.from([0, 0, 0, 5, 0, 1, 2, 3, 4]),
		Buffer.from([0xff, 0xff, 0xff, 0xff, 0]),
		Buffer.from([0, 0, 0, 0]),
		Buffer.from('{"type":"SECURE"}\n'),
		Buffer.alloc(100_000, 0x41),
		...Array.from({length: 12}, (_, seed) =>
			Buffer.from(
				Array.from(
					{length: 64},
					(_unused, index) => (index === 0 ? 0x20 : 0) + ((seed * 7919 + index * 104_729) % 223),
				),
			),
		),
	];
	for (const bytes of unauthenticated) {
		const socket = net.connect(listener.port, '127.0.0.1');
		socket.write(bytes);
		expect((await answers(socket)).length).toBe(0);
	}

	expect(listener.unauthenticated).toBe(0);
	const {refusals} = server.options;
	expect(refusals.of('plaintext') + refusals.of('handshake-timeout')).toBe(unauthenticated.length + 1);
	expect(server.problems).toEqual([]);
});

test('a thousand half-open connections use bounded resources, and an honest peer connects', async () => {
	const server = side(createTransport, {});
	await using listener = await listening(server);
	const sockets: Socket[] = [];
	let unauthenticatedMax = 0;
	let answered = 0;
	for (let round = 0; round < 10; round++) {
		await Promise.all(
			Array.from(
				{length: 100},
				(_, index) =>
					new Promise<void>(resolve => {
						const socket = net.connect(listener.port, '127.0.0.1', () => {
							// Starts like TLS, then stops.
							if (index % 2 === 0) socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1]));
							resolve();
						});
						socket.on('data', () => answered++);
						socket.on('error', () => resolve());
						sockets.push(socket);
					}),
			),
		);
		unauthenticatedMax = Math.max(unauthenticatedMax, listener.unauthenticated);
	}

	const channel = await side(createTransport, {}).transport.dial(listener.address, {hello, timeoutMs: 3000});
	expect(unauthenticatedMax).toBe(64);
	expect(answered).toBe(0);
	expect(server.options.refusals.of('unauthenticated-per-address')).toBeGreaterThan(900);
	channel.close('done');
	for (const socket of sockets) socket.destroy();
});

test('a silent unauthenticated connection is closed in time', async () => {
	const server = side(createTransport, {limits: {handshakeMs: 100}});
	await using listener = await listening(server);
	const silent = net.connect(listener.port, '127.0.0.1');
	expect((await answers(silent)).length).toBe(0);
	// A peer that has the secret, and then stays silent.
	const keys = deriveKeys({secret, cluster: 'dapss'});
	const idle = tls.connect({
		host: '127.0.0.1',
		port: listener.port,
		ciphers: 'TLS_AES_128_GCM_SHA256',
		minVersion: 'TLSv1.3',
		pskCallback: () => ({psk: keys.psk, identity: keys.pskIdentity}),
		checkServerIdentity: () => undefined,
	});
	await answers(idle);
	expect(server.options.refusals.of('handshake-timeout')).toBe(2);
	expect(listener.unauthenticated + listener.connections).toBe(0);
});

test('the number of connections is bounded', async () => {
	const server = side(createTransport, {limits: {connections: 3}});
	await using listener = await listening(server, {
		onChannel(channel) {
			channel.onFrame = () => {};
		},
	});
	const caller = (): ReturnType<typeof side> => side(createTransport, {});
	const open = await Promise.all(
		[1, 2, 3].map(() => caller().transport.dial(listener.address, {hello, timeoutMs: 3000})),
	);
	await until(() => listener.connections === 3);
	await expect(caller().transport.dial(listener.address, {hello, timeoutMs: 3000})).rejects.toMatchObject({
		code: 'unreachable',
	});
	expect(server.options.refusals.of('connections')).toBe(1);
	for (const channel of open) channel.close('done');
	await until(() => listener.connections === 0);
	(await caller().transport.dial(listener.address, {hello, timeoutMs: 3000})).close('done');
});

test('a listener accepts no session ticket: each connection runs the whole handshake', async () => {
	const server = side(createTransport, {});
	await using listener = await listening(server);
	const keys = deriveKeys({secret, cluster: 'dapss'});
	const base = {
		host: '127.0.0.1',
		port: listener.port,
		ciphers: 'TLS_AES_128_GCM_SHA256',
		minVersion: 'TLSv1.3',
		checkServerIdentity: () => undefined,
	} as const;
	const withKey = tls.connect({...base, pskCallback: () => ({psk: keys.psk, identity: keys.pskIdentity})});
	const ticket = await new Promise<Buffer>(resolve => withKey.once('session', resolve));
	withKey.destroy();
	const withTicket = tls.connect({...base, session: ticket});
	const error = await new Promise<NodeJS.ErrnoException>((resolve, reject) => {
		withTicket.once('secureConnect', () => reject(new Error('Expected the ticket to be refused')));
		withTicket.once('error', resolve);
	});
	expect(error.code).toContain('ALERT_HANDSHAKE_FAILURE');
});

test('the lines that unauthenticated peers cause in the log are bounded', async () => {
	const server = side(createTransport, {});
	await using listener = await listening(server);
	for (let round = 0; round < 20; round++) {
		await expect(
			side(createTransport, {cluster: `name-${round}`}).transport.dial(listener.address, {
				hello,
				timeoutMs: 3000,
			}),
		).rejects.toMatchObject({code: 'refused'});
	}

	expect(server.problems).toHaveLength(8);
	expect(server.options.refusals.of('unsaid')).toBe(12);
});

test('older TLS and other ciphers are refused', async () => {
	const server = side(createTransport, {});
	await using listener = await listening(server);
	const keys = deriveKeys({secret, cluster: 'dapss'});
	const pskCallback = (): {psk: Buffer; identity: string} => ({psk: keys.psk, identity: keys.pskIdentity});
	for (const settings of [
		{maxVersion: 'TLSv1.2', ciphers: 'PSK'},
		{minVersion: 'TLSv1.3', ciphers: 'TLS_CHACHA20_POLY1305_SHA256'},
	] as const) {
		const socket: TLSSocket = tls.connect({
			host: '127.0.0.1',
			port: listener.port,
			pskCallback,
			checkServerIdentity: () => undefined,
			...settings,
		});
		await new Promise<void>((resolve, reject) => {
			socket.once('secureConnect', () => reject(new Error('Expected the handshake to fail')));
			socket.once('error', () => resolve());
		});
	}

	await until(() => listener.unauthenticated === 0);
	expect(listener.connections).toBe(0);
});

test('a call to a server without the secret fails as not authenticated', async () => {
	// One server refuses the key and offers nothing; another has another key.
	const unauthenticated = [
		tls.createServer({minVersion: 'TLSv1.3', ciphers: 'TLS_AES_128_GCM_SHA256', pskCallback: () => null}),
		tls.createServer({
			minVersion: 'TLSv1.3',
			ciphers: 'TLS_AES_128_GCM_SHA256',
			pskCallback: () => Buffer.alloc(32, 5),
		}),
	];
	for (const [index, server] of unauthenticated.entries()) {
		server.on('tlsClientError', () => {});
		await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
		const {port} = server.address() as net.AddressInfo;
		const call = side(createTransport, {}).transport.dial(`127.0.0.1:${port}`, {hello, timeoutMs: 3000});
		await expect(call).rejects.toMatchObject({code: index === 0 ? 'refused' : 'not-authenticated'});
		server.close();
	}
});

test('a call to a silent listener ends at its deadline, with that reason', async () => {
	const silent = net.createServer(() => {});
	await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve));
	const {port} = silent.address() as net.AddressInfo;
	const call = side(createTransport, {}).transport.dial(`127.0.0.1:${port}`, {hello, timeoutMs: 100});
	await expect(call).rejects.toMatchObject({
		code: 'unreachable',
		message: `peer 127.0.0.1:${port} takes connections but does not answer the handshake within 100 ms (timeout)`,
	});
	silent.close();
});

test('a frame before the end of the handshake has a small bound', async () => {
	const server = side(createTransport, {enableEncryption: false});
	await using listener = await listening(server);
	const socket = net.connect(listener.port, '127.0.0.1');
	socket.write(Buffer.from([0, 0, 0x10, 1, 0, 1]));
	expect((await answers(socket)).length).toBe(0);
	expect(server.options.refusals.of('malformed')).toBe(1);
});

test('a peer that accepts no data is dropped', async () => {
	const {options} = side(createTransport, {});
	const socket = new Duplex({read() {}, write() {}}); // The first write never ends.
	const channel = new SocketChannel({
		key: '0000000000000000' as KeyId,
		socket,
		remote: {role: 'client', id: undefined, cluster: 'dapss', flags: '', version: '', protocol: 2, ...hello},
		remoteAddress: '127.0.0.1:1',
		outQueueBytes: 1000,
		frameBytesMax: 1000,
		budget: options.budget,
		refusals: options.refusals,
		writeDeadlineMs: 30,
	});
	channel.send([Buffer.of(1)]);
	expect(await closing(channel)).toBe('the peer took nothing for too long');
	expect(options.refusals.of('write-deadline')).toBe(1);
	expect(options.budget.usedBytes).toBe(0);
	expect(socket.destroyed).toBe(true);
});
