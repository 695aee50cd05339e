/**
One pane in its box: gives each its slice, its rows after the filter, and the frame. `summary` is the closed form on
small screens.
*/
import type {ReactNode} from 'react';
import {labelCells, labelsOf} from '../../core/observe/node-label.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {PlacedPane} from '../layout.ts';
import {indexOfSelected, type ConsoleState, type ListPane} from '../state/state.ts';
import type {Tone} from '../theme.ts';
import {paneNames, paneSummary, paneTitle} from '../view/heads.ts';
import {listEvents, listMessages, listPeers, listTopics, shownFeed} from '../view/lists.ts';
import {Frame, frameColumns, frameRows} from '../widgets/frame.tsx';
import {Line} from '../widgets/lines.tsx';
import {Events} from './events.tsx';
import {Messages} from './messages.tsx';
import {Partition} from './partition.tsx';
import {Peers} from './peers.tsx';
import {Raft} from './raft.tsx';
import {Topics} from './topics.tsx';

type PaneProps = {readonly place: PlacedPane; readonly snapshot: Snapshot; readonly state: ConsoleState};

export function Pane({place, snapshot, state}: PaneProps): ReactNode {
	const {pane, width, height} = place;
	if (place.shape === 'summary') return <Line spans={paneSummary(pane, snapshot, state)} width={width} />;
	return (
		<Frame
			width={width}
			height={height}
			name={paneNames[pane]}
			title={paneTitle(pane, snapshot, state)}
			isFocused={pane === state.focus}
			tone={frameTone(place, snapshot)}
		>
			<Content place={place} snapshot={snapshot} state={state} />
		</Frame>
	);
}

/** Where the trouble is stands out even among six. */
function frameTone({pane}: PlacedPane, {raft, partition}: Snapshot): Tone {
	if (pane === 'raft' && !raft.hasQuorum) return raft.voters.length === 0 ? 'warning' : 'bad';
	if (pane === 'partition' && partition.state !== 'whole') return partition.state === 'repairing' ? 'warning' : 'bad';
	return 'muted';
}

function Content({place, snapshot, state}: PaneProps): ReactNode {
	const {pane} = place;
	const width = place.width - frameColumns;
	const height = place.height - frameRows;
	const isFocused = pane === state.focus && !state.overlay;
	const filter = (list: ListPane): string => state.lists[list].filter;
	const rowOf = (keys: readonly string[], list: ListPane): number =>
		indexOfSelected(keys, state.lists[list].selected, list);
	switch (pane) {
		case 'peers': {
			const {rows, keys} = listPeers(snapshot.members, filter('peers'));
			return (
				<Peers
					rows={rows}
					leader={snapshot.raft.leader}
					hasWhy={snapshot.members.some(member => member.why !== '')}
					nodeCells={nameCells(snapshot, width)}
					selected={rowOf(keys, 'peers')}
					isFocused={isFocused}
					width={width}
					height={height}
				/>
			);
		}

		case 'topics': {
			const {rows, keys} = listTopics(snapshot.topics, filter('topics'));
			return (
				<Topics
					rows={rows}
					isFiltered={filter('topics') !== ''}
					selected={rowOf(keys, 'topics')}
					isFocused={isFocused}
					width={width}
					height={height}
				/>
			);
		}

		case 'messages': {
			const {rows, keys} = listMessages(
				shownFeed(snapshot, state),
				filter('messages'),
				labelsOf(snapshot.members),
			);
			return (
				<Messages
					rows={rows}
					selected={rowOf(keys, 'messages')}
					hint={messagesHint(snapshot, filter('messages'))}
					label={labelsOf(snapshot.members)}
					fromCells={nameCells(snapshot, width)}
					isFocused={isFocused}
					width={width}
					height={height}
				/>
			);
		}

		case 'events': {
			const {rows, keys} = listEvents(snapshot.events, filter('events'));
			return (
				<Events
					rows={rows}
					selected={rowOf(keys, 'events')}
					atS={Math.floor(snapshot.atMs / 1000)}
					isFocused={isFocused}
					width={width}
					height={height}
				/>
			);
		}

		case 'raft':
			return <Raft snapshot={snapshot} width={width} height={height} />;
		case 'partition':
			return <Partition snapshot={snapshot} width={width} height={height} />;
		default: {
			const unknown: never = pane;
			return unknown;
		}
	}
}

/** Room for names in a column: a narrow pane cuts long ones. */
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
