/**
Agreement in lines: who leads, what is voted and committed, who counts. Pure. The first lines matter most: a low pane shows only those.
*/
import {meaningOf, outlookOf, quorumSize, quorumText} from '../core/observe/outlook.ts';
import {printable} from '../core/observe/printable.ts';
import type {Snapshot} from '../core/observe/snapshot.ts';
import {missingWords} from './alerts.ts';
import type {Span} from './columns.ts';
import {count, names, plural, shortId, stateMarks, stateTones} from './words.ts';

const label = (text: string): Span => ({text: text.padEnd(9), tone: 'muted'});

export function leaderWords({raft, self, members}: Snapshot): Span {
	if (raft.leader === undefined) return {text: `none in term ${raft.term}`, tone: 'bad'};
	if (raft.leader === self) return {text: 'this node', tone: 'good'};
	const address = members.find(member => member.id === raft.leader)?.address;
	return {text: `${shortId(raft.leader)}${address === undefined ? '' : ` at ${printable(address)}`}`, tone: 'accent'};
}

export function quorumWords({raft}: Pick<Snapshot, 'raft'>): Span {
	return {text: quorumText(raft), tone: raft.quorum !== 'held' ? 'bad' : raft.reachableVoters < raft.voters.length ? 'warning' : 'good'};
}

/** @param width decides how many ids a line may name */
export function raftLines(snapshot: Snapshot, width: number): ReadonlyArray<readonly Span[]> {
	const {raft, members, self} = snapshot;
	if (raft.voters.length === 0) return [[{text: 'Not a member of a cluster yet', tone: 'warning'}], [{text: printable(snapshot.detail), tone: 'muted'}]];
	const states = new Map(members.map(member => [member.id, member.state]));
	const idsThatFit = Math.max(1, Math.floor((width - 9) / 11));
	const lines: Array<readonly Span[]> = [
		[label('role'), {text: raft.role, tone: raft.role === 'leader' ? 'good' : (raft.role.endsWith('candidate') ? 'warning' : 'plain')}, {text: '  term ', tone: 'muted'}, {text: count(raft.term), tone: 'plain'}],
		[label('leader'), leaderWords(snapshot)],
		[label('quorum'), quorumWords(snapshot)],
		[
			label('log'), {text: `commit ${count(raft.commit)}`, tone: 'plain'},
			raft.applied < raft.commit || raft.commit < raft.lastIndex
				? {text: ` · applied ${count(raft.applied)} · last ${count(raft.lastIndex)}`, tone: 'warning'}
				: {text: ', all applied, nothing open', tone: 'muted'},
		],
		[
			label('voters'),
			...raft.voters.slice(0, idsThatFit).flatMap((id): readonly Span[] => {
				const state = states.get(id);
				return [{text: state ? stateMarks[state] : '?', tone: state ? stateTones[state] : 'muted'}, {text: ` ${shortId(id)} `, tone: id === self ? 'accent' : 'plain'}];
			}),
			...(raft.voters.length > idsThatFit ? [{text: `+${raft.voters.length - idsThatFit}`, tone: 'muted'} as const] : []),
		],
		...missingLine(snapshot, idsThatFit),
		[
			label('vote'), {text: raft.vote === undefined ? 'none this term' : (raft.vote === self ? 'itself' : shortId(raft.vote)), tone: 'plain'},
			...(raft.votes.length > 0 ? [{text: `  won from ${names(raft.votes, 4)} (${raft.votes.length} of ${quorumSize(raft.voters.length)})`, tone: 'warning'} as const] : []),
		],
		[
			label('pending'), {text: raft.pending === 0 ? 'none' : plural(raft.pending, 'proposal waits', 'proposals wait'), tone: raft.pending > 0 ? 'warning' : 'plain'},
			{text: ` · snapshot at ${count(raft.snapshotIndex)}`, tone: 'muted'},
		],
	];
	if (raft.role === 'leader') lines.push([label('matches'), ...matchSpans(snapshot, width)]);
	if (raft.learners.length > 0) lines.push([label('learners'), {text: names(raft.learners, idsThatFit), tone: 'muted'}]);

	return lines;
}

function missingLine(snapshot: Snapshot, idsThatFit: number): ReadonlyArray<readonly Span[]> {
	const outlook = outlookOf(snapshot);
	if (outlook.missing.length === 0) return [];
	const isLost = outlook.missing.some(voter => voter.isLost);
	return [[
		label('missing'), {text: missingWords(outlook, idsThatFit), tone: 'bad'},
		{text: ` · ${meaningOf(outlook)}${isLost ? ' · `:check` says what helps' : ''}`, tone: outlook.spare > 0 ? 'warning' : 'bad'},
	]];
}

/** A few entries are always under way; more is a follower that falls behind. */
const lateEntries = 256;

/** How far the followers are, those behind first. */
function matchSpans({raft, members}: Snapshot, width: number): readonly Span[] {
	const behind = members.filter(({match, self: isSelf}) => match !== undefined && !isSelf)
		.map(({id, match}) => ({id, behind: Math.max(0, raft.lastIndex - match!)})).toSorted((one, other) => other.behind - one.behind);
	const late = behind.filter(follower => follower.behind > 0);
	if (behind.length === 0) return [{text: 'no follower', tone: 'muted'}];
	if (late.length === 0) return [{text: `${plural(behind.length, 'follower has', 'followers have')} it all`, tone: 'plain'}];
	const room = Math.max(1, Math.floor((width - 9) / 20));
	return [
		{text: late.slice(0, room).map(follower => `${shortId(follower.id)} ${count(follower.behind)} behind`).join(', '), tone: late[0]!.behind > lateEntries ? 'warning' : 'plain'},
		...(late.length > room ? [{text: ` +${late.length - room}`, tone: 'muted'} as const] : []),
	];
}
