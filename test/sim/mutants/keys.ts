/**
Mutants of the rotation of the cluster's key.
*/
import type {Edit, Mutant} from './mutant.ts';

const list = (find: string, replace: string): Edit => ({file: 'core/cluster-state/key-list.ts', find, replace});
const state = (find: string, replace: string): Edit => ({file: 'core/cluster-state/cluster-state.ts', find, replace});
const ring = (find: string, replace: string): Edit => ({file: 'core/wire/key-ring.ts', find, replace});
const admin = (find: string, replace: string): Edit => ({file: 'core/control/key-admin.ts', find, replace});
const keeper = (find: string, replace: string): Edit => ({file: 'core/node/key-keeper.ts', find, replace});

const adminTests = 'test/unit/control/key-admin.test.ts';
const ringTests = 'test/unit/wire/key-ring.test.ts';

export const keyMutants: readonly Mutant[] = [
	{
		name: 'removed-key-still-accepted',
		pitfall: 'a node accepts a key after its removal',
		by: 'nodes',
		edits: [ring("			.filter(({state}) => state !== 'removed')\n", '')],
	},
	{
		name: 'keys-not-in-snapshots',
		pitfall: 'a node that loads a snapshot forgets the agreed keys',
		by: 'nodes',
		edits: [state('		this.keys.load(state.keys);\n', '')],
	},
	{
		name: 'keys-of-the-start',
		pitfall: 'a node learns of new keys only when it starts again',
		by: 'nodes',
		edits: [keeper('const isChanged = ring.update(keys);', 'const isChanged = !isFirst && keys.length > 99;')],
	},
	{
		name: 'key-used-before-all-have-it',
		pitfall: 'the nodes call and seal with a key that a member does not accept yet',
		tests: adminTests,
		edits: [admin('if (lacking.length > 0 && !force) {', 'if (lacking.length > 99 && !force) {')],
	},
	{
		name: 'key-removed-while-in-use',
		pitfall: 'a key is removed while a member or a client uses it',
		tests: adminTests,
		edits: [admin('if (force || missing.length + users.length + connections.length === 0) break;', 'break;')],
	},
	{
		name: 'three-valid-keys',
		pitfall: 'a second rotation begins before the first one has ended',
		tests: 'test/unit/cluster-state/key-list.test.ts',
		edits: [list('if (others.length + 1 >= validKeysMax)', 'if (others.length > validKeysMax)')],
	},
	{
		name: 'removed-secret-stays-readable',
		pitfall: 'who has the present secret can decrypt a removed one',
		tests: ringTests,
		edits: [list('former: undefined', 'former: one.link.former')],
	},
	{
		name: 'messages-of-removed-keys-rejected',
		pitfall: 'messages that were signed before a rotation cannot be repaired after it',
		tests: ringTests,
		edits: [ring('return [...new Set([...first, ...rest])]', 'return [...new Set(first)]')],
	},
	{
		name: 'removed-key-during-a-handshake',
		pitfall: 'a handshake that began before the removal of its key opens a connection after it',
		tests: 'test/contract/key-rotation.test.ts',
		edits: [
			{
				file: 'core/io/net/opening.ts',
				find: 'if (!keys.valid.some(({id}) => id === key))',
				replace: 'if (keys.valid.length === 0)',
			},
		],
	},
];
