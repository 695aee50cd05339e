/**
How the console says things: durations, sizes, ids and events in words that are the same in every pane. Pure.
*/
import type {RecordedEvent} from '../../core/events.ts';
import {deletedWords, topicWords} from '../../core/observe/deleted-words.ts';
import {leaderWords, transferWords} from '../../core/observe/leader-words.ts';
import {labelsIn, namedWords, refusalReason, shortId, type Label} from '../../core/observe/node-label.ts';
import {printable, widthOf} from '../../core/observe/printable.ts';
import type {MemberSnapshot} from '../../core/snapshot.ts';
import type {Tone} from '../theme.ts';

export function count(value: number): string {
	return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '?';
}

/** A number that fits five cells: `999`, `12.3k`, `4.5M`. */
export function brief(value: number): string {
	const magnitudes = [
		[1e9, 'G'],
		[1e6, 'M'],
		[1e3, 'k'],
	] as const;
	for (const [unit, name] of magnitudes)
		if (value >= unit)
			return `${value >= unit * 100 ? Math.round(value / unit) : (value / unit).toFixed(1)}${name}`;
	return String(Math.round(value));
}

export function bytes(value: number): string {
	if (value < 1024) return `${Math.round(value)} B`;
	if (value < 1024 ** 2) return `${(value / 1024).toFixed(1)} KiB`;
	return value < 1024 ** 3 ? `${(value / 1024 ** 2).toFixed(1)} MiB` : `${(value / 1024 ** 3).toFixed(1)} GiB`;
}

/** `640 ms`, `4.2 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function duration(ms: number): string {
	if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
	if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
	const s = Math.round(ms / 1000);
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min${s % 60 === 0 ? '' : ` ${s % 60} s`}`;
	const min = Math.floor(s / 60);
	if (min < 1440) return `${Math.floor(min / 60)} h${min % 60 === 0 ? '' : ` ${min % 60} min`}`;
	return `${Math.floor(min / 1440)} d ${Math.floor((min % 1440) / 60)} h`;
}

/** Whole seconds and more, for what ages: does not flicker. */
export function age(ms: number): string {
	return ms < 1000 ? 'now' : duration(Math.floor(ms / 1000) * 1000).replace('.0 s', ' s');
}

export function roundTrip(ms: number): string {
	return ms < 10 ? `${ms.toFixed(2)} ms` : `${Math.round(ms)} ms`;
}

/** One unit, at most six cells, for a column: `57 s`, `3 min`, `5 h`, `12 d`. */
export function shortAge(ms: number): string {
	const s = Math.floor(ms / 1000);
	if (s < 1) return 'now';
	if (s < 60) return `${s} s`;
	if (s < 3600) return `${Math.floor(s / 60)} min`;
	return s < 86_400 ? `${Math.floor(s / 3600)} h` : `${Math.floor(s / 86_400)} d`;
}

/** Wall clock of this machine's zone, to the millisecond. */
export function clockTime(wallMs: number): string {
	const date = new Date(wallMs);
	if (Number.isNaN(date.getTime())) return '??:??:??.???';
	const two = (value: number): string => String(value).padStart(2, '0');
	return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
	return `${count(value)} ${value === 1 ? one : many}`;
}

/** A few nodes by what they are called, the rest as a number. */
export function names(ids: readonly string[], label: Label, max = 6): string {
	const shown = ids
		.slice(0, max)
		.map(id => label(id))
		.join(' ');
	return ids.length > max ? `${shown} +${ids.length - max} more` : shown;
}

export const stateTones: Readonly<Record<MemberSnapshot['state'], Tone>> = {
	alive: 'good',
	degraded: 'warning',
	suspect: 'warning',
	unreachable: 'bad',
	down: 'bad',
	left: 'muted',
};
export const stateMarks: Readonly<Record<MemberSnapshot['state'], string>> = {
	alive: '●',
	degraded: '◑',
	suspect: '◐',
	unreachable: '×',
	down: '×',
	left: '○',
};

export type Words = {readonly text: string; readonly tone: Tone};

/** An event in one line, printable. */
export function eventWords(event: RecordedEvent): Words {
	const label = labelsIn(event);
	switch (event.type) {
		case 'ready':
			return {
				tone: 'plain',
				text: `Node ${label(event.id)} listens on port ${event.port} for the cluster ${printable(event.cluster)}`,
			};
		case 'admitted':
			return {
				tone: 'good',
				text: `Node ${label(event.id)} is a member of the cluster ${shortId(event.clusterId)}`,
			};
		case 'leader': {
			const text = leaderWords(event, {name: label, duration});
			return event.leader === undefined ? {tone: 'bad', text: text.replace(/^n/, 'N')} : {tone: 'good', text};
		}

		case 'quorum':
			return event.held
				? {tone: 'good', text: `Quorum is held: ${event.reachable} of ${event.voters} voters reachable`}
				: {
						tone: 'bad',
						text: `${event.state === 'electing' ? 'No leader' : 'Quorum is lost'}: ${event.reachable} of ${event.voters} voters reachable`,
					};
		case 'member':
			return {
				tone: stateTones[event.state],
				text: `${stateMarks[event.state]} ${label(event.id)} at ${printable(event.address)} ${event.state === 'left' ? 'has left' : `is ${event.state}`}${event.why && event.state !== 'left' ? `: ${printable(event.why)}` : ''}`,
			};
		case 'voters':
			return {tone: 'accent', text: `Voters are now ${names(event.voters, label)}`};
		case 'subscribed':
			return {tone: 'plain', text: `${label(event.node)} subscribed to ${printable(event.topic)}`};
		case 'unsubscribed':
			return {tone: 'plain', text: `${label(event.node)} unsubscribed from ${printable(event.topic)}`};
		case 'topic':
			return {tone: 'accent', text: topicWords(event, label).replace(/^t/, 'T')};
		case 'message':
			return {
				tone: 'plain',
				text: `Message ${event.message.seq} of ${label(event.message.origin)} on ${printable(event.message.topic)}`,
			};
		case 'partition':
			return partitionWords(event);
		case 'rejected':
			return {
				tone: 'warning',
				text: `Refused from ${printable(event.from)}: ${event.reason} (${count(event.count)} in all)`,
			};
		case 'discovered':
			return event.foreign
				? {
						tone: 'warning',
						text: `Another cluster named ${printable(event.cluster)} at ${printable(event.address)} (${shortId(event.clusterId)}): not merged`,
					}
				: {tone: 'accent', text: `Found ${printable(event.cluster)} at ${printable(event.address)}`};
		case 'lagged':
			return {tone: 'warning', text: `A reader fell behind: ${plural(event.dropped, 'event')} left out`};
		case 'missed':
			return {
				tone: 'warning',
				text: `${plural(event.messages, 'message')} of ${label(event.origin)} on ${printable(event.topic)} missed for good`,
			};
		case 'fault':
			return {tone: 'warning', text: `Fault injection: ${printable(event.text)}`};
		case 'quarantined':
			return {
				tone: 'bad',
				text: `Damaged: ${printable(event.problem)}. Kept in ${printable(event.folder)}; joins again as ${label(event.id)}`,
			};
		case 'refilled':
			return {
				tone: event.missing === 0 ? 'good' : 'warning',
				text: `${plural(event.messages, 'damaged message')} on ${printable(event.topic)} came back from peers${event.missing === 0 ? '' : `, ${count(event.missing)} are missing`}`,
			};
		case 'deleted':
			return {tone: 'warning', text: deletedWords(event)};
		case 'transfer':
			return {tone: 'accent', text: transferWords(event, {name: label})};
		case 'paused':
			return {tone: 'warning', text: `This node did not run for ${duration(event.forMs)}`};
		case 'refused':
			return {
				tone: 'warning',
				text: `Refused ${event.by === 'us' ? '' : 'by '}${printable(event.address)}: ${printable(refusalReason(event))}`,
			};
		case 'duplicate':
			return {
				tone: 'bad',
				text: `Two processes use the identity ${label(event.id)}: ${printable(event.address)} is kept, ${printable(event.other)} is refused`,
			};
		case 'waiting':
			return {tone: 'muted', text: `Waiting for ${printable(event.for)}`};
		case 'named':
			return {tone: 'plain', text: namedWords(event)};
		case 'protocol':
			return {tone: 'accent', text: `The cluster uses protocol ${event.protocol} from now on`};
		case 'warning':
			return {tone: 'warning', text: printable(event.text)};
		case 'stopped':
			return {tone: 'muted', text: `Stopped: ${printable(event.reason)}`};
		default: {
			const unknown: never = event;
			// A newer node's event.
			return {tone: 'muted', text: printable(String((unknown as {type?: unknown}).type))};
		}
	}
}

function partitionWords(event: Extract<RecordedEvent, {type: 'partition'}>): Words {
	const took = duration(event.tookMs);
	if (event.state === 'healed') return {tone: 'good', text: `Partition healed after ${took}`};
	if (event.state === 'repaired')
		return {tone: 'good', text: `Repaired in ${took}: ${plural(event.messages ?? 0, 'message')} came in`};
	if (event.isFarHeard === false)
		return {
			tone: 'bad',
			text: `No answer for ${took} from ${names(event.sides.slice(1).flat(), labelsIn(event), 4)}${event.quorum === 0 ? '; this side has the quorum' : ''}`,
		};
	const sides = event.sides
		.map((side, index) => `[${names(side, labelsIn(event), 4)}${index === event.quorum ? ' quorum' : ''}]`)
		.join(' | ');
	return {tone: 'bad', text: `Partition seen in ${took}: ${sides}`};
}

/** Lines of at most `width` cells, broken at spaces; further lines are set in by two. */
export function wrapWords(text: string, width: number): readonly string[] {
	const lines: string[] = [];
	let line = '';
	for (const word of text.split(/(?<=\S)\s(?=\S)/u)) {
		if (line !== '' && widthOf(line) + 1 + widthOf(word) > width) {
			lines.push(line);
			line = `  ${word}`;
		} else {
			line = line === '' ? word : `${line} ${word}`;
		}
	}

	return [...lines, line];
}
