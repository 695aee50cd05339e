/** Two keys of a cluster on real connections: both are valid, and a removed one is refused and named. */
import {expect, test} from 'vitest';
import type {KeyChange, KeyId} from '../../core/cluster-keys.ts';
import {KeyList} from '../../core/cluster-state/key-list.ts';
import {createTransport} from '../../core/io/net/transport.ts';
import {KeyRing} from '../../core/wire/key-ring.ts';
import {hello, listening, secret, side, type Side} from './support/channel-sides.ts';

const nextSecret = Buffer.alloc(32, 8);
const cluster = 'dapss';
const newRing = (own: Uint8Array): KeyRing => new KeyRing({secret: own, cluster});
const formerId = newRing(secret).own.id;
const nextId = newRing(nextSecret).own.id;

/** The agreed keys of a cluster with `secret`, and the rings that follow them. */
class Agreed {
	readonly list = new KeyList();
	readonly rings: KeyRing[] = [];

	ring(own: Uint8Array): KeyRing {
		const ring = newRing(own);
		ring.update(this.list.keys);
		this.rings.push(ring);
		return ring;
	}

	apply(change: KeyChange): void {
		const result = this.list.apply(change, 1, []);
		if (!result.ok) throw new Error(result.reason);
		for (const ring of this.rings) ring.update(this.list.keys);
	}

	add(): void {
		this.apply(newRing(secret).addition(nextSecret, count => Buffer.alloc(count, 3)));
	}
}

const withKeys = (keys: KeyRing, encrypt = true): Side =>
	side(createTransport, {cluster, keys, enableEncryption: encrypt});
const member = {...hello, protocolMin: 4};

async function keyOfCall(caller: Side, address: string): Promise<KeyId> {
	const channel = await caller.transport.dial(address, {hello: member, timeoutMs: 3000});
	channel.close('done');
	return channel.key;
}

test.each([
	['TLS', true],
	['plain text', false],
])('both keys are valid after `add`, over %s', async (_name, encrypt) => {
	const agreed = new Agreed();
	const server = withKeys(agreed.ring(secret), encrypt);
	await using at = await listening(server);
	agreed.add();
	for (const own of [secret, nextSecret]) {
		const key = await keyOfCall(withKeys(newRing(own), encrypt), at.address);
		const accepted = await at.next();
		expect(accepted.key).toBe(key);
		expect(key).toBe(newRing(own).own.id);
	}

	expect(server.problems).toEqual([]);
});

test.each([
	['TLS', true],
	['plain text', false],
])(
	'a caller uses the active key, and the other one at a peer that does not know it yet, over %s',
	async (_, encrypt) => {
		const agreed = new Agreed();
		const ahead = withKeys(agreed.ring(secret), encrypt);
		await using current = await listening(withKeys(agreed.ring(secret), encrypt));
		const behind = withKeys(newRing(secret), encrypt);
		await using late = await listening(behind);
		agreed.add();
		agreed.apply({type: 'use', key: nextId});
		expect(await keyOfCall(ahead, current.address)).toBe(nextId);
		expect(await keyOfCall(ahead, late.address)).toBe(formerId);
		if (encrypt) expect(behind.problems).toEqual([]);
	},
);

test('a removed key is refused, and both sides name it', async () => {
	const agreed = new Agreed();
	const ring = agreed.ring(secret);
	const wrong: string[] = [];
	const server = side(
		options => createTransport(Object.assign(options, {onWrongKey: (key: KeyId) => wrong.push(key)})),
		{cluster, keys: Object.assign(ring)},
	);
	await using at = await listening(server);
	agreed.add();
	agreed.apply({type: 'use', key: nextId});
	const removed = withKeys(newRing(secret));
	expect(await keyOfCall(removed, at.address)).toBe(formerId);
	await at.next();
	agreed.apply({type: 'remove', key: formerId});

	// A member that was down, and a client, which also knows the former name of a key.
	for (const said of [member, hello])
		await expect(removed.transport.dial(at.address, {hello: said, timeoutMs: 3000})).rejects.toMatchObject({
			code: 'not-authenticated',
			message: expect.stringContaining(`it does not accept the key ${formerId}. If that key was removed`),
		});

	expect(server.problems).toEqual([
		expect.stringContaining(
			`it uses the key ${formerId}, which was removed from the cluster; its key is ${nextId} now`,
		),
	]);
	expect(new Set(wrong)).toEqual(new Set([formerId]));
	expect(await keyOfCall(withKeys(newRing(nextSecret)), at.address)).toBe(nextId);
});

test('a key that the cluster never had is named as unknown', async () => {
	const agreed = new Agreed();
	const server = withKeys(agreed.ring(secret));
	await using at = await listening(server);
	agreed.add();
	const foreign = newRing(Buffer.alloc(32, 9));
	await expect(withKeys(foreign).transport.dial(at.address, {hello: member, timeoutMs: 3000})).rejects.toMatchObject({
		code: 'not-authenticated',
	});
	expect(server.problems).toEqual([
		expect.stringContaining(`it uses the key ${foreign.own.id}, here ${formerId} and ${nextId} are valid`),
	]);
});

test('a handshake that is under way when its key is removed does not open', async () => {
	const agreed = new Agreed();
	const server = withKeys(agreed.ring(secret));
	agreed.add();
	agreed.apply({type: 'use', key: nextId});
	await using at = await listening(server, {
		admit() {
			agreed.apply({type: 'remove', key: formerId});
			return undefined;
		},
	});
	const channel = await withKeys(newRing(secret)).transport.dial(at.address, {hello: member, timeoutMs: 3000});
	const {promise, resolve} = Promise.withResolvers<string>();
	channel.onClose = resolve;
	await promise;
	expect(at.connections).toBe(0);
});
