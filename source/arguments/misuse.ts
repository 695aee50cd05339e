/**
Reports flags that the parser would misread: given twice, without their value, or with a value that they do not take.
*/
import {DapssError} from '../../core/errors.ts';
import {flagTable, written, type FlagText} from './flags.ts';

const known: ReadonlyMap<string, FlagText> = new Map(
	Object.entries<FlagText>(flagTable).flatMap(([name, flag]) => [
		[written(name), flag] as const,
		...(flag.shortFlag === undefined ? [] : [[written(flag.shortFlag), flag] as const]),
	]),
);
const names: ReadonlyMap<FlagText, string> = new Map(
	Object.entries<FlagText>(flagTable).map(([name, flag]) => [flag, written(name)]),
);

/** One use of a flag: its spelling and its value. */
type Use = {readonly word: string; readonly value: string | undefined};

/**
The parser reports unknown flags.
@throws `usage`, with the flag, the given text and the correct form
*/
export function expectWellUsed(argv: readonly string[]): void {
	const uses = new Map<FlagText, Use>();
	const end = argv.indexOf('--');
	const words = end === -1 ? argv : argv.slice(0, end);
	for (let at = 0; at < words.length; at += 1) {
		const [word, inline] = split(words[at]!);
		const flag = known.get(word) ?? known.get(word.replace(/^--no-/, '--'));
		if (!flag) continue;
		const use =
			flag.type === 'boolean'
				? switched(word, inline)
				: valued(flag, word, inline ?? words[(at += 1)], inline !== undefined);
		const before = uses.get(flag);
		if (before && !flag.isMultiple)
			throw new DapssError(
				'usage',
				`Expected ${names.get(flag)!} once, got ${textOf(before)} and ${textOf(use)}: leave one out`,
			);
		uses.set(flag, use);
	}
}

/** The parts of `--name=value`. */
function split(word: string): readonly [name: string, value: string | undefined] {
	const at = word.indexOf('=');
	return word.startsWith('-') && at > 0 ? [word.slice(0, at), word.slice(at + 1)] : [word, undefined];
}

function switched(word: string, inline: string | undefined): Use {
	if (inline === undefined || (/^(?:true|false)$/.test(inline) && known.has(word))) return {word, value: inline};
	const name = word.replace(/^--no-/, '--');
	throw new DapssError(
		'usage',
		`Expected no value after ${word}, got ${JSON.stringify(inline)}: ` +
			`write ${name}${name.startsWith('--') ? `, or --no-${name.slice(2)} for the opposite` : ''}`,
	);
}

function valued(flag: FlagText, word: string, value: string | undefined, isInline: boolean): Use {
	const form = `${names.get(flag)!} ${flag.value ?? 'VALUE'}`;
	if (!known.has(word))
		throw new DapssError(
			'usage',
			`Expected ${form}, got ${word}: it needs a value; leave the flag out for the default`,
		);
	// A negative number is a value; the reader of the flag judges it.
	const isFlag = !isInline && value !== undefined && value.startsWith('-') && !/^-\d+(?:\.\d+)?$/.test(value);
	if (value !== undefined && value !== '' && !isFlag) return {word, value};
	const got = isFlag ? `, got ${JSON.stringify(value)}` : '';
	const dashed =
		isFlag && !known.has(split(value)[0])
			? `, or ${names.get(flag)!}=${value} for a value that begins with a dash`
			: '';
	throw new DapssError('usage', `Expected a value after ${word}${got}: write ${form}${dashed}`);
}

function textOf({word, value}: Use): string {
	return value === undefined ? word : JSON.stringify(value);
}
