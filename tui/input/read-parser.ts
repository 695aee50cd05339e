/**
Splits what the terminal sends into keys, pastes, mouse events and replies, before Ink reads the keys.

Ink parses keys, but it takes an ESC for the Escape key after 20 ms. A slow link splits a sequence anywhere and for
longer: then the rest of an arrow key would be typed as text after Escape had closed the prompt. So a started sequence
is held here until it is whole. The Escape key itself is reported after `escapeMs`; if the rest of a sequence comes
after that, `late` says that it was no Escape, so that its effect can be undone. Pure; time is a parameter.
*/

export type MouseEvent = {
	readonly kind: 'press' | 'wheel-up' | 'wheel-down';
	/** Cell, counted from 0. */
	readonly column: number;
	readonly row: number;
};

export type Part =
	/** Whole keys, as the terminal sent them. `count` is their number. */
	| {readonly type: 'keys'; readonly text: string; readonly count: number}
	/** `cut` characters after the text were dropped. */
	| {readonly type: 'paste'; readonly text: string; readonly cut: number}
	| {readonly type: 'mouse'; readonly event: MouseEvent}
	/** The answer of the terminal to a query: an operating system command without its frame. */
	| {readonly type: 'reply'; readonly text: string}
	/** The Escape that was reported last began the sequence that follows. */
	| {readonly type: 'late'};

/** A lone ESC is the Escape key after this time without more input. */
const escapeMs = 40;
/** An unfinished sequence is given up after this time. */
const sequenceMs = 1000;
/** A key that could be the rest of a sequence waits this long for the end of it. */
const tailMs = 300;
/** The rest of a sequence is recognized this long after its ESC was taken for the key. */
const lateMs = 1500;
/** After this time without input, Ctrl-C ends a paste whose end is lost. */
const stuckMs = 2000;
/** Characters of a paste that are kept. */
export const pasteMax = 65_536;
/** Characters of a sequence; a longer one is no key. */
const sequenceMax = 4096;

const escape = '\u001B';
/** The Escape key in a form that Ink does not hold back. */
const escapeKey = '\u001B[27u';
const pasteStart = '\u001B[200~';
const pasteEnd = '\u001B[201~';
const sequence = new RegExp(
	[
		String.raw`^\u001B\u001B?\[(?:\[[A-E]|[235678]\$|[0-?]*[ -\/]*[@-~])`, // A control sequence, and two old forms.
		String.raw`^\u001B\u001B?O[0-9;]*[@-~]`,
		String.raw`^\u001B\](?<osc>[^\u0007\u001B]*)(?:\u0007|\u001B\\)`,
		String.raw`^\u001B[PX^_][^\u001B]*\u001B\\`, // Other strings of the terminal.
	].join('|'),
	'u',
);
const unfinished = new RegExp(
	[
		String.raw`^\u001B\u001B?(?:\[[0-?]*[ -\/]*|\[\[|O[0-9;]*)?$`,
		String.raw`^\u001B\][^\u0007\u001B]*\u001B?$`,
		String.raw`^\u001B[PX^_][^\u001B]*\u001B?$`,
	].join('|'),
	'u',
);
const mouse = /^\[<(\d+);(\d+);(\d+)([Mm])$/u;
const lateTail = /^(?:\[[0-?]*[ -/]*[@-~]|O[0-9;]*[@-~])/u;
const lateStart = /^(?:\[[0-?]*[ -/]*|O[0-9;]*)$/u;

export class ReadParser {
	/** A sequence that is not whole yet. */
	#held = '';
	#heldMs = 0;
	/** When an ESC was taken for the key. */
	#escapedMs = Number.NEGATIVE_INFINITY;
	/** The held text continues such an ESC. */
	#isTail = false;
	#paste: {text: string; cut: number; end: string} | undefined;
	#readMs = 0;

	/** One read of the terminal. */
	read(chunk: string, nowMs: number): readonly Part[] {
		if (this.#paste && chunk === '\u0003' && nowMs - this.#readMs >= stuckMs) this.#paste = undefined;
		this.#readMs = nowMs;
		const held = this.#held;
		this.#held = '';
		let text = held + chunk;
		const parts: Part[] = [];
		if (this.#paste === undefined && !held.startsWith(escape) && nowMs - this.#escapedMs <= lateMs) {
			if (lateTail.test(text)) {
				parts.push({type: 'late'});
				text = escape + text;
			} else if (lateStart.test(text)) {
				this.#hold(text, nowMs, true);
				return parts;
			}
		}

		this.#isTail = false;
		this.#escapedMs = Number.NEGATIVE_INFINITY;
		this.#split(text, nowMs, parts);
		return parts;
	}

	/** Milliseconds until `expire` has something to say; `undefined` if nothing is held. */
	waitMs(nowMs: number): number | undefined {
		if (this.#held === '') return undefined;
		const limitMs = this.#isTail ? tailMs : isEscapes(this.#held) ? escapeMs : sequenceMs;
		return Math.max(0, this.#heldMs + limitMs - nowMs);
	}

	/** What was held too long is what it looks like. */
	expire(nowMs: number): readonly Part[] {
		if (this.waitMs(nowMs) !== 0) return [];
		const held = this.#held;
		this.#held = '';
		this.#isTail = false;
		if (isEscapes(held)) {
			this.#escapedMs = nowMs;
			return [{type: 'keys', text: escapeKey.repeat(held.length), count: held.length}];
		}

		// A string of the terminal without an end is no key.
		if (/^[\]PX^_]./u.test(held.slice(1))) return [];
		return [{type: 'keys', text: held, count: 1}];
	}

	/** Forget what is held: the terminal belongs to another program now. */
	reset(): void {
		this.#held = '';
		this.#paste = undefined;
		this.#isTail = false;
		this.#escapedMs = Number.NEGATIVE_INFINITY;
	}

	#hold(text: string, nowMs: number, isTail: boolean): void {
		this.#held = text;
		this.#heldMs = nowMs;
		this.#isTail = isTail;
	}

	#split(input: string, nowMs: number, parts: Part[]): void {
		let keys = '';
		let count = 0;
		const flush = (): void => {
			if (keys !== '') parts.push({type: 'keys', text: keys, count});
			keys = '';
			count = 0;
		};
		let text = input;
		while (text !== '') {
			if (this.#paste) {
				text = this.#pasted(text, parts);
				continue;
			}

			if (!text.startsWith(escape)) {
				const at = text.indexOf(escape);
				const plain = at === -1 ? text : text.slice(0, at);
				keys += plain;
				count += plain.length;
				text = text.slice(plain.length);
				continue;
			}

			const found = sequence.exec(text);
			if (!found) {
				if (text.length < sequenceMax && unfinished.test(text)) {
					flush();
					this.#hold(text, nowMs, false);
					return;
				}

				// Alt and a character.
				const pressed = escape + (Array.from(text.slice(1, 3))[0] ?? '');
				keys += pressed;
				count++;
				text = text.slice(pressed.length);
				continue;
			}

			const [whole] = found;
			text = text.slice(whole.length);
			if (whole === pasteStart) {
				flush();
				this.#paste = {text: '', cut: 0, end: ''};
			} else if (/^[[O]/u.test(whole.replaceAll(escape, ''))) {
				const event = mouse.exec(whole.slice(1));
				if (!event) {
					keys += whole;
					count++;
					continue;
				}

				flush();
				const told = mouseEvent(event);
				if (told) parts.push({type: 'mouse', event: told});
			} else if (found.groups?.['osc'] !== undefined) {
				flush();
				parts.push({type: 'reply', text: found.groups['osc']});
			}
		}

		flush();
	}

	/** Takes the text up to the end of the paste. @returns the text after it */
	#pasted(text: string, parts: Part[]): string {
		const paste = this.#paste!;
		// The end may be split too.
		const all = paste.end + text;
		const at = all.indexOf(pasteEnd);
		const end = at === -1 ? endStart(all) : '';
		const body = at === -1 ? all.slice(0, all.length - end.length) : all.slice(0, at);
		const kept = body.slice(0, pasteMax - paste.text.length);
		this.#paste = {text: paste.text + kept, cut: paste.cut + body.length - kept.length, end};
		if (at === -1) return '';
		parts.push({type: 'paste', text: this.#paste.text, cut: this.#paste.cut});
		this.#paste = undefined;
		return all.slice(at + pasteEnd.length);
	}
}

function isEscapes(text: string): boolean {
	return text !== '' && text.replaceAll(escape, '') === '';
}

/** The start of the end of a paste, at the end of the text. */
function endStart(text: string): string {
	for (let length = Math.min(pasteEnd.length - 1, text.length); length > 0; length--)
		if (pasteEnd.startsWith(text.slice(-length))) return text.slice(-length);
	return '';
}

function mouseEvent([, code, column, row, end]: RegExpExecArray): MouseEvent | undefined {
	// Bits 2 to 4 are Shift, Alt and Ctrl: most terminals keep Shift for their own selection.
	const button = Number(code) & ~0b1_1100;
	const kind = button === 0 && end === 'M' ? 'press' : button === 64 ? 'wheel-up' : button === 65 ? 'wheel-down' : '';
	return kind === '' ? undefined : {kind, column: Number(column) - 1, row: Number(row) - 1};
}
