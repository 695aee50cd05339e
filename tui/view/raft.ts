/**
The state of Raft as lines of text: role, leader, quorum, log, voters and votes. Pure. The most important lines come
first, because a low pane shows only those.
*/
import {labelsOf, labelsThatFit, shortened, type Label} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {
	meaningOf,
	quorumHealthOf,
	quorumSize,
	quorumText,
	type QuorumHealth,
} from '../../core/observe/quorum-health.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Span} from './columns.ts';
import {age, count, names, plural, stateMarks, stateTones} from './words.ts';

/** Cells of a name in a list of names. */
const nameCells = 16;

/** Cells of the name of a line. */
const titleCells = 9;
const title = (text: string): Span => ({text: text.padEnd(titleCells), tone: 'muted'});
type Raft = Snapshot['raft'];

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

type Lines = ReadonlyArray<readonly Span[]>;

/** @param width cells of a line, which bound the number of nodes that it names */
export function raftLines(snapshot: Snapshot, width: number): Lines {
	const {raft, members} = snapshot;
	if (raft.voters.length === 0)
		return [
			[{text: 'Not a member of a cluster yet', tone: 'warning'}],
			[{text: printable(snapshot.detail), tone: 'muted'}],
		];
	const label = shortened(labelsOf(members), nameCells);
	const room = width - titleCells;
	const votersThatFit = labelsThatFit(raft.voters, label, room, 3);
	return [
		roleLine(raft),
		[title('leader'), leaderWords(snapshot)],
		[title('quorum'), quorumWords(snapshot)],
		logLine(raft),
		votersLine(snapshot, label, votersThatFit),
		...missingLine(snapshot, votersThatFit),
		voteLine(snapshot, label),
		pendingLine(raft),
		...(raft.role === 'leader' ? [[title('matches'), ...matchSpans(snapshot, width)]] : []),
		...(raft.learners.length > 0 ? [learnersLine(raft, label, room)] : []),
	];
}

function roleLine({role, term}: Raft): readonly Span[] {
	return [
		title('role'),
		{text: role, tone: role === 'leader' ? 'good' : role.endsWith('candidate') ? 'warning' : 'plain'},
		{text: '  term ', tone: 'muted'},
		{text: count(term), tone: 'plain'},
	];
}

function logLine({commit, applied, lastIndex}: Raft): readonly Span[] {
	return [
		title('log'),
		{text: `commit ${count(commit)}`, tone: 'plain'},
		applied < commit || commit < lastIndex
			? {text: ` · applied ${count(applied)} · last ${count(lastIndex)}`, tone: 'warning'}
			: {text: ', all committed and applied', tone: 'muted'},
	];
}

function votersLine({raft: {voters}, members, self}: Snapshot, label: Label, max: number): readonly Span[] {
	const states = new Map(members.map(member => [member.id, member.state]));
	const hidden = voters.length - max;
	return [
		title('voters'),
		...voters.slice(0, max).flatMap((id): readonly Span[] => {
			const state = states.get(id);
			return [
				{text: state ? stateMarks[state] : '?', tone: state ? stateTones[state] : 'muted'},
				{text: ` ${label(id)} `, tone: id === self ? 'accent' : 'plain'},
			];
		}),
		...(hidden > 0 ? [{text: `+${hidden}`, tone: 'muted'} as const] : []),
	];
}

function voteLine({raft: {vote, votes, voters}, self}: Snapshot, label: Label): readonly Span[] {
	const text = vote === undefined ? 'none this term' : vote === self ? 'itself' : label(vote);
	const won = `  won from ${names(votes, label, 4)} (${votes.length} of ${quorumSize(voters.length)})`;
	return [title('vote'), {text, tone: 'plain'}, ...(votes.length > 0 ? [{text: won, tone: 'warning'} as const] : [])];
}

function pendingLine({pending, snapshotIndex}: Raft): readonly Span[] {
	return [
		title('pending'),
		{
			text: pending === 0 ? 'none' : plural(pending, 'proposal waits', 'proposals wait'),
			tone: pending > 0 ? 'warning' : 'plain',
		},
		{text: ` · snapshot at ${count(snapshotIndex)}`, tone: 'muted'},
	];
}

function learnersLine({learners}: Raft, label: Label, room: number): readonly Span[] {
	return [title('learners'), {text: names(learners, label, labelsThatFit(learners, label, room, 1)), tone: 'muted'}];
}

function missingLine(snapshot: Snapshot, max: number): Lines {
	const health = quorumHealthOf(snapshot);
	if (health.missing.length === 0) return [];
	const isLost = health.missing.some(voter => voter.isLost);
	return [
		[
			title('missing'),
			{text: missingWords(health, shortened(labelsOf(snapshot.members), nameCells), max), tone: 'bad'},
			{
				text: ` · ${meaningOf(health)}${isLost ? ' · `:check` says what to do' : ''}`,
				tone: health.spare > 0 ? 'warning' : 'bad',
			},
		],
	];
}

/** `node-2 (2 min 5 s), …`: the first few missing voters, and for how long. */
function missingWords({missing}: QuorumHealth, label: Label, max: number): string {
	const shown = missing
		.slice(0, max)
		.map(({id, downMs}) => `${label(id)}${downMs === undefined || downMs < 1000 ? '' : ` (${age(downMs)})`}`)
		.join(' ');
	return missing.length > max ? `${shown} +${missing.length - max} more` : shown;
}

/** Entries in flight; a follower that lacks more of them is late. */
const lateEntries = 256;

/** The entries that each follower lacks, the latest follower first. */
function matchSpans({raft, members}: Snapshot, width: number): readonly Span[] {
	const behind = members
		.filter(({match, self: isSelf}) => match !== undefined && !isSelf)
		.map(({id, match}) => ({id, behind: Math.max(0, raft.lastIndex - match!)}))
		.toSorted((one, other) => other.behind - one.behind);
	const late = behind.filter(follower => follower.behind > 0);
	if (behind.length === 0) return [{text: 'no follower', tone: 'muted'}];
	if (late.length === 0)
		return [{text: `${plural(behind.length, 'follower has', 'followers have')} every entry`, tone: 'plain'}];
	const label = shortened(labelsOf(members), nameCells);
	const room = labelsThatFit(
		late.map(({id}) => id),
		label,
		width - titleCells,
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
