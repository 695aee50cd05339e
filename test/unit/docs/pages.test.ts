/**
The documents agree with the code: targets of links and anchors exist, named files and scripts exist, examples parse,
and tables of settings, exit codes, packets and mutants equal those of the code.
*/
import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {describe, expect, test} from 'vitest';
import {problemsOf} from '../../../core/config-schema.ts';
import {defaults} from '../../../core/config.ts';
import {exitCodes} from '../../../core/errors.ts';
import {remoteKinds} from '../../../core/remote/protocol.ts';
import {kinds} from '../../../core/wire/wire.ts';
import {camel, known} from '../../../source/settings/names.ts';
import {commands} from '../../../source/commands/command-table.ts';
import {withFigures, type LedgerLine} from '../../sim/campaign-report.ts';
import {mutants} from '../../sim/mutants/index.ts';
import {root} from '../../support/imports.ts';
import {anchorsOf, blocksOf, codesOf, exists, linksOf, pageOf, pages, resolved, rowsOf} from './pages.ts';

const hasBash = spawnSync('bash', ['--version']).status === 0;
const source = (path: string): string => readFileSync(join(root, path), 'utf8');
const unquoted = (cell: string): string => cell.replaceAll('`', '');

test('the list of pages is not empty', () => {
	expect(pages.map(({path}) => path)).toEqual(
		expect.arrayContaining(['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'docs/operating.md']),
	);
	expect(pages.flatMap(({text}) => linksOf(text)).length).toBeGreaterThan(50);
	expect(pages.flatMap(({text}) => codesOf(text)).length).toBeGreaterThan(500);
});

describe.each(pages.map(page => [page.path, page] as const))('%s', (_path, page) => {
	test('has links whose targets exist', () => {
		const broken = linksOf(page.text).filter(({target, anchor}) => {
			const path = resolved(page, target);
			if (!exists(path)) return true;
			const to = pages.find(one => one.path === path);
			return anchor !== '' && to !== undefined && !anchorsOf(to.text).has(anchor);
		});
		expect(broken).toEqual([]);
	});

	test('names files that exist', () => {
		const named = codesOf(page.text)
			.map(code => code.replace(/:\d+$/u, ''))
			.filter(code => /^(?:core|tui|source|test|bench|examples|docs)\/[\w./-]*$/u.test(code));
		expect(named.filter(path => !exists(path))).toEqual([]);
	});

	test('names functions that their files have', () => {
		// `core/data/data.ts` (`onPush`), or `onPush` in `core/data/data.ts`.
		const paths = String.raw`\x60(?<path>(?:core|tui|source|test|bench)/[\w./-]+)\x60`;
		const names = String.raw`(?<names>\x60#?\w+(?:\(\))?\x60(?:, \x60#?\w+(?:\(\))?\x60)*)`;
		const named = [
			...page.text.matchAll(new RegExp(String.raw`${paths} \(${names}`, 'gu')),
			...page.text.matchAll(new RegExp(`${names} (?:in|of) ${paths}`, 'gu')),
		].flatMap(({groups}) => {
			const path = groups!['path']!;
			return [...groups!['names']!.matchAll(/#?\w+/gu)].map(([name]) => ({path, name}));
		});
		expect(named.filter(({path, name}) => exists(path) && !source(path).includes(name))).toEqual([]);
	});

	test('names scripts that exist', () => {
		const {scripts} = JSON.parse(source('package.json')) as {scripts: Record<string, string>};
		const named = [...page.text.matchAll(/\bnpm run (?:--?[\w-]+ )*(?<script>[a-z][\w:-]*)/gu)];
		expect(named.map(({groups}) => groups!['script']!).filter(script => !Object.hasOwn(scripts, script))).toEqual(
			[],
		);
	});

	test('names commands that exist', () => {
		const names = new Set(commands.map(({name}) => name));
		const called = [...page.text.matchAll(/(?<=[`\n] *|\$ )dapss-tui (?<command>[a-z]+)(?![\w.-])/gu)];
		expect(called.map(({groups}) => groups!['command']!).filter(name => !names.has(name))).toEqual([]);
	});

	test.skipIf(!hasBash)('has shell code that parses', () => {
		for (const {code} of blocksOf(page.text).filter(({language}) => language === 'bash' || language === 'sh')) {
			const {status, stderr} = spawnSync('bash', ['-n'], {input: code, encoding: 'utf8'});
			expect({code, status, stderr}).toEqual({code, status: 0, stderr: ''});
		}
	});

	test('has diagrams without a semicolon, which would end a line', () => {
		expect(blocksOf(page.text).filter(({language, code}) => language === 'mermaid' && code.includes(';'))).toEqual(
			[],
		);
	});

	test('has JSON that parses', () => {
		for (const {code} of blocksOf(page.text).filter(({language}) => language === 'json'))
			expect(() => JSON.parse(code) as unknown, code).not.toThrow();
	});
});

describe('docs/operating.md', () => {
	const rows = rowsOf(pageOf('docs/operating.md').text).filter(([name = '']) => known.has(unquoted(name)));

	test('gives containers settings that exist', () => {
		const {code} = blocksOf(pageOf('docs/operating.md').text).find(block => /^docker run /mu.test(block.code))!;
		const given = [...code.matchAll(/-e (?:DAPSS_(?<setting>[A-Z_]+)|XDG_STATE_HOME)=/gu)];
		expect(given.length).toBeGreaterThan(5);
		const names = given.flatMap(({groups}) => groups!['setting'] ?? []).map(name => name.toLowerCase());
		expect(names.filter(name => !known.has(name))).toEqual([]);
	});

	test('has every setting once, with its default', () => {
		const shown = rows.map(([name = '', fallback = '']) => [unquoted(name), unquoted(fallback)]);
		const expected = [...known].map(([name, value]) => [
			name,
			value === '' || (Array.isArray(value) && value.length === 0)
				? 'empty'
				: typeof value === 'number'
					? value.toLocaleString('en')
					: String(value),
		]);
		const sorted = (list: string[][]): string[] => list.map(row => row.join(' = ')).toSorted();
		// A port is a name, not a quantity.
		expect(sorted(shown)).toEqual(
			sorted(
				expected.map(([name = '', value = '']) => [
					name,
					name.endsWith('port') ? value.replace(',', '') : value,
				]),
			),
		);
	});

	test('has the bounds of every number', () => {
		const numbers = [...known].filter(([, value]) => typeof value === 'number').map(([name]) => name);
		for (const name of numbers) {
			const setting = camel(name);
			const [group = '', key] = setting.split('.');
			const wrong: unknown =
				key === undefined
					? {...defaults, [group]: -1.5}
					: {...defaults, [group]: {...(defaults[group as keyof typeof defaults] as object), [key]: -1.5}};
			const message = problemsOf(wrong).find(problem => problem.setting === setting)!.message;
			const range = /from (?<min>\d+) to (?<max>\d+)/u.exec(message)?.groups;
			const expected =
				range === undefined
					? '1, 3, 5, 7'
					: `${Number(range['min']).toLocaleString('en')} to ${Number(range['max']).toLocaleString('en')}`;
			const shown = rows.find(([one = '']) => unquoted(one) === name)![2]!;
			expect(`${name}: ${shown}`).toBe(
				`${name}: ${name.endsWith('port') ? expected.replaceAll(',', '') : expected}`,
			);
		}
	});
});

test('README.md has every exit code', () => {
	const shown = rowsOf(pageOf('README.md').text)
		.map(([code = '']) => Number(code))
		.filter(code => !Number.isNaN(code));
	expect(shown).toEqual(expect.arrayContaining([0, 129, 143, ...Object.values(exitCodes)]));
});

describe('docs/protocol.md', () => {
	const {text} = pageOf('docs/protocol.md');
	const firstCells = (heading: string): string[] =>
		rowsOf(text, heading)
			.slice(1)
			.map(([name = '']) => unquoted(name));
	const typesIn = (path: string, pattern: RegExp): string[] => [
		...new Set([...source(path).matchAll(pattern)].map(match => match[1]!)),
	];

	test('has every frame with its number', () => {
		const shown = (heading: string): Array<[string, number]> =>
			rowsOf(text, heading)
				.slice(1)
				.map(([number = '', name = '']) => [unquoted(name), Number(number)]);
		expect(Object.fromEntries(shown('### Frames between nodes'))).toEqual({channel: 0, ...kinds});
		expect(Object.fromEntries(shown('### Frames between a client and a node'))).toEqual({
			channel: 0,
			...remoteKinds,
		});
	});

	test.each([
		['## Raft packets', 'core/raft/packet.ts', /readonly type: '([\w-]+)'/gu],
		['## Gossip packets', 'core/gossip/packet.ts', /readonly type: '([\w-]+)'/gu],
		['## SWIM packets', 'core/swim/packet.ts', /readonly type: '([\w-]+)'/gu],
		['### Requests', 'core/remote/protocol.ts', /op: v\.literal\('([\w-]+)'\)/gu],
	] as const)('%s are those of %s', (heading, path, pattern) => {
		expect(firstCells(heading).toSorted()).toEqual(typesIn(path, pattern).toSorted());
	});
});

test('docs/simulator.md has every mutant', () => {
	const shown = rowsOf(pageOf('docs/simulator.md').text, '## Mutants')
		.slice(1)
		.map(([name = '']) => unquoted(name));
	expect(shown.toSorted()).toEqual(mutants.map(({name}) => name).toSorted());
});

test('docs/simulator.md has the figures of the ledger', () => {
	const {text} = pageOf('docs/simulator.md');
	const ledger = source('test/sim/ledger.jsonl')
		.split('\n')
		.filter(line => line !== '')
		.map(line => JSON.parse(line) as LedgerLine);
	expect(text).toBe(withFigures(text, ledger));
});

test('ARCHITECTURE.md has every folder of the parts', () => {
	const shown = new Set(codesOf(pageOf('ARCHITECTURE.md').text).map(code => code.replace(/\/$/u, '')));
	const layers = [...source('test/layers.test.ts').matchAll(/^\t\t'((?:core|source)\/[\w/-]+)',$/gmu)];
	expect(layers.length).toBeGreaterThan(20);
	expect(layers.map(([, folder]) => folder!).filter(folder => !shown.has(folder))).toEqual([]);
});
