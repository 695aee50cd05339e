/** A real listener under a flood of slow junk connections: honest callers are served. */
import net, {type AddressInfo, type Socket} from 'node:net';
import {expect, test} from 'vitest';
import {SeenHellos} from '../../core/io/net/seen-hellos.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {deriveKeys} from '../../core/wire/seal.ts';
import {createRandom} from '../sim/random.ts';
import {hello, listening, secret, side} from './support/channel-sides.ts';

/** Waits until the condition holds. */
async function until(isMet: () => boolean): Promise<void> {
	while (!isMet()) await new Promise(resolve => setImmediate(resolve));
}

/** A slow path to a port: what the listener answers arrives when `open` is called. */
async function slowPath(port: number): Promise<{
	readonly address: string;
	/** Callers whose first flight was answered. */
	readonly answered: () => number;
	open(): void;
	close(): void;
}> {
	const held: Array<() => void> = [];
	let isOpen = false;
	const server = net.createServer(near => {
		const far = net.connect(port, '127.0.0.1');
		for (const socket of [near, far]) socket.on('error', () => undefined);
		near.pipe(far);
		near.once('close', () => far.destroy());
		far.once('close', () => near.destroy());
		if (isOpen) far.pipe(near);
		else
			far.once('readable', () => {
				held.push(() => far.pipe(near));
				if (isOpen) far.pipe(near);
			});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		answered: () => held.length,
		open() {
			isOpen = true;
			for (const go of held) go();
		},
		close: () => void server.close(),
	};
}

/** Linux has all of 127/8 on loopback, so that one machine can call from many addresses. */
test.runIf(process.platform === 'linux')(
	'16 honest callers with a long round trip are served while 1,500 junk connections come from 64 addresses',
	async () => {
		const server = side(options => createTransport({...options, random: createRandom(20)}), {
			limits: {handshakeMs: 60_000},
		});
		await using at = await listening(server);
		const path = await slowPath(at.port);
		const caller = side(createTransport, {});
		const honest = Array.from({length: 16}, () =>
			caller.transport.dial(path.address, {hello: {...hello, via: 'client'}, timeoutMs: 60_000}),
		);
		const served = Promise.allSettled(honest);
		await until(() => path.answered() === 16);

		const junk: Socket[] = [];
		for (let round = 0; round < 15; round++)
			await Promise.all(
				Array.from(
					{length: 100},
					(_, index) =>
						new Promise<void>(resolve => {
							const localAddress = `127.0.1.${1 + ((round * 100 + index) % 64)}`;
							const socket = net.connect({port: at.port, host: '127.0.0.1', localAddress}, () => {
								if (index % 2 === 0) socket.write(Buffer.from([0x16, 3, 1, 2, 0, 1])); // Starts like TLS.
								resolve();
							});
							socket.on('error', () => resolve());
							junk.push(socket);
						}),
				),
			);
		await until(() => server.options.refusals.of('unauthenticated') >= 900);
		expect(at.unauthenticated).toBeLessThanOrEqual(512 + 64);
		path.open();
		const results = await served;
		expect(results.filter(({status}) => status === 'fulfilled')).toHaveLength(16);
		// Those who come during the flood are served, too.
		(await side(createTransport, {}).transport.dial(at.address, {hello, timeoutMs: 60_000})).close('done');
		for (const result of results) if (result.status === 'fulfilled') result.value.close('done');
		for (const socket of junk) socket.destroy();
		path.close();
	},
	60_000,
);

/** A ClientHello of TLS 1.3 with these further extensions. */
function clientHello(...extensions: ReadonlyArray<readonly [type: number, content: readonly number[]]>): Buffer {
	const length = (bytes: Buffer): Buffer => Buffer.from([bytes.length >> 8, bytes.length & 0xff]);
	const all: typeof extensions = [
		[0x2b, [2, 3, 4]], // supported_versions: TLS 1.3
		[0x0a, [0, 2, 0, 0x1d]], // supported_groups: X25519
		[0x0d, [0, 4, 4, 3, 8, 4]], // signature_algorithms
		...extensions,
	];
	const coded = Buffer.concat(
		all.map(([type, content]) => {
			const bytes = Buffer.from(content);
			return Buffer.concat([Buffer.from([0, type]), length(bytes), bytes]);
		}),
	);
	// Version, random, no session id, TLS_AES_128_GCM_SHA256, no compression.
	const head = Buffer.concat([Buffer.from([3, 3]), Buffer.alloc(32, 7), Buffer.from([0, 0, 2, 0x13, 1, 1, 0])]);
	const body = Buffer.concat([head, length(coded), coded]);
	const message = Buffer.concat([Buffer.from([1, 0]), length(body), body]);
	return Buffer.concat([Buffer.from([0x16, 3, 1]), length(message), message]);
}

const keyShare = [0, 36, 0, 0x1d, 0, 32, ...Buffer.alloc(32, 9)] as const;
const {pskIdentity} = deriveKeys({secret, cluster: 'dapss'});

test.each([
	['without a key share', clientHello([0x33, [0, 0]])],
	['with a key share', clientHello([0x33, keyShare])],
	['with modes of keys, and no key', clientHello([0x33, [0, 0]], [0x2d, [1, 1]])],
	[
		'with the name of the key, and a wrong proof',
		clientHello(
			[0x33, keyShare],
			[0x2d, [1, 1]],
			[
				0x29,
				[
					...[0, pskIdentity.length + 6, 0, pskIdentity.length, ...Buffer.from(pskIdentity), 0, 0, 0, 0],
					...[0, 33, 32, ...Buffer.alloc(32, 5)],
				],
			],
		),
	],
	[
		'with the name of the key, a wrong proof, and no key share',
		clientHello(
			[0x33, [0, 0]],
			[0x2d, [1, 1]],
			[
				0x29,
				[
					...[0, pskIdentity.length + 6, 0, pskIdentity.length, ...Buffer.from(pskIdentity), 0, 0, 0, 0],
					...[0, 33, 32, ...Buffer.alloc(32, 5)],
				],
			],
		),
	],
])('a ClientHello %s is answered with an alert of 7 bytes at most, so it counts as silent', async (_name, bytes) => {
	await using at = await listening(side(createTransport, {}));
	const socket = net.connect(at.port, '127.0.0.1');
	socket.write(bytes);
	let answered = 0;
	socket.on('data', chunk => {
		answered += chunk.length;
	});
	await new Promise(resolve => socket.once('close', resolve));
	expect(answered).toBe(7);
});

/** The first flight of an honest caller, which reaches a listener that does not answer. */
async function recordedFlight(): Promise<Buffer> {
	const {promise, resolve} = Promise.withResolvers<Buffer>();
	const recorder = net.createServer(socket => {
		socket.on('error', () => undefined);
		socket.once('data', chunk => {
			resolve(chunk);
			socket.destroy();
		});
	});
	await new Promise<void>(listens => recorder.listen(0, '127.0.0.1', listens));
	const {port} = recorder.address() as AddressInfo;
	const call = side(createTransport, {}).transport.dial(`127.0.0.1:${port}`, {hello, timeoutMs: 5000});
	const bytes = await promise;
	await call.catch(() => undefined);
	recorder.close();
	return bytes;
}

test('the recorded first flight of an honest caller is answered once, and not again while it waits or later', async () => {
	const server = side(createTransport, {limits: {handshakeMs: 60_000}});
	await using at = await listening(server);
	const flight = await recordedFlight();
	const replay = (): {
		readonly socket: Socket;
		readonly closed: Promise<number>;
		readonly answered: Promise<void>;
	} => {
		const socket = net.connect(at.port, '127.0.0.1');
		socket.write(flight);
		let bytes = 0;
		const {promise: answered, resolve} = Promise.withResolvers<void>();
		socket
			.on('error', () => undefined)
			.on('data', chunk => {
				bytes += chunk.length;
				resolve();
			});
		return {socket, answered, closed: new Promise(done => socket.once('close', () => done(bytes)))};
	};

	const first = replay();
	await first.answered;
	expect(await replay().closed).toBe(0);
	first.socket.destroy();
	expect(await first.closed).toBeGreaterThan(7);
	await until(() => at.unauthenticated === 0);
	expect(await replay().closed).toBe(0);
	expect(server.options.refusals.of('replayed-hello')).toBe(2);
	(await side(createTransport, {}).transport.dial(at.address, {hello, timeoutMs: 5000})).close('done');
});

test('what was answered is remembered in bounded memory, and junk does not displace it', () => {
	const hellos = new SeenHellos();
	const head = (number: number): Buffer => {
		const bytes = Buffer.alloc(64);
		bytes.writeUInt32BE(number, 20);
		return bytes;
	};
	hellos.ended(hellos.begun(head(0))!, true);
	for (let number = 1; number < 100_000; number++) hellos.ended(hellos.begun(head(number))!, false);
	expect(hellos.begun(head(0))).toBeUndefined();
	expect(hellos.begun(head(1))).toBeDefined();
	for (let number = 200_000; number < 200_000 + 65_536; number++) hellos.ended(hellos.begun(head(number))!, true);
	expect(hellos.begun(head(0))).toBeDefined();
});
