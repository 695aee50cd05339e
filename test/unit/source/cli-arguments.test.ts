import {readFileSync} from 'node:fs';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import {parseDuration, parseSize} from '../../../source/arguments/values.ts';
import {commands, start} from '../../../source/commands/command-table.ts';
import {wantsColour} from '../../../source/output/terminal.ts';
import {parseArguments} from '../../../source/parse.ts';
import {commandLine} from './support/command-line.ts';

const {dapss} = commandLine();
const names = (count: number): string => Array.from({length: count}, (_, index) => `t${index}`).join(' ');

describe('arguments', () => {
	test.each([
		['stauts', /got "stauts"; did you mean status\?/],
		['status --sever 5000', /got --sever; did you mean --server\?/],
		['--prot 5001', /got --prot; did you mean --port\?/],
		['publish news hi --cuont 3', /did you mean --count\?/],
		['status --count 3', /--count is no flag of dapss-tui status/],
		['--port', /Expected a value after --port: write --port PORT/],
		['--port= --headless', /Expected a value after --port: write --port PORT/],
		['--port --headless', /Expected a value after --port, got "--headless": write --port PORT/],
		['--port 5000 --port 5001', /Expected --port once, got "5000" and "5001": leave one out/],
		['status -o text --output=text', /Expected --output once, got "text" and "text": leave one out/],
		['--headless --no-headless', /Expected --headless once, got --headless and --no-headless: leave one out/],
		[
			'subscribe news --wait -5s',
			/Expected a value after --wait, got "-5s": write --wait TIME, or --wait=-5s for a value that begins with a dash/,
		],
		[
			'subscribe news --time=3',
			/Expected no value after --time, got "3": write --time, or --no-time for the opposite/,
		],
		['check --wait-healthy=no', /Expected no value after --wait-healthy, got "no"/],
		[
			'status --no-discovery=yes',
			/Expected no value after --no-discovery, got "yes": write --discovery, or --no-discovery/,
		],
		['status --no-server', /Expected --server ADDRESS, got --no-server: it needs a value/],
		['status --timeout 2d', /Expected --timeout to be a time such as 500ms, 10s or 1m, at most 24h, got "2d"/],
		['fault delay 5h', /Expected the delay to be a time .* at most 1m, got "5h"/],
		['bench speed', /Expected bench latency, throughput, reliability, partition, failover, got "speed"/],
		[
			'bench failover --min-rate 100',
			/Expected bench failover without --min-rate, which it does not use; it takes --nodes, --runs, --max-p99/,
		],
		['bench throughput --rate 5', /Expected bench throughput without --rate/],
		['bench partition --nodes 2', /Expected --nodes to be a whole number from 3 to 64, got "2"/],
		['fault heal 5001', /Expected fault heal without arguments, got "5001"/],
		['fault heal --for 3s', /--for is no flag of fault heal/],
		['fault drop 10 --one-way', /--one-way is no flag of fault drop/],
		['status -o xml', /Expected -o to be text or json, got "xml"/],
		['publish news hi -o jsonl', /Expected -o to be text or json/],
		['status now', /Expected status without arguments, got "now"/],
		['publish', /Expected publish TOPIC MESSAGE/],
		['publish news', /`-` reads a message a line/],
		['publish news two words', /put quotes around/],
		['publish news hi --count none', /Expected --count to be a whole number/],
		['publish news hi --size 3', /a message or --size/],
		['publish news - --count 3', /every line of standard input/],
		['subscribe', /Expected subscribe TOPIC/],
		[`subscribe ${names(257)}`, /Expected at most 256 topics, got 257/],
		[`events --watch --messages ${names(257)}`, /Expected at most 256 topics, got 257/],
		['subscribe news --from tomorrow', /now, beginning or an offset/],
		['events --watch -o json', /jsonl or text/],
		['events --messages', /Expected --watch with --messages/],
		['events --watch news', /topics only after --messages/],
		['events --watch --messages a/# --wait 1s', /wildcard|#/],
		['fault break', /Expected fault cut, isolate, delay, drop, heal/],
		['fault delay soon', /500ms, 10s or 1m/],
		['status --server nowhere', /Expected --server to be host:port or a port/],
		[
			'--bootstrap ,, --headless',
			/bootstrap \(--bootstrap\): Expected a list of addresses \(host:port\), got ",,"/,
		],
		['status --server ,', /Expected --server to be host:port or a port, got ","/],
		['--port 0', /port \(--port\): Expected a whole number from 1/],
	])('dapss-tui %s ends with 2 and the expected words', async (line, expected) => {
		const {code, out, err} = await dapss(line);
		expect(err).toMatch(expected);
		// Under -o json, errors are also JSON on standard output.
		expect({code, out}).toEqual({
			code: 2,
			out: / -o jsonl?$/.test(line)
				? (expect.stringMatching(/^\{"type":"error",.*"code":"usage",.*\}\n$/) as string)
				: '',
		});
	});

	test('a word after -- is an argument, and a switch accepts true and false', async () => {
		expect(await dapss('publish news -- --wait')).toMatchObject({code: 0});
		expect(await dapss('events --watch=false')).toMatchObject({code: 0});
		expect(await dapss('config --bootstrap 5000 --bootstrap 5001')).toMatchObject({code: 0});
	});

	test('a list of servers may end with a comma, and an empty DAPSS_SERVER counts as unset', async () => {
		expect(await dapss('leader --server 5000,')).toMatchObject({code: 0});
		expect(await dapss('leader', {env: {DAPSS_SERVER: ''}})).toMatchObject({code: 0});
	});

	test('every command accepts --version', async () => {
		for (const {name} of commands) {
			expect(await dapss(`${name} --version`)).toMatchObject({
				code: 0,
				out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
				err: '',
			});
		}
	});

	test('every command has help with examples, on standard output', async () => {
		for (const {name, examples} of commands) {
			const {code, out, err} = await dapss(`${name} --help`);
			expect({code, err}).toEqual({code: 0, err: ''});
			expect(out).toContain('Examples');
			expect(examples.length).toBeGreaterThan(0);
			for (const example of examples) expect(out).toContain(example);
		}

		const {out} = await dapss('--help');
		for (const {name} of commands) expect(out).toContain(`\n  ${name} `);
	});

	test('every example parses', () => {
		for (const {name, examples} of [start, ...commands]) {
			for (const example of examples) {
				// The examples of `start` have an explanation after two spaces or more.
				const line = /dapss-tui(?: (?! )([^|;]+))?/.exec(example)![1]?.split(/ {2,}/u)[0] ?? '';
				const words = [...line.trim().matchAll(/"([^"]*)"|(\S+)/g)].map(match => match[1] ?? match[2]!);
				expect(parseArguments(words, '0').command.name, example).toBe(name);
			}
		}
	});

	test('flags may stand at any place, and numeric texts stay texts', () => {
		const parsed = parseArguments(['--server', '5001', 'publish', '-o', 'json', 'news', '007', '--count=3'], '0');
		expect(parsed).toMatchObject({
			input: ['news', '007'],
			output: 'json',
			flags: {server: '5001', count: '3', output: 'json'},
		});
		expect(parsed.command.name).toBe('publish');
		for (const text of ['1e3', '0x10', 'true', '-', '', ' a '])
			expect(parseArguments(['publish', 'news', text], '0').input).toEqual(['news', text]);
		expect(parseArguments(['publish', 'news', '--', '-5'], '0').input).toEqual(['news', '-5']);
		expect(parseArguments(['publish', 'news', '--', '--help'], '0')).toMatchObject({
			input: ['news', '--help'],
			flags: {},
		});
		expect(parseArguments(['--no-discovery', '--bootstrap', '1', '--bootstrap', '2,3'], '0').flags).toEqual({
			discovery: false,
			bootstrap: ['1', '2,3'],
		});
	});

	test('for any argv the parser returns or throws a usage error', () => {
		const outcomes = new Set<string>();
		const word = fc.oneof(
			fc.string(),
			fc.constantFrom(
				'publish',
				'status',
				'--port',
				'--',
				'-o',
				'json',
				'--__proto__',
				'--a.b=1',
				'--no-port',
				'-',
				'-x',
				'--constructor',
				'--toString',
			),
		);
		fc.assert(
			fc.property(fc.array(word, {maxLength: 8}), argv => {
				try {
					parseArguments(argv, '0');
					outcomes.add('parsed');
				} catch (error) {
					expect(error).toMatchObject({name: 'DapssError', code: 'usage'});
					outcomes.add('refused');
				}
			}),
			{numRuns: 3000},
		);
		expect([...outcomes].toSorted()).toEqual(['parsed', 'refused']);
	});

	test('the version is that of package.json', async () => {
		const {version} = JSON.parse(readFileSync('package.json', 'utf8')) as {version: string};
		expect((await dapss('--version')).out).toBe(`${version}\n`);
		expect(JSON.parse((await dapss('version -o json')).out)).toMatchObject({version, node: process.versions.node});
	});

	test('sizes and times are parsed with their units, and have bounds', () => {
		expect([parseSize('64k', '', 1e9), parseSize('1MiB', '', 1e9), parseSize('7', '', 1e9)]).toEqual([
			65_536, 1_048_576, 7,
		]);
		expect([parseDuration('1.5s', ''), parseDuration('2m', ''), parseDuration('0ms', '')]).toEqual([
			1500, 120_000, 0,
		]);
		for (const text of ['10', '-1s', '1w', '', '25h']) expect(() => parseDuration(text, 'it')).toThrow(DapssError);
		for (const text of ['x', '-1', '1.5k', '2000000000'])
			expect(() => parseSize(text, 'it', 1e9)).toThrow(DapssError);
	});

	test('the output has colour on a terminal, unless NO_COLOR, FORCE_COLOR or TERM decides', () => {
		expect([
			wantsColour(true, {}),
			wantsColour(false, {}),
			wantsColour(true, {NO_COLOR: '1'}),
			wantsColour(true, {NO_COLOR: ''}),
			wantsColour(true, {TERM: 'dumb'}),
			wantsColour(false, {FORCE_COLOR: '1'}),
			wantsColour(true, {FORCE_COLOR: '0'}),
			wantsColour(false, {FORCE_COLOR: '1', NO_COLOR: '1'}),
		]).toEqual([true, false, false, true, false, true, false, true]);
	});
});
