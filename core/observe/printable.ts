/**
Makes text from outside visible and harmless before a terminal shows it.

A topic, a body, an address or a reason may hold anything: escape sequences that set the clipboard, a carriage return
that overwrites a row, a bidi override that reorders the text, or a joiner for which terminals count different widths.
Every such character is replaced by a visible mark. Controls become control pictures (`␛`; `␤` for a newline),
characters without a shape become their code point (`‹U+202E›`), and bytes that are not UTF-8 become `‹ff›`.

The remaining text has the same width in every terminal. A grapheme cluster stays intact only if its width as a cluster
equals the sum of the widths of its code points, because terminals count in either way. Emoji are reduced to a form on
which both agree: no skin tone, a family becomes its members, a flag its letters. Unicode: UAX 9 (bidi), UAX 29
(clusters), UAX 11 (width), UTR 36 (security).
*/
import stringWidth from 'string-width';

/** Text in which every code unit is harmless and one cell wide: the common case. */
const plain = new RegExp(
	String.raw`^[ -~\u00A1-\u00AC\u00AE-\u02FF\u0400-\u0481\u2018-\u201F\u2026\u2039\u203A\u2190-\u2193` +
		String.raw`\u2400-\u2424\u2500-\u257F\u25CF]*$`,
	'v',
);
/** Letters of Japanese, Chinese and Korean that are two cells wide in every terminal and do not combine. */
const wide = /^[\u3041-\u3096\u30A1-\u30FA\u4E00-\u9FFF\uAC00-\uD7A3]$/v;
/** Characters without a shape of their own, or with a shape that depends on the font. */
const shapeless = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/v;
/** Korean vowels and finals outside a syllable: zero, one or two cells wide, depending on the terminal. */
const looseJamo = /[\u1160-\u11FF\uD7B0-\uD7FF]/v;
const otherSpace = /[\p{Zs}--[ ]]/v;
const mark = /\p{M}/v;
const pictograph = /\p{Extended_Pictographic}/v;
const skinTone = /\p{Emoji_Modifier}/v;
const regional = /\p{Regional_Indicator}/v;
const joiner = '\u200D';
const emojiShape = '\uFE0F';
const keycap = '\u20E3';

const segmenter = new Intl.Segmenter('en', {granularity: 'grapheme'});
/** Bound on the stacked marks of a cluster: more of them reach into other rows. */
const marksMax = 2;
/** Bound on the work for a hostile reason or topic, in code units; nothing longer fits on a screen. */
const charactersMax = 16_384;

/**
The text as visible characters: nothing in the result moves the cursor, changes a mode, hides, joins or reverses text.

Idempotent, except that text over 16,384 code units is cut. Newlines become `␤`, tabs `␉`.
*/
export function printable(text: string): string {
	if (text.length > charactersMax) return `${printable(text.slice(0, charactersMax))}…`;
	if (plain.test(text)) return text;
	let out = '';
	// Normalize first: terminals disagree on the width of a decomposed Korean syllable or accented letter.
	for (const {segment} of segmenter.segment(text.normalize('NFC')))
		out += plain.test(segment) ? segment : cachedCluster(segment);
	return out;
}

/**
At most `max` bytes of a body as visible text; each byte of invalid UTF-8 becomes `‹ff›`. A character that `max` splits
is left out.
*/
export function printableBytes(bytes: Uint8Array, max = bytes.length): string {
	const isCut = bytes.length > max;
	const view = isCut ? bytes.subarray(0, max) : bytes;
	let out = '';
	let start = 0; // The start of the current run of valid bytes.
	let at = 0;
	while (at < view.length) {
		const length = sequenceLength(view, at);
		if (length > 0) {
			at += length;
			continue;
		}

		out += decode(view.subarray(start, at));
		if (isCut && length === -1) return out; // `max`, not the sender, split this character.
		out += `‹${view[at]!.toString(16).padStart(2, '0')}›`;
		at++;
		start = at;
	}

	return out + decode(view.subarray(start, at));
}

/**
Fits printable text to exactly `width` cells: padded with spaces, or cut at a cluster with `…` as the last cell.

@param text must have been made printable
*/
export function fitCells(text: string, width: number, align: 'left' | 'right' = 'left'): string {
	if (width <= 0) return '';
	const cells = widthOf(text);
	if (cells <= width) return align === 'left' ? text + ' '.repeat(width - cells) : ' '.repeat(width - cells) + text;
	if (plain.test(text)) return `${text.slice(0, width - 1)}…`;
	let out = '';
	let used = 0;
	for (const {segment} of segmenter.segment(text)) {
		const next = stringWidth(segment);
		if (used + next > width - 1) break;
		out += segment;
		used += next;
	}

	return `${out}…${' '.repeat(width - 1 - used)}`;
}

/** The width of printable text in cells. */
export function widthOf(text: string): number {
	return plain.test(text) ? text.length : stringWidth(text);
}

/**
Breaks text into lines of at most `width` cells (at least 2). Breaks at clusters, not at words, because inspected text
must not lose a space.
*/
export function wrapCells(text: string, width: number, linesMax: number): string[] {
	const lines: string[] = [];
	let line = '';
	let used = 0;
	for (const {segment} of segmenter.segment(text)) {
		// A wide letter with a wide mark may be wider than a narrow line: then each code point gets its own piece.
		for (const piece of widthOf(segment) > width ? Array.from(segment) : [segment]) {
			const next = widthOf(piece);
			if (used + next > width) {
				lines.push(line);
				if (lines.length >= linesMax) return lines;
				line = '';
				used = 0;
			}

			line += piece;
			used += next;
		}
	}

	lines.push(line);
	return lines;
}

const clusters = new Map<string, string>();

/** The cached result of `cluster`. Most text repeats few clusters, and computing one takes microseconds. */
function cachedCluster(segment: string): string {
	const known = clusters.get(segment);
	if (known !== undefined) return known;
	const text = cluster(segment);
	if (segment.length > 16) return text; // Rare, so not worth the memory.
	if (clusters.size >= 4096) clusters.clear();
	clusters.set(segment, text);
	return text;
}

function cluster(segment: string): string {
	if (wide.test(segment)) return segment;
	// The vowel AM of Thai and Lao, split into its mark and its letter, which all terminals count alike.
	const characters = [...segment.replaceAll('\u0E33', '\u0E4D\u0E32').replaceAll('\u0EB3', '\u0ECD\u0EB2')];
	const first = characters[0]!;
	if (pictograph.test(first) || regional.test(first)) return emoji(characters);
	if (segment.endsWith(keycap))
		return characters
			.filter(character => character !== keycap && character !== emojiShape)
			.map(character => (isAlone(character) ? character : code(character)))
			.join('');
	let out = '';
	let marks = marksMax; // A mark needs a preceding letter; otherwise it would change the text before the cluster.
	for (const character of characters) {
		if (mark.test(character) && !shapeless.test(character) && marks < marksMax) {
			out += character;
			marks++;
		} else if (shapeless.test(character) || mark.test(character) || looseJamo.test(character)) {
			out += visible(character);
			marks = marksMax;
		} else {
			out += otherSpace.test(character) ? ' ' : character;
			marks = 0;
		}
	}

	if (isAgreed(out)) return out;
	// A conjunct of an Indic script is one cluster of several letters. A non-joiner separates the letters and their
	// widths.
	const apart = out.replaceAll(/(\p{M})(?=\p{L})/gu, '$1\u200C');
	if (isAgreed(apart)) return apart;
	const kept = characters.map(character => (isAlone(character) ? character : code(character))).join('');
	return isAgreed(kept) ? kept : characters.map(character => code(character)).join('');
}

/** Reduces a cluster that starts with a pictograph to parts that need no joining. */
function emoji(characters: readonly string[]): string {
	let out = '';
	for (const [index, character] of characters.entries()) {
		if (
			index > 0 &&
			(character === joiner || character === emojiShape || character === keycap || skinTone.test(character))
		)
			continue;
		if (regional.test(character)) out += String.fromCodePoint(character.codePointAt(0)! - 0x1_f1_e6 + 0x41);
		else if (shapeless.test(character)) out += visible(character);
		else if (mark.test(character)) out += code(character);
		else out += character;
	}

	return out;
}

/** Whether the width by cluster equals the width by code point, independent of the neighbouring text. */
function isAgreed(text: string): boolean {
	if (plain.test(text)) return true;
	let sum = 2;
	for (const character of text) sum += stringWidth(character);
	return sum === stringWidth(`a${text}a`);
}

/** Whether a character keeps its width, independent of its neighbours. */
function isAlone(character: string): boolean {
	return (
		!shapeless.test(character) &&
		!mark.test(character) &&
		stringWidth(`a${character}b`) === stringWidth(character) + 2 &&
		[...segmenter.segment(`a${character}b`)].length === 3
	);
}

function visible(character: string): string {
	const point = character.codePointAt(0)!;
	if (character === '\n') return '␤';
	if (point < 0x20) return String.fromCodePoint(0x24_00 + point); // Control pictures: ␛, ␇, ␉, …
	if (point === 0x7f) return '␡';
	return code(character);
}

function code(character: string): string {
	return `‹U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}›`;
}

const utf8 = new TextDecoder('utf-8', {fatal: true, ignoreBOM: true});

function decode(valid: Uint8Array): string {
	return valid.length === 0 ? '' : printable(utf8.decode(valid));
}

/**
The length of the valid UTF-8 sequence at `at`: 0 when it is invalid, -1 when the input ends within it. Unicode
standard, table 3-7.
*/
function sequenceLength(bytes: Uint8Array, at: number): number {
	const lead = bytes[at]!;
	if (lead < 0x80) return 1;
	const length =
		lead >= 0xc2 && lead <= 0xdf ? 2 : lead >= 0xe0 && lead <= 0xef ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
	if (length === 0) return 0;
	for (let index = 1; index < length; index++) {
		const byte = bytes[at + index];
		if (byte === undefined) return -1;
		const low = index > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
		const high = index > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
		if (byte < low || byte > high) return 0;
	}

	return length;
}
