/** The topics: subscribers, messages and rates. */
import {memo, type ReactNode} from 'react';
import {printable} from '../../core/observe/printable.ts';
import {hasOwnRetention, keptBrief} from '../../core/observe/retention-text.ts';
import type {TopicSnapshot} from '../../core/snapshot.ts';
import type {Column} from '../view/columns.ts';
import {brief, bytes} from '../view/words.ts';
import {Table} from '../widgets/table.tsx';

export const topicColumns: ReadonlyArray<Column<TopicSnapshot>> = [
	{title: 'IN', width: 2, cell: topic => (topic.subscribed ? '✓' : ''), tone: () => 'good'},
	{
		title: 'TOPIC',
		width: 12,
		grow: true,
		cell: topic => printable(topic.name),
		tone: topic => (topic.subscribed ? 'accent' : 'plain'),
	},
	{
		title: 'SUBS',
		width: 4,
		rank: 1,
		align: 'right',
		cell: topic => brief(topic.subscribers.length),
		tone: topic => (topic.subscribers.length === 0 ? 'muted' : 'plain'),
	},
	{title: 'MSGS', width: 5, align: 'right', cell: topic => brief(topic.messages)},
	{
		title: '/S',
		width: 5,
		align: 'right',
		cell: topic => (topic.perSecond === 0 ? '–' : brief(topic.perSecond)),
		tone: topic => (topic.perSecond > 0 ? 'good' : 'muted'),
	},
	{
		title: 'HELD',
		width: 5,
		rank: 2,
		align: 'right',
		cell: topic => (topic.held === 0 ? '–' : brief(topic.held)),
		tone: topic => (topic.held > 0 ? 'warning' : 'muted'),
	},
	{title: 'SIZE', width: 9, rank: 3, align: 'right', cell: topic => bytes(topic.bytes)},
	{
		title: 'KEPT',
		width: 9,
		rank: 4,
		cell: topic => (topic.retention ? keptBrief(topic.retention) : '–'),
		tone: topic => (hasOwnRetention(topic) ? 'plain' : 'muted'),
	},
	{title: 'KIND', width: 7, rank: 5, cell: topic => (topic.durable ? 'durable' : 'live'), tone: () => 'muted'},
];

type TopicsProps = {
	readonly rows: readonly TopicSnapshot[];
	readonly selected: number;
	readonly isFiltered: boolean;
	readonly isFocused: boolean;
	readonly width: number;
	readonly height: number;
};

export const Topics = memo(({isFiltered, ...rest}: TopicsProps): ReactNode => (
	<Table
		{...rest}
		columns={topicColumns}
		empty={isFiltered ? 'no topic matches' : 'no topics yet: s subscribes, p publishes'}
	/>
));
