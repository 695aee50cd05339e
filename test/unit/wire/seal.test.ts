import {expect, test} from 'vitest';
import {encodeBatch, isNodeId, type NodeId, type Topic} from '../../../core/message.ts';
import {
	addBatchMac,
	createIdentity,
	deriveKeys,
	identityFrom,
	hasBatchMac,
	idOf,
	isMac,
	isSignedBy,
	macOf,
} from '../../../core/wire/seal.ts';

const secret = Buffer.alloc(32, 1);
const keys = deriveKeys({secret, cluster: 'dapss'});
const header = {
	origin: '0011223344556677' as NodeId,
	incarnation: 1,
	topic: 'news' as Topic,
	firstSeq: 1,
	lamport: 5,
	previousLamport: 0,
	sentAtMs: 1000,
};
const batch = (): Buffer => encodeBatch(header, [Buffer.from('hello'), Buffer.from('world')], 'mac');
const raw = (use: 'batch' | 'beacon' | 'beaconSearch' | 'proof' | 'openProof', of = keys): string =>
	of[use].export().toString('hex');

test('every purpose, cluster and secret has its own key', () => {
	const all = [
		keys,
		deriveKeys({secret, cluster: 'other'}),
		deriveKeys({secret: Buffer.alloc(32, 2), cluster: 'dapss'}),
	].flatMap(of => [
		of.psk.toString('hex'),
		of.datagram.toString('hex'),
		raw('batch', of),
		raw('beacon', of),
		raw('beaconSearch', of),
		raw('proof', of),
	]);
	expect(new Set(all).size).toBe(all.length);
	expect(all.every(key => key.length === 64)).toBe(true);
});

test('without node authentication links depend on the name alone, and signatures on the secret', () => {
	const one = deriveKeys({secret, cluster: 'dapss', enableNodeAuth: false});
	const other = deriveKeys({secret: Buffer.alloc(32, 2), cluster: 'dapss', enableNodeAuth: false});
	expect(one.psk.equals(other.psk)).toBe(true);
	expect(one.psk.equals(keys.psk)).toBe(false);
	expect(one.pskIdentity).not.toBe(keys.pskIdentity);
	expect(raw('proof', one)).toBe(raw('openProof', keys));
	expect(raw('batch', one)).toBe(raw('batch'));
	expect(raw('batch', one)).not.toBe(raw('batch', other));
});

test('a MAC covers every byte of a batch', () => {
	const bytes = batch();
	expect(hasBatchMac(bytes, [keys.batch])).toBe(false);
	addBatchMac(bytes, keys.batch);
	expect(hasBatchMac(bytes, [keys.batch])).toBe(true);
	for (let at = 0; at < bytes.length; at++) {
		for (const bit of [0, 4, 7]) {
			const forged = Buffer.from(bytes);
			forged[at]! ^= 1 << bit;
			expect(hasBatchMac(forged, [keys.batch]), `byte ${at}`).toBe(false);
		}
	}

	expect(hasBatchMac(bytes, [deriveKeys({secret, cluster: 'other'}).batch])).toBe(false);
});

test('bytes that are too short for a batch have no MAC', () => {
	for (let length = 0; length < 40; length++) expect(hasBatchMac(Buffer.alloc(length, 1), [keys.batch])).toBe(false);
});

test('a MAC is accepted whole or as a prefix of at least 16 bytes', () => {
	const mac = macOf(keys.beacon, Buffer.from('x'));
	expect(isMac(keys.beacon, mac, Buffer.from('x'))).toBe(true);
	expect(isMac(keys.beacon, mac.subarray(0, 16), Buffer.from('x'))).toBe(true);
	expect(isMac(keys.beacon, mac.subarray(0, 15), Buffer.from('x'))).toBe(false);
	expect(isMac(keys.beacon, Buffer.alloc(0), Buffer.from('x'))).toBe(false);
	expect(isMac(keys.beacon, Buffer.concat([mac, mac]), Buffer.from('x'))).toBe(false);
});

test('an identity from a seed is always the same', () => {
	// RFC 8032, 7.1, the first of the tests.
	const seed = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex');
	expect(createIdentity(seed).publicKey.toString('hex')).toBe(
		'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
	);
	expect(createIdentity(seed).id).not.toBe(createIdentity().id);
});

test('an identity is unchanged by saving and loading; its id is the hash of its key', () => {
	const identity = createIdentity();
	expect(isNodeId(identity.id)).toBe(true);
	expect(idOf(identity.publicKey)).toBe(identity.id);
	const again = identityFrom(JSON.parse(JSON.stringify(identity.toJson())));
	if ('problem' in again) throw new Error(again.problem);
	expect(again.id).toBe(identity.id);
	const words = Buffer.from('words');
	expect(isSignedBy(identity.publicKey, words, again.sign(words))).toBe(true);
	expect(isSignedBy(createIdentity().publicKey, words, again.sign(words))).toBe(false);
	expect(isSignedBy(identity.publicKey, Buffer.from('other'), again.sign(words))).toBe(false);
	expect(isSignedBy(Buffer.alloc(32, 255), words, again.sign(words))).toBe(false);
	expect(isSignedBy(Buffer.alloc(3), words, again.sign(words))).toBe(false);
	expect(isSignedBy(identity.publicKey, words, Buffer.alloc(64))).toBe(false);
});

test('a damaged identity file is reported without its key', () => {
	const {privateKey, id} = createIdentity().toJson();
	for (const json of [
		undefined,
		null,
		5,
		{},
		{id},
		{id, privateKey: 'AAAA'},
		{id, privateKey: privateKey.slice(4)},
		{id: '0000000000000000', privateKey},
		{privateKey},
	]) {
		const result = identityFrom(json);
		expect(result).toHaveProperty('problem');
		expect(JSON.stringify(result)).not.toContain(privateKey.slice(8));
	}
});
