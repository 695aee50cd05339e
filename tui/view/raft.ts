/**
Agreement in lines: who leads, what is voted and committed, who counts. Pure. The first lines matter most: a low pane
shows only those.
*/
import {labelsOf, labelsThatFit, shortened} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {meaningOf, quorumHealthOf, quorumSize, quorumText} from '../../core/observe/quorum-health.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {missingWords} from './alerts.ts';
import type {Span} from './columns.ts';
import {count, names, plural, stateMarks, stateTones} from './words.ts';

/** Of a name in a row of several. */
const nameCells = 16;

const title = (text: string): Span => ({text: text.padEnd(9), tone: 'muted'});

export function leaderWords({raft, self, members}: Snapshot): Span {
	if (raft.leader === undefined) return {text: `none in term ${raft.term}`, tone: 'bad'};
	if (raft.leader === self) return {text: 'this node', tone: 'good'};
	const address = members.find(member => member.id === raft.leader)?.address;
	return {
		text: `${labelsOf(members)(raft.leader)}${address === undefined ? '' : ` at ${printable(address)}`}`,
		tone: 'accent',
	};
}

export function quorumWords({raft}: Pick<Snapshot, 'raft'>): Span {
	return {
		text: quorumText(raft),
		tone: raft.quorum !== 'held' ? 'bad' : raft.reachableVoters < raft.voters.length ? 'warning' : 'good',
	};
}

/** @param width decides how many ids a line may name */
export function raftLines(snapshot: Snapshot, width: number): ReadonlyArray<readonly Span[]> {
	const {raft, members, self} = snapshot;
	if (raft.voters.length === 0)
		return [
			[{text: 'Not a member of a cluster yet', tone: 'warning'}],
			[{text: printable(snapshot.detail), tone: 'muted'}],
		];
	const states = new Map(members.map(member => [member.id, member.state]));
	const label = shortened(labelsOf(members), nameCells);
	const votersThatFit = labelsThatFit(raft.voters, label, width - 9, 3);
	const lines: Array<readonly Span[]> = [
		[
			title('role'),
			{
				text: raft.role,
				tone: raft.role === 'leader' ? 'good' : raft.role.endsWith('candidate') ? 'warning' : 'plain',
			},
			{text: '  term ', tone: 'muted'},
			{text: count(raft.term), tone: 'plain'},
		],
		[title('leader'), leaderWords(snapshot)],
		[title('quorum'), quorumWords(snapshot)],
		[
			title('log'),
			{text: `commit ${count(raft.commit)}`, tone: 'plain'},
			raft.applied < raft.commit || raft.commit < raft.lastIndex
				? {text: ` · applied ${count(raft.applied)} · last ${count(raft.lastIndex)}`, tone: 'warning'}
				: {text: ', all applied, nothing open', tone: 'muted'},
		],
		[
			title('voters'),
			...raft.voters.slice(0, votersThatFit).flatMap((id): readonly Span[] => {
				const state = states.get(id);
				return [
					{text: state ? stateMarks[state] : '?', tone: state ? stateTones[state] : 'muted'},
					{text: ` ${label(id)} `, tone: id === self ? 'accent' : 'plain'},
				];
			}),
			...(raft.voters.length > votersThatFit
				? [{text: `+${raft.voters.length - votersThatFit}`, tone: 'muted'} as const]
				: []),
		],
		...missingLine(snapshot, votersThatFit),
		[
			title('vote'),
			{
				text: raft.vote === undefined ? 'none this term' : raft.vote === self ? 'itself' : label(raft.vote),
				tone: 'plain',
			},
			...(raft.votes.length > 0
				? [
						{
							text: `  won from ${names(raft.votes, label, 4)} (${raft.votes.length} of ${quorumSize(raft.voters.length)})`,
							tone: 'warning',
						} as const,
					]
				: []),
		],
		[
			title('pending'),
			{
				text: raft.pending === 0 ? 'none' : plural(raft.pending, 'proposal waits', 'proposals wait'),
				tone: raft.pending > 0 ? 'warning' : 'plain',
			},
			{text: ` · snapshot at ${count(raft.snapshotIndex)}`, tone: 'muted'},
		],
	];
	if (raft.role === 'leader') lines.push([title('matches'), ...matchSpans(snapshot, width)]);
	if (raft.learners.length > 0)
		lines.push([
			title('learners'),
			{text: names(raft.learners, label, labelsThatFit(raft.learners, label, width - 9, 1)), tone: 'muted'},
		]);

	return lines;
}

function missingLine(snapshot: Snapshot, max: number): ReadonlyArray<readonly Span[]> {
	const outlook = quorumHealthOf(snapshot);
	if (outlook.missing.length === 0) return [];
	const isLost = outlook.missing.some(voter => voter.isLost);
	return [
		[
			title('missing'),
			{text: missingWords(outlook, shortened(labelsOf(snapshot.members), nameCells), max), tone: 'bad'},
			{
				text: ` · ${meaningOf(outlook)}${isLost ? ' · `:check` says what helps' : ''}`,
				tone: outlook.spare > 0 ? 'warning' : 'bad',
			},
		],
	];
}

/** A few entries are always under way; more is a follower that falls behind. */
const lateEntries = 256;

/** How far the followers are, those behind first. */
function matchSpans({raft, members}: Snapshot, width: number): readonly Span[] {
	const behind = members
		.filter(({match, self: isSelf}) => match !== undefined && !isSelf)
		.map(({id, match}) => ({id, behind: Math.max(0, raft.lastIndex - match!)}))
		.toSorted((one, other) => other.behind - one.behind);
	const late = behind.filter(follower => follower.behind > 0);
	if (behind.length === 0) return [{text: 'no follower', tone: 'muted'}];
	if (late.length === 0)
		return [{text: `${plural(behind.length, 'follower has', 'followers have')} it all`, tone: 'plain'}];
	const label = shortened(labelsOf(members), nameCells);
	const room = labelsThatFit(
		late.map(({id}) => id),
		label,
		width - 9,
		12,
	);
	return [
		{
			text: late
				.slice(0, room)
				.map(follower => `${label(follower.id)} ${count(follower.behind)} behind`)
				.join(', '),
			tone: late[0]!.behind > lateEntries ? 'warning' : 'plain',
		},
		...(late.length > room ? [{text: ` +${late.length - room}`, tone: 'muted'} as const] : []),
	];
}
