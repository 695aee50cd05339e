/**
Durations, times and numbers as people read them. The console and the sentences about a situation share this module.
Pure.
*/

export function count(value: number): string {
	return Number.isFinite(value) ? Math.round(value).toLocaleString('en-US') : '?';
}

export function plural(value: number, one: string, many = `${one}s`): string {
	return `${count(value)} ${value === 1 ? one : many}`;
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

/** An age in whole seconds, so that it does not flicker. */
export function age(ms: number): string {
	return ms < 1000 ? 'now' : duration(Math.floor(ms / 1000) * 1000).replace('.0 s', ' s');
}

/** Local time with milliseconds. */
export function clockTime(wallMs: number): string {
	const date = new Date(wallMs);
	if (Number.isNaN(date.getTime())) return '??:??:??.???';
	const two = (value: number): string => String(value).padStart(2, '0');
	const time = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(':');
	return `${time}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** Local time in whole seconds: `14:03:07`. */
export function clockSeconds(wallMs: number): string {
	return clockTime(wallMs).slice(0, 8);
}

/** `n1`, `n1 and n2`, `n1, n2 and 3 more`. @param max items before the rest is counted */
export function listed(items: readonly string[], max = 8): string {
	if (items.length > max) return `${items.slice(0, max - 1).join(', ')} and ${items.length - max + 1} more`;
	return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
