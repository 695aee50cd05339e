import {Readable} from 'node:stream';
import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import {FakeBroker} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

describe('topic create, delete, list', () => {
	test('create passes the settings to the node; names are normalized, times are whole seconds', async () => {
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
					'Expected --retain-age to be whole seconds, 1s to 3650d, such as 90s, 30m, 12h or 7d, ' +
						`got "${given}"`,
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

	test('delete asks for confirmation, needs --yes without a terminal, and reports failures', async () => {
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

	test("list prints the same as topics, and marks a topic's own retention", async () => {
		const [first, ...rest] = snapshots.healthy.topics;
		const broker = new FakeBroker({
			...snapshots.healthy,
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
