/**
Mutants of the agreed protocol, of names and of claims.
*/
import type {Edit, Mutant} from './mutant.ts';

const topics = (find: string, replace: string): Edit => ({file: 'core/cluster-state/cluster-state.ts', find, replace});

export const versionMutants: readonly Mutant[] = [
	{
		name: 'protocol-proposed-early',
		pitfall: 'the leader raises the protocol while a member still speaks the previous one',
		by: 'nodes',
		edits: [
			{
				file: 'core/membership/agreed-protocol.ts',
				find: 'const common = Math.min(own, ...others.map(protocol => protocol ?? 0));',
				replace: 'const common = others.length < 0 ? 0 : own;',
			},
		],
	},
	{
		name: 'unknown-member-speaks-all',
		pitfall: 'a member of unknown version counts as one that speaks the newest protocol',
		by: 'nodes',
		edits: [{file: 'core/membership/agreed-protocol.ts', find: 'protocol ?? 0', replace: 'protocol ?? own'}],
	},
	{
		name: 'joins-below-the-protocol',
		pitfall: 'a node that speaks only an older protocol than the agreed one is admitted',
		tests: 'test/unit/membership/naming.test.ts',
		edits: [
			{
				file: 'core/membership/agreed-protocol.ts',
				find: 'if (protocol >= agreed) return undefined;',
				replace: 'if (protocol > 0) return undefined;',
			},
		],
	},
	{
		name: 'newer-state-too-early',
		pitfall: 'names and claims change the state before protocol 2 is agreed',
		by: 'state',
		edits: [topics('if (this.#protocol < needed)', 'if (this.#protocol < needed - 1)')],
	},
	{
		name: 'newer-format-too-early',
		pitfall: 'the state is saved in the new format while a member can read only the old one',
		by: 'state',
		edits: [topics('const isFirst = this.#protocol < namesProtocol;', 'const isFirst = this.#protocol < 1;')],
	},
	{
		name: 'names-outside-the-snapshot',
		pitfall: 'a node that starts from a snapshot has no names',
		by: 'state',
		edits: [topics('names: sorted(this.#names),', 'names: [],')],
	},
	{
		name: 'names-not-unique',
		pitfall: 'two members get the same name',
		by: 'state',
		rule: 'a name belongs to one member',
		edits: [
			topics(
				'if (holder !== undefined && holder !== node) return',
				'if (holder !== undefined && holder.length === 0) return',
			),
		],
	},
	{
		name: 'claim-of-the-same-start',
		pitfall: 'the second process on a copied data folder takes over the identity',
		by: 'state',
		rule: 'one process uses an identity',
		edits: [topics('current.incarnation >= incarnation) {', 'current.incarnation > incarnation) {')],
	},
	{
		name: 'claim-of-an-earlier-start',
		pitfall: 'an earlier process takes the identity back',
		by: 'state',
		edits: [
			topics('current.incarnation >= incarnation) {', 'current.incarnation === incarnation) {'),
			topics('incarnation: Math.max(incarnation, current?.incarnation ?? 0), instance', 'incarnation, instance'),
		],
	},
];
