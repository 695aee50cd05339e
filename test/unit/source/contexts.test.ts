/** Named clusters in the preferences, and the order in which an attached console tries addresses. */
import {expect, test} from 'vitest';
import {MemberAddresses} from '../../../source/nodes/attaching.ts';
import {readContexts} from '../../../source/settings/contexts.ts';

test('a context has the settings to reach a cluster; its files are relative to the preferences', () => {
	const {contexts, problems} = readContexts(
		{
			prod: {
				server: '10.0.0.1:5000,10.0.0.2:5000',
				cluster: 'orders',
				secret_file: 'orders.secret',
				colour: 'red',
			},
			here: {},
		},
		'/users/u/.config/dapss/preferences.json',
	);
	expect(problems).toEqual([]);
	expect(Object.fromEntries(contexts)).toEqual({
		prod: {
			server: '10.0.0.1:5000,10.0.0.2:5000',
			cluster: 'orders',
			secretFile: '/users/u/.config/dapss/orders.secret',
			colour: 'red',
		},
		here: {},
	});
});

test('a context with a problem is left out, and the problem is said', () => {
	const {contexts, problems} = readContexts(
		{a: 'x', b: {port: '5000'}, c: {server: 5000}, d: {colour: 'pink'}, e: {colour: 'blue'}},
		'/p/preferences.json',
	);
	expect([...contexts.keys()]).toEqual(['e']);
	expect(problems).toEqual([
		'Expected contexts.a to be an object such as {"server": "10.0.0.1:5000", "cluster": "orders"}',
		'Expected contexts.b to have server, cluster, secret_file, identity_file, colour, got `port`',
		'Expected contexts.c to have a text for server',
		'Expected contexts.d to have one of the colours red, green, yellow, blue, magenta, cyan, white, gray, got `pink`',
	]);
});

test('usable members are tried first, then others and the given servers, and the lost one last', () => {
	const members = new MemberAddresses();
	expect(members.order(['g:1', 'g:2'], 'g:1')).toEqual(['g:2', 'g:1']);
	members.learn([
		{address: 'm:1', state: 'alive'},
		{address: 'm:2', state: 'down'},
		{address: 'm:3', state: 'left'},
		{address: 'm:4', state: 'degraded'},
		{address: 'g:1', state: 'alive'},
	]);
	expect(members.order(['g:1', 'g:2'], 'm:1')).toEqual(['m:4', 'g:1', 'm:2', 'g:2', 'm:1']);
	expect(members.order([], undefined)).toEqual(['m:1', 'm:4', 'g:1', 'm:2']);
});
