/**
The console on a terminal without UTF-8: every character of a frame becomes ASCII of the same width, so that the layout
stays. Marks and lines have a form of their own, an accented letter loses its accent, and any other letter is a `?`.
*/
import stringWidth from 'string-width';

const forms: Readonly<Record<string, string>> = {
	'…': '~',
	'·': '.',
	'–': '-',
	'—': '-',
	'●': '*',
	'◐': 'o',
	'○': 'o',
	'★': '*',
	'✓': 'v',
	'✗': 'x',
	'×': 'x',
	'↻': 'r',
	'↑': '^',
	'↓': 'v',
	'←': '<',
	'→': '>',
	'↛': '!',
	'␤': '$',
	'␛': '^',
	'‹': '<',
	'›': '>',
	'“': '"',
	'”': '"',
	'‘': "'",
	'’': "'",
	'≥': '>',
	'≤': '<',
	'█': '#',
	'▌': '#',
};
const known = new Map<string, string>();
const knownMax = 4096;

/** The text in ASCII, with the same number of cells. Control sequences stay as they are. */
export function asciiText(text: string): string {
	return text.replaceAll(/\P{ASCII}/gu, character => {
		let form = known.get(character);
		if (form === undefined) {
			if (known.size >= knownMax) known.clear();
			form = formOf(character);
			known.set(character, form);
		}

		return form;
	});
}

function formOf(character: string): string {
	const form = forms[character];
	if (form !== undefined) return form;
	const point = character.codePointAt(0)!;
	// Lines of frames and diagrams.
	if (point >= 0x25_00 && point <= 0x25_7f) return lineOf(character);
	if (point >= 0x25_80 && point <= 0x25_9f) return '#';
	const [letter = '?'] = character.normalize('NFKD');
	const width = stringWidth(character);
	return (letter < '\u0080' ? letter : '?').repeat(width);
}

function lineOf(character: string): string {
	if ('━═'.includes(character)) return '=';
	if ('─╌┄┈'.includes(character)) return '-';
	return '│┃║╎┆┊'.includes(character) ? '|' : '+';
}

/** A stream that writes ASCII to this one. */
export function asciiStream(stdout: NodeJS.WriteStream): NodeJS.WriteStream {
	return new Proxy(stdout, {
		get(target, key) {
			if (key === 'write')
				return (chunk: string | Uint8Array, ...rest: readonly unknown[]): unknown =>
					Reflect.apply(target.write, target, [
						typeof chunk === 'string' ? asciiText(chunk) : chunk,
						...rest,
					]);
			const value: unknown = Reflect.get(target, key, target);
			return typeof value === 'function' ? (value.bind(target) as unknown) : value;
		},
	});
}
