/**
What `check` says of limits: each that is reached or was hit in the last minutes, by the name of its setting, with what
helps. Pure.
*/
import {ageText} from '../membership/reachability.ts';
import type {Snapshot} from '../snapshot.ts';
import type {FindingReason} from './finding-reasons.ts';

/** What was hit longer ago than this is in the counters only. */
const freshMs = 10 * 60_000;

type Limited = {readonly reason: FindingReason; readonly problem: string; readonly advice: string};

/** Bounds whose remedy is known, by their name among the counters. */
const known: Readonly<
	Record<string, {readonly reason: FindingReason; readonly what: string; readonly advice: string}>
> = {
	topics: {
		reason: 'bound-topics',
		what: 'The limit of topics (limits.topics) was hit',
		advice: 'Raise limits.topics in config.json, delete topics that are not needed, or unsubscribe from them.',
	},
	connections: {
		reason: 'bound-connections',
		what: 'Connections were refused: the limit (limits.connections, or what ulimit -n leaves for them) was hit',
		advice: 'Close clients, connect them to other nodes, or raise limits.connections and what the process may open (ulimit -n).',
	},
	disk: {
		reason: 'bound-disk',
		what: 'The disk was full, and messages were refused',
		advice: 'Make room on it, or keep less: storage.retain_bytes, storage.retain_age_s, limits.disk_bytes.',
	},
	'open-files': {
		reason: 'bound-open-files',
		what: 'The process could open no more files (ulimit -n)',
		advice: 'Let the process open more files, or lower limits.connections and limits.open_files.',
	},
};

export function limitFindings({
	atMs,
	topicSlots,
	counters: {bounds, boundsAtMs = {}},
}: Pick<Snapshot, 'atMs' | 'topicSlots' | 'counters'>): readonly Limited[] {
	const isFull = topicSlots !== undefined && topicSlots.used >= topicSlots.max;
	const hit = Object.entries(bounds).filter(
		([name, count]) => count > 0 && atMs - (boundsAtMs[name] ?? atMs) <= freshMs && !(name === 'topics' && isFull),
	);
	const timesText = (name: string, count: number): string =>
		`${count}× since the start${boundsAtMs[name] === undefined ? '' : `, last ${ageText(atMs - boundsAtMs[name])} ago`}`;
	const others = hit.filter(([name]) => !Object.hasOwn(known, name));
	return [
		...(isFull
			? [
					{
						reason: 'topics-full' as const,
						problem: `The limit of topics is reached: ${topicSlots.used} of ${topicSlots.max} (limits.topics); new ones are refused`,
						advice: `${known['topics']!.advice} A topic without messages and subscribers goes by itself.`,
					},
				]
			: []),
		...hit.flatMap(([name, count]) =>
			Object.hasOwn(known, name)
				? [
						{
							reason: known[name]!.reason,
							problem: `${known[name]!.what}, ${timesText(name, count)}`,
							advice: known[name]!.advice,
						},
					]
				: [],
		),
		...(others.length > 0
			? [
					{
						reason: 'bounds' as const,
						problem: `Bounds were hit: ${others.map(([name, count]) => `${name} ${timesText(name, count)}`).join(', ')}`,
						advice: 'A peer or a reader was too slow, or too much came at once.',
					},
				]
			: []),
	];
}
