/**
Each pane in one line: the title of its frame when it is open, and its summary when it is closed. Pure.
*/
import {labelsOf} from '../../core/observe/node-label.ts';
import {fitCells, printable, widthOf} from '../../core/observe/printable.ts';
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {PaneId} from '../layout.ts';
import {isListPane, type ConsoleState, type ListPane} from '../state/state.ts';
import type {Span} from './columns.ts';
import {isCut, listEvents, listMessages, listPeers, listTopics, previewText, shownFeed, type Listed} from './lists.ts';
import {partitionSummary, partitionWord} from './partition.ts';
import {leaderWords, quorumWords} from './raft.ts';
import {age, brief, clockSeconds, count, eventSpan, names} from './words.ts';

export const paneNames: Readonly<Record<PaneId, string>> = {
	peers: '1 Peers',
	raft: '2 Raft',
	topics: '3 Topics',
	messages: '4 Messages',
	partition: '5 Partition',
	events: '6 Events',
};

/** The text after the name in the frame's top line. */
export function paneTitle(pane: PaneId, snapshot: Snapshot, state: ConsoleState, isLost = false): readonly Span[] {
	const spans = [...beforeSpans(snapshot, isLost), ...titles[pane](snapshot, state)];
	if (!isListPane(pane)) return spans;
	const {filter, selected} = state.lists[pane];
	const {keys, all, problem} = listOf(pane, snapshot, state, filter);
	const gone = selected === undefined || keys.includes(selected) ? [] : ['the selected row is gone'];
	const matches = problem ?? `${keys.length} of ${all}${partsText(pane, shownFeed(snapshot, state))}`;
	const found = filter === '' ? [] : [`/${printable(filter)} ${matches}`];
	const warned = [...gone, ...found].map((text): Span => ({text, tone: 'warning'}));
	// Before the numbers, because a narrow title is cut.
	return warned.length === 0 ? spans : [...joined(warned), ...(spans.length > 0 ? [separator] : []), ...spans];
}

const separator: Span = {text: ' · ', tone: 'muted'};

function joined(spans: readonly Span[]): readonly Span[] {
	return spans.flatMap((span, index) => (index === 0 ? [span] : [separator, span]));
}

/** A closed pane: its name, then the most important fact. */
export function paneSummary(pane: PaneId, snapshot: Snapshot, state: ConsoleState, isLost = false): readonly Span[] {
	return [
		{text: ` ${paneNames[pane].padEnd(12)} `, tone: 'title'},
		...beforeSpans(snapshot, isLost),
		...summaries[pane](snapshot, state),
	];
}

/** The panes of a lost node show what was true before, and must not claim it for now. */
function beforeSpans({atMs}: Snapshot, isLost: boolean): readonly Span[] {
	return isLost ? [{text: `before ${clockSeconds(atMs)}: `, tone: 'warning'}] : [];
}

type Text = (snapshot: Snapshot, state: ConsoleState) => readonly Span[];

const titles: Readonly<Record<PaneId, Text>> = {
	peers: peersTitle,
	raft: raftTitle,
	topics: topicsTitle,
	messages: messagesTitle,
	partition: snapshot => [partitionWord(snapshot)],
	events: ({events}) => [{text: `${events.length}`, tone: 'muted'}],
};

const summaries: Readonly<Record<PaneId, Text>> = {
	peers: peersTitle,
	raft: raftSummary,
	topics: topicsTitle,
	messages: messagesSummary,
	partition: snapshot => [partitionSummary(snapshot)],
	events: eventsSummary,
};

function raftSummary(snapshot: Snapshot): readonly Span[] {
	const {raft, self} = snapshot;
	if (raft.voters.length === 0) return raftTitle(snapshot);
	return [
		{text: `${raft.role} in term ${raft.term}`, tone: 'plain'},
		{
			text: raft.leader === self ? ' · quorum ' : ` · leader ${leaderWords(snapshot).text} · quorum `,
			tone: raft.leader === undefined ? 'bad' : 'muted',
		},
		quorumWords(snapshot),
	];
}

function messagesSummary(snapshot: Snapshot, state: ConsoleState): readonly Span[] {
	const newest = snapshot.feed.at(-1);
	if (!newest) return messagesTitle(snapshot, state);
	const topic = printable(newest.topic);
	return [
		...messagesTitle(snapshot, state),
		{text: ' · ', tone: 'muted'},
		{text: fitCells(topic, Math.min(16, widthOf(topic))), tone: 'accent'},
		{text: ` ${previewText(newest)}`, tone: 'muted'},
	];
}

function eventsSummary({events, atMs}: Snapshot): readonly Span[] {
	const newest = events.at(-1);
	if (!newest) return [{text: 'nothing yet', tone: 'muted'}];
	const ageMs = atMs - newest.at;
	const when = ageMs < 1000 ? 'just now' : `${age(ageMs)} ago`;
	return [{text: `${when} · `, tone: 'muted'}, eventSpan(newest)];
}

function peersTitle({members}: Snapshot): readonly Span[] {
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

function raftTitle({raft: {voters, quorum}}: Snapshot): readonly Span[] {
	if (voters.length === 0) return [{text: 'not a member yet', tone: 'warning'}];
	const text = {held: 'quorum held', electing: 'no leader', lost: 'NO QUORUM'}[quorum];
	return [{text, tone: quorum === 'held' ? 'good' : 'bad'}];
}

function topicsTitle({topics}: Snapshot): readonly Span[] {
	const perSecond = topics.reduce((sum, topic) => sum + topic.perSecond, 0);
	const held = topics.reduce((sum, topic) => sum + topic.held, 0);
	return [
		{text: `${topics.length}, ${topics.filter(topic => topic.subscribed).length} subscribed`, tone: 'plain'},
		{text: ` · ${count(topics.reduce((sum, topic) => sum + topic.messages, 0))} kept`, tone: 'muted'},
		...(perSecond > 0 ? [{text: ` · ${brief(perSecond)}/s`, tone: 'good'} as const] : []),
		...(held > 0 ? [{text: ` · ${count(held)} held`, tone: 'warning'} as const] : []),
	];
}

function messagesTitle({counters, topics}: Snapshot, {paused}: ConsoleState): readonly Span[] {
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

function listOf(pane: ListPane, snapshot: Snapshot, state: ConsoleState, filter: string): Listed<object> {
	switch (pane) {
		case 'peers':
			return listPeers(snapshot.members, filter);
		case 'topics':
			return listTopics(snapshot.topics, filter);
		case 'messages':
			return listMessages(shownFeed(snapshot, state), filter, labelsOf(snapshot.members));
		case 'events':
			return listEvents(snapshot.events, filter);
		default:
			return pane satisfies never;
	}
}

/** What a filter of messages does not see. */
function partsText(pane: ListPane, feed: readonly MessageSnapshot[]): string {
	const cut = pane === 'messages' ? feed.filter(message => isCut(message)) : [];
	return cut.length === 0 ? '' : `; of ${cut.length} only the first ${count(cut[0]!.preview.length)} B`;
}
