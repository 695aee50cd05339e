/** Completion of the shells is derived from the tables of commands and flags. */
import {spawnSync} from 'node:child_process';
import {describe, expect, test} from 'vitest';
import {everywhere, flagTable, written, type FlagName} from '../../../source/arguments/flags.ts';
import {commands, start} from '../../../source/commands/command-table.ts';
import {completionFor, shells} from '../../../source/commands/completion-script.ts';
import type {Command} from '../../../source/context.ts';
import {parseArguments} from '../../../source/parse.ts';
import {run} from '../../support/fakes.ts';

const script = completionFor('bash', start, commands);
const isThere = (shell: string): boolean => spawnSync(shell, ['--version']).status === 0;
/** Each command with each of its subcommands. */
const pairs = commands.flatMap(command => (command.words ?? []).map(word => ({command, word})));
/** From the tables: flags of other subcommands are refused. */
const flagsAt = ({flags, wordFlags = {}}: Command, word: string): readonly FlagName[] =>
	flags.filter(
		flag => wordFlags[word]?.includes(flag) || !Object.values(wordFlags).some(list => list.includes(flag)),
	);
const longOf = (flags: readonly FlagName[]): readonly string[] =>
	[...flags, ...everywhere].map(flag => written(flag)).toSorted();

/** Completions of bash for the last of these words. */
function offered(...words: readonly string[]): readonly string[] {
	const {stdout, stderr} = spawnSync(
		'bash',
		[
			'-c',
			`${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dapss_tui; printf '%s\\n' "\${COMPREPLY[@]}"`,
			'bash',
			'dapss-tui',
			...words,
		],
		{encoding: 'utf8', cwd: import.meta.dirname},
	);
	expect(stderr).toBe('');
	return stdout.split('\n').filter(Boolean);
}

describe.runIf(isThere('bash'))('bash', () => {
	test('offers every command, and the flags of the program itself', () => {
		const all = offered('');
		for (const {name} of commands) expect(all).toContain(name);
		expect(all).toContain('--headless');
		expect(offered('su')).toEqual(['subscribe']);
		expect(offered('--port', '5')).toEqual([]);
	});

	test('offers the flags of each command and no others', () => {
		for (const {name, flags} of commands) {
			const long = offered(name, '--');
			expect(long.toSorted()).toEqual([...flags, ...everywhere].map(flag => written(flag)).toSorted());
		}
	});

	test('offers after a word only its flags', () => {
		for (const {command, word} of pairs) {
			const all = offered(command.name, word, '');
			expect(all.filter(one => one.startsWith('--')).toSorted(), `${command.name} ${word}`).toEqual(
				longOf(flagsAt(command, word)),
			);
			expect(all.filter(one => !one.startsWith('-'))).toEqual([]);
		}

		expect(offered('topic', 'delete', '--re')).toEqual([]);
		expect(offered('topic', '--server', '5000', 'delete', 'create', '--y')).toEqual(['--yes']);
	});

	test('does not take the value of a flag for a command or a word', () => {
		expect(offered('--cluster', 'topic', 'st')).toEqual(['status']);
		expect(offered('topic', '--cluster', 'list', 'cr')).toEqual(['create']);
	});

	test('offers the words of a command, the formats of its output, and files', () => {
		expect(offered('fault', 'd')).toEqual(['delay', 'drop']);
		expect(offered('--server', '5000', 'leader', 't')).toEqual(['transfer']);
		for (const {name, formats, flags} of commands)
			if (flags.includes('output')) expect(offered(name, '-o', '')).toEqual(formats);
		expect(offered('-o', '')).toEqual(start.formats);
		expect(offered('status', '--config', 'comple')).toEqual(['completion.test.ts']);
	});
});

describe.runIf(isThere('zsh'))('zsh', () => {
	/** The arguments of `_arguments`: specifications of flags, and of the words after them. */
	function asked(...words: readonly string[]): {
		readonly flags: readonly string[];
		readonly rest: string | undefined;
	} {
		const stubs = 'compdef() {}; _describe() {}; _arguments() { print -rl -- "$@" }';
		const {stdout, stderr} = spawnSync(
			'zsh',
			[
				'-f',
				'-c',
				`${stubs}\n${completionFor('zsh', start, commands)}\nwords=("$@"); CURRENT=$#; _dapss_tui`,
				'zsh',
				'dapss-tui',
				...words,
			],
			{encoding: 'utf8'},
		);
		expect(stderr).toBe('');
		const lines = stdout.split('\n').filter(Boolean);
		return {
			flags: lines
				.slice(0, -1)
				.flatMap(line => /--[\w-]+(?=\[)/u.exec(line) ?? [])
				.toSorted(),
			rest: lines.at(-1),
		};
	}

	test('offers after a word only its flags', () => {
		for (const {command, word} of pairs)
			expect(asked(command.name, word, ''), `${command.name} ${word}`).toEqual({
				flags: longOf(flagsAt(command, word)),
				rest: '*: : ',
			});
		for (const command of commands)
			expect(asked(command.name, '')).toEqual({
				flags: longOf(command.flags),
				rest: command.words ? `*: :(${command.words.join(' ')})` : '*: : ',
			});
		expect(asked('topic', '--cluster', 'list', '').rest).toBe('*: :(create delete list)');
		expect(asked('').flags).toContain('--headless');
	});
});

describe.runIf(isThere('fish'))('fish', () => {
	/** Completions of fish for the last of these words. */
	function candidates(...words: readonly string[]): readonly string[] {
		const {stdout, stderr} = spawnSync(
			'fish',
			[
				'--no-config',
				'-c',
				`${completionFor('fish', start, commands)}\n` +
					`complete -C ${JSON.stringify(['dapss-tui', ...words].join(' '))}`,
			],
			{encoding: 'utf8'},
		);
		expect(stderr).toBe('');
		return stdout
			.split('\n')
			.filter(Boolean)
			.map(line => line.split('\t', 1)[0]!)
			.toSorted();
	}

	test('offers after a word only its flags', () => {
		for (const {command, word} of pairs) {
			expect(candidates(command.name, word, '--'), `${command.name} ${word}`).toEqual(
				longOf(flagsAt(command, word)),
			);
			expect(candidates(command.name, word, '')).toEqual([]);
		}

		for (const command of commands)
			expect(candidates(command.name, '')).toEqual([...(command.words ?? [])].toSorted());
		expect(candidates('topic', '--cluster', 'list', '')).toEqual(['create', 'delete', 'list']);
		expect(candidates('')).toEqual(commands.map(({name}) => name).toSorted());
	});
});

test('offered flags of a word are accepted, and others are refused', () => {
	for (const {command, word} of pairs) {
		const taken = flagsAt(command, word);
		for (const flag of command.flags) {
			const parse = (): ReturnType<typeof parseArguments> =>
				parseArguments(
					[
						command.name,
						word,
						'x',
						...(flagTable[flag].type === 'boolean'
							? [written(flag)]
							: [`${written(flag)}=${flag === 'output' ? command.formats[0]! : '1'}`]),
					],
					'1.0.0',
				);
			if (taken.includes(flag)) expect([parse().command, Object.keys(parse().flags)]).toEqual([command, [flag]]);
			else expect(parse).toThrow(`${written(flag)} is no flag of ${command.name} ${word}`);
		}
	}
});

test('every shell gets every command, word and flag of the tables', () => {
	for (const shell of shells) {
		const text = completionFor(shell, start, commands);
		for (const {name, flags, words = []} of commands) {
			expect(text).toContain(name);
			for (const word of words) expect(text).toContain(word);
			for (const flag of flags)
				expect(text).toContain(shell === 'fish' ? `-l ${written(flag).slice(2)}` : written(flag));
		}
	}
});

test('the words of a command equal those in its usage', () => {
	for (const {name, usage, words = []} of commands)
		for (const word of words) expect(usage.join(' '), name).toMatch(new RegExp(`\\b${word}\\b`, 'u'));
});

test('the command prints the script, and names the shells for another word', async () => {
	expect(await run(['completion', 'bash'])).toEqual({code: 0, out: `${script}\n`, err: ''});
	expect(await run(['completion', 'tcsh'])).toMatchObject({
		code: 2,
		err: expect.stringContaining('Expected completion bash, zsh, fish, got "tcsh"') as string,
	});
	expect(await run(['completion'])).toMatchObject({code: 2});
});
