/**
Mutants of reachability, and of relays around a link that does not work.
*/
import type {Edit, Mutant} from './mutant.ts';

const reachability = (find: string, replace: string): Edit => ({
	file: 'core/membership/reachability.ts',
	find,
	replace,
});
const relay = (find: string, replace: string): Edit => ({file: 'core/membership/relay.ts', find, replace});

export const healthMutants: readonly Mutant[] = [
	{
		name: 'goodbye-after-a-fault',
		pitfall: 'a node that ends because of a fault is reported as stopped on purpose',
		edits: [
			{
				file: 'core/node/node.ts',
				find: 'this.#stop(reason, () => this.failureDetection.silence());',
				replace: 'this.#stop(reason, () => this.failureDetection.leave());',
			},
		],
	},
	{
		name: 'alive-without-a-link',
		pitfall: 'a member whose datagrams arrive counts as alive, whether or not a link to it works',
		edits: [
			reachability(
				"		case 'alive': return usable(facts);",
				"		case 'alive': return {state: 'alive', why: '', cause: '', key: ''};",
			),
			{
				file: 'core/membership/pair-faults.ts',
				find: 'const lasting = [...this.#seen.values()].filter(',
				replace: 'const lasting = [...this.#seen.values()].slice(0, 0).filter(',
			},
		],
	},
	{
		name: 'quorum-by-datagrams',
		pitfall: 'a voter whose datagrams arrive counts for the quorum, whether or not Raft packets reach it',
		edits: [
			{
				file: 'core/node/node-parts.ts',
				find: 'isReached: node => this.failureDetection.reach(node) !== undefined,',
				replace: 'isReached: node => this.failureDetection.isReachable(node),',
			},
			{
				file: 'core/control/control.ts',
				find: "const active = role === 'leader' ? new Set(",
				replace: "const active = role === 'leader' && voters.length === 0 ? new Set(",
			},
		],
	},
	{
		name: 'relayed-again',
		pitfall: 'a frame that was relayed once is relayed again, and may go in circles',
		edits: [relay('		if (from !== peer) return refused;\n', '')],
	},
	{
		name: 'relay-for-anybody',
		pitfall: 'a node relays for nodes that are not members',
		edits: [
			relay('!isMember(from) || !isMember(to) || ', ''),
			relay('this.#spokenBy(to) >= protocol && links.send(to, [frame])', 'links.send(to, [frame])'),
		],
	},
	{
		name: 'relay-of-anything',
		pitfall: 'a relay forwards frames that need no relay',
		edits: [
			relay('if (!decoded || !relayed.has(decoded.inner[0]!)) return refused;', 'if (!decoded) return refused;'),
		],
	},
];
