/**
Events as lines of a log, for people who watch a node without the console.
*/
import type {RecordedEvent} from '../../core/events.ts';
import {eventText, type EventFormat, type EventTone} from '../../core/observe/event-text.ts';
import {levelOf} from '../../core/observe/levels.ts';
import {paint, type Tone} from './terminal.ts';
import {timestamp, timeText} from './units.ts';

const format: EventFormat = {
	duration: timeText,
	count: String,
	nodesMax: Number.POSITIVE_INFINITY,
	previewBytes: 512,
};

/** Most lines have no colour, so that the others are noticed. */
const tones: Readonly<Record<EventTone, Tone | undefined>> = {
	plain: undefined,
	accent: undefined,
	muted: undefined,
	good: 'good',
	warning: 'warning',
	bad: 'bad',
};

/** One event as one line: date and time (UTC), level, and a sentence. */
export function eventLogLine(hasColour: boolean): (event: RecordedEvent) => string {
	return event => {
		const {text, tone} = eventText(event, format);
		const colour = tones[tone];
		const painted = colour === undefined ? text : paint(hasColour, colour, text);
		return `${timestamp(event.at)} ${levelOf(event).toUpperCase().padEnd(5)} ${painted}`;
	};
}
