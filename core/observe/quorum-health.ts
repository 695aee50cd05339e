/**
The effect of missing voters on the quorum, and the command that helps. `check`, `status` and the console share this
module, so that they agree. Pure.
*/
import {quorumSize} from '../membership/reachability.ts';
import type {NodeId} from '../message.ts';
import type {Counters, MemberSnapshot, Snapshot} from '../snapshot.ts';
import {labelOf} from './node-label.ts';

/** A voter that is away for longer than this is not merely restarting. In milliseconds. */
export const lostMs = 30_000;

export {quorumSize} from '../membership/reachability.ts';

/** A voter that does not count for the quorum at present. */
export type MissingVoter = {
	readonly id: NodeId;
	/** Empty when the node has no name. */
	readonly name: string;
	readonly address: string;
	readonly state: MemberSnapshot['state'];
	/** Why it does not count; empty when unknown. */
	readonly cause: string;
	readonly downMs: number | undefined;
	/** Away for so long that an operator should decide; false for a voter that runs and is refused. */
	readonly isLost: boolean;
};
export type QuorumHealth = {
	readonly voters: number;
	readonly present: number;
	readonly needed: number;
	/** How many more voters may fail; negative without a quorum. */
	readonly spare: number;
	/** The longest missing first. */
	readonly missing: readonly MissingVoter[];
};

/** Counts the voters of a snapshot. */
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

/** Such as `held: 3 of 3 voters reachable, 2 needed`. The state and the numbers come from one count, so they agree. */
export function quorumText({
	quorum,
	reachableVoters,
	voters,
}: Pick<Snapshot['raft'], 'quorum' | 'reachableVoters' | 'voters'>): string {
	if (voters.length === 0) return 'not a member of a cluster yet';
	const count =
		`${reachableVoters} of ${voters.length} voter${voters.length === 1 ? '' : 's'} reachable, ` +
		`${quorumSize(voters.length)} needed`;
	return {held: `held: ${count}`, electing: `no leader: ${count}`, lost: `LOST: ${count}`}[quorum];
}

/** A node that answers refuses this one as a node of another cluster. */
export const unauthenticatedReasons = {
	problem: 'A node at the address of a member belongs to another cluster of this name, and refuses this one',
	advice:
		'if the cluster was recovered without this node, stop it and start it with an empty data folder: ' +
		'it joins under a new id',
};

/**
Whether peers have refused this node, since its start, as one of another cluster: they may have created a new cluster
without it (`dapss-tui recover`).
*/
export function hasUnauthenticatedPeers({rejected}: Counters): boolean {
	return (rejected['call-cluster'] ?? 0) > 0;
}

/** Such as `2 of 3 voters left: no further may fail`. */
export function meaningOf({voters, present, needed, spare}: QuorumHealth): string {
	const left = `${present} of ${voters} voters left`;
	if (spare < 0) return `${left}, ${needed} needed: nothing can be agreed`;
	return `${left}: ${spare === 0 ? 'no further may fail' : `${spare} more may fail`}`;
}

/** The advice for members that run and refuse one another, by cause. Restarting them does not help. */
export const refusalRemedies: ReadonlyMap<string, string> = new Map([
	['not-authenticated', 'give all nodes the same secret file (--secret-file), and restart the one that has another'],
	['protocol', 'run versions of the program that can speak to each other: upgrade the older one'],
	['flags', 'give all nodes the same security settings in config.json'],
]);

/**
The advice for the missing voters, as clauses joined by `;`. `command` is the prefix of commands: `dapss-tui ` or `:`.
Empty when no voter is missing.
*/
export function remedyOf({needed, present, spare, missing}: QuorumHealth, command: string): string {
	const refused = missing.filter(({cause}) => refusalRemedies.has(cause));
	const remedies = [...new Set(refused.map(({cause}) => refusalRemedies.get(cause)!))];
	const gone = missing.filter(voter => !refused.includes(voter));
	// If the voters that run are enough for a quorum, `recover` must not be suggested.
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
		const start =
			`start ${missing.length === 1 ? 'it' : 'them'} again, ` +
			`or repair the network to ${missing.length === 1 ? 'it' : 'them'}`;
		return lost
			? `${start}; a node that is gone for good is taken out by \`${command}peer remove ` +
					`${labelOf(lost.id, lost.name)}\`, and a new one takes its place`
			: start;
	}

	const start =
		`start ${missing.length === 1 ? 'it' : `${needed - present} of the missing nodes`} again, ` +
		'or repair the network: then nothing is lost';
	// `recover` needs a stopped node, so it is no command of the console.
	return (
		`${start}. Only if ${missing.length === 1 ? 'its disk is' : 'their disks are'} gone for good: ` +
		'stop this node and run `dapss-tui recover` for it (unsafe; --help says what it costs)'
	);
}
