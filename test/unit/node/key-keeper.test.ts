/** The keys of a process over its start, and its secret file. */
import {expect, test} from 'vitest';
import type {KeyChange} from '../../../core/cluster-keys.ts';
import {KeyList} from '../../../core/cluster-state/key-list.ts';
import {KeyKeeper} from '../../../core/node/key-keeper.ts';
import {KeyRing} from '../../../core/wire/key-ring.ts';

const cluster = 'dapss';
const secretOf = (letter: string): Buffer => Buffer.from(letter.repeat(32));
const idOf = (letter: string) => new KeyRing({cluster, secret: secretOf(letter)}).own.id;

/** The lists of a rotation from `a` to `b`: nothing, added, used, removed. */
function rotation(): readonly KeyList[] {
	const addition = new KeyRing({cluster, secret: secretOf('a')}).addition(secretOf('b'), count =>
		Buffer.alloc(count),
	);
	const changes: readonly KeyChange[] = [addition, {type: 'use', key: idOf('b')}, {type: 'remove', key: idOf('a')}];
	return Array.from({length: 4}, (_, steps) => {
		const list = new KeyList();
		for (const change of changes.slice(0, steps)) list.apply(change, 1, []);
		return list;
	});
}

const [none, added, used, removed] = rotation() as [KeyList, KeyList, KeyList, KeyList];

type World = {
	readonly keeper: KeyKeeper;
	readonly ring: KeyRing;
	held: Buffer;
	readonly warnings: readonly string[];
	/** Lets the file be written. */
	settle(): Promise<void>;
};

function world({
	file = 'a',
	stored = none,
	index = 0,
	isWritable = true,
}: {
	readonly file?: string;
	readonly stored?: KeyList;
	readonly index?: number;
	readonly isWritable?: boolean;
} = {}): World {
	const ring = new KeyRing({cluster, secret: secretOf(file)});
	const warnings: string[] = [];
	const one = {ring, held: secretOf(file), warnings, settle: () => new Promise<void>(done => setImmediate(done))};
	const keeper = new KeyKeeper({
		ring,
		isProtecting: true,
		file: {
			path: '/etc/secret',
			read: () => one.held,
			async replace(former, next) {
				if (!isWritable) throw new Error('it is read-only');
				if (one.held.equals(former)) one.held = Buffer.from(next);
			},
		},
		stored: {keys: stored.keys, index},
		problemOf: () => undefined,
		bytes: count => Buffer.alloc(count),
		nowMs: () => 0,
		warn: text => void warnings.push(text),
	});
	return Object.assign(one, {keeper});
}

const validOf = ({ring}: World): readonly string[] => ring.valid.map(({id}) => id);

test('the secret file follows the active key, not a key that is only valid', async () => {
	const one = world();
	one.keeper.agreed(added.keys, 5, 5);
	await one.settle();
	expect(one.held).toEqual(secretOf('a'));
	expect(one.keeper.use().file).toBe('current');
	one.keeper.agreed(used.keys, 6, 6);
	await one.settle();
	expect(one.held).toEqual(secretOf('b'));
	one.keeper.agreed(removed.keys, 7, 7);
	expect(validOf(one)).toEqual([idOf('b')]);
	expect(one.keeper.use()).toMatchObject({active: idOf('b'), file: 'current'});
});

test('a file with the next key stays: an operator gave it to this user before its use', async () => {
	const one = world();
	one.keeper.agreed(added.keys, 5, 5);
	one.held = secretOf('b');
	for (let ticks = 0; ticks < 10; ticks++) one.keeper.tick();
	await one.settle();
	expect(one.held).toEqual(secretOf('b'));
	expect(one.keeper.use().file).toBe('current');
});

test('a file that cannot be written is reported, and tried again only after a while', async () => {
	const one = world({isWritable: false});
	one.keeper.agreed(removed.keys, 7, 7);
	await one.settle();
	for (let ticks = 0; ticks < 20; ticks++) one.keeper.tick();
	await one.settle();
	expect(one.warnings).toEqual([expect.stringContaining('/etc/secret has the former key')]);
	expect(one.keeper.view()).toMatchObject({active: idOf('b'), file: 'outdated', secretFile: '/etc/secret'});
});

test('at a start the keys in the whole log count until they are applied', () => {
	const one = world({stored: removed, index: 50, isWritable: false});
	expect(validOf(one)).toEqual([idOf('b')]);
	one.keeper.agreed(none.keys, 10, 50);
	expect(validOf(one)).toEqual([idOf('b')]);
	one.keeper.agreed(removed.keys, 50, 50);
	expect(validOf(one)).toEqual([idOf('b')]);
});

test('keys at the end of the log that a leader replaced count no longer', () => {
	const one = world({stored: used, index: 50});
	expect(validOf(one)).toEqual([idOf('b'), idOf('a')]);
	one.keeper.agreed(added.keys, 40, 48);
	expect(validOf(one)).toEqual([idOf('b'), idOf('a')]);
	one.keeper.agreed(removed.keys, 48, 48);
	expect(validOf(one)).toEqual([idOf('b')]);
});

test('a secret that is put into the file takes effect while the node runs', () => {
	const one = world();
	one.held = secretOf('c');
	for (let ticks = 0; ticks < 5; ticks++) one.keeper.tick();
	expect(validOf(one)).toEqual([idOf('c')]);
});

test('wrong keys are remembered with what is known of them, the last sixteen', () => {
	const one = world();
	one.keeper.agreed(removed.keys, 7, 7);
	one.keeper.noteWrong(idOf('a'), '10.0.0.7:1');
	one.keeper.noteWrong(idOf('z'), '10.0.0.8:1');
	one.keeper.noteWrong(idOf('b'), '10.0.0.9:1'); // It has become valid since.
	expect(one.keeper.view().wrong).toEqual([
		{key: idOf('a'), state: 'removed', address: '10.0.0.7:1', msAgo: 0},
		{key: idOf('z'), state: 'unknown', address: '10.0.0.8:1', msAgo: 0},
	]);
	for (let number = 0; number < 20; number++)
		one.keeper.noteWrong(idOf(String.fromCharCode(65 + number)), '10.0.0.7:1');
	expect(one.keeper.view().wrong).toHaveLength(16);
});
