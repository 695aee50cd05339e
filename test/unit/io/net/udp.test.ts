import {randomBytes} from 'node:crypto';
import {createSocket} from 'node:dgram';
import {expect, test} from 'vitest';
import {DatagramKeys} from '../../../../core/io/net/datagram-keys.ts';
import {Counters} from '../../../../core/io/net/counters.ts';
import {Faults} from '../../../../core/io/net/faults.ts';
import {Names} from '../../../../core/io/net/host-names.ts';
import {openDatagrams, Seal, type DatagramOptions, type OpenDatagrams} from '../../../../core/io/net/udp.ts';
import type {NodeId} from '../../../../core/message.ts';
import {deriveKeys} from '../../../../core/wire/seal.ts';
import {createRandom} from '../../../sim/random.ts';
import {damagedOrRandom, keys} from './support/datagrams.ts';
import {fixedKeys} from '../../../../core/wire/key-ring.ts';

const one = '1111111111111111' as NodeId;
const other = '2222222222222222' as NodeId;
const process = (): string => randomBytes(8).toString('hex');
type Settings = {
	readonly incarnation?: number;
	readonly encrypt?: boolean;
	readonly under?: typeof keys;
	readonly instance?: string;
	readonly instanceOf?: (id: NodeId) => string | undefined;
	readonly secretOf?: (id: NodeId) => Buffer | undefined;
};
const seal = (
	id: NodeId,
	{incarnation = 1, encrypt = true, under = keys, instance = process(), instanceOf, secretOf}: Settings = {},
): Seal =>
	new Seal({
		keys: fixedKeys(under),
		id,
		incarnation,
		instance,
		encrypt,
		...(instanceOf && {instanceOf}),
		...(secretOf && {secretOf}),
	});
const hello = Buffer.from('hello');

test.each([
	['sealed', true],
	['signed', false],
])('%s datagrams open at nodes of the cluster only', (_name, encrypt) => {
	const sender = seal(one, {encrypt});
	const datagram = sender.seal(hello);
	expect(datagram.includes(hello)).toBe(!encrypt);
	expect(seal(other, {encrypt}).open(datagram)).toEqual({from: one, bytes: hello});
	expect(
		seal(other, {encrypt, under: deriveKeys({secret: Buffer.alloc(32, 2), cluster: 'dapss'})}).open(datagram),
	).toBe('bad-datagram');
	expect(seal(other, {encrypt, under: deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'x'})}).open(datagram)).toBe(
		'bad-datagram',
	);
	expect(seal(other, {encrypt: !encrypt}).open(datagram)).toBe('malformed');
});

test.each([true, false])('a change of any bit in transit is detected (encryption %s)', encrypt => {
	const datagram = seal(one, {encrypt}).seal(hello);
	for (let bit = 0; bit < datagram.length * 8; bit++) {
		const changed = Buffer.from(datagram);
		changed[bit >> 3]! ^= 1 << (bit & 7);
		expect(typeof seal(other, {encrypt}).open(changed), `bit ${bit}`).toBe('string');
	}
});

test('each datagram is accepted once, in any order within the window', () => {
	const sender = seal(one);
	const receiver = seal(other);
	const sent = Array.from({length: 100}, (_, index) => sender.seal(Buffer.of(index)));
	const order = createRandom(3).shuffle(sent.slice(40)); // All within 64 of the newest.
	for (const datagram of order) expect(receiver.open(datagram)).toMatchObject({from: one});
	for (const datagram of order) expect(receiver.open(datagram)).toBe('replayed');
	expect(receiver.open(sent[0]!)).toBe('replayed'); // Older than the window.
	expect(receiver.open(sender.seal(hello))).toEqual({from: one, bytes: hello});
});

test('of two processes of one sender, only the linked one counts, whatever their incarnations', () => {
	const [original, copy] = [process(), process()];
	const link: {instance?: string} = {};
	const receiver = seal(other, {instanceOf: () => link.instance});
	const kept = seal(one, {incarnation: 4, instance: original});
	const copied = seal(one, {incarnation: 5, instance: copy});
	expect(receiver.open(copied.seal(hello))).toMatchObject({from: one}); // The sender is still unknown.
	link.instance = original;
	expect(receiver.open(kept.seal(hello))).toMatchObject({from: one});
	expect(receiver.open(copied.seal(hello))).toBe('other-process');
	const sent = kept.seal(hello);
	expect(receiver.open(sent)).toMatchObject({from: one});
	expect(receiver.open(sent)).toBe('replayed');
});

test('an earlier incarnation of the sender is refused, and so is a second process of the same incarnation', () => {
	const receiver = seal(other);
	const earlier = seal(one, {incarnation: 1});
	const old = [earlier.seal(hello), earlier.seal(hello)];
	receiver.open(old[0]!);
	expect(receiver.open(seal(one, {incarnation: 2}).seal(hello))).toMatchObject({from: one});
	expect(receiver.open(old[1]!)).toBe('replayed');
	expect(receiver.open(earlier.seal(hello))).toBe('replayed');
	expect(receiver.open(seal(one, {incarnation: 2}).seal(hello))).toBe('replayed');
	expect(receiver.open(seal(one, {incarnation: 3}).seal(hello))).toMatchObject({from: one});
});

test('a forged datagram does not change the window, so it cannot shut out a sender', () => {
	const receiver = seal(other);
	const sender = seal(one);
	receiver.open(sender.seal(hello));
	const forged = Buffer.from(sender.seal(hello));
	forged.writeUInt32BE(99, 9); // A later incarnation.
	expect(receiver.open(forged)).toBe('bad-datagram');
	const ahead = Buffer.from(sender.seal(hello));
	ahead.writeUIntBE(2 ** 40, 21, 6);
	expect(receiver.open(ahead)).toBe('bad-datagram');
	expect(receiver.open(sender.seal(hello))).toEqual({from: one, bytes: hello});
});

test('our own datagrams, sent back to us, are refused', () => {
	const sender = seal(one);
	expect(sender.open(sender.seal(hello))).toBe('replayed');
});

test('no two processes of a node share a key, and no two datagrams a nonce', () => {
	const [a, b] = [seal(one).seal(hello), seal(one).seal(hello)];
	expect(a.subarray(27).equals(b.subarray(27))).toBe(false);
	const sender = seal(one);
	const counters = Array.from({length: 1000}, () => sender.seal(hello).readUIntBE(21, 6));
	expect(new Set(counters).size).toBe(1000);
});

test('20,000 damaged or random datagrams: none opens, none throws', () => {
	const random = createRandom(17);
	const receiver = seal(other);
	const sender = seal(one);
	receiver.open(sender.seal(hello));
	const good = sender.seal(Buffer.alloc(200, 5));
	for (const datagram of damagedOrRandom(good, random, {bytesMax: 120, kinds: 3}).take(20_000))
		expect(['malformed', 'bad-datagram', 'replayed']).toContain(receiver.open(datagram));

	expect(receiver.open(good)).toMatchObject({from: one});
});

async function opened(
	id: NodeId,
	more: Partial<DatagramOptions> = {},
): Promise<{
	readonly at: OpenDatagrams;
	readonly refusals: Counters;
	readonly got: string[];
	next(count: number): Promise<void>;
}> {
	const refusals = new Counters();
	const got: string[] = [];
	let wake = (): void => {};
	const at = await openDatagrams({
		host: '127.0.0.1',
		port: 0,
		keys: fixedKeys(keys),
		id,
		incarnation: 1,
		instance: process(),
		encrypt: true,
		refusals,
		faults: undefined,
		onDatagram(from, bytes) {
			got.push(`${from} ${bytes.toString()}`);
			wake();
		},
		...more,
	});
	return {
		at,
		refusals,
		got,
		async next(count) {
			while (got.length < count) {
				await new Promise<void>(resolve => {
					wake = resolve;
				});
			}
		},
	};
}

test('over sockets: members hear one another; other datagrams are counted and never answered', async () => {
	const a = await opened(one);
	const b = await opened(other);
	const outsider = createSocket('udp4');
	let answers = 0;
	outsider.on('message', () => answers++);
	const noise = (bytes: Buffer): Promise<void> =>
		new Promise(resolve => {
			outsider.send(bytes, b.at.port, '127.0.0.1', () => resolve());
		});
	for (let size = 0; size < 200; size++) await noise(Buffer.alloc(size, 1));
	a.at.send(`127.0.0.1:${b.at.port}`, hello);
	await b.next(1);
	b.at.send(`127.0.0.1:${a.at.port}`, Buffer.from('back'));
	await a.next(1);
	expect(b.got).toEqual([`${one} hello`]);
	expect(a.got).toEqual([`${other} back`]);
	expect(answers).toBe(0);
	expect(b.refusals.of('malformed') + b.refusals.of('bad-datagram')).toBe(200);
	a.at.send(`127.0.0.1:${b.at.port}`, Buffer.alloc(1358));
	a.at.send('nowhere', hello);
	expect(a.refusals.of('datagram-too-large')).toBe(1);
	await expect(
		openDatagrams({
			host: '127.0.0.1',
			port: b.at.port,
			keys: fixedKeys(keys),
			id: one,
			incarnation: 1,
			instance: process(),
			encrypt: true,
			refusals: a.refusals,
			faults: undefined,
			onDatagram() {},
		}),
	).rejects.toMatchObject({code: 'port-in-use'});
	outsider.close();
	await Promise.all([a.at[Symbol.asyncDispose](), b.at[Symbol.asyncDispose]()]);
	a.at.send(`127.0.0.1:${b.at.port}`, hello); // The socket is closed: no effect.
});

test('a cut silences datagrams in its direction only', async () => {
	const faults = new Faults();
	const a = await opened(one, {faults});
	const b = await opened(other);
	faults.apply({type: 'cut', peers: [other], direction: 'out', forMs: 0});
	a.at.send(`127.0.0.1:${b.at.port}`, Buffer.from('lost'), other);
	b.at.send(`127.0.0.1:${a.at.port}`, Buffer.from('heard'));
	await a.next(1);
	faults.apply({type: 'heal'});
	a.at.send(`127.0.0.1:${b.at.port}`, Buffer.from('found'), other);
	await b.next(1);
	faults.apply({type: 'cut', peers: [other], direction: 'in', forMs: 0});
	b.at.send(`127.0.0.1:${a.at.port}`, Buffer.from('lost'));
	a.at.send(`127.0.0.1:${b.at.port}`, Buffer.from('still'), other);
	await b.next(2);
	expect(a.got).toEqual([`${other} heard`]);
	expect(b.got).toEqual([`${one} found`, `${one} still`]);
	await Promise.all([a.at[Symbol.asyncDispose](), b.at[Symbol.asyncDispose]()]);
});

test('an IPv6 socket receives and sends IPv4 as well, an IPv4 socket ignores IPv6', async () => {
	const a = await opened(one, {host: '::'});
	const b = await opened(other);
	a.at.send(`127.0.0.1:${b.at.port}`, hello, other);
	await b.next(1);
	b.at.send(`127.0.0.1:${a.at.port}`, Buffer.from('back'), one);
	await a.next(1);
	b.at.send(`[::1]:${a.at.port}`, Buffer.from('no way'), one);
	a.at.send(`[::1]:${a.at.port}`, hello);
	b.at.send(`127.0.0.1:${a.at.port}`, Buffer.from('again'), one);
	await a.next(2);
	expect([a.got, b.got]).toEqual([[`${other} back`, `${other} again`], [`${one} hello`]]);
	await Promise.all([a.at[Symbol.asyncDispose](), b.at[Symbol.asyncDispose]()]);
});

test('the addresses of a name are used in turn, until a datagram arrives from one of them', async () => {
	const names = new Names({lookup: async () => ['127.0.0.3', '127.0.0.2']});
	await names.resolve('peer');
	const a = await opened(one, {names});
	const b = await opened(other, {host: '127.0.0.2'});
	const [first, second] = [Buffer.from('first'), Buffer.from('second')];
	for (const word of [first, second]) a.at.send(`peer:${b.at.port}`, word, other);
	await b.next(1); // The other datagram went to 127.0.0.3.
	b.at.send(`127.0.0.1:${a.at.port}`, hello);
	await a.next(1);
	for (const word of ['x', 'y', 'z']) a.at.send(`peer:${b.at.port}`, Buffer.from(word), other);
	await b.next(4);
	expect(b.got.slice(1)).toEqual([`${one} x`, `${one} y`, `${one} z`]);
	await Promise.all([a.at[Symbol.asyncDispose](), b.at[Symbol.asyncDispose]()]);
});

test('before a datagram has arrived, the address of the link is used', async () => {
	const names = new Names({lookup: async () => ['127.0.0.3', '127.0.0.2']});
	await names.resolve('peer');
	names.worked('peer', '127.0.0.2');
	const a = await opened(one, {names});
	const b = await opened(other, {host: '127.0.0.2'});
	for (const word of ['x', 'y', 'z']) a.at.send(`peer:${b.at.port}`, Buffer.from(word), other);
	await b.next(3);
	expect(b.got.toSorted()).toEqual(['x', 'y', 'z'].map(word => `${one} ${word}`));
	await Promise.all([a.at[Symbol.asyncDispose](), b.at[Symbol.asyncDispose]()]);
});

test('a node may listen on a name, as TCP does', async () => {
	const a = await opened(one, {host: 'localhost'});
	const b = await opened(other, {host: '::'});
	b.at.send(`localhost:${a.at.port}`, hello, one); // The name is not resolved yet: this datagram is lost.
	const timer = setInterval(() => b.at.send(`localhost:${a.at.port}`, hello, one), 5);
	await a.next(1);
	clearInterval(timer);
	await expect(opened(one, {host: 'nowhere.invalid'})).rejects.toThrow(
		'Cannot listen on UDP nowhere.invalid: the name is not found',
	);
	await Promise.all([a.at[Symbol.asyncDispose](), b.at[Symbol.asyncDispose]()]);
});

/** Two processes that exchanged their datagram keys over a link, and a third member that has the cluster's secret. */
function linked(encrypt: boolean): {readonly sender: Seal; readonly receiver: Seal; readonly member: Seal} {
	const [ours, theirs, foreign] = [new DatagramKeys(), new DatagramKeys(), new DatagramKeys()];
	return {
		sender: seal(one, {encrypt, secretOf: id => ours.secret(id, theirs.publicKey)}),
		receiver: seal(other, {encrypt, secretOf: id => theirs.secret(id, ours.publicKey)}),
		// It calls itself `one`, and knows the public keys of both.
		member: seal(one, {encrypt, incarnation: 2 ** 32 - 1, secretOf: id => foreign.secret(id, theirs.publicKey)}),
	};
}

test.each([true, false])('a linked peer opens what was sealed for it, once (encryption %s)', encrypt => {
	const {sender, receiver} = linked(encrypt);
	const datagram = sender.seal(hello, other);
	expect(datagram.includes(hello)).toBe(!encrypt);
	expect(receiver.open(datagram)).toEqual({from: one, bytes: hello});
	expect(receiver.open(datagram)).toBe('replayed');
});

test.each([true, false])('a member cannot send a datagram in the name of a linked peer (encryption %s)', encrypt => {
	const {receiver, member} = linked(encrypt);
	expect(receiver.open(member.seal(hello, other))).toBe('bad-datagram');
	// Nor with the key that all members have.
	expect(receiver.open(seal(one, {encrypt, incarnation: 2 ** 32 - 1}).seal(hello))).toBe('bad-datagram');
	// A datagram for another peer is of no use either.
	const {sender} = linked(encrypt);
	expect(receiver.open(sender.seal(hello, other))).toBe('bad-datagram');
});

test('a peer without a datagram key, of an earlier release, uses the key of the cluster', () => {
	const keysOfThis = new DatagramKeys();
	const receiver = seal(other, {secretOf: () => undefined});
	expect(receiver.open(seal(one).seal(hello, other))).toEqual({from: one, bytes: hello});
	expect(keysOfThis.secret(one, Buffer.alloc(32))).toBeUndefined(); // A point of low order.
});

test('another process of the peer, with another key, is opened once its link is up', () => {
	const [ours, theirs, later] = [new DatagramKeys(), new DatagramKeys(), new DatagramKeys()];
	let current = theirs;
	const receiver = seal(other, {secretOf: id => ours.secret(id, current.publicKey)});
	const former = seal(one, {secretOf: id => theirs.secret(id, ours.publicKey)});
	const next = seal(one, {incarnation: 2, secretOf: id => later.secret(id, ours.publicKey)});
	expect(receiver.open(former.seal(hello, other))).toMatchObject({from: one});
	expect(receiver.open(next.seal(hello, other))).toBe('bad-datagram');
	current = later;
	expect(receiver.open(next.seal(hello, other))).toMatchObject({from: one});
	expect(receiver.open(former.seal(hello, other))).toBe('replayed');
});
