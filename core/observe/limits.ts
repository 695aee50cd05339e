/**
The findings of `check` about limits: each limit that is reached, or was reached in the last minutes, with the name of
its setting and advice. Pure.
*/
import {ageText} from '../membership/reachability.ts';
import type {Snapshot} from '../snapshot.ts';
import type {FindingReason} from './finding-reasons.ts';
import {limitText, whoText} from './limit-text.ts';

/** A limit that was reached longer ago is visible in the counters only. */
const freshMs = 10 * 60_000;

type Limited = {readonly reason: FindingReason; readonly problem: string; readonly advice: string};

export const diskAdvice =
	'Free space on the disk, or retain less: storage.retain_bytes, storage.retain_age_s, limits.disk_bytes.';

/** Bounds with specific advice, by the name of their counter. */
const known: Readonly<
	Record<string, {readonly reason: FindingReason; readonly what: string; readonly advice: string}>
> = {
	topics: {
		reason: 'bound-topics',
		what: 'The limit of topics (limits.topics) was reached',
		advice: 'Raise limits.topics in config.json, delete topics that are not needed, or unsubscribe from them.',
	},
	connections: {
		reason: 'bound-connections',
		what: 'Connections were refused: the limit (limits.connections, or what ulimit -n leaves for them) was reached',
		advice:
			'Close clients, connect them to other nodes, ' +
			'or raise limits.connections and the limit of open files (ulimit -n).',
	},
	disk: {
		reason: 'bound-disk',
		what: 'The disk was full, and messages were refused',
		advice: diskAdvice,
	},
	'open-files': {
		reason: 'bound-open-files',
		what: 'The process could not open more files (ulimit -n)',
		advice: 'Raise the limit of open files, or lower limits.connections and limits.open_files.',
	},
};

/** The findings, with counts since the start of the node. */
export function limitFindings({
	atMs,
	topicSlots,
	fullDisk,
	counters: {bounds, boundsAtMs = {}, boundsBy = {}, clientNames},
}: Pick<Snapshot, 'atMs' | 'topicSlots' | 'fullDisk' | 'counters'>): readonly Limited[] {
	const isFull = topicSlots !== undefined && topicSlots.used >= topicSlots.max;
	const hit = Object.entries(bounds).filter(
		([name, count]) =>
			count > 0 &&
			atMs - (boundsAtMs[name] ?? atMs) <= freshMs &&
			!(name === 'topics' && isFull) &&
			!(name === 'disk' && fullDisk !== undefined),
	);
	const timesText = (name: string, count: number): string =>
		`${count}× since the ` +
		`start${boundsAtMs[name] === undefined ? '' : `, last ${ageText(atMs - boundsAtMs[name])} ago`}` +
		whoText(boundsBy[name], clientNames);
	const others = hit.filter(([name]) => !Object.hasOwn(known, name));
	return [
		...(isFull
			? [
					{
						reason: 'topics-full' as const,
						problem:
							'The limit of topics is reached: ' +
							`${topicSlots.used} of ${topicSlots.max} (limits.topics); new ones are refused`,
						advice:
							`${known['topics']!.advice} A topic without messages and subscribers is removed ` +
							'automatically.',
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
						problem:
							'Bounds were reached: ' +
							others.map(([name, count]) => `${limitText(name)} ${timesText(name, count)}`).join(', '),
						advice:
							'A peer or a reader was too slow, too much arrived at once, or a client used more than ' +
							'its share: docs/troubleshooting.md explains each bound.',
					},
				]
			: []),
	];
}
