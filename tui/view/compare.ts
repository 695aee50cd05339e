/**
Two nodes side by side, as far as this node knows the other: what is agreed (members, subscriptions), what it measured,
and which messages one has and the other lacks. What only the other node knows is named, with the command that asks it.
Pure.
*/
import {labelsOf} from '../../core/observe/node-label.ts';
import {fitCells, printable} from '../../core/observe/printable.ts';
import {listed} from '../../core/observe/quantity-text.ts';
import type {MemberSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {Tone} from '../theme.ts';
import type {Span} from './columns.ts';
import {count, plural, roundTrip} from './words.ts';
import {wrapLines} from './wrap.ts';

type Line = readonly Span[];

const titleCells = 15;

export function comparisonLines(snapshot: Snapshot, key: string, width: number): readonly Line[] {
	const {members, self, raft} = snapshot;
	const own = members.find(({id}) => id === self);
	const other = members.find(({id}) => id === key);
	if (!own || !other) return [[{text: 'One of the two is no longer a member', tone: 'warning'}]];
	const cells = Math.max(8, Math.floor((width - titleCells) / 2));
	const row = (title: string, one: string, two: string): Line => {
		const tone: Tone = one === two ? 'plain' : 'warning';
		return [
			{text: title.padEnd(titleCells), tone: 'muted'},
			{text: `${fitCells(one, cells - 1)} `, tone},
			{text: fitCells(two, cells), tone},
		];
	};

	const label = labelsOf(members);
	return [
		[
			{text: ''.padEnd(titleCells), tone: 'muted'},
			{text: `${fitCells(`${label(own.id)} (this node)`, cells - 1)} `, tone: 'accent'},
			{text: fitCells(label(other.id), cells), tone: 'accent'},
		],
		row('address', printable(own.address), printable(other.address)),
		row('state', own.state, other.state),
		row('vote', vote(own), vote(other)),
		row('leads', String(raft.leader === own.id), String(raft.leader === other.id)),
		row('version', printable(own.version) || 'unknown', printable(other.version) || 'unknown'),
		row(
			'protocol',
			own.protocol === 0 ? 'unknown' : String(own.protocol),
			other.protocol === 0 ? 'unknown' : String(other.protocol),
		),
		row('incarnation', count(own.incarnation), count(other.incarnation)),
		row(
			'log',
			count(raft.lastIndex),
			other.match === undefined ? 'known to the leader only' : `${count(other.match)} match`,
		),
		[],
		...wrapLines([...topicLines(snapshot, other), ...messageLines(snapshot, other), ...linkLines(other)], width),
	];
}

const vote = ({voter}: MemberSnapshot): string => (voter ? 'voter' : 'learner');

const sentence = (title: string, text: string, tone: Tone = 'plain'): Line => [
	{text: title.padEnd(titleCells), tone: 'muted'},
	{text, tone},
];

function topicLines({topics, members, self}: Snapshot, {id}: MemberSnapshot): readonly Line[] {
	const label = labelsOf(members);
	const of = (has: (subscribers: readonly string[]) => boolean): readonly string[] =>
		topics.filter(({subscribers}) => has(subscribers)).map(({name}) => printable(name));
	const both = of(list => list.includes(self) && list.includes(id));
	const here = of(list => list.includes(self) && !list.includes(id));
	const there = of(list => !list.includes(self) && list.includes(id));
	const text = (names: readonly string[]): string => (names.length === 0 ? 'none' : listed(names, 20));
	return [
		sentence('topics of both', text(both)),
		sentence('only here', text(here), here.length > 0 ? 'warning' : 'plain'),
		sentence(`only ${label(id)}`.slice(0, titleCells - 1), text(there), there.length > 0 ? 'warning' : 'plain'),
	];
}

function messageLines({partition, gossip, members, self}: Snapshot, other: MemberSnapshot): readonly Line[] {
	const label = labelsOf(members);
	const name = label(other.id);
	const lacks = partition.waitingFor?.find(({id}) => id === other.id)?.messages ?? 0;
	const missing = gossip.missingOf?.find(({origin}) => origin === other.id)?.messages ?? 0;
	return [
		sentence(
			'messages',
			`${name} lacks ${lacks === 0 ? 'none that is known' : plural(lacks, 'message')} of ${label(self)}; ` +
				`missing here of ${name}: ${missing === 0 ? 'none' : plural(missing, 'message')}.`,
			lacks + missing > 0 ? 'warning' : 'plain',
		),
		sentence(
			'positions',
			`The positions of ${name} by topic and origin, its commit and its leader are known to it only: ` +
				`dapss-tui status --server ${printable(other.address)}`,
			'muted',
		),
	];
}

function linkLines({rttMs, link, via, why}: MemberSnapshot): readonly Line[] {
	const rtt = rttMs === undefined ? 'not measured' : roundTrip(rttMs);
	return [
		sentence('between them', `link ${link}, round trip ${rtt}${via === undefined ? '' : ', through another node'}`),
		...(why === '' ? [] : [sentence('why', printable(why), 'warning')]),
	];
}
