/**
Texts that are the same in every pane: durations, sizes, names and events. Pure.
*/
import type {RecordedEvent} from '../../core/events.ts';
import {eventText, memberTones, type EventFormat} from '../../core/observe/event-text.ts';
import type {Label} from '../../core/observe/node-label.ts';
import {widthOf} from '../../core/observe/printable.ts';
import {count, duration} from '../../core/observe/quantity-text.ts';
import type {MemberSnapshot} from '../../core/snapshot.ts';
import type {Tone} from '../theme.ts';
import type {Span} from './columns.ts';

export {age, clockSeconds, clockTime, count, duration, plural} from '../../core/observe/quantity-text.ts';

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

/** The first few nodes by name, and the number of the others. */
export function names(ids: readonly string[], label: Label, max = 6): string {
	const shown = ids
		.slice(0, max)
		.map(id => label(id))
		.join(' ');
	return ids.length > max ? `${shown} +${ids.length - max} more` : shown;
}

export const stateTones: Readonly<Record<MemberSnapshot['state'], Tone>> = memberTones;
export const stateMarks: Readonly<Record<MemberSnapshot['state'], string>> = {
	alive: '●',
	degraded: '◑',
	suspect: '◐',
	unreachable: '×',
	down: '×',
	left: '○',
};

const eventFormat: EventFormat = {duration, count, nodesMax: 6, previewBytes: 0};

/** An event in one line, printable. @param nodesMax nodes that a list of it names */
export function eventSpan(event: RecordedEvent, nodesMax = eventFormat.nodesMax): Span {
	const {text, tone} = eventText(event, {...eventFormat, nodesMax});
	return {text: event.type === 'member' ? `${stateMarks[event.state]} ${text}` : text, tone};
}

/** Lines of at most `width` cells, broken at spaces. @param indent before continuation lines */
export function wrapWords(text: string, width: number, indent = '  '): readonly string[] {
	const lines: string[] = [];
	let line = '';
	for (const word of text.split(/(?<=\S)\s(?=\S)/u)) {
		if (line !== '' && widthOf(line) + 1 + widthOf(word) > width) {
			lines.push(line);
			line = `${indent}${word}`;
		} else {
			line = line === '' ? word : `${line} ${word}`;
		}
	}

	return [...lines, line];
}
