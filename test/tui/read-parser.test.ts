import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {pasteMax, ReadParser, type Part} from '../../tui/input/read-parser.ts';

const escape = '\u001B';

/** The parts of these reads. A number is a wait in milliseconds. */
function partsOf(...reads: ReadonlyArray<string | number>): readonly Part[] {
	const parser = new ReadParser();
	let nowMs = 0;
	const parts: Part[] = [];
	for (const read of reads) {
		if (typeof read === 'string') parts.push(...parser.read(read, nowMs));
		else {
			nowMs += read;
			parts.push(...parser.expire(nowMs));
		}
	}

	return parts;
}

/** Keys as one text, other parts in angle brackets. */
function textOf(parts: readonly Part[]): string {
	return parts
		.map(part =>
			part.type === 'keys'
				? part.text
				: part.type === 'paste'
					? `<paste ${part.text}>`
					: part.type === 'reply'
						? `<reply ${part.text}>`
						: part.type === 'mouse'
							? `<${part.event.kind} ${part.event.column},${part.event.row}>`
							: '<late>',
		)
		.join('')
		.replaceAll(escape, '^');
}

const waits = [0, 30, 200, 900] as const;

describe('a sequence that is split in transit stays one key', () => {
	test.each(waits)('after %i ms', waitMs => {
		for (const sequence of ['[A', 'OA', '[1;5C', '[3~', '[200~x\u001B[201~']) {
			for (let at = 1; at <= sequence.length; at++) {
				const whole = escape + sequence;
				const parts = partsOf(whole.slice(0, at), waitMs, whole.slice(at));
				const keys = textOf(parts).replace('^[27u<late>', '');
				expect(keys, `${at} of ${JSON.stringify(whole)}`).toBe(
					sequence.startsWith('[200~') ? '<paste x>' : `^${sequence}`,
				);
			}
		}
	});

	test('in three reads, too', () => {
		expect(textOf(partsOf(escape, 60, '[', 20, 'A'))).toBe('^[27u<late>^[A');
		expect(textOf(partsOf(escape, 10, '[', 500, 'A'))).toBe('^[A');
	});
});

test('the Escape key is reported soon, and text after it is text', () => {
	expect(textOf(partsOf(escape, 39))).toBe('');
	expect(textOf(partsOf(escape, 40))).toBe('^[27u');
	expect(textOf(partsOf(escape, 50, '[', 300))).toBe('^[27u[');
	expect(textOf(partsOf(escape, 50, 'q'))).toBe('^[27uq');
	expect(textOf(partsOf(escape, 50, 2000, '[A'))).toBe('^[27u[A');
	expect(textOf(partsOf(escape, 50, 'O', 10, 'k'))).toBe('^[27u<late>^Ok');
	expect(textOf(partsOf(`${escape}${escape}`, 50))).toBe('^[27u^[27u');
	expect(textOf(partsOf(`${escape}b`))).toBe('^b');
});

test('a paste stays a paste, however it is split, and nothing in it is a key', () => {
	const pasted = 'q\r\u0003:leave\ry';
	const whole = `${escape}[200~${pasted}${escape}[201~`;
	fc.assert(
		fc.property(fc.uniqueArray(fc.integer({min: 1, max: whole.length - 1}), {maxLength: 5}), cuts => {
			const ends = [...cuts.toSorted((a, b) => a - b), whole.length];
			const reads = ends.map((end, index) => whole.slice(ends[index - 1] ?? 0, end));
			const parts = partsOf(...reads.flatMap(read => [read, 100]), 'x');
			expect(textOf(parts).replace('^[27u<late>', '')).toBe(`<paste ${pasted}>x`);
		}),
	);
});

test('a paste keeps its first part, and counts the rest', () => {
	const [part] = partsOf(`${escape}[200~${'a'.repeat(pasteMax)}`, 'bcd', `${escape}[201~`);
	expect(part).toEqual({type: 'paste', text: 'a'.repeat(pasteMax), cut: 3});
});

test('Ctrl-C ends a paste whose end is lost', () => {
	expect(textOf(partsOf(`${escape}[200~abc`, '\u0003', 100, 'x'))).toBe('');
	expect(textOf(partsOf(`${escape}[200~abc`, 2000, '\u0003', 'x'))).toBe('\u0003x');
});

test('the mouse and replies of the terminal are no keys', () => {
	expect(textOf(partsOf(`a${escape}[<0;12;5M${escape}[<0;12;5mb`))).toBe('a<press 11,4>b');
	expect(textOf(partsOf(`${escape}[<64;1;1M${escape}[<65;1;1M`))).toBe('<wheel-up 0,0><wheel-down 0,0>');
	expect(textOf(partsOf(`${escape}]11;rgb:ffff/ffff/ffff${escape}\\x`))).toBe('<reply 11;rgb:ffff/ffff/ffff>x');
	expect(textOf(partsOf(`${escape}]11;rgb:0/0/0\u0007`))).toBe('<reply 11;rgb:0/0/0>');
	expect(textOf(partsOf(`${escape}P1$r0m${escape}\\x`))).toBe('x');
	expect(textOf(partsOf(`${escape}]11;rgb:0`, 1000, 'x'))).toBe('x');
});

test('the keys of one read are counted', () => {
	expect(partsOf(`fa${escape}[A${escape}bq`)).toEqual([{type: 'keys', text: `fa${escape}[A${escape}bq`, count: 5}]);
});

test('any input, split anywhere, gives the same keys', () => {
	const piece = fc.constantFrom('a', 'é', '😀', '\r', `${escape}[A`, `${escape}OP`, `${escape}[1;5D`, `${escape}x`);
	fc.assert(
		fc.property(fc.array(piece, {maxLength: 8}), fc.array(fc.nat(30), {maxLength: 4}), (pieces, cuts) => {
			const whole = pieces.join('');
			const ends = [...new Set(cuts.filter(cut => cut < whole.length)), whole.length].toSorted((a, b) => a - b);
			const reads = ends.map((end, index) => whole.slice(ends[index - 1] ?? 0, end));
			expect(textOf(partsOf(...reads))).toBe(whole.replaceAll(escape, '^'));
		}),
	);
});
