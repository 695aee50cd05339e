/**
What a ClientHello tells about the cluster, and how calls between neighbouring releases agree on the name of the key.
*/
import net, {type AddressInfo, type Socket} from 'node:net';
import {expect, test} from 'vitest';
import {FormerPeers} from '../../core/io/net/former-peers.ts';
import {ManualClock} from '../../core/io/net/memory-network.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {fixedKeys} from '../../core/wire/key-ring.ts';
import {deriveKeys} from '../../core/wire/seal.ts';
import {hello, listening, secret, side, type Side} from './support/channel-sides.ts';

const cluster = 'payroll-of-acme';

/** A listener of an earlier release: it knows the former name of the key only. */
function formerSide(): Side {
	return side(
		options => {
			const keys = {...options.keys.active, pskIdentity: 'a name that no peer shows'};
			return createTransport(Object.assign(options, {keys: fixedKeys(keys)}));
		},
		{cluster},
	);
}

/** A server that hands over what callers send first, and answers with these bytes. */
async function listener(answer: Buffer): Promise<{
	readonly address: string;
	readonly heard: Buffer[];
	close(): Promise<void>;
}> {
	const heard: Buffer[] = [];
	const server = net.createServer((socket: Socket) => {
		socket.on('error', () => undefined);
		socket.once('data', chunk => {
			heard.push(chunk);
			socket.end(answer);
		});
	});
	await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
	return {
		address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
		heard,
		close: () => new Promise(resolve => server.close(() => resolve())),
	};
}

/** A TLS alert: fatal, handshake_failure. */
const handshakeFailure = Buffer.from([0x15, 3, 3, 0, 2, 2, 40]);

test('a ClientHello does not contain the name of the cluster', async () => {
	const silent = await listener(Buffer.alloc(0));
	const {transport} = side(createTransport, {cluster});
	await expect(transport.dial(silent.address, {hello, timeoutMs: 3000})).rejects.toMatchObject({code: 'unreachable'});
	expect(silent.heard).toHaveLength(1);
	expect(silent.heard[0]!.includes(deriveKeys({secret, cluster}).pskIdentity)).toBe(true);
	expect(silent.heard[0]!.includes(cluster)).toBe(false);
	await silent.close();
});

test('the name of the key is another one for each secret, cluster and setting of authentication', () => {
	const names = [
		deriveKeys({secret, cluster}),
		deriveKeys({secret: Buffer.alloc(32, 8), cluster}),
		deriveKeys({secret, cluster: 'other'}),
		deriveKeys({secret, cluster, enableNodeAuth: false}),
	].map(({pskIdentity}) => pskIdentity);
	expect(new Set(names).size).toBe(4);
	for (const name of names) expect(name).toMatch(/^dapss2:[\w-]{16}$/);
});

test('a call opens with one handshake, and the listener counts no refusal', async () => {
	const server = side(createTransport, {cluster});
	await using at = await listening(server);
	const {transport} = side(createTransport, {cluster});
	(await transport.dial(at.address, {hello, timeoutMs: 3000})).close('done');
	(
		await transport.dial(at.address, {hello: {...hello, protocolMin: 4}, timeoutMs: 3000}).catch(() => undefined)
	)?.close('done');
	expect(server.options.refusals.of('key-name')).toBe(0);
});

test('a peer of the previous release is called again with the former name, and then at once with it', async () => {
	const server = formerSide();
	await using at = await listening(server);
	const {transport} = side(createTransport, {cluster});
	for (let calls = 0; calls < 3; calls++) (await transport.dial(at.address, {hello, timeoutMs: 3000})).close('done');
	expect(server.options.refusals.of('key-name')).toBe(1);
	expect(server.problems).toEqual([]);
});

test('a peer of the previous release can call this one', async () => {
	const server = side(createTransport, {cluster});
	await using at = await listening(server);
	const caller = side(
		options => {
			const transport = createTransport(options);
			return {
				...transport,
				dial: (address, more) => (options.formerPeers.add(address), transport.dial(address, more)),
			};
		},
		{cluster},
	);
	(await caller.transport.dial(at.address, {hello, timeoutMs: 3000})).close('done');
	expect(server.problems).toEqual([]);
});

test('once the cluster has agreed on protocol 4, nobody on the path can provoke the name of the cluster', async () => {
	const attacker = await listener(handshakeFailure);
	const {transport} = side(createTransport, {cluster});
	const call = transport.dial(attacker.address, {hello: {...hello, protocolMin: 4}, timeoutMs: 3000});
	await expect(call).rejects.toMatchObject({
		code: 'not-authenticated',
		message: expect.stringMatching(/^peer \S+ has another secret, cluster or enable_node_auth than this node: /),
	});
	expect(attacker.heard).toHaveLength(1);
	expect(attacker.heard[0]!.includes(cluster)).toBe(false);

	// Before that, and for clients, which do not know what is agreed, the former name is the price of compatibility.
	await expect(transport.dial(attacker.address, {hello, timeoutMs: 3000})).rejects.toMatchObject({code: 'refused'});
	expect(attacker.heard.map(bytes => bytes.includes(cluster))).toEqual([false, false, true]);
	await attacker.close();
});

test('a caller that does not call again is reported by the listener, too', async () => {
	const server = side(createTransport, {cluster, secret: Buffer.alloc(32, 9)});
	await using at = await listening(server);
	const {transport} = side(createTransport, {cluster});
	await expect(
		transport.dial(at.address, {hello: {...hello, protocolMin: 4}, timeoutMs: 3000}),
	).rejects.toMatchObject({code: 'not-authenticated'});
	expect(server.problems).toEqual([
		expect.stringMatching(
			/^peer 127\.0\.0\.1:\d+ has another secret, cluster or enable_node_auth than this node: it uses the key /,
		),
	]);
});

test('an address is tried with the new name again after some minutes', () => {
	const clock = new ManualClock();
	const peers = new FormerPeers(clock);
	peers.add('10.0.0.1:5000');
	expect(peers.has('10.0.0.1:5000')).toBe(true);
	clock.advance(600_000);
	expect(peers.has('10.0.0.1:5000')).toBe(false);
	for (let index = 0; index < 5000; index++) peers.add(`10.0.0.1:${index}`);
	expect(peers.has('10.0.0.1:4999')).toBe(true);
	expect(peers.has('10.0.0.1:1')).toBe(false);
});
