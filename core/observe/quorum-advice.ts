/**
The quorum advisor: how many more voters can be lost, what the loss, the removal and the restart of each node would
mean, and what brings a lost quorum back, the safest first. Pure.
*/
import type {NodeId} from '../message.ts';
import type {MemberSnapshot, Snapshot} from '../snapshot.ts';
import type {Label} from './node-label.ts';
import {listed, plural} from './quantity-text.ts';
import {quorumHealthOf, quorumSize, type QuorumHealth} from './quorum-health.ts';

export type QuorumPreview = {
	readonly id: NodeId;
	readonly isMissing: boolean;
	/** What the quorum is without the process of this node. */
	readonly loss: string;
	/** What it is when the node is taken out of the cluster. */
	readonly removal: string;
	/** What is tolerated while the node restarts; for a missing one, when it is back. */
	readonly restart: string;
};
export type QuorumAdvice = {
	readonly state: string;
	readonly previews: readonly QuorumPreview[];
	/** With commands, the safest first; empty while the quorum is held. */
	readonly repairs: readonly string[];
};

const byName = new Intl.Collator('en', {numeric: true});

export function quorumAdvice(snapshot: Snapshot, label: Label, command: string): QuorumAdvice {
	const health = quorumHealthOf(snapshot);
	return {
		state: stateText(health),
		previews: snapshot.raft.voters
			.toSorted((one, other) => byName.compare(label(one), label(other)))
			.map(id => previewOf(id, snapshot, health)),
		repairs: repairsOf(snapshot, health, label, command),
	};
}

function stateText({voters, present, needed, spare}: QuorumHealth): string {
	const count = `${present} of ${plural(voters, 'voter')} reachable, ${needed} needed`;
	if (spare < 0) return `No quorum: ${count}; ${-spare} more must return.`;
	return `${count}: ${spare === 0 ? 'no further loss is tolerated' : `${spare} more can be lost`}.`;
}

function previewOf(id: NodeId, {raft: {voters}}: Snapshot, {present, missing}: QuorumHealth): QuorumPreview {
	const isMissing = missing.some(voter => voter.id === id);
	const left = isMissing ? present : present - 1;
	const needed = quorumSize(voters.length);
	const loss = isMissing ? 'it is lost already' : outcome(left, voters.length, needed);
	const restart = isMissing
		? outcome(present + 1, voters.length, needed)
		: left < needed
			? 'no quorum until it is back'
			: `meanwhile ${outcome(left, voters.length, needed)}`;
	const size = voters.length - 1;
	// A removal is agreed by the present quorum.
	const removal =
		size === 0
			? 'not possible: it is the only voter'
			: present < needed
				? 'not possible without a quorum'
				: outcome(left, size, quorumSize(size));
	return {id, isMissing, loss, removal, restart};
}

function outcome(present: number, voters: number, needed: number): string {
	const count = `${present} of ${voters}`;
	const spare = present - needed;
	if (spare < 0) return `${count}: no quorum`;
	return `${count}: ${spare === 0 ? 'no further loss is tolerated' : `${spare} more can be lost`}`;
}

function repairsOf(
	{members, raft: {voters}, faults}: Snapshot,
	{missing, spare}: QuorumHealth,
	label: Label,
	command: string,
): readonly string[] {
	if (spare >= 0 || voters.length === 0) return [];
	const needed = -spare;
	const stateOf = (id: NodeId): MemberSnapshot | undefined => members.find(member => member.id === id);
	const ids = (states: ReadonlyArray<MemberSnapshot['state']>): readonly NodeId[] =>
		missing.filter(({id}) => states.includes(stateOf(id)?.state ?? 'unreachable')).map(({id}) => id);
	const down = ids(['down', 'left']);
	const silent = ids(['unreachable', 'suspect']);
	const refused = ids(['degraded']);
	const names = (those: readonly NodeId[]): string =>
		listed(those.map(id => label(id)).toSorted((one, other) => byName.compare(one, other)));
	const enough = (those: readonly NodeId[]): string =>
		those.length >= needed
			? `${needed} of them ${needed === 1 ? 'is' : 'are'} enough`
			: 'they alone are not enough';
	return [
		...(faults.length > 0 ? [`End the injected faults: \`${command}fault heal\`. Nothing is lost.`] : []),
		...(down.length > 0
			? [`Start the processes of ${names(down)} on their hosts; ${enough(down)}. Nothing is lost.`]
			: []),
		...(silent.length > 0
			? [`Repair the network to ${names(silent)}, or resume them; ${enough(silent)}. Nothing is lost.`]
			: []),
		...(refused.length > 0
			? [
					`${names(refused)} ${refused.length === 1 ? 'runs and is' : 'run and are'} refused: ` +
						`\`${command}check\` says why.`,
				]
			: []),
		'Only if the disks of a majority are gone for good: stop this node and run `dapss-tui recover` for it. ' +
			'It makes a new cluster of what this node has; changes that only the lost nodes had are gone.',
	];
}
