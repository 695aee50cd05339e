/** The keys of a process: learning the secrets of others, and what each state of a rotation accepts. */
import {expect, test} from 'vitest';
import type {AgreedKey, KeyChange} from '../../../core/cluster-keys.ts';
import {KeyList} from '../../../core/cluster-state/key-list.ts';
import {KeyRing} from '../../../core/wire/key-ring.ts';
import {unwrap, wrap, type WrapPlace} from '../../../core/wire/key-wrap.ts';
import {addBatchMac, deriveKeys, hasBatchMac, keyIdOfName} from '../../../core/wire/seal.ts';

const cluster = 'dapss';
const secretOf = (number: number): Uint8Array => Buffer.alloc(32, number);
const ringOf = (number: number): KeyRing => new KeyRing({cluster, secret: secretOf(number)});
const idOf = (number: number) => ringOf(number).own.id;

let nonces = 0;
const bytes = (count: number): Uint8Array => Buffer.alloc(count, ++nonces);

/** Rotations from secret 1 on. */
class Rotations {
	readonly list = new KeyList();
	readonly ring = ringOf(1);

	apply(change: KeyChange): void {
		const result = this.list.apply(change, 5, []);
		if (!result.ok) throw new Error(result.reason);
		this.ring.update(this.list.keys);
	}

	add(number: number): void {
		this.apply(this.ring.addition(secretOf(number), bytes));
	}

	rotate(number: number): void {
		const former = this.ring.active.id;
		this.add(number);
		this.apply({type: 'use', key: idOf(number)});
		this.apply({type: 'remove', key: former});
	}
}

const validOf = (ring: KeyRing): readonly string[] => ring.valid.map(({id}) => id);

/** A signed batch: its content does not matter here. */
function batchUnder(number: number): Buffer {
	const batch = Buffer.alloc(80, 1);
	batch[1] = 1;
	addBatchMac(batch, deriveKeys({secret: secretOf(number), cluster}).batch);
	return batch;
}

test('a wrapped secret opens only in its place, and only under its key', () => {
	const place: WrapPlace = {cluster, what: 'secret', key: idOf(2), under: idOf(1)};
	const sealed = wrap(secretOf(2), secretOf(1), place, bytes(12));
	expect(sealed.includes(Buffer.from(secretOf(2)))).toBe(false);
	expect(unwrap(sealed, secretOf(1), place)).toEqual(Buffer.from(secretOf(2)));
	expect(unwrap(sealed, secretOf(3), place)).toBeUndefined();
	for (const other of [{cluster: 'other'}, {what: 'batch' as const}, {key: idOf(3)}, {under: idOf(3)}])
		expect(unwrap(sealed, secretOf(1), {...place, ...other})).toBeUndefined();
	for (let at = 0; at < sealed.length; at++) {
		const damaged = Buffer.from(sealed);
		damaged[at]! ^= 1;
		expect(unwrap(damaged, secretOf(1), place)).toBeUndefined();
	}

	expect(unwrap(Buffer.alloc(28), secretOf(1), place)).toBeUndefined();
});

test('the id of a key is in the name that a call shows, and differs for each secret and cluster', () => {
	const keys = deriveKeys({secret: secretOf(1), cluster});
	expect(keys.id).toMatch(/^[\da-f]{16}$/);
	expect(keyIdOfName(keys.pskIdentity)).toBe(keys.id);
	expect(keyIdOfName('dapss1:dapss')).toBeUndefined();
	expect(new Set([keys.id, idOf(2), deriveKeys({secret: secretOf(1), cluster: 'other'}).id]).size).toBe(3);
});

test('a node with either secret has both keys during a rotation, and learns which one is active', () => {
	const rotation = new Rotations();
	rotation.add(2);
	const other = ringOf(2);
	expect(other.update(rotation.list.keys)).toBe(true);
	for (const ring of [rotation.ring, other]) expect(validOf(ring)).toEqual([idOf(1), idOf(2)]);

	rotation.apply({type: 'use', key: idOf(2)});
	other.update(rotation.list.keys);
	for (const ring of [rotation.ring, other]) expect(validOf(ring)).toEqual([idOf(2), idOf(1)]);

	rotation.apply({type: 'remove', key: idOf(1)});
	other.update(rotation.list.keys);
	for (const ring of [rotation.ring, other]) {
		expect(validOf(ring)).toEqual([idOf(2)]);
		expect(ring.isRemoved(idOf(1))).toBe(true);
		expect(ring.isRemoved(idOf(3))).toBe(false);
	}
});

test('the present secret does not give the removed one away', () => {
	const rotation = new Rotations();
	rotation.rotate(2);
	const fresh = ringOf(2);
	fresh.update(rotation.list.keys);
	expect(fresh.secretOf(idOf(1))).toBeUndefined();
	expect(rotation.list.keys[1]!.link!.former).toBeUndefined();
});

test('a node whose file was never changed finds the present key in its state after several rotations', () => {
	const rotation = new Rotations();
	for (const number of [2, 3, 4]) rotation.rotate(number);
	const stale = ringOf(1);
	stale.update(rotation.list.keys);
	expect(validOf(stale)).toEqual([idOf(4)]);
	expect(stale.secretOf(idOf(4))).toEqual(Buffer.from(secretOf(4)));
});

test('messages of removed keys stay valid, also for a node that has only the present secret', () => {
	const rotation = new Rotations();
	for (const number of [2, 3]) rotation.rotate(number);
	const fresh = ringOf(3);
	fresh.update(rotation.list.keys);
	for (const number of [1, 2, 3]) expect(hasBatchMac(batchUnder(number), fresh.batchKeys)).toBe(true);
	expect(hasBatchMac(batchUnder(4), fresh.batchKeys)).toBe(false);
});

test('a rotation that was given up leaves the first key, and messages that were signed meanwhile valid', () => {
	const rotation = new Rotations();
	rotation.add(2);
	rotation.apply({type: 'use', key: idOf(2)});
	rotation.apply({type: 'use', key: idOf(1)});
	rotation.apply({type: 'remove', key: idOf(2)});
	expect(validOf(rotation.ring)).toEqual([idOf(1)]);
	rotation.rotate(3);
	const fresh = ringOf(3);
	fresh.update(rotation.list.keys);
	for (const number of [1, 2, 3]) expect(hasBatchMac(batchUnder(number), fresh.batchKeys)).toBe(true);
});

test('a node with a secret that its state does not know uses it: an operator put the present one there', () => {
	const rotation = new Rotations();
	rotation.add(2);
	const restarted = ringOf(9);
	restarted.update(rotation.list.keys);
	expect(validOf(restarted)).toEqual([idOf(9)]);
	expect(restarted.isRemoved(idOf(1))).toBe(false);

	// While it runs, it signs and calls with what its state has, and with the other key where that is refused.
	expect(rotation.ring.adopt(secretOf(9))).toBe(true);
	expect(validOf(rotation.ring)).toEqual([idOf(1), idOf(2), idOf(9)]);
	expect(rotation.ring.adopt(secretOf(2))).toBe(true);
	expect(validOf(rotation.ring)).toEqual([idOf(1), idOf(2)]);
});

test('a node whose key was removed and that can decrypt no other one keeps it, to be told', () => {
	const rotation = new Rotations();
	rotation.rotate(2);
	const keys: readonly AgreedKey[] = rotation.list.keys.map(key => ({...key, link: undefined}));
	const stranded = ringOf(1);
	stranded.update(keys);
	expect(validOf(stranded)).toEqual([idOf(1)]);
});

test('what a member wrote under the name of another key is not taken for it', () => {
	const rotation = new Rotations();
	const change = rotation.ring.addition(secretOf(2), bytes) as Extract<KeyChange, {type: 'add'}>;
	const place: WrapPlace = {cluster, what: 'secret', key: idOf(2), under: idOf(1)};
	rotation.apply({...change, secret: wrap(secretOf(3), secretOf(1), place, bytes(12))});
	expect(validOf(rotation.ring)).toEqual([idOf(1)]);
});
