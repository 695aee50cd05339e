/** The members: state, vote, round trip and link. */
import {memo, useMemo, type ReactNode} from 'react';
import {labelOf} from '../../core/observe/node-label.ts';
import {fitCells, printable, widthOf} from '../../core/observe/printable.ts';
import type {MemberSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {Column} from '../view/columns.ts';
import {age, bytes, roundTrip, stateMarks, stateTones} from '../view/words.ts';
import {Table} from '../widgets/table.tsx';

const linkTones = {up: 'plain', self: 'muted', connecting: 'warning', down: 'bad'} as const;

/** @param hasWhy a member is not alive, so there is a column of reasons. @param nodeCells cells of a name */
export const memberColumns = (
	leader: Snapshot['raft']['leader'],
	hasWhy: boolean,
	width: number,
	nodeCells = 8,
): ReadonlyArray<Column<MemberSnapshot>> => [
	{
		title: 'NODE',
		width: nodeCells + 2,
		cell: member => (member.id === leader ? `${fitName(member, nodeCells)} ★` : labelOf(member.id, member.name)),
		tone: member => (member.self ? 'accent' : 'plain'),
	},
	{title: 'ADDRESS', width: 15, grow: !hasWhy, rank: 1, cell: member => printable(member.address)},
	{
		title: 'STATE',
		width: 13,
		cell: member => `${stateMarks[member.state]} ${member.state}`,
		tone: member => stateTones[member.state],
	},
	{
		title: 'VOTE',
		width: 7,
		rank: 3,
		cell: member => (member.voter ? 'voter' : 'learner'),
		tone: member => (member.voter ? 'plain' : 'muted'),
	},
	{
		title: 'RTT',
		width: 8,
		rank: 2,
		align: 'right',
		cell: member => (member.self || member.rttMs === undefined ? '–' : roundTrip(member.rttMs)),
	},
	{
		title: 'HEARD',
		width: 8,
		rank: 2,
		align: 'right',
		cell: member => heard(member),
		tone: member => (member.state === 'alive' ? 'plain' : stateTones[member.state]),
	},
	{
		title: 'LINK',
		width: 10,
		rank: 4,
		cell: member => (member.self ? 'this node' : member.link),
		tone: member => linkTones[member.link],
	},
	{
		title: 'QUEUE',
		width: 9,
		rank: 5,
		align: 'right',
		cell: member => (member.self ? '' : member.queuedBytes === 0 ? '–' : bytes(member.queuedBytes)),
		tone: member => (member.queuedBytes > 1_048_576 ? 'warning' : 'plain'),
	},
	...(hasWhy
		? [
				{
					title: 'WHY',
					width: width >= 90 ? 24 : 14,
					grow: true,
					rank: 1,
					cell: member => printable(member.why),
					tone: member => stateTones[member.state],
				} satisfies Column<MemberSnapshot>,
			]
		: []),
];

/** The star of the leader is shown even if the name is cut. */
function fitName({id, name}: MemberSnapshot, cells: number): string {
	const label = labelOf(id, name);
	return widthOf(label) > cells ? fitCells(label, cells) : label;
}

function heard({self, heardMsAgo}: MemberSnapshot): string {
	if (self) return '–';
	return heardMsAgo === undefined ? 'never' : age(heardMsAgo);
}

type PeersProps = {
	readonly rows: readonly MemberSnapshot[];
	readonly leader: Snapshot['raft']['leader'];
	readonly hasWhy: boolean;
	readonly nodeCells: number;
	readonly selected: number;
	readonly isFocused: boolean;
	readonly width: number;
	readonly height: number;
};

export const Peers = memo(({leader, hasWhy, nodeCells, ...rest}: PeersProps): ReactNode => {
	const columns = useMemo(
		() => memberColumns(leader, hasWhy, rest.width, nodeCells),
		[leader, hasWhy, nodeCells, rest.width],
	);
	return <Table {...rest} columns={columns} empty="no member matches" />;
});
