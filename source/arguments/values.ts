/**
Parses values of the command line: counts, sizes, durations. Each error says what was expected.
*/
import {DapssError} from '../../core/errors.ts';

const units: Readonly<Record<string, number>> = {ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000};
const sizes: Readonly<Record<string, number>> = {
	'': 1,
	b: 1,
	k: 1024,
	kb: 1024,
	kib: 1024,
	m: 1024 ** 2,
	mb: 1024 ** 2,
	mib: 1024 ** 2,
	g: 1024 ** 3,
	gb: 1024 ** 3,
	gib: 1024 ** 3,
	t: 1024 ** 4,
	tb: 1024 ** 4,
	tib: 1024 ** 4,
	p: 1024 ** 5,
	pb: 1024 ** 5,
	pib: 1024 ** 5,
};

/** Milliseconds; NaN for an invalid text. */
export function msOf(text: string): number {
	const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
	return match ? Number(match[1]) * units[match[2]!]! : Number.NaN;
}

/** Bytes; NaN for an invalid text. */
export function bytesOf(text: string): number {
	const match = /^(\d+)\s*([a-z]*)$/i.exec(text);
	return match ? Number(match[1]) * (sizes[match[2]!.toLowerCase()] ?? Number.NaN) : Number.NaN;
}

/** Milliseconds of `500ms`, `10s`, `5m`. @param maxMs a multiple of whole minutes @throws `usage` */
export function parseDuration(text: string, what: string, maxMs = 86_400_000): number {
	const ms = msOf(text);
	if (!(ms >= 0 && ms <= maxMs))
		throw new DapssError(
			'usage',
			`Expected ${what} to be a time such as 500ms, 10s or 1m, ` +
				`at most ${maxMs >= units['h']! ? `${maxMs / units['h']!}h` : `${maxMs / units['m']!}m`}, ` +
				`got ${JSON.stringify(text)}`,
		);
	return ms;
}

/** Bytes of `128`, `64k`, `1MiB`. @throws `usage` */
export function parseSize(text: string, what: string, max: number): number {
	const bytes = bytesOf(text);
	if (!(bytes >= 0 && bytes <= max))
		throw new DapssError(
			'usage',
			`Expected ${what} to be a number of bytes from 0 to ${max}, such as 128 or 64k, ` +
				`got ${JSON.stringify(text)}`,
		);
	return bytes;
}

/** @throws `usage` */
export function parseNumber(
	text: string,
	what: string,
	options: {readonly min: number; readonly max?: number; readonly isWhole?: boolean},
): number {
	const {min, max = Number.MAX_SAFE_INTEGER, isWhole = true} = options;
	const value = /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
	if (!(value >= min && value <= max) || (isWhole && !Number.isSafeInteger(value))) {
		const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
		throw new DapssError(
			'usage',
			`Expected ${what} to be a ${isWhole ? 'whole ' : ''}number ${range}, got ${JSON.stringify(text)}`,
		);
	}

	return value;
}
