/**
The inspector of a message: its header, and its body as formatted JSON, as text or as bytes. Pure. The lines of a body
are kept, because a frame is drawn ten times a second and a body never changes.
*/
import {printable, printableBytes, wrapCells} from '../../core/observe/printable.ts';
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';
import {quoteWord} from '../input/line.ts';
import type {BodyView, InspectedMessage} from '../state/state.ts';
import {empty, field, heading, named, type Line} from './reports.ts';
import {age, clockTime, count, plural} from './words.ts';

/** Bytes of a body that are drawn. Copies and files have all of them. */
export const shownBytesMax = 65_536;
const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

/** The text of the body; `undefined` when its bytes are not UTF-8. */
export function textOf(body: Uint8Array): string | undefined {
	try {
		return utf8.decode(body);
	} catch {
		return undefined;
	}
}

/** The view that shows most of a body. */
export function bestView(body: Uint8Array): BodyView {
	const text = textOf(body.subarray(0, shownBytesMax));
	if (text === undefined) return 'hex';
	return formattedJson(text) === undefined ? 'text' : 'json';
}

/** JSON with a line for each value. Every token stays as it is, so that no digit of a number is lost. */
export function formattedJson(text: string): string | undefined {
	const start = text.trimStart()[0];
	if (start !== '{' && start !== '[') return undefined;
	try {
		JSON.parse(text);
	} catch {
		return undefined;
	}

	let out = '';
	let depth = 0;
	for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/gu)) {
		if (token === '}' || token === ']') {
			depth--;
			out += /[{[]$/u.test(out) ? token : `\n${'  '.repeat(depth)}${token}`;
			continue;
		}

		// The first value in a list or object begins a line.
		if (/[{[]$/u.test(out)) out += `\n${'  '.repeat(depth)}`;
		if (token === ',') out += `,\n${'  '.repeat(depth)}`;
		else if (token === ':') out += ': ';
		else out += token;
		if (token === '{' || token === '[') depth++;
	}

	return out;
}

export function inspectorLines(
	{message, body, view}: InspectedMessage,
	atMs: number,
	width: number,
	members: Snapshot['members'] = [],
): readonly Line[] {
	const bytes = body instanceof Uint8Array ? body : message.preview;
	const isWhole = bytes.length === message.size;
	const shownView = view ?? bestView(isWhole ? bytes : bytes.subarray(0, -1));
	return [
		...headerLines(message, atMs, width, members),
		field('size', sizeText(message, bytes), isWhole ? 'plain' : 'warning'),
		...(body === 'loading' ? [field('', 'the whole body is loading …', 'warning')] : []),
		...(typeof body === 'object' && 'problem' in body
			? [field('', `Not loaded: ${printable(body.problem)}`, 'bad')]
			: []),
		empty,
		heading({json: 'JSON', text: 'Text', hex: 'Bytes'}[shownView]),
		...bodyLines(bytes, shownView, width, isWhole),
	];
}

function headerLines(
	message: MessageSnapshot,
	atMs: number,
	width: number,
	members: Snapshot['members'],
): readonly Line[] {
	const aheadOfUs = message.sentAtMs > atMs;
	const since = `${age(atMs - message.sentAtMs)}${atMs - message.sentAtMs < 1000 ? '' : ' ago'}`;
	return [
		...wrapCells(printable(message.topic), Math.max(10, width - 14), 4).map((text, index) =>
			field(index === 0 ? 'topic' : '', text, 'accent'),
		),
		field('origin', named(message.origin, members)),
		field('sequence', `${count(message.seq)} of incarnation ${count(message.incarnation)}`),
		field('lamport', count(message.lamport)),
		field('sent', `${clockTime(message.sentAtMs)} by its clock, ${aheadOfUs ? 'ahead of ours' : since}`),
		field(
			'came',
			message.hops === 0
				? 'published here'
				: `over ${plural(message.hops, 'hop')}${message.repaired ? ', by repair (↻)' : ''}`,
			message.repaired ? 'warning' : 'plain',
		),
	];
}

function sizeText({size}: MessageSnapshot, bytes: Uint8Array): string {
	if (bytes.length < size) return `${count(size)} B, the first ${count(bytes.length)} B below; l loads the rest`;
	if (size > shownBytesMax)
		return `${count(size)} B, the first ${count(shownBytesMax)} B below; w writes all of it to a file`;
	return `${count(size)} B`;
}

/** The command that prints the message at a node. @param offset its place in the log of that node */
export function commandFor({topic}: MessageSnapshot, offset: number): string {
	return `dapss-tui subscribe ${quoteWord(topic)} --from ${offset} --count 1`;
}

type Drawn = {readonly view: BodyView; readonly width: number; readonly lines: readonly Line[]};
const drawn = new WeakMap<Uint8Array, Drawn>();

function bodyLines(body: Uint8Array, view: BodyView, width: number, isWhole: boolean): readonly Line[] {
	const known = drawn.get(body);
	if (known?.view === view && known.width === width) return known.lines;
	// The last character of a part may be cut in two.
	const shown = body.subarray(0, Math.min(shownBytesMax, isWhole ? body.length : Math.max(0, body.length - 1)));
	const lines = view === 'hex' ? hexLines(shown, width) : textLines(shown, view, width);
	drawn.set(body, {view, width, lines});
	return lines;
}

function textLines(shown: Uint8Array, view: BodyView, width: number): readonly Line[] {
	const text = textOf(shown);
	const json = view === 'json' && text !== undefined ? formattedJson(text) : undefined;
	// Line ends of formatted JSON are ours; those of the message are shown as marks.
	const rows = json === undefined ? [printableBytes(shown)] : json.split('\n').map(row => printable(row));
	return rows.flatMap(row =>
		wrapCells(row, width, Math.ceil(shownBytesMax / 8)).map((line): Line => [{text: line, tone: 'plain'}]),
	);
}

function hexLines(shown: Uint8Array, width: number): readonly Line[] {
	const perLine = width >= 78 ? 16 : 8;
	return Array.from({length: Math.ceil(shown.length / perLine)}, (_, index): Line => {
		const row = [...shown.subarray(index * perLine, (index + 1) * perLine)];
		return [
			{text: `${(index * perLine).toString(16).padStart(6, '0')}  `, tone: 'muted'},
			{
				text: row
					.map(byte => byte.toString(16).padStart(2, '0'))
					.join(' ')
					.padEnd(perLine * 3 + 1),
				tone: 'plain',
			},
			{
				text: row.map(byte => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join(''),
				tone: 'muted',
			},
		];
	});
}
