/**
What `check` says of limits: each that is reached or was hit, by the name of its setting, with what helps. Pure.
*/
import type {Snapshot} from './snapshot.ts';

type Limited = {readonly problem: string; readonly advice: string};

/** Bounds whose remedy is known, by their name among the counters. */
const known: Readonly<Record<string, {readonly what: string; readonly advice: string}>> = {
	'topics': {what: 'The limit of topics (limits.topics) was hit', advice: 'Raise limits.topics in config.json, or unsubscribe what is not needed.'},
	'disk': {what: 'The disk was full, and messages were refused', advice: 'Make room on it, or keep less: storage.retain_bytes, storage.retain_age_s, limits.disk_bytes.'},
	'open-files': {what: 'The process could open no more files (ulimit -n)', advice: 'Let the process open more files, or lower limits.connections and limits.open_files.'},
};

export function limitFindings({topicSlots, counters: {bounds}}: Pick<Snapshot, 'topicSlots' | 'counters'>): readonly Limited[] {
	const isFull = topicSlots !== undefined && topicSlots.used >= topicSlots.max;
	const hit = Object.entries(bounds).filter(([name, count]) => count > 0 && !(name === 'topics' && isFull));
	const others = hit.filter(([name]) => !Object.hasOwn(known, name));
	return [
		...(isFull ? [{problem: `The limit of topics is reached: ${topicSlots.used} of ${topicSlots.max} (limits.topics); new ones are refused`, advice: `${known['topics']!.advice} A topic without messages and subscribers goes by itself.`}] : []),
		...hit.flatMap(([name, count]) => (Object.hasOwn(known, name) ? [{problem: `${known[name]!.what}, ${count}× since the start`, advice: known[name]!.advice}] : [])),
		...(others.length > 0 ? [{problem: `Bounds were hit since the start: ${others.map(([name, count]) => `${name} ${count}×`).join(', ')}`, advice: 'A peer or a reader was too slow, or too much came at once.'}] : []),
	];
}
