import {expect, test} from 'vitest';
import {deriveAddress, localAddress} from '../../../../core/io/net/advertise.ts';

const v4 = (address: string, internal = false) => ({address, family: 'IPv4', internal}) as const;
const v6 = (address: string, internal = false) => ({address, family: 'IPv6', internal}) as const;
const lo = [v4('127.0.0.1', true), v6('::1', true)];
const one = {lo, eth0: [v4('10.0.0.5'), v6('fe80::5')]};
const derive = (
	settings: {host?: string; advertise?: string; bootstrap?: readonly string[]},
	interfaces: Parameters<typeof deriveAddress>[1] = one,
	named: readonly string[] = [],
): string => {
	const derived = deriveAddress(
		{host: '0.0.0.0', port: 5000, advertise: '', bootstrap: [], ...settings},
		interfaces,
		named,
	);
	return 'problem' in derived ? `${derived.problem}: ${derived.remedy}` : derived.address;
};

test('an advertised address is used, with its own port or the listening port', () => {
	expect(derive({advertise: '10.9.9.9:15000'})).toBe('10.9.9.9:15000');
	expect(derive({advertise: 'fd77::2'})).toBe('[fd77::2]:5000');
	expect(derive({host: '127.0.0.1', advertise: 'db:15000'})).toBe('db:15000');
});

test('without an advertised address the listening address or name is advertised', () => {
	expect(derive({host: '10.0.0.5'})).toBe('10.0.0.5:5000');
	expect(derive({host: 'fd77::2'})).toBe('[fd77::2]:5000');
	expect(derive({host: 'db'})).toBe('db:5000');
	expect(derive({host: '127.0.0.1'})).toBe('127.0.0.1:5000');
});

test('a wildcard is replaced by the only address that others can reach', () => {
	expect(derive({})).toBe('10.0.0.5:5000');
	expect(derive({host: '::'})).toBe('10.0.0.5:5000');
	expect(derive({host: '::'}, {lo, eth0: [v6('fd77::2'), v6('fe80::5')]})).toBe('[fd77::2]:5000');
	expect(derive({}, {lo, eth0: [v4('10.0.0.5'), v6('fd77::2')], eth1: [v4('169.254.1.1')]})).toBe('10.0.0.5:5000');
	expect(derive({}, {lo, eth0: [v4('10.0.0.5')], 'eth0:1': [v4('10.0.0.5')]})).toBe('10.0.0.5:5000');
});

test('a wildcard without a network is replaced by loopback', () => {
	expect(derive({}, {lo})).toBe('127.0.0.1:5000');
	expect(derive({host: '::'}, {lo})).toBe('[::1]:5000');
	expect(derive({}, {lo, eth0: [v6('fe80::5'), v4('169.254.1.1')]})).toBe('127.0.0.1:5000');
});

test('several addresses are refused with a list of all, bridges included, and the flag', () => {
	expect(derive({}, {lo, eth0: [v4('10.0.0.5')], eth1: [v4('192.168.1.7')]})).toBe(
		'host 0.0.0.0 listens on 10.0.0.5 and 192.168.1.7: use --advertise to choose the one for other nodes',
	);
	expect(
		derive({}, {lo, eth0: [v4('10.0.0.5')], docker0: [v4('172.17.0.1')], virbr0: [v4('192.168.122.1')]}),
	).toContain('10.0.0.5, 172.17.0.1 and 192.168.122.1');
	expect(derive({host: '::'}, {lo, eth0: [v4('10.0.0.5'), v6('fd77::2')]})).toContain(
		'10.0.0.5 and fd77::2: use --advertise',
	);
});

test('a link-local address is refused with the flag', () => {
	expect(derive({host: 'fe80::5%eth0'})).toMatch(/link-local.*--advertise/);
});

test('a name that resolves to loopback here is refused, unless it is advertised explicitly', () => {
	expect(derive({host: 'db'}, one, ['127.0.1.1'])).toMatch(
		/host db is 127\.0\.1\.1 on this machine.*--host.*--advertise db/,
	);
	expect(derive({host: 'db'}, one, ['127.0.1.1', '10.0.0.5'])).toBe('db:5000');
	expect(derive({host: 'db', advertise: 'db'}, one, ['127.0.1.1'])).toBe('db:5000');
});

test('a node on a loopback address refuses a bootstrap address on another machine', () => {
	expect(derive({host: '127.0.0.1', bootstrap: ['10.0.0.9:5000']})).toMatch(
		/bootstrap names 10\.0\.0\.9:5000 .*listens on 127\.0\.0\.1 only: use --host/,
	);
	expect(derive({host: '::1', bootstrap: ['[fd77::9]:5000']})).toContain('--host');
	expect(derive({bootstrap: ['10.0.0.9:5000']}, {lo})).toMatch(/no network address yet.*--advertise/);
	for (const bootstrap of ['127.0.0.1:5001', '[::1]:5001', '10.0.0.5:5001', 'localhost:5001', 'db:5001'])
		expect(derive({host: '127.0.0.1', bootstrap: [bootstrap]}), bootstrap).toBe('127.0.0.1:5000');
	expect(derive({host: '127.0.0.1', advertise: '10.9.9.9:15000', bootstrap: ['10.0.0.9:5000']})).toBe(
		'10.9.9.9:15000',
	);
});

test('programs on this machine use the listening address, for any advertised address', () => {
	expect([
		localAddress({host: '0.0.0.0', port: 5000}),
		localAddress({host: '::', port: 5000}),
		localAddress({host: '10.0.0.5', port: 5000}),
	]).toEqual(['127.0.0.1:5000', '[::1]:5000', '10.0.0.5:5000']);
});
