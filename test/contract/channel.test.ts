/**
One suite for every kind of channel: TLS, plain TCP, and the pair of streams that tests use.
*/
import {expect, test, describe} from 'vitest';
import {DapssError} from '../../core/errors.ts';
import type {Hello, Refusal, Transport, TransportOptions} from '../../core/io/net/channel.ts';
import {MemoryNetwork} from '../../core/io/net/memory-network.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import type {NodeId} from '../../core/message.ts';
import {protocolMax} from '../../core/version.ts';
import {createIdentity} from '../../core/wire/seal.ts';
import {closing, frames, hello, listening, side, type Settings} from './support/channel-sides.ts';

const network = new MemoryNetwork();
const kinds: ReadonlyArray<readonly [string, Settings, (options: TransportOptions) => Transport]> = [
	['TLS', {}, createTransport],
	['TLS without node authentication', {enableNodeAuth: false}, createTransport],
	['plain TCP', {enableEncryption: false}, createTransport],
	['plain TCP without node authentication', {enableEncryption: false, enableNodeAuth: false}, createTransport],
	['memory', {}, options => network.transport(options)],
];

describe.each(kinds)('%s', (_name, settings, make) => {
	test('both ends have the identity of the other one, and frames arrive complete and in order', async () => {
		const server = side(make, settings);
		const client = side(make, settings);
		await using listener = await listening(server);
		const near = await client.transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next();
		expect(near.remote).toEqual({
			role: 'node',
			id: server.identity.id,
			address: '127.0.0.1:5000',
			cluster: 'dapss',
			clusterId: '',
			incarnation: 1,
			instance: '',
			name: '',
			flags: far.remote.flags,
			version: '1.0.0',
			protocol: protocolMax,
			via: 'peer',
		} satisfies Hello);
		expect(far.remote.id).toBe(client.identity.id);
		expect(far.remote.address).toBe('127.0.0.1:5001');

		const large = Buffer.alloc(300_000, 3);
		expect(near.send([Buffer.from([1]), Buffer.from('one')])).toBe(true);
		expect(near.send([Buffer.from([1]), large])).toBe(true);
		expect(near.send([Buffer.from([1]), Buffer.from('three')])).toBe(true);
		far.send([Buffer.from([9])]); // Sent before the other end listens.
		const [one, two, three] = await frames(far, 3);
		expect(one!.toString('latin1')).toBe('\u0001one');
		expect(two!.equals(Buffer.concat([Buffer.from([1]), large]))).toBe(true);
		expect(three!.toString('latin1')).toBe('\u0001three');
		expect([...(await frames(near, 1))[0]!]).toEqual([9]);
		expect(far.stats.receivedBytes).toBeGreaterThan(300_000);
		near.close('done');
	});

	test('a close reaches the other side after the queued frames', async () => {
		const server = side(make, settings);
		await using listener = await listening(server);
		const near = await side(make, settings).transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next();
		const got: number[] = [];
		far.onFrame = payload => got.push(payload[0]!);
		const nearClosed = closing(near);
		const farClosed = closing(far);
		for (let frame = 1; frame <= 100; frame++) near.send([Buffer.of(frame)]);
		near.close('going home');
		expect(near.send([Buffer.of(1)])).toBe(false);
		expect(await nearClosed).toBe('going home');
		expect(await farClosed).toBe('going home');
		expect(got).toEqual(Array.from({length: 100}, (_, index) => index + 1));
	});

	test('a paused end receives nothing, and receives everything after resume', async () => {
		const server = side(make, settings);
		await using listener = await listening(server);
		const near = await side(make, settings).transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next();
		let isPaused = false;
		let early = 0;
		const done = Promise.withResolvers<void>();
		const got: number[] = [];
		far.onFrame = payload => {
			if (isPaused) early++;
			got.push(payload.readUInt32BE(0));
			if (got.length === 10) {
				far.pause();
				isPaused = true;
				setImmediate(() => {
					isPaused = false;
					far.resume();
				});
			}

			if (got.length === 5000) done.resolve();
		};

		for (let frame = 0; frame < 5000; frame++) {
			const bytes = Buffer.alloc(64, 1);
			bytes.writeUInt32BE((1 << 24) + frame);
			near.send([bytes]);
		}

		await done.promise;
		expect(early).toBe(0);
		expect(got).toEqual(Array.from({length: 5000}, (_, index) => (1 << 24) + index));
		near.close('done');
	});

	test('the queue has a bound, counts a refused frame, and reports that it drained', async () => {
		const server = side(make, settings);
		const client = side(make, {...settings, limits: {outQueueBytes: 1_000_000}});
		await using listener = await listening(server);
		const near = await client.transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next(); // No listener on the far end: nothing is read.
		const piece = Buffer.alloc(100_000, 1);
		let sent = 0;
		await new Promise<void>(resolve => {
			const fill = (): void => {
				for (;;) {
					if (!near.send([piece])) return resolve();
					sent++;
					if (sent % 5 === 0) return void setImmediate(fill);
				}
			};

			fill();
		});
		expect(near.queuedBytes).toBeLessThanOrEqual(1_000_000);
		expect(near.queuedBytes).toBeGreaterThan(800_000);
		expect(client.options.refusals.of('out-queue')).toBe(1);
		const drained = new Promise<void>(resolve => {
			near.onDrain = resolve;
		});
		const all = frames(far, sent);
		await drained;
		expect((await all).every(frame => frame.length === 100_000)).toBe(true);
		const closed = closing(near);
		near.close('done');
		await closed;
		expect(client.options.budget.usedBytes).toBe(0);
	});

	test('a long stream leaves a quarter of the queue to others, and is notified when there is room', async () => {
		const server = side(make, settings);
		const client = side(make, {...settings, limits: {outQueueBytes: 1_000_000}});
		await using listener = await listening(server);
		const near = await client.transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next(); // Nothing is read.
		const piece = Buffer.alloc(50_000, 1);
		let sent = 0;
		for (let full = 0; full < 20; full++) {
			for (; near.room() > 0; sent++) near.send([piece]);
			await new Promise(setImmediate); // The system may take some more.
		}

		expect(near.queuedBytes).toBeGreaterThanOrEqual(750_000);
		expect(near.send([piece])).toBe(true); // For example an answer.
		sent++;
		expect(client.options.refusals.of('out-queue')).toBe(0);
		const drained = new Promise<void>(resolve => {
			near.onDrain = resolve;
		});
		const all = frames(far, sent);
		await drained;
		expect(near.room()).toBeGreaterThan(0);
		await all;
		near.close('done');
	});

	test('a channel that was refused by the shared budget is notified when other channels free bytes', async () => {
		const server = side(make, settings);
		const client = side(make, {...settings, limits: {outQueueBytes: 1_000_000, outQueueTotalBytes: 1_000_000}});
		await using listener = await listening(server);
		const one = await client.transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next();
		const two = await client.transport.dial(listener.address, {hello, timeoutMs: 2000});
		await listener.next();
		const drained = new Promise<void>(resolve => {
			two.onDrain = resolve;
		});
		for (let full = 0; full < 20; full++) {
			while (one.send([Buffer.alloc(50_000, 1)])); // Until a frame is refused.
			await new Promise(setImmediate); // The system may take some more.
		}

		expect(two.queuedBytes).toBe(0);
		expect(two.room()).toBe(0);
		expect(two.send([Buffer.alloc(200_000, 1)])).toBe(false);
		far.onFrame = () => {};
		await drained;
		expect(two.room()).toBeGreaterThan(0);
		one.close('done');
		two.close('done');
	});

	test('a frame over the bound is refused by its sender and by its receiver', async () => {
		const server = side(make, {...settings, limits: {frameBytes: 10_000}});
		const client = side(make, settings);
		await using listener = await listening(server);
		const near = await client.transport.dial(listener.address, {hello, timeoutMs: 2000});
		const far = await listener.next();
		expect(far.send([Buffer.alloc(10_001, 1)])).toBe(false);
		const got: Buffer[] = [];
		far.onFrame = payload => got.push(payload);
		const closed = closing(far);
		near.send([Buffer.alloc(10_001, 1)]);
		expect(await closed).toBe('frame-too-large');
		expect(got).toEqual([]);
		expect(server.options.refusals.of('frame-too-large')).toBe(2);
	});

	test('the reason of a refused admission reaches the dialer', async () => {
		const server = side(make, settings);
		const refusal: Refusal = {code: 'removed', reason: 'node 0123456789abcdef was removed from the cluster'};
		await using listener = await listening(server, {admit: () => refusal});
		await expect(
			side(make, settings).transport.dial(listener.address, {hello, timeoutMs: 2000}),
		).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining('was removed from the cluster'),
			refusal: {code: 'removed'},
		});
	});

	test('a call fails if another node or this node itself answers', async () => {
		const server = side(make, settings);
		await using listener = await listening(server);
		await expect(
			side(make, settings).transport.dial(listener.address, {
				hello,
				timeoutMs: 2000,
				expect: '00000000000000ff' as NodeId,
			}),
		).rejects.toMatchObject({code: 'refused', refusal: {code: 'identity'}});
		await expect(server.transport.dial(listener.address, {hello, timeoutMs: 2000})).rejects.toMatchObject({
			code: 'refused',
			refusal: {code: 'same-node'},
		});
		// The id of one node with the key of another.
		const attacker = side(make, settings);
		const posing: TransportOptions = {
			...attacker.options,
			identity: {...attacker.identity, id: '00000000000000ff' as NodeId},
		};
		await expect(make(posing).dial(listener.address, {hello, timeoutMs: 2000})).rejects.toMatchObject({
			code: 'refused',
			refusal: {code: 'identity'},
		});
		// The id and the key of another node, without its private key.
		const victim = createIdentity();
		const forging: TransportOptions = {
			...attacker.options,
			identity: {...victim, sign: bytes => attacker.identity.sign(bytes)},
		};
		const forger = await make(forging).dial(listener.address, {hello, timeoutMs: 2000});
		const closed = closing(forger);
		forger.onFrame = () => {};
		expect(await closed).toContain(`could not prove to be ${victim.id}`);
		expect(listener.connections).toBe(0);
	});

	test('a client needs no identity', async () => {
		const server = side(make, settings);
		const {options} = side(make, settings);
		await using listener = await listening(server);
		const near = await make({...options, identity: undefined}).dial(listener.address, {
			hello: {...hello, address: '', via: 'client'},
			timeoutMs: 2000,
		});
		const far = await listener.next();
		expect(far.remote).toMatchObject({role: 'client', id: undefined, via: 'client'});
		near.close('done');
	});

	test('a call to a port without a listener fails with the refused connection', async () => {
		const server = side(make, settings);
		const listener = await listening(server);
		await listener[Symbol.asyncDispose]();
		const error: unknown = await side(make, settings)
			.transport.dial(listener.address, {hello, timeoutMs: 2000})
			.catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(DapssError);
		expect(error).toMatchObject({code: 'unreachable', cause: {code: 'ECONNREFUSED'}});
	});

	test('a call can be aborted', async () => {
		const server = side(make, settings);
		await using listener = await listening(server);
		const giveUp = new AbortController();
		const call = side(make, settings).transport.dial(listener.address, {
			hello,
			timeoutMs: 2000,
			signal: giveUp.signal,
		});
		giveUp.abort();
		await expect(call).rejects.toMatchObject({code: 'closed'});
	});

	test('a port in use is reported', async () => {
		const server = side(make, settings);
		await using listener = await listening(server);
		await expect(listening(server, {port: listener.port})).rejects.toMatchObject({code: 'port-in-use'});
	});
});
