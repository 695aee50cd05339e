/**
argv → command, flags, arguments. meow parses the flags; unknown words are reported with the nearest known word.
*/
import meow from 'meow';
import {nearest} from '../core/config-schema.ts';
import {DapssError, errorMessage} from '../core/errors.ts';
import {everywhere, flagTable, written, type FlagName, type Flags} from './arguments/flags.ts';
import {expectWellUsed} from './arguments/misuse.ts';
import {commands, start} from './commands/command-table.ts';
import type {Command, Format} from './context.ts';

export type Parsed = {
	readonly command: Command;
	readonly input: readonly string[];
	readonly flags: Flags;
	readonly output: Format;
};

/** @throws `usage` */
export function parseArguments(argv: readonly string[], version: string): Parsed {
	expectText(argv);
	expectWellUsed(argv);
	const {input, flags: given} = read(argv, version);
	const [name, ...rest] = input.map(String);
	const command = name === undefined ? start : commands.find(one => one.name === name);
	if (!command) {
		const near = nearest(
			name!,
			commands.map(one => one.name),
		);
		throw new DapssError(
			'usage',
			`Expected a command, got ${JSON.stringify(name)}${near === undefined ? '.' : `; did you mean ${near}?`} ` +
				'dapss-tui --help lists them',
		);
	}

	const flags = checkFlags(command, given);
	checkWordFlags(command, rest[0], flags);
	return {command, input: rest, flags, output: outputOf(command, flags.output)};
}

/** Node replaces bytes that are not UTF-8, so their original is lost. */
function expectText(argv: readonly string[]): void {
	const changed = argv.find(argument => argument.includes('\uFFFD'));
	if (changed !== undefined)
		throw new DapssError(
			'usage',
			`Expected arguments in UTF-8, got ${JSON.stringify(changed)} with other bytes or U+FFFD. ` +
				'To publish any bytes, give them on standard input: dapss-tui publish TOPIC -',
		);
}

function checkFlags(command: Command, given: Readonly<Record<string, unknown>>): Flags {
	const allowed: readonly string[] = [...command.flags, ...everywhere];
	const where = command === start ? 'dapss-tui' : `dapss-tui ${command.name}`;
	const flags: Record<string, unknown> = {};
	for (const [name, value] of Object.entries(given)) {
		if (value === undefined || (Array.isArray(value) && value.length === 0)) continue;
		if (!Object.hasOwn(flagTable, name)) {
			const near = nearest(
				written(name),
				allowed.map(one => written(one)),
			);
			throw new DapssError(
				'usage',
				`Expected a flag of ${where}, got ${written(name)}` +
					`${near === undefined ? '.' : `; did you mean ${near}?`} ${where} --help lists them`,
			);
		}

		if (!allowed.includes(name))
			throw new DapssError(
				'usage',
				`${written(name)} is no flag of ${where}; ${where} --help lists those that are`,
			);
		const {type} = flagTable[name as FlagName];
		const values: readonly unknown[] = Array.isArray(value) ? value : [value];
		for (const one of values) {
			if (type === 'string' && (typeof one !== 'string' || one === ''))
				throw new DapssError('usage', `Expected a value after ${written(name)}`);
			if (type === 'boolean' && typeof one !== 'boolean')
				throw new DapssError('usage', `Expected no value after ${written(name)}`);
		}

		flags[name] = value;
	}

	return flags;
}

/** A flag of another subcommand would have no effect. */
function checkWordFlags({name, words = [], wordFlags = {}}: Command, word: string | undefined, flags: Flags): void {
	if (word === undefined || !words.includes(word)) return; // The command reports the unknown subcommand.
	const taken = wordFlags[word] ?? [];
	const wrong = Object.values(wordFlags)
		.flat()
		.find(flag => flags[flag] !== undefined && !taken.includes(flag));
	if (wrong !== undefined) throw new DapssError('usage', `${written(wrong)} is no flag of ${name} ${word}`);
}

function outputOf(command: Command, given: string | undefined): Format {
	if (given === undefined) return 'text';
	const format = command.formats.find(one => one === given);
	if (format !== undefined) return format;
	throw new DapssError('usage', `Expected -o to be ${command.formats.join(' or ')}, got ${JSON.stringify(given)}`);
}

function read(
	argv: readonly string[],
	version: string,
): {readonly input: readonly string[]; readonly flags: Readonly<Record<string, unknown>>} {
	try {
		return meow({
			importMeta: import.meta,
			pkg: {name: 'dapss-tui', version, bin: {'dapss-tui': ''}},
			argv: [...argv],
			description: false,
			help: false,
			autoHelp: false,
			autoVersion: false,
			booleanDefault: undefined,
			flags: Object.fromEntries(
				Object.entries(flagTable).map(([name, {type, ...flag}]) => [
					name,
					{
						type,
						...('shortFlag' in flag ? {shortFlag: flag.shortFlag} : {}),
						...('isMultiple' in flag ? {isMultiple: true} : {}),
					},
				]),
			),
		});
	} catch (error) {
		throw new DapssError('usage', errorMessage(error), {cause: error}); // A flag that is given twice.
	}
}
