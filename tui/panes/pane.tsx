/**
One pane in its box: the frame, and the content drawn from the pane's slice of the snapshot and its filtered rows. A
small screen shows closed panes as a summary of one line.
*/
import type {ReactNode} from 'react';
import {labelCells, labelsOf} from '../../core/observe/node-label.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {PaneId, PlacedPane} from '../layout.ts';
import {indexOfSelected, type ConsoleState, type ListPane} from '../state/state.ts';
import type {Tone} from '../theme.ts';
import {paneNames, paneSummary, paneTitle} from '../view/pane-titles.ts';
import {listEvents, listMessages, listPeers, listTopics, shownFeed} from '../view/lists.ts';
import {Frame, frameColumns, frameRows} from '../widgets/frame.tsx';
import {Line} from '../widgets/lines.tsx';
import {Events} from './events.tsx';
import {Messages} from './messages.tsx';
import {Partition} from './partition.tsx';
import {Peers} from './peers.tsx';
import {Raft} from './raft.tsx';
import {Topics} from './topics.tsx';

type PaneProps = {
	readonly place: PlacedPane;
	readonly snapshot: Snapshot;
	readonly state: ConsoleState;
	/** The connection is lost, so the snapshot is not the present state. */
	readonly isLost?: boolean;
};

export function Pane({place, snapshot, state, isLost = false}: PaneProps): ReactNode {
	const {pane, width, height} = place;
	if (place.shape === 'name')
		return <Line spans={[{text: ` ${paneNames[pane]}`, tone: paneTone(pane, snapshot)}]} width={width} />;
	if (place.shape === 'summary') return <Line spans={paneSummary(pane, snapshot, state, isLost)} width={width} />;
	return (
		<Frame
			width={width}
			height={height}
			name={paneNames[pane]}
			title={paneTitle(pane, snapshot, state, isLost)}
			isFocused={pane === state.focus}
			tone={paneTone(pane, snapshot)}
		>
			<Content place={place} snapshot={snapshot} state={state} />
		</Frame>
	);
}

/** A pane with trouble has a coloured frame. */
function paneTone(pane: PaneId, {raft, partition}: Snapshot): Tone {
	if (pane === 'raft' && !raft.hasQuorum) return raft.voters.length === 0 ? 'warning' : 'bad';
	if (pane === 'partition' && partition.state !== 'whole') return partition.state === 'repairing' ? 'warning' : 'bad';
	return 'muted';
}

type ContentProps = Omit<PaneProps, 'place' | 'isLost'> & {
	/** Cells inside the frame. */
	readonly width: number;
	readonly height: number;
	readonly isFocused: boolean;
};

function Content({place, snapshot, state}: PaneProps): ReactNode {
	const {pane} = place;
	const width = place.width - frameColumns;
	const height = place.height - frameRows;
	if (pane === 'raft') return <Raft snapshot={snapshot} width={width} height={height} />;
	if (pane === 'partition') return <Partition snapshot={snapshot} width={width} height={height} />;
	const List = lists[pane];
	const isFocused = pane === state.focus && !state.overlay;
	return <List snapshot={snapshot} state={state} width={width} height={height} isFocused={isFocused} />;
}

const lists: Readonly<Record<ListPane, (props: ContentProps) => ReactNode>> = {
	peers: PeersList,
	topics: TopicsList,
	messages: MessagesList,
	events: EventsList,
};

function PeersList({snapshot, state, ...box}: ContentProps): ReactNode {
	const {rows, keys} = listPeers(snapshot.members, state.lists.peers.filter);
	return (
		<Peers
			rows={rows}
			leader={snapshot.raft.leader}
			hasWhy={snapshot.members.some(member => member.why !== '')}
			nodeCells={nameCells(snapshot, box.width)}
			selected={selectedRow(keys, 'peers', state)}
			{...box}
		/>
	);
}

function TopicsList({snapshot, state, ...box}: ContentProps): ReactNode {
	const {filter} = state.lists.topics;
	const {rows, keys} = listTopics(snapshot.topics, filter);
	return <Topics rows={rows} isFiltered={filter !== ''} selected={selectedRow(keys, 'topics', state)} {...box} />;
}

function MessagesList({snapshot, state, ...box}: ContentProps): ReactNode {
	const {filter} = state.lists.messages;
	const label = labelsOf(snapshot.members);
	const {rows, keys} = listMessages(shownFeed(snapshot, state), filter, label);
	return (
		<Messages
			rows={rows}
			selected={selectedRow(keys, 'messages', state)}
			hint={messagesHint(snapshot, filter)}
			label={label}
			fromCells={nameCells(snapshot, box.width)}
			{...box}
		/>
	);
}

function EventsList({snapshot, state, ...box}: ContentProps): ReactNode {
	const {rows, keys} = listEvents(snapshot.events, state.lists.events.filter);
	return (
		<Events
			rows={rows}
			selected={selectedRow(keys, 'events', state)}
			atS={Math.floor(snapshot.atMs / 1000)}
			{...box}
		/>
	);
}

function selectedRow(keys: readonly string[], list: ListPane, state: ConsoleState): number {
	return indexOfSelected(keys, state.lists[list].selected, list);
}

/** Cells of the column of names; a narrow pane cuts long names. */
function nameCells({members}: Snapshot, width: number): number {
	return labelCells(
		members.map(({id}) => id),
		labelsOf(members),
		8,
		width >= 90 ? 24 : width >= 70 ? 16 : 12,
	);
}

function messagesHint({topics}: Snapshot, filter: string): string {
	if (filter !== '') return 'no message matches';
	return topics.some(topic => topic.subscribed)
		? 'waiting for the first message'
		: 'subscribed to nothing yet: press s, then type a topic';
}
