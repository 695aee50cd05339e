/**
What the voters that are missing mean for the quorum, and which command helps. One place for `check`, `status` and the
console, so that they say the same. Pure.
*/
import {quorumSize} from '../membership/reachability.ts';
import type {NodeId} from '../message.ts';
import type {Counters, MemberSnapshot, Snapshot} from '../snapshot.ts';
import {labelOf} from './node-label.ts';

/** A voter that is away for longer is not merely starting again. */
export const lostMs = 30_000;

export {quorumSize} from '../membership/reachability.ts';

/** A voter that does not count for the quorum now. */
export type MissingVoter = {
	readonly id: NodeId;
	/** Empty when it has none. */
	readonly name: string;
	readonly address: string;
	readonly state: MemberSnapshot['state'];
	/** Why it does not count; empty when nothing is known of it. */
	readonly cause: string;
	readonly downMs: number | undefined;
	/** Away for so long that somebody should decide about it; not one that runs and is refused. */
	readonly isLost: boolean;
};
export type QuorumHealth = {
	readonly voters: number;
	readonly present: number;
	readonly needed: number;
	/** How many more may fail; below zero without a quorum. */
	readonly spare: number;
	/** Away for longest first. */
	readonly missing: readonly MissingVoter[];
};

export function quorumHealthOf({raft: {voters}, members}: Pick<Snapshot, 'raft' | 'members'>): QuorumHealth {
	const known = new Map(members.map(member => [member.id, member]));
	const missing = voters
		.flatMap((id): MissingVoter[] => {
			const member = known.get(id);
			if (member && (member.self || member.reached)) return [];
			const {name = '', address = '', state = 'suspect', cause = '', downMs} = member ?? {};
			return [
				{
					id,
					name,
					address,
					state,
					cause,
					downMs,
					isLost: downMs !== undefined && downMs >= lostMs && !refusalRemedies.has(cause),
				},
			];
		})
		.toSorted((one, other) => (other.downMs ?? 0) - (one.downMs ?? 0));
	const needed = quorumSize(voters.length);
	const present = voters.length - missing.length;
	return {voters: voters.length, present, needed, spare: present - needed, missing};
}

/** `held: 3 of 3 voters reachable, 2 needed`. The state and the numbers come from one count, so they agree. */
export function quorumText({
	quorum,
	reachableVoters,
	voters,
}: Pick<Snapshot['raft'], 'quorum' | 'reachableVoters' | 'voters'>): string {
	if (voters.length === 0) return 'not a member of a cluster yet';
	const count = `${reachableVoters} of ${voters.length} voter${voters.length === 1 ? '' : 's'} reachable, ${quorumSize(voters.length)} needed`;
	return {held: `held: ${count}`, electing: `no leader: ${count}`, lost: `LOST: ${count}`}[quorum];
}

export const unauthenticatedReasons = {
	problem: 'A node at the address of a member belongs to another cluster of this name, and refuses this one',
	advice: 'if the cluster was recovered without this node, stop it and start it with an empty data folder: it joins under a new id',
};

/**
Since its start this node was refused as one of another cluster: the others may have gone on without it (`dapss-tui
recover`).
*/
export function hasUnauthenticatedPeers({rejected}: Counters): boolean {
	return (rejected['call-cluster'] ?? 0) > 0;
}

/** `2 of 3 voters left: no further may fail` */
export function meaningOf({voters, present, needed, spare}: QuorumHealth): string {
	const left = `${present} of ${voters} voters left`;
	if (spare < 0) return `${left}, ${needed} needed: nothing can be agreed`;
	return `${left}: ${spare === 0 ? 'no further may fail' : `${spare} more may fail`}`;
}

/** What helps with members that run and refuse one another, by the cause. To start them again does not. */
export const refusalRemedies: ReadonlyMap<string, string> = new Map([
	[
		'not-authenticated',
		'give all nodes the same secret file (--secret-file), and start the one that has another again',
	],
	['protocol', 'run versions of the program that can speak to each other: upgrade the older one'],
	['flags', 'give all nodes the same security settings in config.json'],
]);

/**
What to do about the missing voters; commands begin with `command`: `dapss-tui ` or `:`. Empty when none is missing.
*/
export function remedyOf({needed, present, spare, missing}: QuorumHealth, command: string): string {
	const refused = missing.filter(({cause}) => refusalRemedies.has(cause));
	const remedies = [...new Set(refused.map(({cause}) => refusalRemedies.get(cause)!))];
	const gone = missing.filter(voter => !refused.includes(voter));
	// Those that run are enough: nobody should think of `recover`.
	if (gone.length > 0 && refused.length < needed - present)
		remedies.push(goneRemedy({missing: gone, present: present + refused.length, needed, spare}, command));
	else if (gone.length > 0 && spare >= 0) remedies.push(goneRemedy({missing: gone, present, needed, spare}, command));
	return remedies.join('; ');
}

function goneRemedy(
	{needed, present, spare, missing}: Pick<QuorumHealth, 'needed' | 'present' | 'spare' | 'missing'>,
	command: string,
): string {
	if (spare >= 0) {
		const lost = missing.find(({isLost}) => isLost);
		const start = `start ${missing.length === 1 ? 'it' : 'them'} again, or repair the network to ${missing.length === 1 ? 'it' : 'them'}`;
		return lost
			? `${start}; a node that is gone for good is taken out by \`${command}peer remove ${labelOf(lost.id, lost.name)}\`, and a new one takes its place`
			: start;
	}

	const start = `start ${missing.length === 1 ? 'it' : `${needed - present} of the missing nodes`} again, or repair the network: then nothing is lost`;
	// The node must not run: this is no command of its console.
	return `${start}. Only if ${missing.length === 1 ? 'its disk is' : 'their disks are'} gone for good: stop this node and run \`dapss-tui recover\` for it (unsafe; --help says what it costs)`;
}
