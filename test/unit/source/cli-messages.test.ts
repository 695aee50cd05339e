import {Readable, Writable} from 'node:stream';
import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {Topic} from '../../../core/message.ts';
import type {FakeBroker} from '../../support/fakes.ts';
import {delivery} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine, expectSince, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

describe('publish', () => {
	const bodies = (broker: FakeBroker): string[] =>
		broker.published.flatMap(({bodies: some}) => some.map(body => Buffer.from(body).toString()));

	test('publishes one message', async () => {
		const broker = healthy();
		expect(await dapss(['publish', 'news', 'Grüezi  mitenand'], {broker})).toEqual({
			code: 0,
			out: `1 message stored in news (${snapshots.a.slice(0, 8)} #1)\n`,
			err: '',
		});
		expect(bodies(broker)).toEqual(['Grüezi  mitenand']);
	});

	test('publishes --count messages of one --size', async () => {
		const broker = healthy();
		const {out} = await dapss('publish news --count 1000 --size 100 -o json', {broker});
		expect(JSON.parse(out)).toMatchObject({
			topic: 'news',
			origin: snapshots.a,
			firstSeq: 1,
			lastSeq: 1000,
			count: 1000,
			bytes: 100_000,
		});
		expect(new Set(bodies(broker)).size).toBe(1000);
		expect(bodies(broker).every(body => body.length === 100)).toBe(true);
	});

	test('publishes every line of standard input, byte for byte', async () => {
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

	test('publishes no message and ends with 0 if standard input is empty', async () => {
		const broker = healthy();
		expect(await dapss('publish news -', {broker, stdin: Readable.from([])})).toMatchObject({
			code: 0,
			out: '0 messages stored in news\n',
		});
	});

	test('reports the number of a line that is too long; the lines before it are stored', async () => {
		const broker = healthy();
		const {code, err} = await dapss('publish news -', {
			broker,
			stdin: Readable.from([Buffer.from('one\ntwo\n'), Buffer.alloc(600_000, 120), Buffer.alloc(600_000, 120)]),
		});
		expect(code).toBe(2);
		expect(err).toMatch(/line 3 is longer \(2 messages are stored\)/);
		expect(bodies(broker)).toEqual(['one', 'two']);
	});

	test('refuses a message that is too long before it sends any', async () => {
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

	test('prints lines of JSON, with text for UTF-8 and base64 otherwise; both decode to the bytes', async () => {
		const startedMs = Date.now();
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
		for (const {at} of lines) expectSince(startedMs, at);
		expect(lines.map(({at: _at, ...rest}) => rest)).toEqual([
			{
				type: 'message',
				sentAt: 0,
				topic: 'news',
				origin: snapshots.a,
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
				origin: snapshots.a,
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
				origin: snapshots.a,
				incarnation: 1,
				seq: 3,
				lamport: 13,
				size: 0,
				payload: '',
				offset: 2,
			},
		]);
	});

	test('prints one harmless line per message as text, and the bytes as raw', async () => {
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

	test('passes --from as the position', async () => {
		const seen = broker([delivery(43, 'x')]);
		for (const from of ['now', 'beginning', '42'])
			await dapss(`subscribe news --count 1 --from ${from}`, {broker: seen});
		expect(seen.subscriptions.map(({from}) => from)).toEqual(['now', 'beginning', 42]);
	});

	test('reports a log that ends before the offset', async () => {
		const seen = broker([delivery(1001, 'x')]);
		const start = {topic: 'news' as Topic, since: 0, streams: []};
		seen.agreed = Promise.resolve([{...start, end: 6}]);
		expect(await dapss('subscribe news --count 1 --from 1000', {broker: seen})).toEqual({
			code: 0,
			out: 'x\n',
			err:
				'Subscribed to news at 127.0.0.1:5000\nThe log of news at 127.0.0.1:5000 ends at offset 6: ' +
				'messages from offset 1000 on are printed when they arrive\n',
		});
		for (const [from, end] of [
			['6', 6],
			['7', undefined],
			['now', 6],
		] as const) {
			const other = broker([delivery(1001, 'x')]);
			other.agreed = Promise.resolve([{...start, end}]);
			const {err} = await dapss(`subscribe news --count 1 --from ${from}`, {broker: other});
			expect(err).toBe('Subscribed to news at 127.0.0.1:5000\n');
		}
	});

	test('ends with 11 if the node has no quorum', async () => {
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
	])('%s ends subscribe with %i', async (signal, expected) => {
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

	test('ends without an error when its reader closes the pipe', async () => {
		const stdout = new Writable({
			write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), {code: 'EPIPE'})),
		});
		expect(await dapss('subscribe news', {broker: broker([delivery(1, 'x')]), stdout})).toMatchObject({
			code: 0,
			err: 'Subscribed to news at 127.0.0.1:5000\n',
		});
	});

	test('fails if the disk of standard output is full', async () => {
		const stdout = new Writable({
			write: (_chunk, _encoding, done) =>
				done(Object.assign(new Error('ENOSPC: no space left'), {code: 'ENOSPC'})),
		});
		expect(await dapss('subscribe news', {broker: broker([delivery(1, 'x')]), stdout})).toMatchObject({
			code: 1,
			err: expect.stringContaining('ENOSPC') as string,
		});
	});

	test('fails in the same way with --count if the disk of standard output is full', async () => {
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
