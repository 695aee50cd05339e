import {createSocket} from 'node:dgram';
import {createServer, type AddressInfo} from 'node:net';
import {PassThrough} from 'node:stream';
import {describe, expect, test} from 'vitest';
import type {Config} from '../../../core/config.ts';
import {DapssError} from '../../../core/errors.ts';
import type {RecordedEvent} from '../../../core/events.ts';
import {leaveOrSay} from '../../../source/nodes/leaving.ts';
import type {FakeBroker} from '../../support/fakes.ts';
import {delivery, type RunOptions} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

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
				return Object.assign(broker, {id: snapshots.a, port: config.port});
			},
		},
	});

	test('a headless node prints past events and new events, and stops cleanly', async () => {
		const broker = Object.assign(healthy(), {
			snapshotValue: {...snapshots.healthy, events: snapshots.events},
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
		expect(lines.map(({type}) => type)).toEqual([...snapshots.events.map(({type}) => type), 'message', 'stopped']);
		expect(lines.map(({at}) => at)).toEqual([...snapshots.events.map(({at}) => at), 5, 9]);
		expect(broker.isDisposed).toBe(true);
	});

	test('without a terminal the node reports that and runs headless; SIGINT ends it with 130', async () => {
		const stop = new AbortController();
		const stdout = new PassThrough();
		stdout.on('data', () => stop.abort('SIGINT'));
		const {code, err} = await dapss('--port 45124', {...opened(healthy()), stop, stdout});
		expect(code).toBe(130);
		expect(err).toMatch(/^No terminal: the node runs without its console \(--headless\)\n/);
	});

	test('with --leave a signal lets the node leave; after a failure it reports the reason and stops', async () => {
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

	test('a node that leaves stops after a bounded time', async () => {
		const lines: string[] = [];
		await leaveOrSay({leave: () => new Promise(() => undefined)}, {say: text => void lines.push(text)}, 10);
		expect(lines).toEqual(['The node could not leave; it stops and stays a member: it took longer than 0.01 s']);
	});

	test('the error of a port in use has the user of the port, and a free port', async () =>
		holding(async port => {
			const {code, err} = await dapss(`--headless --port ${port}`, opened(healthy()));
			expect(code).toBe(1);
			expect(err).toMatch(new RegExp(`Port ${port} is in use \\(.*pid ${process.pid}\\).*try --port \\d+`, 'u'));
			expect(
				(await dapss(`--headless --port ${port}`, {...opened(healthy()), nodes: [`127.0.0.1:${port}`]})).err,
			).toContain('of cluster dapss');
		}));

	test('the error of a UDP port in use has the protocol, its user, and a port that is free in both', async () => {
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

	test('a node that stops by itself ends with a failure', async () => {
		const broker = healthy();
		const {code, err} = await dapss('--headless -o jsonl --port 45125', {
			backend: {
				async openBroker(config) {
					void broker[Symbol.asyncDispose]();
					return Object.assign(broker, {id: snapshots.a, port: config.port});
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
