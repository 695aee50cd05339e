import {describe, expect, test} from 'vitest';
import {decode} from '../../../../core/codec.ts';
import type {Hello} from '../../../../core/io/net/channel.ts';
import {
	decodeBye,
	encodeBye,
	encodeHello,
	Handshake,
	isHelloOfCluster,
	parseHello,
	type HandshakeOptions,
	type Outcome,
} from '../../../../core/io/net/handshake.ts';
import {createIdentity, deriveKeys, type Identity} from '../../../../core/wire/seal.ts';
import {createRandom} from '../../../sim/random.ts';

const keys = deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'dapss'});
const helloOf = (identity: Identity | undefined, more: Partial<Hello> = {}): Hello => ({
	role: identity ? 'node' : 'client',
	id: identity?.id,
	address: '127.0.0.1:5000',
	cluster: 'dapss',
	clusterId: '',
	incarnation: 1,
	instance: '',
	name: '',
	flags: 'auth,sign,encrypt',
	version: '1.0.0',
	protocol: 2,
	via: 'peer',
	...more,
});
const end = (side: 'dialer' | 'listener', more: Partial<HandshakeOptions> = {}): Handshake => {
	const identity = 'identity' in more ? more.identity : createIdentity();
	return new Handshake({
		side,
		identity,
		local: helloOf(identity),
		keys: [keys],
		binding: Buffer.alloc(32, 5),
		peerName: 'peer x',
		...more,
	});
};

/** Exchanges payloads until both sides are silent. Returns the last outcome of each. */
function run(
	dialer: Handshake,
	listener: Handshake,
	tamper: (payload: Buffer, from: 'dialer' | 'listener', index: number) => Buffer = payload => payload,
): {dialer: Outcome | undefined; listener: Outcome | undefined} {
	const last: {dialer: Outcome | undefined; listener: Outcome | undefined} = {dialer: undefined, listener: undefined};
	const words = dialer.start().map(payload => ({to: 'listener' as 'dialer' | 'listener', payload}));
	let count = 0;
	for (let word = words.shift(); word; word = words.shift()) {
		const from = word.to === 'listener' ? 'dialer' : 'listener';
		if (last[word.to]?.type === 'refused' || last[word.to]?.type === 'open') continue;
		const outcome = (word.to === 'listener' ? listener : dialer).step(tamper(word.payload, from, count++));
		last[word.to] = outcome;
		// oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- the compiler widens it
		words.push(...outcome.send.map(payload => ({to: from as 'dialer' | 'listener', payload})));
	}

	return last;
}

test('two nodes of one cluster open a channel', () => {
	const one = createIdentity();
	const other = createIdentity();
	const {dialer, listener} = run(
		end('dialer', {identity: one, local: helloOf(one)}),
		end('listener', {identity: other, local: helloOf(other)}),
	);
	expect(dialer).toMatchObject({type: 'open', remote: {id: other.id}});
	expect(listener).toMatchObject({type: 'open', remote: {id: one.id}});
});

test('different channel bindings, as with a man in the middle, are refused', () => {
	const {dialer, listener} = run(
		end('dialer', {binding: Buffer.alloc(32, 1)}),
		end('listener', {binding: Buffer.alloc(32, 2)}),
	);
	expect(dialer).toMatchObject({type: 'refused', by: 'us', refusal: {code: 'identity'}});
	expect(listener).toMatchObject({type: 'refused', by: 'peer'});
});

test('a change of any byte in transit is detected', () => {
	const identity = createIdentity();
	const sizes: number[] = [];
	run(end('dialer'), end('listener', {identity, local: helloOf(identity)}), payload => {
		sizes.push(payload.length);
		return payload;
	});
	for (const [index, size] of sizes.entries()) {
		for (let at = 0; at < size; at += 3) {
			const {dialer, listener} = run(end('dialer'), end('listener'), (payload, _from, count) => {
				if (count !== index) return payload;
				const changed = Buffer.from(payload);
				changed[at % payload.length]! ^= 0x10;
				return changed;
			});
			expect(dialer?.type === 'open' && listener?.type === 'open', `word ${index}, byte ${at}`).toBe(false);
		}
	}
});

test('payloads of another connection are refused', () => {
	const identity = createIdentity();
	const heard: Buffer[] = [];
	run(end('dialer', {identity, local: helloOf(identity)}), end('listener'), (payload, from) => {
		if (from === 'dialer') heard.push(payload);
		return payload;
	});
	const listener = end('listener');
	expect(listener.step(heard[0]!).type).toBe('continue');
	expect(listener.step(heard[1]!)).toMatchObject({type: 'refused', refusal: {code: 'identity'}});
	// A proof reflected to its sender.
	const dialer = end('dialer');
	const [hello] = dialer.start();
	const [theirs, proof] = end('listener').step(hello!).send;
	dialer.step(theirs!);
	const opened = dialer.step(proof!);
	expect(opened.type).toBe('open');
	const other = end('listener');
	other.step(hello!);
	expect(other.step(proof!)).toMatchObject({type: 'refused'});
});

test('a proof before a hello and a second hello are refused', () => {
	const [hello] = end('dialer').start();
	expect(end('listener').step(Buffer.from([0, 2, ...Buffer.alloc(96)]))).toMatchObject({type: 'refused', send: []});
	const listener = end('listener');
	listener.step(hello!);
	expect(listener.step(hello!)).toMatchObject({type: 'refused', send: []});
	expect(end('listener').step(Buffer.from([7, 1, 1]))).toMatchObject({
		type: 'refused',
		send: [],
		refusal: {code: 'malformed'},
	});
});

test('a node has a key, a client has none', () => {
	const identity = createIdentity();
	expect(run(end('dialer', {identity: undefined}), end('listener')).listener).toMatchObject({
		type: 'open',
		remote: {role: 'client', id: undefined},
	});
	expect(
		run(end('dialer', {identity: undefined, local: helloOf(undefined, {role: 'node'})}), end('listener')).listener
			?.type,
	).toBe('refused');
	expect(
		run(end('dialer', {identity: undefined, local: helloOf(undefined, {id: identity.id})}), end('listener'))
			.listener?.type,
	).toBe('refused');
	expect(
		run(end('dialer', {identity, local: helloOf(identity, {role: 'client'})}), end('listener')).listener?.type,
	).toBe('refused');
});

test('another handshake version is reported on both sides, with both numbers', () => {
	const {dialer, listener} = run(end('dialer'), end('listener'), (payload, from, index) => {
		if (index !== 0 || from !== 'dialer') return payload;
		const changed = Buffer.from(payload);
		changed[7] = 9;
		return changed;
	});
	expect(listener).toMatchObject({
		refusal: {code: 'protocol', reason: 'peer x speaks protocol 9, this node 1 to 4 (version 1.0.0)'},
	});
	expect(dialer).toMatchObject({
		by: 'peer',
		refusal: {
			code: 'protocol',
			reason: 'peer x speaks protocol 1 to 4 (version 1.0.0), this node 1 to 4 (version 1.0.0)',
		},
	});
});

test('two programs without a common protocol refuse each other, and both report both ranges and versions', () => {
	const newer = createIdentity();
	const options = {
		identity: newer,
		local: helloOf(newer, {version: '3.0.0', address: '10.0.0.7:5000'}),
		protocols: [5, 5] as const,
	};
	const called = run(end('dialer', options), end('listener'));
	expect(called.listener).toMatchObject({
		by: 'us',
		refusal: {
			code: 'protocol',
			reason: 'peer 10.0.0.7:5000 speaks protocol 5 (version 3.0.0), this node 1 to 4 (version 1.0.0)',
		},
	});
	expect(called.dialer).toMatchObject({
		by: 'peer',
		refusal: {
			code: 'protocol',
			reason: 'peer x speaks protocol 1 to 4 (version 1.0.0), this node 5 (version 3.0.0)',
		},
	});
	const calls = run(end('dialer'), end('listener', options));
	expect(calls.dialer).toMatchObject({
		by: 'peer',
		refusal: {
			code: 'protocol',
			reason: 'peer x speaks protocol 5 (version 3.0.0), this node 1 to 4 (version 1.0.0)',
		},
	});
	expect(calls.listener).toMatchObject({
		by: 'us',
		refusal: {
			code: 'protocol',
			reason: 'peer 127.0.0.1:5000 speaks protocol 1 to 4 (version 1.0.0), this node 5 (version 3.0.0)',
		},
	});
});

test('both use the newest common version', () => {
	const both = (one: readonly [number, number], other: readonly [number, number]): unknown[] => {
		const {dialer, listener} = run(end('dialer', {protocols: one}), end('listener', {protocols: other}));
		return [dialer, listener].map(outcome => (outcome?.type === 'open' ? outcome.remote.protocol : outcome?.type));
	};

	expect(both([1, 2], [1, 2])).toEqual([2, 2]);
	expect(both([1, 1], [1, 2])).toEqual([1, 1]);
	expect(both([2, 5], [1, 3])).toEqual([3, 3]);
	expect(both([2, 3], [1, 1])).toEqual(['refused', 'refused']);
});

test('a cluster with an agreed protocol refuses older nodes on either side of a call, but serves older clients', () => {
	const old = {protocols: [1, 1] as const};
	const called = run(end('dialer', old), end('listener', {protocolMin: 2}));
	expect(called.listener).toMatchObject({
		by: 'us',
		refusal: {
			code: 'protocol',
			reason: 'peer 127.0.0.1:5000 speaks protocol 1 (version 1.0.0), this node 2 to 4 (version 1.0.0)',
		},
	});
	expect(called.dialer).toMatchObject({
		by: 'peer',
		refusal: {
			code: 'protocol',
			reason: 'peer x speaks protocol 2 to 4 (version 1.0.0), this node 1 (version 1.0.0)',
		},
	});
	expect(run(end('dialer', {protocolMin: 2}), end('listener', old)).dialer).toMatchObject({
		by: 'us',
		refusal: {code: 'protocol'},
	});
	expect(run(end('dialer', {identity: undefined, ...old}), end('listener', {protocolMin: 2})).listener).toMatchObject(
		{type: 'open', remote: {role: 'client', protocol: 1}},
	);
	expect(run(end('dialer'), end('listener', {protocolMin: 2})).listener).toMatchObject({
		type: 'open',
		remote: {protocol: 4},
	});
});

test('a refusal has the required version for a node of the previous release, which reads one number only', () => {
	const {send} = end('listener', {protocolMin: 2}).step(end('dialer', {protocols: [1, 1]}).start()[0]!);
	expect(decode(send[0]!.subarray(2))).toMatchObject({
		code: 'protocol',
		protocol: 2,
		protocols: [2, 4],
		version: '1.0.0',
	});
});

test('text of a peer is shown without control characters, and bounded', () => {
	expect(decodeBye(encodeBye('gone \u001B]52;c;x\u0007\u202Eright'))).toBe('gone ?]52;c;x??right');
	expect(decodeBye(encodeBye('x'.repeat(5000)))).toHaveLength(300);
	const {dialer} = run(end('dialer'), end('listener', {admit: () => ({code: 'busy', reason: '\u001B[31mred'})}));
	expect(dialer).toMatchObject({refusal: {reason: 'peer x refuses: ?[31mred'}});
	for (const address of ['a\u001Bb', 'ä:1', 'x'.repeat(262)]) {
		expect(
			run(end('dialer', {identity: undefined, local: helloOf(undefined, {address})}), end('listener')).listener,
		).toMatchObject({refusal: {code: 'malformed'}});
	}
});

test('20,000 damaged or random hellos: none opens, none throws, unauthenticated peers get no answer', () => {
	const random = createRandom(4711);
	const identity = createIdentity();
	const good = encodeHello(helloOf(identity), identity, keys);
	let answered = 0;
	for (let round = 0; round < 20_000; round++) {
		let payload: Buffer;
		switch (round % 4) {
			case 0: {
				payload = Buffer.from(Array.from({length: random.below(200)}, () => random.below(256)));
				break;
			}

			case 1: {
				payload = Buffer.from(good);
				for (let changes = 1 + random.below(4); changes > 0; changes--)
					payload[random.below(payload.length)]! ^= 1 + random.below(255);
				break;
			}

			case 2: {
				payload = Buffer.from(good.subarray(0, random.below(good.length)));
				break;
			}

			default: {
				// A valid hello frame with random content.
				payload = Buffer.concat([
					good.subarray(0, 40),
					Buffer.from(Array.from({length: random.below(300)}, () => random.below(256))),
				]);
			}
		}

		if (payload.equals(good)) continue;
		expect(isHelloOfCluster(payload, [keys]) && parseHello(payload) !== undefined).toBe(false);
		if (round % 10 > 0) continue;
		const outcome = end('listener', {identity, local: helloOf(identity)}).step(payload);
		expect(outcome.type).toBe('refused');
		if (outcome.send.length > 0) answered++;
	}

	expect(answered).toBeLessThan(500); // Hellos with readable fields get the difference as an answer.
});

describe('a client with an identity', () => {
	const client = createIdentity();
	const dialer = (more: Partial<HandshakeOptions> = {}): Handshake =>
		end('dialer', {
			identity: undefined,
			clientIdentity: client,
			local: helloOf(undefined, {via: 'client', clientKey: client.publicKey}),
			protocols: [1, 4],
			...more,
		});

	test('proves its key to a node', () => {
		const {listener} = run(dialer(), end('listener', {protocols: [1, 4]}));
		expect(listener).toMatchObject({type: 'open', remote: {role: 'client', id: undefined}});
		expect(listener?.type === 'open' && Buffer.from(listener.remote.clientKey!)).toEqual(client.publicKey);
	});

	test('is refused with the key of another client', () => {
		const {listener} = run(dialer({clientIdentity: createIdentity()}), end('listener', {protocols: [1, 4]}));
		expect(listener).toMatchObject({type: 'refused', by: 'us', refusal: {code: 'identity'}});
	});

	test('is refused without the signature', () => {
		const {listener} = run(dialer({clientIdentity: undefined}), end('listener', {protocols: [1, 4]}));
		expect(listener).toMatchObject({type: 'refused', by: 'us', refusal: {code: 'identity'}});
	});

	test('has no identity at a node of an earlier release, which expects no signature', () => {
		const {dialer: ours, listener} = run(dialer(), end('listener', {protocols: [1, 3]}));
		expect(ours).toMatchObject({type: 'open'});
		expect(listener).toMatchObject({type: 'open'});
		expect(listener?.type === 'open' && listener.remote.clientKey).toBeUndefined();
	});

	test('is no node: a node with a key of a client is malformed', () => {
		const identity = createIdentity();
		const node = end('dialer', {
			identity,
			local: helloOf(identity, {clientKey: client.publicKey}),
			protocols: [1, 4],
		});
		expect(run(node, end('listener', {protocols: [1, 4]})).listener).toMatchObject({
			type: 'refused',
			refusal: {code: 'malformed'},
		});
	});
});

test('a client of an earlier release opens a channel without an identity', () => {
	const {listener} = run(
		end('dialer', {identity: undefined, local: helloOf(undefined, {via: 'client'}), protocols: [1, 3]}),
		end('listener', {protocols: [1, 4]}),
	);
	expect(listener).toMatchObject({type: 'open', remote: {role: 'client'}});
});
