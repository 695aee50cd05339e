/**
The end of commands: by signals, by `--wait`, by a closed reader; errors as JSON; and the counts in errors.
*/
import {mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {PassThrough, Readable, Writable} from 'node:stream';
import {afterAll, afterEach, beforeAll, describe, expect, test, vi} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import {asksForJson} from '../../../source/output/failure.ts';
import {ignoresHangup} from '../../../source/process/hangup.ts';
import {delivery, FakeBroker, run, type Outcome, type RunOptions} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {expectSince} from './support/command-line.ts';

let home: string;
let env: Record<string, string>;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-ends-'));
	writeFileSync(join(home, 'secret'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
	env = {HOME: home, DAPSS_SECRET_FILE: join(home, 'secret')};
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const healthy = (changes: Partial<FakeBroker> = {}): FakeBroker =>
	Object.assign(new FakeBroker(snapshots.healthy), changes);
const dapss = (line: string, options: RunOptions = {}): Promise<Outcome> =>
	run(line.split(' '), {broker: healthy(), cwd: home, ...options, env: {...env, ...options.env}});
const two = [[delivery(1, 'a'), delivery(2, 'b')]] as const;
const errorOf = (out: string): unknown => JSON.parse(out.trimEnd().split('\n').at(-1)!);

/** Aborts at the first output. */
function stopping(reason: string): Pick<RunOptions, 'stop' | 'stdout'> & {readonly text: () => string} {
	const stop = new AbortController();
	let text = '';
	const stdout = new Writable({
		write(chunk: Buffer, _encoding, done) {
			text += chunk.toString();
			stop.abort(reason);
			done();
		},
	});
	return {stop, stdout, text: () => text};
}

describe('--wait bounds waiting for messages', () => {
	test('subscribe ends with 16 and both numbers if fewer messages than --count arrive in time', async () => {
		const {code, out, err} = await dapss('subscribe news --count 3 --wait 20ms', {
			broker: healthy({deliveries: two}),
		});
		expect({code, out}).toEqual({code: 16, out: 'a\nb\n'});
		expect(err).toContain('dapss-tui: The time of --wait is over: 2 of 3 messages received\n');
	});

	test('subscribe ends with 0 if --count messages arrive in time', async () => {
		expect(await dapss('subscribe news --count 2 --wait 1h', {broker: healthy({deliveries: two})})).toMatchObject({
			code: 0,
			out: 'a\nb\n',
		});
	});

	test('subscribe without --count ends with 16, and reports the received messages', async () => {
		expect(await dapss('subscribe news --wait 20ms', {broker: healthy({deliveries: two})})).toMatchObject({
			code: 16,
			out: 'a\nb\n',
			err: expect.stringContaining('2 messages received') as string,
		});
	});

	test('--wait also bounds the wait for the agreement', async () => {
		const broker = healthy({agreed: new Promise(() => undefined)});
		expect(await dapss('subscribe news --count 1 --wait 20ms', {broker})).toMatchObject({
			code: 16,
			err: expect.stringContaining('0 of 1 message received') as string,
		});
	});

	test('events --watch accepts --wait, and a command that does not wait refuses it', async () => {
		expect(await dapss('events --watch --wait 20ms')).toMatchObject({code: 16});
		expect(await dapss('events --wait 20ms')).toMatchObject({
			code: 2,
			err: expect.stringContaining('Expected --watch with --wait') as string,
		});
		expect(await dapss('subscribe news --wait soon')).toMatchObject({
			code: 2,
			err: expect.stringContaining('Expected --wait to be a time') as string,
		});
	});

	test.each([
		['SIGTERM', 143],
		['SIGHUP', 129],
		['SIGINT', 130],
		['closed', 16],
	] as const)('an unmet --count is a failure after %s: %i', async (reason, expected) => {
		const {text, ...options} = stopping(reason);
		const {code, err} = await dapss('subscribe news --count 3 -o jsonl', {
			broker: healthy({deliveries: two}),
			...options,
		});
		expect(code).toBe(expected);
		expect(err).toContain('2 of 3 messages received');
		if (reason !== 'closed')
			expect(errorOf(text())).toMatchObject({
				type: 'error',
				code: 'interrupted',
				exitCode: expected,
				received: 2,
				wanted: 3,
			});
	});

	test('a follower without --count that a signal ends prints the number of received messages', async () => {
		const {stop, stdout} = stopping('SIGTERM');
		expect(await dapss('subscribe news', {broker: healthy({deliveries: two}), stop, stdout})).toMatchObject({
			code: 143,
			err: 'Subscribed to news at 127.0.0.1:5000\n2 messages received\n',
		});
	});
});

describe('errors are JSON too', () => {
	const failing = (code: 'unreachable' | 'not-authenticated' | 'refused'): RunOptions => ({
		backend: {
			async connect() {
				throw new DapssError(code, 'be\u001Bcause');
			},
		},
	});

	test.each([
		['unreachable', 14],
		['not-authenticated', 13],
		['refused', 1],
	] as const)('the error %s is one JSON line with the exit code %i', async (code, exitCode) => {
		for (const line of [
			'status -o json',
			'check --output=json',
			'subscribe news -o jsonl',
			'events --watch -o=jsonl',
		]) {
			const startedMs = Date.now();
			const {code: got, out, err} = await dapss(line, failing(code));
			expect([got, err]).toEqual([exitCode, 'dapss-tui: be␛cause\n']);
			expect(out.split('\n')).toHaveLength(2);
			const {at, ...error} = JSON.parse(out) as Record<string, unknown>;
			expectSince(startedMs, at);
			expect(error).toEqual({
				type: 'error',
				code,
				message: 'be\u001Bcause',
				exitCode,
			});
		}

		expect((await dapss('status', failing(code))).out).toBe('');
	});

	test('usage errors are JSON before the format is parsed', async () => {
		for (const line of [
			'stauts -o json',
			'-o jsonl status',
			'status --sever 1 --output json',
			'fault break -o json',
		])
			expect(errorOf((await dapss(line)).out)).toMatchObject({type: 'error', code: 'usage', exitCode: 2});
		expect([
			asksForJson(['publish', 'a', '--', '-o', 'json']),
			asksForJson(['publish', 'json']),
			asksForJson(['-o']),
			asksForJson(['-o=json']),
		]).toEqual([false, false, false, true]);
	});

	test('publish reports the number of stored messages', async () => {
		let calls = 0;
		const publishAnswer = async (): Promise<void> => {
			if (++calls === 3) throw new DapssError('storage', 'disk full');
		};
		async function* lines(): AsyncGenerator<Buffer> {
			for (const line of ['one\ntwo\n', 'three\n', 'four\n']) {
				yield Buffer.from(line);
				await new Promise(resolve => setImmediate(resolve));
			}
		}

		const {code, out, err} = await dapss('publish news - -o json', {
			broker: healthy({publishAnswer}),
			stdin: Readable.from(lines()),
		});
		expect({code, err}).toEqual({code: 1, err: 'dapss-tui: disk full (3 messages are stored)\n'});
		expect(errorOf(out)).toMatchObject({type: 'error', code: 'storage', exitCode: 1, stored: 3});
	});
});

describe('a long publish', () => {
	afterEach(() => vi.useRealTimers());

	test.each([
		['reports its progress on a terminal', true, '256 of 300 messages are stored, after 5.0 s …\n'],
		['reports no progress without a terminal', false, ''],
	])('%s', async (_what, isTerminal, expected) => {
		vi.useFakeTimers({toFake: ['setInterval', 'clearInterval']});
		const broker = healthy();
		const stop = new AbortController();
		// A batch is stored, and no progress follows.
		broker.publishAnswer = async () => {
			if (broker.published.length === 0) return;
			vi.advanceTimersByTime(12_000);
		};
		const {code, err} = await dapss('publish news --size 1000 --count 300', {broker, stop, isTerminal});
		expect({code, err}).toEqual({code: 0, err: expected});
	});
});

describe('an interrupted publish reports the number of stored messages', () => {
	test.each([
		['SIGINT', 130],
		['SIGTERM', 143],
		['SIGHUP', 129],
	] as const)('%s ends the command with %i and the number of stored messages', async (signal, exitCode) => {
		const stop = new AbortController();
		const stdin = new PassThrough();
		const broker = healthy();
		broker.publishAnswer = async () => void setImmediate(() => stop.abort(signal));
		stdin.write('one\ntwo\nthree\nno newline yet');
		const {code, out, err} = await dapss('publish news - -o json', {broker, stdin, stop});
		expect({code, err}).toEqual({
			code: exitCode,
			err: `dapss-tui: Interrupted by ${signal} (3 messages are stored)\n`,
		});
		expect(errorOf(out)).toMatchObject({code: 'interrupted', exitCode, stored: 3});
	});

	test('an interrupted publish waits for messages in flight', async () => {
		const stop = new AbortController();
		const stdin = new PassThrough();
		const broker = healthy();
		broker.publishAnswer = async () => {
			stop.abort('SIGINT');
			await new Promise(resolve => setImmediate(resolve)); // The command has seen the signal by then.
		};
		stdin.write('one\ntwo\n');
		expect(await dapss('publish news -', {broker, stdin, stop})).toMatchObject({
			code: 130,
			err: 'dapss-tui: Interrupted by SIGINT (2 messages are stored)\n',
		});
	});

	test('an interrupted publish does not report unacknowledged messages as stored', async () => {
		const stop = new AbortController();
		const stdin = new PassThrough();
		const broker = healthy();
		broker.publishAnswer = () => {
			stop.abort('SIGINT');
			return new Promise(() => undefined);
		};
		stdin.write('one\ntwo\n');
		expect(await dapss('publish news -', {broker, stdin, stop})).toMatchObject({
			code: 130,
			err: 'dapss-tui: Interrupted by SIGINT (0 messages are stored, 2 more may be)\n',
		});
	});
});

test('an ignored SIGHUP is detected by its traces', () => {
	const proc = join(home, 'proc');
	/** A fake /proc with one parent and a standard input. */
	const system = ({mask = '0', flags = '0100000', input = '/dev/null'}): string => {
		rmSync(proc, {recursive: true, force: true});
		for (const folder of ['7', 'self/fdinfo', 'self/fd']) mkdirSync(join(proc, folder), {recursive: true});
		writeFileSync(join(proc, '7/status'), `Name:\tsh\nSigIgn:\t${mask.padStart(16, '0')}\n`);
		writeFileSync(join(proc, 'self/fdinfo/0'), `pos:\t0\nflags:\t${flags}\n`);
		symlinkSync(input, join(proc, 'self/fd/0'));
		return proc;
	};

	expect(ignoresHangup({}, 7, system({}))).toBe(false);
	expect(ignoresHangup({_: '/usr/bin/nohup'}, 7, system({}))).toBe(true);
	expect(ignoresHangup({_: '/usr/bin/node'}, 7, system({}))).toBe(false);
	expect(ignoresHangup({}, 7, system({mask: '1001001'}))).toBe(true);
	expect(ignoresHangup({}, 7, system({mask: '1001000'}))).toBe(false);
	expect(ignoresHangup({}, 7, system({flags: '02100001'}))).toBe(true);
	expect(ignoresHangup({}, 7, system({flags: '02100001', input: '/dev/full'}))).toBe(false);
	expect(ignoresHangup({}, 8, system({}))).toBe(false);
	expect(ignoresHangup({}, 7, join(home, 'none'))).toBe(false);
});

describe('check --wait-healthy', () => {
	const unhealthy = {
		...snapshots.healthy,
		raft: {...snapshots.healthy.raft, leader: undefined, hasQuorum: false, quorum: 'electing' as const},
	};

	test('waits for a healthy snapshot, and prints the missing conditions once', async () => {
		const broker = new FakeBroker(unhealthy);
		const done = dapss('check --wait-healthy', {broker});
		for (let wait = 0; wait < 5; wait++)
			await new Promise(resolve => setImmediate(() => resolve(broker.show(unhealthy))));
		await expect.poll(() => (broker.show(snapshots.healthy), broker.isDisposed)).toBe(true);
		const {code, out, err} = await done;
		expect({code, out}).toEqual({code: 0, out: expect.stringMatching(/^healthy: cluster dapss/) as string});
		expect(err.split('waiting: no-leader: ')).toHaveLength(2);
	});

	test('requires the confirmation of a quorum', async () => {
		const broker = healthy();
		let asked = 0;
		broker.readIndexAnswer = async () => {
			if (++asked > 1) return 318;
			setImmediate(() => broker.show(snapshots.healthy));
			throw new DapssError('no-quorum', '1 of 3 voters reachable');
		};
		expect(await dapss('check --wait-healthy', {broker})).toMatchObject({
			code: 0,
			err: expect.stringContaining('waiting: no-quorum: ') as string,
		});
		expect(asked).toBe(2);
	});

	test('retries an unreachable node, but not with a wrong secret', async () => {
		let calls = 0;
		const reached = (address: string): FakeBroker => {
			if (++calls === 1) throw new DapssError('unreachable', `${address}: refused`);
			return healthy();
		};
		expect(await dapss('check --wait-healthy', {broker: reached})).toMatchObject({
			code: 0,
			err: 'waiting: 127.0.0.1:5000: refused\n',
		});
		const refusing = (): never => {
			throw new DapssError('not-authenticated', 'another secret');
		};
		expect(await dapss('check --wait-healthy', {broker: refusing})).toMatchObject({code: 13});
	});

	test('ends after --wait with 16, or with 14 if no node was reached', async () => {
		expect(
			await dapss('check --wait-healthy --wait 20ms -o json', {broker: new FakeBroker(unhealthy)}),
		).toMatchObject({
			code: 16,
			out: expect.stringContaining('"code":"wait-over"') as string,
			err: expect.stringContaining('The time of --wait is over: no-leader: ') as string,
		});
		const silent = {connect: () => new Promise<never>(() => undefined)};
		expect(await dapss('check --wait-healthy --wait 20ms', {backend: silent})).toMatchObject({
			code: 14,
			err: expect.stringContaining('The time of --wait is over: No node was reached') as string,
		});
		expect(await dapss('check --wait-healthy --wait 20ms', {nodes: []})).toMatchObject({
			code: 14,
			err: expect.stringContaining('The time of --wait is over: No node of cluster dapss runs here') as string,
		});
		expect(await dapss('check --wait 20ms')).toMatchObject({code: 2});
		const stop = new AbortController();
		setImmediate(() => stop.abort('SIGTERM'));
		expect(await dapss('check --wait-healthy', {broker: new FakeBroker(unhealthy), stop})).toMatchObject({
			code: 143,
		});
	});
});
