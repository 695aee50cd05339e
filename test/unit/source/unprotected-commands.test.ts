/** With encryption off, no command calls another machine: its messages would be readable there and on the way. */
import net from 'node:net';
import {afterAll, describe, expect, test, vi} from 'vitest';
import {connectWith} from '../../../core/connect.ts';
import {commandLine} from './support/command-line.ts';

const {dapss} = commandLine();
const connected = vi.spyOn(net, 'connect');
afterAll(() => {
	connected.mockRestore();
});

describe.each([
	['DAPSS_ENABLE_ENCRYPTION', 'enable_encryption'],
	['DAPSS_ENABLE_NODE_AUTH', 'enable_node_auth'],
])('with %s=false', (variable, setting) => {
	test.each([
		'status',
		'peers',
		'leader',
		'leader transfer',
		'topics',
		'topic list',
		'topic create orders',
		'check',
		'check --wait-healthy --wait 1s',
		'events',
		'events --watch',
		'publish news hello',
		'subscribe news',
		'peer remove oslo',
		'access list',
		'leave',
		'fault heal',
	])('%s refuses the address of another machine', async line => {
		const {code, out, err} = await dapss(`${line} --server 192.0.2.1:5000`, {
			env: {[variable]: 'false'},
			backend: {connect: connectWith},
		});
		expect({code, out, err}).toEqual({
			code: 2,
			out: '',
			err: expect.stringContaining(`Expected ${setting} to be true for 192.0.2.1:5000, got false`) as string,
		});
	});
});

test('no connection was opened by any of them', () => {
	expect(connected).not.toHaveBeenCalled();
});
