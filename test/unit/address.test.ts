import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
	canonicalAddress,
	formatAddress,
	isLoopback,
	isWildcard,
	joinProblem,
	parseAddress,
	parseHost,
	parseHostAndMaybePort,
	unadvertisableReason,
	unreachableReason,
} from '../../core/address.ts';

const group = fc.integer({min: 0, max: 0xff_ff});
/** Groups of an IPv6 address that is neither link-local nor IPv4-mapped. */
const groups = fc
	.tuple(
		fc.oneof(fc.constant(0x20_01), fc.constant(0xfd_77), fc.constant(0)),
		fc.constantFrom(1, 0),
		...Array.from({length: 6}, () => fc.oneof(fc.constant(0), group)),
	)
	.filter(list => !(list.slice(0, 5).every(one => one === 0) && list[5] === 0xff_ff));
const v4 = fc.tuple(...Array.from({length: 4}, () => fc.integer({min: 0, max: 255}))).map(bytes => bytes.join('.'));
const port = fc.integer({min: 1, max: 65_535});

describe('a host', () => {
	test.each([
		['v4', '10.0.0.5', '10.0.0.5'],
		['v6', 'FD77:0:0:0::0002', 'fd77::2'],
		['v4 within v6', '::FFFF:10.0.0.5', '10.0.0.5'],
		['v4 within v6, in hexadecimal', '::ffff:a00:5', '10.0.0.5'],
		['v4 at the end of another v6', '64:ff9b::10.0.0.5', '64:ff9b::a00:5'],
		['a wildcard', '0:0:0:0:0:0:0:0', '::'],
		['a link-local address with its zone', 'FE80::1%eth0', 'fe80::1%eth0'],
		['a name', 'Node-1.Example.COM', 'node-1.example.com'],
		['a name of a container', 'dapss_node_1', 'dapss_node_1'],
		['a name with a dot at its end', 'db.', 'db.'],
		['a name in digits and letters', '7of9', '7of9'],
	])('%s has a canonical text', (_what, text, canonical) => {
		expect(parseHost(text)).toBe(canonical);
		expect(parseHost(canonical)).toBe(canonical);
	});

	test.each([
		['nothing', ''],
		['a space', 'a b'],
		['a port', '10.0.0.5:5000'],
		['brackets', '[::1]'],
		['a slash', '10.0.0.5/24'],
		['v4 with a leading zero', '010.0.0.5'],
		['short v4', '10.1'],
		['v4 in hexadecimal', '0x7f000001'],
		['v4 out of range', '10.0.0.256'],
		['a number', '5000'],
		['an empty label', 'a..b'],
		['a dash at an end', '-a'],
		['a star', '*'],
		['a link-local address without a zone', 'fe80::1'],
		['a zone on another address', 'fd77::1%eth0'],
		['two compressions', 'fd77::1::2'],
		['a name too long', `${'a'.repeat(63)}.`.repeat(4)],
		['letters of another script', 'müller'],
		['something of a URL', 'a@b'],
		['a line break', 'a\nb'],
	])('is not %s', (_what, text) => {
		expect(parseHost(text)).toBeUndefined();
	});

	test('in v6 has one canonical text for all its spellings', () => {
		fc.assert(
			fc.property(
				groups,
				fc.array(fc.boolean(), {minLength: 8, maxLength: 8}),
				fc.boolean(),
				fc.nat(),
				(list, isPadded, isUpper, at) => {
					const spelled = list.map((one, index) => one.toString(16).padStart(isPadded[index] ? 4 : 1, '0'));
					const full = spelled.join(':');
					const canonical = parseHost(full)!;
					// Any run of zeros may be the compressed one.
					const zeros = list.flatMap((one, index) => (one === 0 ? [index] : []));
					const start = zeros[at % Math.max(1, zeros.length)];
					const compressed =
						start === undefined
							? full
							: `${spelled.slice(0, start).join(':')}::${spelled.slice(start + 1).join(':')}`;
					for (const spelling of [full, compressed])
						expect(parseHost(isUpper ? spelling.toUpperCase() : spelling)).toBe(canonical);
					expect(canonical.length).toBeLessThanOrEqual(full.length);
					expect(canonical).toBe(canonical.toLowerCase());
				},
			),
		);
	});
});

describe('an address', () => {
	test('is unchanged by formatting and parsing', () => {
		const host = fc.oneof(
			v4,
			groups.map(list => parseHost(list.map(one => one.toString(16)).join(':'))!),
			fc.constantFrom('db', 'node-1.example.com', 'fe80::1%eth0'),
		);
		fc.assert(
			fc.property(host, port, (name, number) => {
				const text = formatAddress(name, number);
				expect(parseAddress(text)).toEqual({host: name, port: number});
				expect(canonicalAddress(text)).toBe(text);
			}),
		);
	});

	test('parsed from any text is canonical or refused', () => {
		const piece = fc.constantFrom(
			'[',
			']',
			':',
			'::',
			'.',
			'%',
			'10',
			'0',
			'ffff',
			'fe80',
			'a',
			'-',
			'5000',
			'eth0',
			'0x1',
			'/',
			' ',
		);
		fc.assert(
			fc.property(
				fc.oneof(
					fc.string(),
					fc.array(piece, {maxLength: 12}).map(pieces => pieces.join('')),
				),
				text => {
					const canonical = canonicalAddress(text);
					if (canonical !== undefined) expect(canonicalAddress(canonical)).toBe(canonical);
					const either = parseHostAndMaybePort(text);
					if (either)
						expect(parseHostAndMaybePort(formatAddress(either.host, either.port ?? 1))).toEqual({
							host: either.host,
							port: either.port ?? 1,
						});
				},
			),
			{numRuns: 2000},
		);
	});

	test.each([
		'10.0.0.5:0',
		'10.0.0.5:65536',
		'10.0.0.5:',
		':5000',
		'::1:5000',
		'fd77::2',
		'[fd77::2]',
		'[10.0.0.5:15000]:6210',
		'[10.0.0.5]:5000',
		'[db]:5000',
		'db:5000:5001',
		'db:+5',
		'0',
		'[fd77::2]:5000 ',
	])('is not %s', text => {
		expect(canonicalAddress(text)).toBeUndefined();
	});

	test('that is a bare port is on this machine', () => {
		expect(canonicalAddress('5000')).toBe('127.0.0.1:5000');
	});
});

test.each([
	['10.0.0.5', {host: '10.0.0.5', port: undefined}],
	['10.0.0.5:15000', {host: '10.0.0.5', port: 15_000}],
	['fd77::2', {host: 'fd77::2', port: undefined}],
	['[fd77::2]', {host: 'fd77::2', port: undefined}],
	['[FD77::2]:15000', {host: 'fd77::2', port: 15_000}],
	['db.example.com:15000', {host: 'db.example.com', port: 15_000}],
	['15000', undefined],
	['10.0.0.5:0', undefined],
	['[db]', undefined],
])('an advertised address may be written %s', (text, parsed) => {
	expect(parseHostAndMaybePort(text)).toEqual(parsed);
});

test('only loopback addresses are loopback; wildcards are not', () => {
	for (const host of [
		'127.0.0.1',
		'127.9.9.9',
		'::1',
		'0:0:0:0:0:0:0:1',
		'::ffff:127.0.0.1',
		'localhost',
		'LOCALHOST',
	])
		expect(isLoopback(host), host).toBe(true);
	for (const host of ['0.0.0.0', '::', '10.127.0.1', '127.0.0.1.example.com', '::2', 'fe80::1%lo', ''])
		expect(isLoopback(host), host).toBe(false);
	for (const host of ['0.0.0.0', '::', '0::0', '::ffff:0.0.0.0']) expect(isWildcard(host), host).toBe(true);
});

test('an address that no node can be reached under is refused with the reason', () => {
	for (const host of ['0.0.0.0', '::']) expect(unreachableReason(host)).toContain('wildcard');
	for (const host of ['224.0.0.1', '239.255.80.83', 'ff02::1'])
		expect(unreachableReason(host)).toContain('multicast');
	expect(unreachableReason('255.255.255.255')).toContain('broadcast');
	expect([unreachableReason('fe80::1%eth0'), unadvertisableReason('fe80::1%eth0')]).toEqual([
		undefined,
		expect.stringContaining('link-local'),
	]);
	for (const host of ['10.0.0.5', 'fd77::2', 'db', '127.0.0.1', '223.255.255.255', '240.0.0.1', '225.example.com'])
		expect([unreachableReason(host), unadvertisableReason(host)], host).toEqual([undefined, undefined]);
});

test('members are all on one machine, or none of them advertises a loopback address', () => {
	expect(joinProblem('127.0.0.1:5001', ['127.0.0.1:5000', '[::1]:5002', 'localhost:5003'])).toBeUndefined();
	expect(joinProblem('10.0.0.2:5000', ['10.0.0.1:5000', 'db:5000'])).toBeUndefined();
	expect(joinProblem('127.0.0.1:5001', ['10.0.0.1:5000'])).toBe(
		'127.0.0.1:5001 is reachable only on its own machine, and 10.0.0.1:5000 is advertised to nodes of other ' +
			'machines: start the node of 127.0.0.1:5001 with --host and an address that all nodes reach',
	);
	expect(joinProblem('10.0.0.2:5000', ['127.0.0.1:5000'])).toMatch(
		/start the node of 10.0.0.2:5000 with --advertise and a loopback address if .*, else the node of 127.0.0.1:5000 with --host/,
	);
	for (const address of ['0.0.0.0:5000', '[::]:5000', '[10.0.0.5:15000]:6210', 'x'])
		expect(joinProblem(address, [])).toContain('--advertise');
});
