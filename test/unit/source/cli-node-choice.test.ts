import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {FakeBroker} from '../../support/fakes.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

describe('finding a node', () => {
	test('a command without a node ends with 14 and a remedy', async () => {
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
			err:
				`${here}; none was heard${remedy}. A node is found if it has the same secret (--secret-file) ` +
				'and the network passes multicast\n',
		});
	});

	test('--server precedes DAPSS_SERVER, which precedes the nodes of this machine', async () => {
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
	] as const)('the error %s of the connection ends the command with %i', async (code, expected) => {
		const connect = async (): Promise<never> => {
			throw new DapssError(code, 'because');
		};
		expect(await dapss('status', {backend: {connect}})).toEqual({
			code: expected,
			out: '',
			err: 'dapss-tui: because\n',
		});
	});

	test('the connection to the node is closed after success and failure', async () => {
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

test.each(['leave', 'fault delay 1s', 'fault drop 10', 'fault cut 5001'])(
	'%s changes the node that it reaches, so it refuses to choose one of several',
	async words => {
		const broker = healthy();
		const nodes = ['127.0.0.1:5000', '127.0.0.1:5001'];
		expect(await dapss(words, {broker, nodes})).toEqual({
			code: 2,
			out: '',
			err:
				'dapss-tui: 2 nodes of cluster dapss run here: 127.0.0.1:5000, 127.0.0.1:5001. ' +
				'This command changes the node that it reaches: choose one with --server\n',
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
			err:
				'dapss-tui: Expected --server to name one node, got 2: ' +
				'this command changes the node that it reaches\n',
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
