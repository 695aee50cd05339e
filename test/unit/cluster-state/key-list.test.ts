/** The agreed keys: the order of a rotation, its refusals, and the saved form. */
import {expect, test} from 'vitest';
import {parseKeyChange, type KeyChange, type KeyId} from '../../../core/cluster-keys.ts';
import {isSavedKeys, KeyList, removedKeysMax, type KeyEvent} from '../../../core/cluster-state/key-list.ts';
import {decode, encode} from '../../../core/codec.ts';

const id = (number: number): KeyId => number.toString(16).padStart(16, '0') as KeyId;
const sealed = Buffer.alloc(60, 1);
const addition = (key: number, before: number): KeyChange => ({
	type: 'add',
	key: id(key),
	before: id(before),
	secret: sealed,
	former: sealed,
	batch: sealed,
	formerBatch: sealed,
});

function statesOf(list: KeyList): readonly string[] {
	return list.keys.map(key => `${Number.parseInt(key.id, 16)} ${key.state} ${key.sinceMs}`);
}

function apply(list: KeyList, change: KeyChange, atMs = 7): readonly KeyEvent[] | string {
	const events: KeyEvent[] = [];
	const result = list.apply(change, atMs, events);
	return result.ok ? events : result.reason;
}

test('a rotation: add, use, remove', () => {
	const list = new KeyList();
	expect(list.active).toBeUndefined();
	expect(apply(list, addition(2, 1), 10)).toEqual([{type: 'key-added', key: id(2)}]);
	expect(statesOf(list)).toEqual(['1 active 0', '2 valid 10']);
	expect(apply(list, {type: 'use', key: id(2)}, 20)).toEqual([{type: 'key-used', key: id(2)}]);
	expect(statesOf(list)).toEqual(['1 valid 20', '2 active 20']);
	expect(list.active).toBe(id(2));
	expect(apply(list, {type: 'remove', key: id(1)}, 30)).toEqual([{type: 'key-removed', key: id(1)}]);
	expect(statesOf(list)).toEqual(['1 removed 30', '2 active 20']);
	expect(list.keys[1]!.link!.former).toBeUndefined();
});

test('refusals leave the list as it is', () => {
	const list = new KeyList();
	apply(list, addition(2, 1));
	const before = list.keys;
	expect(apply(list, addition(3, 1))).toContain('two keys are valid already: 0000000000000001 (active) and');
	expect(apply(list, addition(2, 1))).toBe('the key 0000000000000002 is valid already');
	expect(apply(list, {type: 'use', key: id(9)})).toBe('the cluster has no valid key 0000000000000009');
	expect(apply(list, {type: 'remove', key: id(1)})).toContain('is the active one: use another key first');
	expect(apply(list, {type: 'remove', key: id(9)})).toBe('the cluster has no valid key 0000000000000009');
	expect(list.keys).toBe(before);
	// Repeated, it is no change.
	expect(apply(list, {type: 'use', key: id(1)})).toEqual([]);
	expect(list.keys).toBe(before);

	apply(list, {type: 'use', key: id(2)});
	apply(list, {type: 'remove', key: id(1)});
	expect(apply(list, addition(1, 2))).toContain('was removed from this cluster: take another secret');
	expect(apply(list, {type: 'use', key: id(1)})).toContain('no valid key');
	expect(apply(list, addition(3, 1))).toContain('the active key is 0000000000000002, not 0000000000000001');
});

test('the last removed keys are remembered', () => {
	const list = new KeyList();
	for (let number = 2; number < 20; number++) {
		apply(list, addition(number, number - 1));
		apply(list, {type: 'use', key: id(number)});
		apply(list, {type: 'remove', key: id(number - 1)});
	}

	expect(list.keys).toHaveLength(removedKeysMax + 1);
	expect(list.keys.at(-1)).toMatchObject({id: id(19), state: 'active'});
	expect(list.keys[0]).toMatchObject({id: id(11), state: 'removed'});
});

test('equal lists have equal bytes, also after they were loaded', () => {
	const list = new KeyList();
	apply(list, addition(2, 1));
	apply(list, {type: 'use', key: id(2)});
	apply(list, {type: 'remove', key: id(1)});
	const bytes = encode(list.save());
	const saved = decode(bytes);
	expect(isSavedKeys(saved)).toBe(true);
	const loaded = new KeyList();
	if (isSavedKeys(saved)) loaded.load(saved);
	expect(encode(loaded.save()).equals(bytes)).toBe(true);
	expect(statesOf(loaded)).toEqual(statesOf(list));
	loaded.load(undefined);
	expect(loaded.keys).toEqual([]);
});

test('a saved list that no rotation makes is refused', () => {
	const key = (number: number, state: string, link: unknown = null): unknown => [id(number), state, 5, link];
	expect(isSavedKeys([key(1, 'active'), key(2, 'valid')])).toBe(true);
	for (const wrong of [
		[key(1, 'valid')],
		[key(1, 'active'), key(2, 'active')],
		[key(1, 'active'), key(2, 'valid'), key(3, 'valid')],
		[key(1, 'active'), key(1, 'removed')],
		[key(1, 'other')],
		[key(1, 'active', {before: 'x'})],
		[['x', 'active', 5, null]],
		[[id(1), 'active', -1, null]],
		Array.from({length: 20}, (_, index) => key(index, index === 0 ? 'active' : 'removed')),
		'keys',
	])
		expect(isSavedKeys(wrong), JSON.stringify(wrong)).toBe(false);
});

test('commands with other bytes are none', () => {
	expect(parseKeyChange(addition(2, 1))).toEqual(addition(2, 1));
	for (const wrong of [
		{...addition(2, 1), secret: Buffer.alloc(0)},
		{...addition(2, 1), secret: Buffer.alloc(2000)},
		{...addition(2, 1), batch: 'text'},
		{...addition(2, 1), before: 'x'},
		{type: 'use', key: 'X'.repeat(16)},
		{type: 'drop', key: id(1)},
		undefined,
	])
		expect(parseKeyChange(wrong)).toBeUndefined();
});
