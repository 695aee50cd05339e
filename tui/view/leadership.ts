/** The reports about the quorum and about elections, as lines. Pure. */
import {electionsOf} from '../../core/observe/elections.ts';
import {labelCells, labelsOf} from '../../core/observe/node-label.ts';
import {quorumAdvice} from '../../core/observe/quorum-advice.ts';
import {fitCells} from '../../core/observe/printable.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Span} from './columns.ts';
import {age, clockTime, stateTones} from './words.ts';

type Line = readonly Span[];

const empty: Line = [];
const heading = (text: string): Line => [{text, tone: 'title'}];

export function quorumLines(snapshot: Snapshot): readonly Line[] {
	const {members, raft} = snapshot;
	const label = labelsOf(members);
	const {state, previews, repairs} = quorumAdvice(snapshot, label, ':');
	const cells = labelCells(raft.voters, label, 4, 24);
	const row = (id: string, what: string, text: string): Line => {
		const member = members.find(one => one.id === id);
		return [
			{
				text: `${fitCells(label(id), cells)}  ${what.padEnd(9)}`,
				tone: member ? stateTones[member.state] : 'muted',
			},
			{text, tone: /no quorum|not possible/u.test(text) ? 'bad' : /no further/u.test(text) ? 'warning' : 'plain'},
		];
	};

	return [
		[{text: state, tone: raft.quorum === 'held' ? 'plain' : 'bad'}],
		...(repairs.length > 0
			? [
					empty,
					heading('To get the quorum back, the safest first'),
					...repairs.map((text, index): Line => [
						{text: `${index + 1}. `, tone: 'accent'},
						{text, tone: 'plain'},
					]),
				]
			: []),
		empty,
		heading('What would happen'),
		...previews.flatMap(({id, isMissing, loss, removal, restart}) => [
			row(id, 'lost', loss),
			row(id, 'removed', removal),
			row(id, isMissing ? 'returns' : 'restarts', restart),
		]),
		empty,
		[{text: 'Removal: `:peer remove NODE yes`, or `dapss-tui leave` on the node itself.', tone: 'muted'}],
	];
}

export function electionLines(snapshot: Snapshot): readonly Line[] {
	const elections = electionsOf(snapshot, labelsOf(snapshot.members));
	if (elections.length === 0) return [[{text: 'No leader is known yet', tone: 'muted'}]];
	return [
		...elections.flatMap(({term, cause, steps}): readonly Line[] => [
			[
				{text: `term ${term}  `, tone: 'title'},
				{text: cause, tone: 'plain'},
			],
			...steps.map(({atMs, text, tone}): Line => [
				{
					text: `   │ ${clockTime(atMs)}  ${age(Math.max(0, snapshot.atMs - atMs)).padStart(12)}  `,
					tone: 'muted',
				},
				{text, tone},
			]),
			empty,
		]),
		[
			{
				text: 'A node knows its own votes and the outcome, and not the votes and refusals of other nodes.',
				tone: 'muted',
			},
		],
	];
}
