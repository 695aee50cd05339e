/**
The title of the header while the console shows the past. Pure.
*/
import type {TimeView} from '../source/timeline.ts';
import {age} from './words.ts';

/** Such as `REPLAY ▶ 2× 2026-05-04 09:41:07`, or `PAST 09:41:07, 43 s ago`. */
export function timeTitle({mode, atMs, endMs, isPlaying, speed}: TimeView): string {
	const {date, time} = clockOf(atMs);
	if (mode === 'past') return `PAST ${time}, ${age(endMs - atMs)} ago`;
	const pace = speed === 1 ? '' : ` ${speed}×`;
	return `REPLAY ${isPlaying ? '▶' : atMs >= endMs ? '■' : '‖'}${pace} ${date} ${time}`;
}

/** Local time, as in the lists of events and messages. */
function clockOf(atMs: number): {readonly date: string; readonly time: string} {
	const at = new Date(atMs);
	if (Number.isNaN(at.getTime())) return {date: '', time: String(atMs)};
	const two = (value: number): string => String(value).padStart(2, '0');
	return {
		date: `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`,
		time: `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`,
	};
}
