/**
Mutants of the identity and addresses of processes: addresses, founding, copied data folders.
*/
import type {Edit, Mutant} from './mutant.ts';

const directory = (find: string, replace: string): Edit => ({
	file: 'core/membership/peer-directory.ts',
	find,
	replace,
});
const admission = (find: string, replace: string): Edit => ({file: 'core/control/admission.ts', find, replace});
const founding = (find: string, replace: string): Edit => ({file: 'core/membership/founding.ts', find, replace});
const identity = (find: string, replace: string): Edit => ({file: 'core/node/own-identity.ts', find, replace});

export const identityMutants: readonly Mutant[] = [
	{
		name: 'address-of-the-dead-is-free',
		pitfall: 'a member that does not answer is removed when a new node comes from its address',
		by: 'nodes',
		edits: [
			admission(
				'#checkReplaced({id: node, resignations = []}: JoinRequest)',
				'#checkReplaced({id: node, address, resignations = []}: JoinRequest)',
			),
			admission(
				'const replaced = this.#replaced(node, resignations);',
				'const replaced = this.#replaced(node, resignations) ?? this.#options.state.members().find(member => member.address === address)?.id;',
			),
		],
	},
	{
		name: 'copy-is-taken',
		pitfall:
			'a process on a copied data folder replaces the running one on its links, and publishes before anything is agreed',
		by: 'nodes',
		edits: [
			identity('if (this.claim.isNeeded) return this.claim.isHeld;', 'if (this.claim.isNeeded) return true;'),
			{
				file: 'core/membership/duplicate-processes.ts',
				find: 'if (kept?.instance === caller.instance) {',
				replace: "if (kept?.instance !== '') {",
			},
		],
	},
	{
		name: 'publishes-before-its-claim',
		pitfall: 'a process acknowledges messages before its claim on the identity is agreed',
		by: 'nodes',
		edits: [
			identity('if (this.claim.isNeeded) return this.claim.isHeld;', 'if (this.claim.isNeeded) return true;'),
		],
	},
	{
		name: 'pause-not-doubted',
		pitfall: 'a process continues to publish after a pause, although another process may have replaced it',
		tests: 'test/unit/node/own-identity.test.ts',
		edits: [identity('onPause: () => this.claim.doubt(),', 'onPause: () => undefined,')],
	},
	{
		name: 'unconfirmed-proposes',
		pitfall: 'a process proposes for its node before it is confirmed',
		by: 'nodes',
		edits: [
			identity('		await this.gate.wait();\n', ''),
			{file: 'core/node/node.ts', find: ' && this.identity.isConfirmed;', replace: ';'},
			{
				file: 'core/cluster-state/cluster-state.ts',
				find: "const hasSession = envelope.command.type !== 'claim';",
				replace: 'const hasSession = envelope.command.seq !== -1;',
			},
		],
	},
	{
		name: 'superseded-goes-on',
		pitfall: 'a superseded process keeps running',
		by: 'nodes',
		edits: [identity('		this.#options.refused(`${reason}.', '		void String(`${reason}.')],
	},
	{
		name: 'founds-unasked',
		pitfall: 'a seeker founds a cluster before the others agreed to it',
		by: 'nodes',
		edits: [
			founding('const unsure = [...this.#seekers].find(', 'const unsure = [...this.#seekers].slice(0, 0).find('),
			founding("return hint === undefined ? {type: 'found'}", "return hint !== '' ? {type: 'found'}"),
		],
	},
	{
		name: 'seeds-ignored-by-members',
		pitfall: 'a node with data does not ask the addresses that it was started with',
		by: 'nodes',
		edits: [
			directory(
				'...candidates.map(({address}) => address), ',
				'...candidates.slice(0, 0).map(({address}) => address), ',
			),
		],
	},
	{
		name: 'missing-member-not-asked-for',
		pitfall: 'a node that follows a leader asks no other node for the address of a missing member',
		by: 'nodes',
		edits: [
			directory(
				'if (leader() !== undefined && nowMs - this.#askedMs < missingAgainMs) return;',
				'if (leader() !== undefined) return;',
			),
		],
	},
	{
		name: 'address-of-a-second-process',
		pitfall: 'frames for a linked peer go to any process that answers under its id',
		tests: 'test/unit/membership/peer-directory.test.ts',
		edits: [directory(" && links.state(asked.id).state !== 'up') this.observe(", ') this.observe(')],
	},
	{
		name: 'match-of-a-former-process',
		pitfall: "a leader commits by the match index of a peer's former process",
		tests: 'test/unit/raft/raft.test.ts',
		edits: [{file: 'core/raft/raft.ts', find: 'this.#leadership?.resetProgress(peer);', replace: 'void peer;'}],
	},
];
