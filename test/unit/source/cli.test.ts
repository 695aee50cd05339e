import {createSocket} from 'node:dgram';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createServer, type AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {PassThrough, Readable, Writable} from 'node:stream';
import fc from 'fast-check';
import {afterAll, beforeAll, beforeEach, describe, expect, test} from 'vitest';
import type {Config} from '../../../core/config.ts';
import {DapssError} from '../../../core/errors.ts';
import type {RecordedEvent} from '../../../core/events.ts';
import type {Topic} from '../../../core/message.ts';
import type {SurvivorReport} from '../../../core/recover.ts';
import {parseDuration, parseSize} from '../../../source/arguments/values.ts';
import {commands} from '../../../source/commands/command-table.ts';
import type {Backend} from '../../../source/context.ts';
import {leaveOrSay} from '../../../source/nodes/leaving.ts';
import {wantsColour} from '../../../source/output/terminal.ts';
import {parseArguments} from '../../../source/parse.ts';
import {delivery, FakeBroker, run, type Outcome, type RunOptions} from '../../support/fakes.ts';
import * as pictures from '../../tui/support/fixtures.ts';

let home: string;
let env: Record<string, string>;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-cli-'));
	writeFileSync(join(home, 'secret'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
	env = {HOME: home, DAPSS_SECRET_FILE: join(home, 'secret')};
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const healthy = (): FakeBroker => new FakeBroker(pictures.healthy);
const dapss = (line: string | readonly string[], options: RunOptions = {}): Promise<Outcome> =>
	run(typeof line === 'string' ? line.split(' ').filter(Boolean) : line, {
		broker: healthy(),
		cwd: home,
		...options,
		env: {...env, ...options.env},
	});

describe('words', () => {
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
		['subscribe news --from tomorrow', /now, beginning or an offset/],
		['events --watch -o json', /jsonl or text/],
		['events --messages', /Expected --watch with --messages/],
		['events --watch news', /topics only after --messages/],
		['events --watch --messages a/# --wait 1s', /wildcard|#/],
		['fault break', /Expected fault cut, delay, drop, heal/],
		['fault delay soon', /500ms, 10s or 1m/],
		['status --server nowhere', /Expected --server to be host:port or a port/],
		[
			'--bootstrap ,, --headless',
			/bootstrap \(--bootstrap\): Expected a list of addresses \(host:port\), got ",,"/,
		],
		['status --server ,', /Expected --server to be host:port or a port, got ","/],
		['--port 0', /port \(--port\): Expected a whole number from 1/],
	])('dapss-tui %s ends with 2 and says what was expected', async (line, expected) => {
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

	test('what stands behind -- is no flag, and a switch may be set by true and false', async () => {
		expect(await dapss('publish news -- --wait')).toMatchObject({code: 0});
		expect(await dapss('events --watch=false')).toMatchObject({code: 0});
		expect(await dapss('config --bootstrap 5000 --bootstrap 5001')).toMatchObject({code: 0});
	});

	test('a list of servers may end with a comma, and an empty DAPSS_SERVER names none', async () => {
		expect(await dapss('leader --server 5000,')).toMatchObject({code: 0});
		expect(await dapss('leader', {env: {DAPSS_SERVER: ''}})).toMatchObject({code: 0});
	});

	test('every command has its flag for the version', async () => {
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
		for (const {examples} of commands) {
			for (const example of examples) {
				const line = /dapss-tui ([^|;]+)/.exec(example)![1]!;
				const words = [...line.trim().matchAll(/"([^"]*)"|(\S+)/g)].map(match => match[1] ?? match[2]!);
				expect(() => parseArguments(words, '0'), example).not.toThrow();
			}
		}
	});

	test('flags stand anywhere, texts stay texts', () => {
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

	test('no argv makes the parser throw anything but a usage error', () => {
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
				} catch (error) {
					expect(error).toMatchObject({name: 'DapssError', code: 'usage'});
				}
			}),
			{numRuns: 3000},
		);
	});

	test('versions', async () => {
		expect((await dapss('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/);
		expect(JSON.parse((await dapss('version -o json')).out)).toMatchObject({node: process.versions.node});
	});

	test('sizes and times', () => {
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

	test('colour', () => {
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

describe('views', () => {
	test('peers shows the version of each node, and the protocols while they differ', async () => {
		const {out} = await dapss('peers');
		expect(out).toMatch(/LINK +VERSION +WHY/);
		expect(out).toMatch(/up +0\.1\.0/);
		const mixed = {
			...pictures.healthy,
			members: pictures.healthy.members.map((member, index) =>
				index === 1 ? {...member, version: '0.0.9', protocol: 1} : member,
			),
		};
		const differs = (await dapss('peers', {broker: new FakeBroker(mixed)})).out;
		expect(differs).toMatch(/VERSION +PROTOCOL +WHY/);
		expect(differs).toMatch(/0\.0\.9 +1/);
	});

	test('status -o json is the contract', async () => {
		const {code, out} = await dapss('status -o json');
		const status = JSON.parse(out) as Record<string, unknown>;
		expect(code).toBe(0);
		expect(status).toMatchObject({
			cluster: 'dapss',
			self: pictures.a,
			role: 'leader',
			term: 4,
			leader: pictures.a,
			commit: 318,
			applied: 318,
			quorum: {has: true, voters: 3, reachable: 3},
			clusterId: pictures.healthy.clusterId,
			foreign: [],
			duplicates: [],
			partition: {state: 'whole'},
			lamport: 10_428,
			faults: [],
			version: '0.1.0',
			protocol: 2,
		});
		expect((status['members'] as object[])[1]).toEqual({
			id: pictures.b,
			name: '',
			address: '127.0.0.1:5001',
			state: 'alive',
			voter: true,
			rttMs: pictures.healthy.members[1]!.rttMs,
			version: '0.1.0',
			protocol: 2,
		});
		expect(Object.keys((status['topics'] as object[])[0]!)).toEqual([
			'name',
			'durable',
			'subscribers',
			'messages',
			'bytes',
			'missing',
			'rates',
			'created',
			'retention',
			'settings',
		]);
		expect(
			JSON.parse((await dapss('status -o json', {broker: new FakeBroker(pictures.leaderless)})).out),
		).toMatchObject({leader: null});
	});

	test('status names the voters that are away, what that means and what helps', async () => {
		const broker = new FakeBroker(pictures.lost);
		const {out} = await dapss('status', {broker});
		expect(out).toContain(
			`missing     ${pictures.c.slice(0, 8)} (127.0.0.1:5002) down for 2 min 5 s; 2 of 3 voters left: no further may fail\n`,
		);
		expect(out).toContain(
			`what helps  start it again, or repair the network to it; a node that is gone for good is taken out by dapss-tui peer remove ${pictures.c.slice(0, 8)}, and a new one takes its place`,
		);
		expect(JSON.parse((await dapss('status -o json', {broker})).out)).toMatchObject({
			quorum: {
				has: true,
				voters: 3,
				reachable: 2,
				missing: [{id: pictures.c, address: '127.0.0.1:5002', state: 'down', downMs: 125_000}],
			},
		});
		expect((await dapss('status')).out).not.toContain('missing');
	});

	test('leader ends with 12 without a leader', async () => {
		expect(await dapss('leader')).toMatchObject({code: 0, out: expect.stringContaining(pictures.a) as string});
		expect(await dapss('leader -o json', {broker: new FakeBroker(pictures.leaderless)})).toMatchObject({
			code: 12,
			out: expect.stringContaining('"leader":null') as string,
		});
	});

	test('text from the network is harmless on a terminal, with or without colour', async () => {
		for (const line of ['status', 'peers', 'topics', 'leader', 'check', 'events']) {
			const {out} = await dapss(line, {
				broker: new FakeBroker(pictures.hostile),
				isTerminal: true,
				env: {FORCE_COLOR: '0'},
			});
			// oxlint-disable-next-line no-control-regex -- they are what must not be there
			expect(out).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/u);
		}
	});

	test('no colour codes without a terminal', async () => {
		for (const line of ['status', 'peers', 'topics', 'check', 'events', '--help'])
			expect((await dapss(line)).out).not.toContain('\u001B');
		expect((await dapss('check', {env: {FORCE_COLOR: '1'}})).out).toContain('\u001B[32mhealthy');
	});
});

describe('check', () => {
	test('healthy', async () =>
		expect(await dapss('check')).toMatchObject({
			code: 0,
			out: expect.stringMatching(/^healthy: cluster dapss, 3 of 3 members/) as string,
		}));

	test('a lost quorum names the voters that are missing and what to do', async () => {
		const {members, raft} = pictures.healthy;
		const snapshot = {
			...pictures.healthy,
			raft: {...raft, hasQuorum: false, quorum: 'lost' as const, leader: undefined, reachableVoters: 1},
			members: members.map((member, index) =>
				index === 0 ? member : {...member, state: 'down' as const, reached: false, why: 'connection refused'},
			),
		};
		const broker = new FakeBroker(snapshot);
		const {code, out} = await dapss('check', {broker});
		expect(code).toBe(11);
		expect(out).toContain(
			`1 of 3 voters reachable, 2 needed; missing: ${pictures.b.slice(0, 8)} (127.0.0.1:5001, connection refused, down), ${pictures.c.slice(0, 8)}`,
		);
		expect(out).toContain('Start 1 of the missing nodes again');
		expect(out).toContain('Only if their disks are gone for good: stop this node and run dapss-tui recover for it');
		expect(JSON.parse((await dapss('check -o json', {broker})).out)).toMatchObject({verdict: 'no-quorum'});
	});

	test('a node that believes all is well is not believed: the quorum answers', async () => {
		const broker = healthy();
		broker.readIndexAnswer = async () => {
			throw new DapssError('no-quorum', 'no quorum');
		};
		expect((await dapss('check', {broker})).code).toBe(11);
		broker.readIndexAnswer = async () => {
			throw new DapssError('no-leader', 'no leader');
		};
		expect((await dapss('check', {broker})).code).toBe(12);
	});

	test('no leader, a dead member, a partition, a joining node', async () => {
		expect(
			(
				await dapss('check', {
					broker: new FakeBroker({
						...pictures.healthy,
						raft: {...pictures.healthy.raft, leader: undefined, hasQuorum: false, quorum: 'electing'},
					}),
				})
			).code,
		).toBe(12);
		expect(await dapss('check', {broker: new FakeBroker(pictures.joining)})).toMatchObject({
			code: expect.not.toBeOneOf([0]) as number,
		});
		const members = pictures.healthy.members.map((member, index) =>
			index === 2 ? {...member, state: 'suspect' as const} : member,
		);
		expect(await dapss('check', {broker: new FakeBroker({...pictures.healthy, members})})).toMatchObject({
			code: 10,
			out: expect.stringContaining('is suspect, and votes') as string,
		});
		const {out, code} = await dapss('check', {
			broker: new FakeBroker({
				...pictures.partitioned,
				raft: {...pictures.partitioned.raft, hasQuorum: true, leader: pictures.a},
			}),
		});
		expect(code).toBe(10);
		expect(out).toMatch(/Partitioned for .*\(quorum\)/);
	});
});

describe('finding a node', () => {
	test('none: 14, and what to do', async () => {
		const here = 'dapss-tui: No node of cluster dapss runs here';
		const remedy = ': start one with dapss-tui, or give one with --server host:port';
		expect(await dapss('status --no-discovery', {nodes: []})).toEqual({
			code: 14,
			out: '',
			err: `${here}${remedy}\n`,
		});
		expect(await dapss('status', {nodes: []})).toEqual({
			code: 14,
			out: '',
			err: `${here}; none was heard${remedy}. A node is found if it has the same secret (--secret-file) and the network passes multicast\n`,
		});
	});

	test('--server before DAPSS_SERVER before those that run here', async () => {
		const seen: string[] = [];
		const broker = (address: string): FakeBroker => {
			seen.push(address);
			return healthy();
		};
		await dapss('status', {broker});
		await dapss('status', {broker, env: {DAPSS_SERVER: '5007'}});
		await dapss('status --server db:5008', {broker, env: {DAPSS_SERVER: '5007'}});
		expect(seen).toEqual(['127.0.0.1:5000', '127.0.0.1:5007', 'db:5008']);
	});

	test.each([
		['unreachable', 14],
		['not-authenticated', 13],
		['refused', 1],
		['no-quorum', 11],
	] as const)('%s ends with %i', async (code, expected) => {
		const connect = async (): Promise<never> => {
			throw new DapssError(code, 'because');
		};
		expect(await dapss('status', {backend: {connect}})).toEqual({
			code: expected,
			out: '',
			err: 'dapss-tui: because\n',
		});
	});

	test('the node is left, whatever happens', async () => {
		const broker = healthy();
		await dapss('status', {broker});
		expect(broker.isDisposed).toBe(true);
		const failing = healthy();
		failing.publishAnswer = async () => {
			throw new DapssError('storage', 'disk full');
		};
		expect(await dapss('publish news hi', {broker: failing})).toMatchObject({
			code: 1,
			err: 'dapss-tui: disk full (0 messages are stored)\n',
		});
		expect(failing.isDisposed).toBe(true);
	});
});

describe('publish', () => {
	const bodies = (broker: FakeBroker): string[] =>
		broker.published.flatMap(({bodies: some}) => some.map(body => Buffer.from(body).toString()));

	test('one message', async () => {
		const broker = healthy();
		expect(await dapss(['publish', 'news', 'Grüezi  mitenand'], {broker})).toEqual({
			code: 0,
			out: `1 message stored in news (${pictures.a.slice(0, 8)} #1)\n`,
			err: '',
		});
		expect(bodies(broker)).toEqual(['Grüezi  mitenand']);
	});

	test('many of one size', async () => {
		const broker = healthy();
		const {out} = await dapss('publish news --count 1000 --size 100 -o json', {broker});
		expect(JSON.parse(out)).toMatchObject({
			topic: 'news',
			origin: pictures.a,
			firstSeq: 1,
			lastSeq: 1000,
			count: 1000,
			bytes: 100_000,
		});
		expect(new Set(bodies(broker)).size).toBe(1000);
		expect(bodies(broker).every(body => body.length === 100)).toBe(true);
	});

	test('every line of standard input, byte for byte', async () => {
		const broker = healthy();
		const input = Buffer.concat([
			Buffer.from('a\n\n b \r\n'),
			Buffer.from([0xff, 0x00, 0x0a]),
			Buffer.from('last'),
		]);
		const {code} = await dapss('publish news -', {
			broker,
			stdin: Readable.from([...input].map(byte => Buffer.from([byte]))),
		});
		expect(code).toBe(0);
		expect(broker.published.flatMap(({bodies: some}) => some.map(body => [...body]))).toEqual([
			[97],
			[],
			[32, 98, 32, 13],
			[0xff, 0],
			[...Buffer.from('last')],
		]);
	});

	test('nothing in, nothing published, and all is well', async () => {
		const broker = healthy();
		expect(await dapss('publish news -', {broker, stdin: Readable.from([])})).toMatchObject({
			code: 0,
			out: '0 messages stored in news\n',
		});
	});

	test('a line that is too long is named; those before it are stored', async () => {
		const broker = healthy();
		const {code, err} = await dapss('publish news -', {
			broker,
			stdin: Readable.from([Buffer.from('one\ntwo\n'), Buffer.alloc(600_000, 120), Buffer.alloc(600_000, 120)]),
		});
		expect(code).toBe(2);
		expect(err).toMatch(/line 3 is longer \(2 messages are stored\)/);
		expect(bodies(broker)).toEqual(['one', 'two']);
	});

	test('a message that is too long is refused before anything is sent', async () => {
		const broker = healthy();
		expect(await dapss(['publish', 'news', 'x'.repeat(1_048_000)], {broker})).toMatchObject({
			code: 2,
			err: expect.stringContaining('1048000') as string,
		});
		expect(await dapss('publish news --size 2MiB', {broker})).toMatchObject({code: 2});
		expect(broker.published).toEqual([]);
	});
});

describe('subscribe', () => {
	const broker = (...deliveries: ReadonlyArray<readonly ReturnType<typeof delivery>[]>): FakeBroker =>
		Object.assign(healthy(), {deliveries});

	test('lines of JSON: text where it is UTF-8, else base64; both give the bytes back', async () => {
		const {code, out, err} = await dapss('subscribe news --count 3 -o jsonl', {
			broker: broker(
				[delivery(1, 'Zürich\n"☀"'), delivery(2, Buffer.from([0xff, 0]))],
				[delivery(3, ''), delivery(4, 'too many')],
			),
		});
		expect({code, err}).toEqual({code: 0, err: 'Subscribed to news at 127.0.0.1:5000\n'});
		const lines = out
			.trimEnd()
			.split('\n')
			.map(line => JSON.parse(line) as Record<string, unknown>);
		expect(lines.map(({at, ...rest}) => (expect(at).toEqual(expect.any(Number)), rest))).toEqual([
			{
				type: 'message',
				sentAt: 0,
				topic: 'news',
				origin: pictures.a,
				incarnation: 1,
				seq: 1,
				lamport: 11,
				size: Buffer.byteLength('Zürich\n"☀"'),
				payload: 'Zürich\n"☀"',
				offset: 0,
			},
			{
				type: 'message',
				sentAt: 0,
				topic: 'news',
				origin: pictures.a,
				incarnation: 1,
				seq: 2,
				lamport: 12,
				size: 2,
				payload64: '/wA=',
				offset: 1,
			},
			{
				type: 'message',
				sentAt: 0,
				topic: 'news',
				origin: pictures.a,
				incarnation: 1,
				seq: 3,
				lamport: 13,
				size: 0,
				payload: '',
				offset: 2,
			},
		]);
	});

	test('text: one harmless line a message; raw: its bytes', async () => {
		const deliveries = [[delivery(1, 'a\nb'), delivery(2, '\u001B]0;title\u0007', 'logs')]] as const;
		expect((await dapss('subscribe news --count 2', {broker: broker(...deliveries)})).out).toBe(
			'a␤b\n␛]0;title␇\n',
		);
		expect((await dapss('subscribe news logs --count 2', {broker: broker(...deliveries)})).out).toBe(
			'news  a␤b\nlogs  ␛]0;title␇\n',
		);
		expect((await dapss('subscribe news --count 2 -o raw', {broker: broker(...deliveries)})).out).toBe(
			'a\nb\n\u001B]0;title\u0007\n',
		);
	});

	test('where to begin', async () => {
		const seen = broker([delivery(1, 'x')]);
		for (const from of ['now', 'beginning', '42'])
			await dapss(`subscribe news --count 1 --from ${from}`, {broker: seen});
		expect(seen.subscriptions.map(({from}) => from)).toEqual(['now', 'beginning', 42]);
	});

	test('a minority refuses: 11', async () => {
		const refused = broker();
		refused.agreed = Promise.reject(new DapssError('no-quorum', '1 of 3 voters reachable'));
		expect(await dapss('subscribe news', {broker: refused})).toEqual({
			code: 11,
			out: '',
			err: 'dapss-tui: 1 of 3 voters reachable\n',
		});
	});

	test.each([
		['SIGINT', 130],
		['SIGTERM', 143],
		['SIGHUP', 129],
	])('%s ends it with %i', async (signal, expected) => {
		const stop = new AbortController();
		const stdout = new Writable({
			write(_chunk, _encoding, done) {
				stop.abort(signal);
				done();
			},
		});
		expect(await dapss('subscribe news', {broker: broker([delivery(1, 'x')]), stop, stdout})).toMatchObject({
			code: expected,
		});
	});

	test('a reader that goes away ends it quietly', async () => {
		const stdout = new Writable({
			write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), {code: 'EPIPE'})),
		});
		expect(await dapss('subscribe news', {broker: broker([delivery(1, 'x')]), stdout})).toMatchObject({
			code: 0,
			err: 'Subscribed to news at 127.0.0.1:5000\n',
		});
	});

	test('a full disk behind standard output is a failure', async () => {
		const stdout = new Writable({
			write: (_chunk, _encoding, done) =>
				done(Object.assign(new Error('ENOSPC: no space left'), {code: 'ENOSPC'})),
		});
		expect(await dapss('subscribe news', {broker: broker([delivery(1, 'x')]), stdout})).toMatchObject({
			code: 1,
			err: expect.stringContaining('ENOSPC') as string,
		});
	});

	test('a full disk behind standard output is the same failure with --count, whose reader did not go away', async () => {
		const full = (): Writable =>
			new Writable({
				write: (_chunk, _encoding, done) =>
					done(Object.assign(new Error('ENOSPC: no space left'), {code: 'ENOSPC'})),
			});
		for (const count of [1, 5]) {
			expect(
				await dapss(`subscribe news --count ${count}`, {broker: broker([delivery(1, 'x')]), stdout: full()}),
			).toEqual({
				code: 1,
				out: '',
				err: 'Subscribed to news at 127.0.0.1:5000\ndapss-tui: Standard output failed: ENOSPC: no space left\n',
			});
		}
	});
});

test('leave: the node leaves, or the reason why it cannot', async () => {
	const broker = new FakeBroker(pictures.healthy);
	const {code, out} = await dapss('leave -o json', {broker});
	expect([code, broker.hasLeft]).toEqual([0, true]);
	expect(JSON.parse(out)).toEqual({
		left: pictures.a,
		name: '',
		address: '127.0.0.1:5000',
		cluster: 'dapss',
		tookMs: expect.any(Number) as number,
	});
	expect((await dapss('leave', {broker: new FakeBroker(pictures.healthy)})).out).toMatch(
		/^3f2a91c4 \(127\.0\.0\.1:5000\) left the cluster dapss after \d+ ms and stops\. Started again with its data folder it joins as a new member\n$/,
	);
	broker.manageAnswer = async () => {
		throw new DapssError('no-quorum', 'This node cannot leave: no quorum');
	};
	expect(await dapss('leave', {broker})).toEqual({
		code: 11,
		out: '',
		err: 'dapss-tui: This node cannot leave: no quorum\n',
	});
	expect(await dapss('leave 5001', {broker})).toMatchObject({code: 2});
});

test.each(['leave', 'fault delay 1s', 'fault drop 10', 'fault cut 5001'])(
	'%s changes the node that it reaches: of several it takes none',
	async words => {
		const broker = healthy();
		const nodes = ['127.0.0.1:5000', '127.0.0.1:5001'];
		expect(await dapss(words, {broker, nodes})).toEqual({
			code: 2,
			out: '',
			err: 'dapss-tui: 2 nodes of cluster dapss run here: 127.0.0.1:5000, 127.0.0.1:5001. This command changes the node that it reaches: choose one with --server\n',
		});
		const named = [
			{address: '127.0.0.1:5000', name: 'west'},
			{address: '127.0.0.1:5001', name: '\u001B[2Jeast'},
		];
		expect((await dapss(words, {broker, nodes: named})).err).toContain(
			'run here: 127.0.0.1:5000 (west), 127.0.0.1:5001 (␛[2Jeast). This',
		);
		expect(await dapss(`${words} --server 5000,5001`, {broker, nodes})).toEqual({
			code: 2,
			out: '',
			err: 'dapss-tui: Expected --server to name one node, got 2: this command changes the node that it reaches\n',
		});
		expect(await dapss(words, {broker, nodes, env: {DAPSS_SERVER: '5000,5001'}})).toMatchObject({
			code: 2,
			err: expect.stringContaining('Expected DAPSS_SERVER to name one node') as string,
		});
		expect([broker.hasLeft, broker.faults]).toEqual([false, []]);
		expect(await dapss(`${words} --server 5000`, {broker, nodes})).toMatchObject({code: 0});
		expect(await dapss(words, {broker, nodes: nodes.slice(0, 1)})).toMatchObject({code: 0});
	},
);

test.each(['fault heal', 'fault cut 5000 5001', 'status'])('%s uses any of several nodes', async words => {
	const nodes = ['127.0.0.1:5000', '127.0.0.1:5001'];
	expect(await dapss(words, {broker: healthy(), nodes})).toMatchObject({code: 0});
	expect(await dapss(`${words} --server 5000,5001`, {broker: healthy(), nodes})).toMatchObject({code: 0});
});

describe('topic create, delete, list (case 14)', () => {
	test('create passes the settings on; names are composed, times are whole seconds', async () => {
		const broker = healthy();
		expect(await dapss('topic create orders --retain-age 12h --retain-bytes 64m', {broker})).toEqual({
			code: 0,
			out: 'topic orders is created\n',
			err: '',
		});
		expect(JSON.parse((await dapss('topic create cafe\u0301 --update -o json', {broker})).out)).toEqual({
			topic: 'caf\u00E9',
			change: 'created',
			settings: {},
			retention: null,
		});
		expect(broker.topicCommands).toEqual([
			{topic: 'orders', settings: {retainAgeS: 43_200, retainBytes: 67_108_864}, update: false},
			{topic: 'caf\u00E9', settings: {}, update: true},
		]);
		for (const given of ['1500ms', '12', '0s', '9999d'])
			expect(await dapss(`topic create orders --retain-age ${given}`, {broker})).toMatchObject({
				code: 2,
				err: expect.stringContaining(
					`Expected --retain-age to be whole seconds, 1s to 3650d, such as 90s, 30m, 12h or 7d, got "${given}"`,
				) as string,
			});
		for (const given of ['1k', '2p', '64x'])
			expect(await dapss(`topic create orders --retain-bytes ${given}`, {broker})).toMatchObject({
				code: 2,
				err: expect.stringContaining(
					`Expected --retain-bytes to be a size, 4 KiB to 1 PiB, such as 64k, 64m or 1g, got "${given}"`,
				) as string,
			});
		expect(await dapss('topic create orders --force', {broker})).toMatchObject({
			code: 2,
			err: expect.stringContaining('--force is no flag of topic create') as string,
		});
		expect(await dapss('topic orders', {broker})).toMatchObject({
			code: 2,
			err: expect.stringContaining('Expected topic create, topic delete or topic list, got "orders"') as string,
		});
	});

	test('delete asks, needs --yes without a terminal, and reports failures', async () => {
		const broker = healthy();
		expect(await dapss('topic delete orders', {broker})).toEqual({
			code: 2,
			out: '',
			err: 'dapss-tui: Nothing was deleted: without a terminal, expected --yes\n',
		});
		const asked = (answer: string): ReturnType<typeof dapss> =>
			dapss('topic delete orders', {
				broker,
				stdin: Object.assign(Readable.from([Buffer.from(answer)]), {isTTY: true}),
			});
		expect(await asked('no\n')).toMatchObject({
			code: 2,
			err: expect.stringContaining('Nothing was deleted: expected yes, got "no"') as string,
		});
		expect(broker.topicCommands).toEqual([]);
		expect(await asked('yes\n')).toMatchObject({
			code: 0,
			err: expect.stringContaining(
				'Delete the topic orders on all nodes, permanently? Type yes to continue:',
			) as string,
		});
		expect(await dapss('topic delete orders --yes --force', {broker})).toEqual({
			code: 0,
			out: 'topic orders is deleted, with 3 messages\n',
			err: '',
		});
		expect(broker.topicCommands).toEqual([
			{topic: 'orders', force: false},
			{topic: 'orders', force: true},
		]);
		broker.manageAnswer = async () =>
			Promise.reject(new DapssError('refused', 'The topic orders has subscribers: db1'));
		expect(await dapss('topic delete orders --yes', {broker})).toEqual({
			code: 1,
			out: '',
			err: 'dapss-tui: The topic orders has subscribers: db1\n',
		});
	});

	test("list is the same as topics, and shows which retention is the topic's own", async () => {
		const [first, ...rest] = pictures.healthy.topics;
		const broker = new FakeBroker({
			...pictures.healthy,
			topics: [
				{
					...first!,
					created: true,
					settings: {retainAgeS: 43_200},
					retention: {retainAgeS: 43_200, retainBytes: 268_435_456},
				},
				...rest,
			],
		});
		const {out} = await dapss('topic list', {broker});
		expect(out).toBe((await dapss('topics', {broker})).out);
		expect(out).toMatch(/created .* 12 h, 256 MiB \(its own\)/);
		expect((JSON.parse((await dapss('topic list -o json', {broker})).out) as object[])[0]).toMatchObject({
			created: true,
			settings: {retainAgeS: 43_200},
			retention: {retainAgeS: 43_200, retainBytes: 268_435_456},
		});
	});
});

describe('leader transfer, peer remove, recover', () => {
	test('transfers leadership to the given node, or to any', async () => {
		const broker = new FakeBroker(pictures.healthy);
		expect(await dapss('leader transfer 5001', {broker})).toMatchObject({
			code: 0,
			out: expect.stringContaining('(127.0.0.1:5001) leads now') as string,
		});
		const {out} = await dapss('leader transfer -o json', {broker});
		expect(JSON.parse(out)).toMatchObject({
			leader: pictures.b,
			address: '127.0.0.1:5001',
			tookMs: expect.any(Number) as number,
		});
		expect(broker.transfers).toEqual([pictures.b, undefined]);
		expect(await dapss('leader depose', {broker})).toMatchObject({code: 2});
		expect(await dapss('leader transfer 5009', {broker})).toMatchObject({
			code: 2,
			err: expect.stringContaining('"5009" to be a member') as string,
		});
	});

	test('removes a member, or gives the reason of a refusal', async () => {
		const broker = new FakeBroker(pictures.healthy);
		expect(await dapss('peer remove 5002 -o json', {broker})).toEqual({
			code: 0,
			out: `${JSON.stringify({removed: pictures.c, name: '', address: '127.0.0.1:5002'})}\n`,
			err: '',
		});
		expect(broker.removed).toEqual([pictures.c]);
		broker.manageAnswer = async () => {
			throw new DapssError('refused', 'Without it there is no quorum');
		};
		expect(await dapss('peer remove 5002', {broker})).toEqual({
			code: 1,
			out: '',
			err: 'dapss-tui: Without it there is no quorum\n',
		});
		expect(await dapss('peer', {broker})).toMatchObject({code: 2});
	});

	describe('recover', () => {
		const remains: SurvivorReport = {
			node: pictures.a,
			name: '',
			address: '127.0.0.1:5000',
			clusterId: 'old-cluster',
			voters: [pictures.a, pictures.b, pictures.c],
			last: {term: 7, index: 40},
			commit: 38,
			topics: ['news' as Topic],
			lost: [
				{id: pictures.b, name: 'oslo-2', address: '127.0.0.1:5001', voter: true},
				{id: pictures.d, name: '', address: '127.0.0.1:5003', voter: false},
			],
		};
		let carried: number;
		let opened: string[];
		const backend: Partial<Backend> = {
			async openSurvivor({data}) {
				opened.push(data);
				return {
					report: remains,
					async forceNewCluster() {
						carried++;
						return 'new-cluster';
					},
					async [Symbol.asyncDispose]() {}, // oxlint-disable-line no-empty-function
				};
			},
		};
		beforeEach(() => {
			carried = 0;
			opened = [];
		});

		test('changes nothing before the name of the cluster is given', async () => {
			const {code, out, err} = await dapss('recover --data /d', {backend});
			expect({code, out, carried}).toEqual({code: 2, out: '', carried: 0});
			expect(err).toContain('Nothing was changed: without a terminal, expected --confirm dapss');
			for (const text of [
				'entry 40 of term 7',
				'1 topic,',
				'this node does not know whether the last 2 of them were committed',
				`oslo-2 (127.0.0.1:5001, voter), ${pictures.d.slice(0, 8)} (127.0.0.1:5003)`,
				'LOST',
			])
				expect(err).toContain(text);
			expect(await dapss('recover --data /d --confirm other', {backend})).toMatchObject({
				code: 2,
				err: expect.stringContaining(
					'Nothing was changed: expected the name of the cluster, dapss, got "other"',
				) as string,
			});
			expect(carried).toBe(0);
		});

		test('then prints the next steps', async () => {
			const {code, out} = await dapss('recover --data /d --confirm dapss', {backend});
			expect([code, carried]).toEqual([0, 1]);
			expect(out).toContain('is the only voter of the new cluster new-clus now');
			expect(out).toContain('--bootstrap 127.0.0.1:5000');
			const {out: json} = await dapss('recover --data /d --cluster plant --confirm plant -o json', {backend});
			expect(JSON.parse(json)).toEqual({
				cluster: 'plant',
				clusterId: 'new-cluster',
				formerClusterId: 'old-cluster',
				node: pictures.a,
				address: '127.0.0.1:5000',
				formerVoters: remains.voters,
				lost: [pictures.b, pictures.d],
				topics: ['news'],
				last: {term: 7, index: 40},
			});
		});

		test('asks on a terminal', async () => {
			const asked = (answer: string): Promise<Outcome> =>
				dapss('recover --data /d', {
					backend,
					stdin: Object.assign(Readable.from([Buffer.from(answer)]), {isTTY: true}),
				});
			expect(await asked('dapss\n')).toMatchObject({
				code: 0,
				err: expect.stringContaining('Type the name of the cluster, dapss, to continue:') as string,
			});
			expect(await asked('yes\n')).toMatchObject({code: 2});
			expect(await asked('')).toMatchObject({code: 2});
			expect(carried).toBe(1);
		});

		test('needs the node', async () => {
			expect(await dapss('recover --confirm dapss', {backend})).toMatchObject({
				code: 2,
				err: expect.stringContaining('Expected --data DIR or --port PORT') as string,
			});
			expect(await dapss('recover --confirm dapss --port 5001', {backend})).toMatchObject({code: 0});
			expect(opened).toEqual([join(home, '.local', 'share', 'dapss', 'dapss', '5001')]);
		});
	});
});

describe('fault', () => {
	test('a cut applies to every node of the first group, towards the second', async () => {
		const brokers = new Map(['127.0.0.1:5000', '127.0.0.1:5001'].map(address => [address, healthy()]));
		const {code, out} = await dapss(
			`fault cut 5000,${pictures.b.slice(0, 8)} 127.0.0.1:5002 --for 30s --one-way -o json`,
			{broker: address => brokers.get(address)!},
		);
		expect(code).toBe(0);
		for (const broker of brokers.values())
			expect(broker.faults).toEqual([{type: 'cut', peers: [pictures.c], direction: 'out', forMs: 30_000}]);
		expect(JSON.parse(out)).toMatchObject({nodes: [pictures.a, pictures.b]});
	});

	test('a name without a node, a node in both groups', async () => {
		expect(await dapss('fault cut 5000 5009')).toMatchObject({
			code: 2,
			err: expect.stringContaining('"5009" to be a member') as string,
		});
		expect(await dapss('fault cut 5000,5001 5001')).toMatchObject({
			code: 2,
			err: expect.stringContaining('is in both') as string,
		});
	});

	test('delay and drop are for the asked node, heal for all reachable nodes', async () => {
		const broker = healthy();
		await dapss('fault delay 200ms', {broker});
		await dapss('fault drop 12.5 --for 1m', {broker});
		expect(broker.faults).toEqual([
			{type: 'delay', ms: 200, forMs: 10_000},
			{type: 'drop', percent: 12.5, forMs: 60_000},
		]);
		const told: string[] = [];
		const some = (address: string): FakeBroker => {
			if (address.endsWith('5002')) throw new DapssError('unreachable', 'refused');
			const one = healthy();
			one.fault = async () => void told.push(address);
			return one;
		};
		expect(await dapss('fault heal', {broker: some})).toMatchObject({
			code: 0,
			err: expect.stringContaining('127.0.0.1:5002): refused') as string,
		});
		expect(told.toSorted()).toEqual(['127.0.0.1:5000', '127.0.0.1:5001']);
	});
});

describe('events', () => {
	test('past events, and new events without duplicates', async () => {
		const last = pictures.events.at(-1)!;
		const next: RecordedEvent = {at: pictures.atMs, type: 'leader', term: 5, leader: undefined};
		const broker = Object.assign(healthy(), {
			snapshotValue: {...pictures.healthy, events: pictures.events},
			stream: [last, next],
		});
		const lately = (await dapss('events -o jsonl', {broker})).out.trimEnd().split('\n');
		expect(lately).toHaveLength(pictures.events.length);
		const stop = new AbortController();
		const stdout = new PassThrough();
		const lines: string[] = [];
		stdout.on('data', (chunk: Buffer) => {
			lines.push(...chunk.toString().trimEnd().split('\n'));
			if (lines.some(line => line.includes('"term":5'))) stop.abort('SIGTERM');
		});
		expect(
			(
				await dapss('events --watch -o jsonl', {
					broker: Object.assign(healthy(), {snapshotValue: broker.snapshotValue, stream: broker.stream}),
					stop,
					stdout,
				})
			).code,
		).toBe(143);
		expect(lines.slice(0, -1)).toEqual([
			...lately,
			JSON.stringify({type: 'leader', at: pictures.atMs, term: 5, leader: null}),
		]);
	});
});

test('events --watch --messages prints messages of the given topics, and all other events (case 31)', async () => {
	const messages = ['news', 'jobs', 'news'].map((topic, index): RecordedEvent => ({
		at: 5,
		type: 'message',
		message: delivery(index + 1, 'x', topic),
	}));
	const told = async (line: string): Promise<readonly string[]> => {
		const stop = new AbortController();
		const stdout = new PassThrough();
		let text = '';
		stdout.on('data', (chunk: Buffer) => {
			text += chunk.toString();
			if (text.includes('"dropped":7')) stop.abort('SIGTERM');
		});
		const broker = Object.assign(healthy(), {
			snapshotValue: {...pictures.healthy, events: []},
			stream: [...messages, {at: 6, type: 'lagged', dropped: 7}],
		});
		await dapss(line, {broker, stop, stdout});
		return text
			.trimEnd()
			.split('\n')
			.map(one => JSON.parse(one) as {readonly type: string; readonly seq?: number})
			.filter(({type}) => type === 'message' || type === 'lagged')
			.map(({type, seq}) => `${type} ${seq ?? ''}`.trim());
	};

	expect(await told('events --watch --messages -o jsonl')).toEqual(['message 1', 'message 2', 'message 3', 'lagged']);
	expect(await told('events --watch --messages news -o jsonl')).toEqual(['message 1', 'message 3', 'lagged']);
	expect((await dapss('events --watch --messages nowhere -o jsonl --wait 20ms', {broker: healthy()})).err).toContain(
		'The node does not subscribe to nowhere',
	);
});

describe('the node', () => {
	const holding = async (body: (port: number) => Promise<void>): Promise<void> => {
		const server = createServer();
		await new Promise<void>(resolve => {
			server.listen(0, '127.0.0.1', resolve);
		});
		try {
			await body((server.address() as AddressInfo).port);
		} finally {
			server.close();
		}
	};

	const opened = (broker: FakeBroker, configs: Config[] = []): Pick<RunOptions, 'backend'> => ({
		backend: {
			async openBroker(config) {
				configs.push(config);
				return Object.assign(broker, {id: pictures.a, port: config.port});
			},
		},
	});

	test('headless: past events, new events, and a clean stop', async () => {
		const broker = Object.assign(healthy(), {
			snapshotValue: {...pictures.healthy, events: pictures.events},
			stream: [{at: 5, type: 'message', message: delivery(1, 'hi')}] as readonly RecordedEvent[],
		});
		const stop = new AbortController();
		const stdout = new PassThrough();
		let out = '';
		stdout.on('data', (chunk: Buffer) => {
			out += chunk.toString();
			if (out.includes('"payload":"hi"')) stop.abort('SIGTERM');
		});
		const {code, err} = await dapss('--headless -o jsonl --port 45123', {...opened(broker), stop, stdout});
		expect({code, err}).toEqual({
			code: 0,
			err: 'Stopping this node leaves 2 of 3 voters: no other voter may fail until it is back\n',
		});
		const lines = out
			.trimEnd()
			.split('\n')
			.map(line => JSON.parse(line) as {type: string; at: number});
		expect(lines.map(({type}) => type)).toEqual([...pictures.events.map(({type}) => type), 'message', 'stopped']);
		for (const {at} of lines) expect(at).toEqual(expect.any(Number));
		expect(broker.isDisposed).toBe(true);
	});

	test('without a terminal it says so and runs headless; SIGINT ends with 130', async () => {
		const stop = new AbortController();
		const stdout = new PassThrough();
		stdout.on('data', () => stop.abort('SIGINT'));
		const {code, err} = await dapss('--port 45124', {...opened(healthy()), stop, stdout});
		expect(code).toBe(130);
		expect(err).toMatch(/^No terminal: the node runs without its console \(--headless\)\n/);
	});

	test('with --leave a signal lets it leave; if that fails it reports that and stops', async () => {
		const ended = async (broker: FakeBroker): Promise<Awaited<ReturnType<typeof dapss>>> => {
			const stop = new AbortController();
			const stdout = new PassThrough();
			stdout.on('data', () => stop.abort('SIGTERM'));
			return dapss('--headless --leave -o jsonl --port 45127', {...opened(broker), stop, stdout});
		};

		const leaving = healthy();
		expect(await ended(leaving)).toMatchObject({code: 0, err: ''});
		expect(leaving.hasLeft).toBe(true);
		const refused = Object.assign(healthy(), {
			manageAnswer: async () => Promise.reject(new DapssError('refused', 'it is the only member')),
		});
		expect(await ended(refused)).toMatchObject({
			code: 0,
			err: 'The node could not leave; it stops and stays a member: it is the only member\n',
		});
		expect([refused.hasLeft, refused.isDisposed]).toEqual([false, true]);
	});

	test('leaving takes a bounded time', async () => {
		const said: string[] = [];
		await leaveOrSay({leave: () => new Promise(() => undefined)}, {say: text => void said.push(text)}, 10);
		expect(said).toEqual(['The node could not leave; it stops and stays a member: it took longer than 0.01 s']);
	});

	test('a given port that is in use: its user, and a free port', async () =>
		holding(async port => {
			const {code, err} = await dapss(`--headless --port ${port}`, opened(healthy()));
			expect(code).toBe(1);
			expect(err).toMatch(new RegExp(`Port ${port} is in use \\(.*pid ${process.pid}\\).*try --port \\d+`, 'u'));
			expect(
				(await dapss(`--headless --port ${port}`, {...opened(healthy()), nodes: [`127.0.0.1:${port}`]})).err,
			).toContain('of cluster dapss');
		}));

	test('a UDP port that is in use: the protocol, its user, and the next port that is free in both protocols', async () => {
		const socket = createSocket('udp4');
		await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
		const {port} = socket.address();
		const {code, err} = await dapss(`--headless --port ${port}`, {
			...opened(healthy()),
			nodes: [`10.0.0.5:${port}`],
		});
		expect(code).toBe(1);
		expect(err).toMatch(new RegExp(`UDP port ${port} is in use \\(.*pid ${process.pid}\\).*try --port \\d+`, 'u'));
		socket.close();
	});

	test('a node that stops by itself is a failure', async () => {
		const broker = healthy();
		const {code, err} = await dapss('--headless -o jsonl --port 45125', {
			backend: {
				async openBroker(config) {
					void broker[Symbol.asyncDispose]();
					return Object.assign(broker, {id: pictures.a, port: config.port});
				},
			},
		});
		expect({code, err}).toEqual({code: 1, err: 'dapss-tui: The node stopped: stopped\n'});
	});

	test('disabled security is reported', async () => {
		const stop = new AbortController();
		const stdout = new PassThrough();
		stdout.on('data', () => stop.abort('SIGTERM'));
		expect(
			(
				await dapss('--headless -o jsonl --port 45126', {
					...opened(healthy()),
					stop,
					stdout,
					env: {DAPSS_ENABLE_ENCRYPTION: 'false'},
				})
			).err,
		).toContain('WARNING: this node is not secure: enable_encryption is off');
	});
});
