/**
What each pane says in one line: the title of its frame when it is open, its summary when it is closed, and the header
of the whole. Pure.
*/
import {labelsOf} from '../../core/observe/node-label.ts';
import {fitCells, printable, widthOf} from '../../core/observe/printable.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {PaneId} from '../layout.ts';
import {isListPane, type ConsoleState} from '../state/state.ts';
import type {Span} from './columns.ts';
import {listEvents, listMessages, listPeers, listTopics, previewText, shownFeed} from './lists.ts';
import {partitionSummary} from './partition.ts';
import {leaderWords, quorumWords} from './raft.ts';
import {age, brief, count, eventSpan, names, plural} from './words.ts';

export const paneNames: Readonly<Record<PaneId, string>> = {
	peers: '1 Peers',
	raft: '2 Raft',
	topics: '3 Topics',
	messages: '4 Messages',
	partition: '5 Partition',
	events: '6 Events',
};

/** Behind the name in the frame's top line. */
export function paneTitle(pane: PaneId, snapshot: Snapshot, state: ConsoleState): readonly Span[] {
	const spans: Span[] = [];
	if (pane === 'peers') spans.push(...peersHead(snapshot));
	if (pane === 'raft') spans.push(raftHead(snapshot));
	if (pane === 'topics') spans.push(...topicsHead(snapshot));
	if (pane === 'messages') spans.push(...messagesHead(snapshot, state));
	if (pane === 'partition')
		spans.push(
			snapshot.partition.state === 'whole'
				? {text: 'whole', tone: 'good'}
				: {
						text: snapshot.partition.state.toUpperCase(),
						tone: snapshot.partition.state === 'repairing' ? 'warning' : 'bad',
					},
		);
	if (pane === 'events') spans.push({text: `${snapshot.events.length}`, tone: 'muted'});
	if (isListPane(pane) && state.lists[pane].filter !== '') {
		const {filter} = state.lists[pane];
		spans.push({
			text: `${spans.length > 0 ? ' · ' : ''}/${printable(filter)} ${listed(pane, snapshot, state, filter)}`,
			tone: 'warning',
		});
	}

	return spans;
}

/** A closed pane: name, then the one thing to know. */
export function paneSummary(pane: PaneId, snapshot: Snapshot, state: ConsoleState): readonly Span[] {
	const spans: Span[] = [{text: ` ${paneNames[pane].padEnd(12)} `, tone: 'title'}];
	switch (pane) {
		case 'peers':
			return [...spans, ...peersHead(snapshot)];
		case 'raft': {
			if (snapshot.raft.voters.length === 0) return [...spans, {text: 'not a member yet', tone: 'warning'}];
			return [
				...spans,
				{text: `${snapshot.raft.role} in term ${snapshot.raft.term}`, tone: 'plain'},
				{
					text:
						snapshot.raft.leader === snapshot.self
							? ' · quorum '
							: ` · leader ${leaderWords(snapshot).text} · quorum `,
					tone: snapshot.raft.leader === undefined ? 'bad' : 'muted',
				},
				quorumWords(snapshot),
			];
		}

		case 'topics':
			return [...spans, ...topicsHead(snapshot)];
		case 'messages': {
			const newest = snapshot.feed.at(-1);
			const preview: readonly Span[] = newest
				? [
						{text: ' · ', tone: 'muted'},
						{
							text: fitCells(printable(newest.topic), Math.min(16, widthOf(printable(newest.topic)))),
							tone: 'accent',
						},
						{text: ` ${previewText(newest)}`, tone: 'muted'},
					]
				: [];
			return [...spans, ...messagesHead(snapshot, state), ...preview];
		}

		case 'partition':
			return [...spans, partitionSummary(snapshot)];
		case 'events': {
			const newest = snapshot.events.at(-1);
			return newest
				? [
						...spans,
						{
							text: `${age(snapshot.atMs - newest.at).replace(/^now$/, 'just now')}${snapshot.atMs - newest.at < 1000 ? '' : ' ago'} · `,
							tone: 'muted',
						},
						eventSpan(newest),
					]
				: [...spans, {text: 'nothing yet', tone: 'muted'}];
		}

		default: {
			const unknown: never = pane;
			return unknown;
		}
	}
}

export type HeaderFacts = {
	readonly snapshot: Snapshot | undefined;
	readonly title: string;
	readonly connection: 'connecting' | 'connected' | 'lost';
	readonly isReadonly: boolean;
	readonly isRemote: boolean;
};

/** Of a node's name in the header. */
const nameCells = 20;

type Segment = {readonly spans: readonly Span[]; readonly rank: number};

/** The header in at most `width` cells: what matters least goes first. Rank 0 stays. */
export function headerSpans(
	{snapshot, title, connection, isReadonly, isRemote}: HeaderFacts,
	width: number,
): readonly Span[] {
	let left: Segment[] = [{rank: 0, spans: [{text: ` ${printable(title)} `, tone: 'title'}]}];
	let right: Segment[] = [];
	if (isRemote) left.push({rank: 6, spans: [{text: 'attached', tone: 'muted'}]});
	if (isReadonly) left.push({rank: 2, spans: [{text: 'read-only', tone: 'warning'}]});
	if (connection === 'lost') right.push({rank: 0, spans: [{text: ' NODE LOST ', tone: 'alarm'}]});
	if (!snapshot) {
		if (connection === 'connecting') right.push({rank: 0, spans: [{text: 'connecting… ', tone: 'warning'}]});
	} else {
		const {raft, phase, insecure, faults} = snapshot;
		left.push(
			{rank: 0, spans: [{text: fitShort(labelsOf(snapshot.members)(snapshot.self), nameCells), tone: 'accent'}]},
			{rank: 3, spans: [{text: printable(snapshot.address), tone: 'plain'}]},
			{
				rank: 4,
				spans: [
					{text: 'cluster ', tone: 'muted'},
					{text: fitShort(printable(snapshot.cluster), 20), tone: 'plain'},
				],
			},
			{rank: 8, spans: [{text: `up ${age(snapshot.uptimeMs)}`, tone: 'muted'}]},
		);
		if (insecure.length > 0) right.push({rank: 0, spans: [{text: ' INSECURE ', tone: 'alarm'}]});
		if (faults.length > 0) right.push({rank: 1, spans: [{text: plural(faults.length, 'fault'), tone: 'warning'}]});
		if (phase !== 'running') right.push({rank: 1, spans: [{text: phase.toUpperCase(), tone: 'warning'}]});
		// Before it is taken in, a node has no role and no quorum to speak of.
		if (raft.voters.length > 0)
			right.push(
				{
					rank: 1,
					spans: [
						raft.role === 'leader'
							? {text: '★ LEADER', tone: 'good'}
							: {text: raft.role, tone: raft.role.endsWith('candidate') ? 'warning' : 'plain'},
						{text: ` term ${raft.term}`, tone: 'muted'},
					],
				},
				{
					rank: 2,
					spans:
						raft.leader === undefined
							? [{text: 'no leader', tone: 'bad'}]
							: raft.role === 'leader'
								? []
								: [
										{text: 'leader ', tone: 'muted'},
										{
											text: fitShort(labelsOf(snapshot.members)(raft.leader), nameCells),
											tone: 'accent',
										},
									],
				},
				{
					rank: 0,
					spans: [
						{
							text: `${{held: 'quorum', electing: 'ELECTING', lost: 'NO QUORUM'}[raft.quorum]} ${raft.reachableVoters}/${raft.voters.length}`,
							tone:
								raft.quorum === 'held'
									? raft.reachableVoters < raft.voters.length
										? 'warning'
										: 'good'
									: 'bad',
						},
					],
				},
			);
		right.push(
			{
				rank: 5,
				spans: [
					{text: 'lamport ', tone: 'muted'},
					{text: count(snapshot.lamport), tone: 'plain'},
				],
			},
			{rank: 7, spans: phase === 'running' ? [{text: 'running', tone: 'muted'}] : []},
		);
	}

	right = right.filter(({spans}) => spans.length > 0);
	while (cellsOf(left) + cellsOf(right) + 2 > width) {
		const worst = Math.max(...[...left, ...right].map(({rank}) => rank));
		if (worst === 0) break;
		left = left.filter(({rank}) => rank !== worst);
		right = right.filter(({rank}) => rank !== worst);
	}

	const between = Math.max(1, width - cellsOf(left) - cellsOf(right));
	return [...joined(left), {text: ' '.repeat(between), tone: 'plain'}, ...joined(right)];
}

const separator: Span = {text: '  ', tone: 'plain'};

function joined(segments: readonly Segment[]): readonly Span[] {
	return segments.flatMap(({spans}) => [...spans, separator]);
}

function cellsOf(segments: readonly Segment[]): number {
	return joined(segments).reduce((sum, span) => sum + widthOf(span.text), 0);
}

function fitShort(text: string, cells: number): string {
	return widthOf(text) > cells ? fitCells(text, cells) : text;
}

function peersHead({members}: Snapshot): readonly Span[] {
	const alive = members.filter(member => member.state === 'alive').length;
	const spans: Span[] = [
		{
			text: `${alive} of ${members.filter(member => member.state !== 'left').length} alive`,
			tone: alive === members.length ? 'good' : 'plain',
		},
	];
	for (const [state, tone] of [
		['degraded', 'warning'],
		['suspect', 'warning'],
		['unreachable', 'bad'],
		['down', 'bad'],
	] as const) {
		const those = members.filter(member => member.state === state);
		if (those.length > 0)
			spans.push({
				text: ` · ${state}: ${names(
					those.map(member => member.id),
					labelsOf(members),
					3,
				)}`,
				tone,
			});
	}

	return spans;
}

function raftHead({raft}: Snapshot): Span {
	if (raft.voters.length === 0) return {text: 'not a member yet', tone: 'warning'};
	return {
		text: {held: 'quorum held', electing: 'no leader', lost: 'NO QUORUM'}[raft.quorum],
		tone: raft.quorum === 'held' ? 'good' : 'bad',
	};
}

function topicsHead({topics}: Snapshot): readonly Span[] {
	const perSecond = topics.reduce((sum, topic) => sum + topic.perSecond, 0);
	const held = topics.reduce((sum, topic) => sum + topic.held, 0);
	return [
		{text: `${topics.length}, ${topics.filter(topic => topic.subscribed).length} subscribed`, tone: 'plain'},
		{text: ` · ${count(topics.reduce((sum, topic) => sum + topic.messages, 0))} kept`, tone: 'muted'},
		...(perSecond > 0 ? [{text: ` · ${brief(perSecond)}/s`, tone: 'good'} as const] : []),
		...(held > 0 ? [{text: ` · ${count(held)} held`, tone: 'warning'} as const] : []),
	];
}

function messagesHead({counters, topics}: Snapshot, {paused}: ConsoleState): readonly Span[] {
	const perSecond = topics.reduce((sum, topic) => sum + (topic.rates?.delivered ?? topic.perSecond), 0);
	return [
		{text: `${count(counters.delivered)} delivered`, tone: 'plain'},
		...(perSecond > 0 ? [{text: ` · ${brief(perSecond)}/s`, tone: 'good'} as const] : []),
		...(paused
			? [
					{
						text: ` · PAUSED, ${count(Math.max(0, counters.delivered - paused.delivered))} new`,
						tone: 'warning',
					} as const,
				]
			: []),
	];
}

function listed(
	pane: 'peers' | 'topics' | 'messages' | 'events',
	snapshot: Snapshot,
	state: ConsoleState,
	filter: string,
): string {
	const {keys, all} = {
		peers: () => listPeers(snapshot.members, filter),
		topics: () => listTopics(snapshot.topics, filter),
		messages: () => listMessages(shownFeed(snapshot, state), filter, labelsOf(snapshot.members)),
		events: () => listEvents(snapshot.events, filter),
	}[pane]();
	return `${keys.length} of ${all}`;
}
