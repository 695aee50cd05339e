/** Completion is what the tables of commands and flags say. */
import {spawnSync} from 'node:child_process';
import {describe, expect, test} from 'vitest';
import {commands, start} from '../../source/commands.ts';
import {completionFor, shells} from '../../source/completion.ts';
import {everywhere, written} from '../../source/flags.ts';
import {run} from './fakes.ts';

const script = completionFor('bash', start, commands);

/** What bash offers for the last of these words. */
function offered(...words: readonly string[]): readonly string[] {
	const {stdout, stderr} = spawnSync('bash', ['-c', `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _dapss_tui; printf '%s\\n' "\${COMPREPLY[@]}"`, 'bash', 'dapss-tui', ...words], {encoding: 'utf8', cwd: import.meta.dirname});
	expect(stderr).toBe('');
	return stdout.split('\n').filter(Boolean);
}

describe.runIf(spawnSync('bash', ['--version']).status === 0)('bash', () => {
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

	test('offers the words of a command, the formats of its output, and files', () => {
		expect(offered('fault', 'd')).toEqual(['delay', 'drop']);
		expect(offered('--server', '5000', 'leader', 't')).toEqual(['transfer']);
		for (const {name, formats, flags} of commands) if (flags.includes('output')) expect(offered(name, '-o', '')).toEqual(formats);
		expect(offered('-o', '')).toEqual(start.formats);
		expect(offered('status', '--config', 'comple')).toEqual(['completion.test.ts']);
	});
});

test('every shell gets every command, word and flag of the tables', () => {
	for (const shell of shells) {
		const text = completionFor(shell, start, commands);
		for (const {name, flags, words = []} of commands) {
			expect(text).toContain(name);
			for (const word of words) expect(text).toContain(word);
			for (const flag of flags) expect(text).toContain(shell === 'fish' ? `-l ${written(flag).slice(2)}` : written(flag));
		}
	}
});

test('the words of a command are those that its usage names', () => {
	for (const {name, usage, words = []} of commands) for (const word of words) expect(usage.join(' '), name).toMatch(new RegExp(`\\b${word}\\b`, 'u'));
});

test('the command prints the script, and names the shells for another word', async () => {
	expect(await run(['completion', 'bash'])).toEqual({code: 0, out: `${script}\n`, err: ''});
	expect(await run(['completion', 'tcsh'])).toMatchObject({code: 2, err: expect.stringContaining('Expected completion bash, zsh, fish, got "tcsh"') as string});
	expect(await run(['completion'])).toMatchObject({code: 2});
});
