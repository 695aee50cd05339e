/**
Parses a line into words and flags. Spaces separate words; quotes join words with spaces (`"my topic"`, in which `\"`
and `\\` stand for the character, or `'my topic'`). Flags may be anywhere (`--from beginning`, `--from=beginning`)
before `--`. The `:` line and the prompts use the same parser. Pure.
*/
export type Problem = {readonly problem: string};
export type LineWord = {
	readonly text: string;
	/** Index of its end in the line. */ readonly end: number;
	readonly isQuoted: boolean;
};
export type Words = {readonly words: readonly LineWord[]; readonly flags: Readonly<Record<string, string>>};

/** The word at or after index `at`; `undefined` when only spaces are left. */
export function wordAt(line: string, at: number): LineWord | Problem | undefined {
	let index = startOfWord(line, at);
	if (index === line.length) return undefined;
	let text = '';
	let isQuoted = false;
	for (; index < line.length && !isSpace(line[index]!); index++) {
		const character = line[index]!;
		if (character !== '"' && character !== "'") {
			text += character;
			continue;
		}

		isQuoted = true;
		const open = index;
		for (index++; line[index] !== character; index++) {
			if (index >= line.length)
				return {problem: `The quote at ${JSON.stringify(line.slice(open, open + 20))} is not closed`};
			if (character === '"' && line[index] === '\\' && (line[index + 1] === '"' || line[index + 1] === '\\'))
				index++;
			text += line[index]!;
		}
	}

	return {text, end: index, isQuoted};
}

/** All words of the line. @param flags the known flags: a `value` has a value, a `switch` has none */
export function wordsOf(line: string, flags: Readonly<Record<string, 'value' | 'switch'>> = {}): Words | Problem {
	const words: LineWord[] = [];
	const given: Record<string, string> = {};
	let isFlags = true;
	for (let word = wordAt(line, 0); word !== undefined; word = wordAt(line, word.end)) {
		if ('problem' in word) return word;
		const match = isFlags && !word.isQuoted ? /^--([\w-]*)(?:=(.*))?$/su.exec(word.text) : null;
		if (!match) {
			words.push(word);
			continue;
		}

		const [, name = '', value] = match;
		if (name === '') {
			isFlags = false;
			continue;
		}

		const type = Object.hasOwn(flags, name) ? flags[name] : undefined;
		if (type === undefined)
			return {
				problem: `There is no flag \`--${name}\` here${
					Object.keys(flags).length === 0
						? ''
						: `; there is ${Object.keys(flags)
								.map(one => `\`--${one}\``)
								.join(', ')}`
				}. Put a word that begins with dashes in quotes`,
			};
		if (type === 'switch' || value !== undefined) {
			if (type === 'switch' && value !== undefined) return {problem: `Expected no value after \`--${name}\``};
			given[name] = value ?? '';
			continue;
		}

		const next = wordAt(line, word.end);
		if (next === undefined) return {problem: `Expected a value after \`--${name}\``};
		if ('problem' in next) return next;
		given[name] = next.text;
		word = next;
	}

	return {words, flags: given};
}

/** Topics of a line. Commas separate topics too, unless they are quoted. */
export function topicsOf(words: readonly LineWord[]): readonly string[] {
	return words.flatMap(({text, isQuoted}) => (isQuoted ? [text] : text.split(',').filter(Boolean)));
}

/** The word in the form that the parser reads back. */
export function quoteWord(text: string): string {
	return text !== '' && !/[\s,"']|^-/u.test(text) ? text : `"${text.replaceAll(/["\\]/gu, String.raw`\$&`)}"`;
}

/**
Index of the last word of an unfinished line, including an open quote; the end of the line when it ends with a space.
*/
export function lastWordStart(line: string): number {
	let start = startOfWord(line, 0);
	for (;;) {
		const word = wordAt(line, start);
		if (word === undefined || 'problem' in word || word.end === line.length) return start;
		start = startOfWord(line, word.end);
	}
}

function startOfWord(line: string, at: number): number {
	while (at < line.length && isSpace(line[at]!)) at++;
	return at;
}

function isSpace(character: string): boolean {
	return /\s/u.test(character);
}
