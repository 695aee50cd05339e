import {createSocket} from 'node:dgram';
import type {NetworkInterfaceInfo} from 'node:os';
import {expect, test} from 'vitest';
import {beaconBytesMax, decodeBeacon, encodeBeacon, type Beacon} from '../../../../core/io/net/beacon.ts';
import {Counters} from '../../../../core/io/net/counters.ts';
import {pathsOf} from '../../../../core/io/net/multicast.ts';
import {openBeacon, type OpenBeacon} from '../../../../core/io/net/open-beacon.ts';
import type {NodeId} from '../../../../core/message.ts';
import {deriveKeys} from '../../../../core/wire/seal.ts';
import {createRandom} from '../../../sim/random.ts';
import {beacon, damagedOrRandom, keys} from './support/datagrams.ts';
import {fixedKeys} from '../../../../core/wire/key-ring.ts';

test('a beacon is decoded by nodes of its cluster only', () => {
	const mark = {counter: 7, challenge: '?abcdefghijklmn0', answers: ['?abcdefghijklmn1']};
	const datagram = encodeBeacon(beacon, mark, keys);
	expect(decodeBeacon(datagram, keys)).toEqual({...beacon, ...mark, canProve: true});
	expect(decodeBeacon(datagram, deriveKeys({secret: Buffer.alloc(32, 2), cluster: 'dapss'}))).toBe('foreign');
	expect(decodeBeacon(datagram, deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'other'}))).toBe('foreign');
});

test('a beacon halves its list of topics until it fits into a datagram', () => {
	const cases: ReadonlyArray<readonly [count: number, sent: number]> = [
		[1, 1],
		[10, 5],
		[100, 6],
		[1000, 7],
	];
	for (const [count, sent] of cases) {
		const topics = Array.from({length: count}, (_, index) => `topic-${index}-${'x'.repeat(40)}`);
		const datagram = encodeBeacon({...beacon, topics}, {counter: 1}, keys);
		expect(datagram.length).toBeLessThanOrEqual(beaconBytesMax);
		const decoded = decodeBeacon(datagram, keys) as Beacon;
		expect(decoded.topics).toEqual(topics.slice(0, decoded.topics.length));
		expect(decoded.topics.length).toBe(sent);
	}
});

test('20,000 damaged or random beacons: none verifies, none throws', () => {
	const random = createRandom(23);
	const good = encodeBeacon(beacon, {counter: 1}, keys);
	for (const datagram of damagedOrRandom(good, random).take(20_000))
		expect(['malformed', 'foreign']).toContain(decodeBeacon(datagram, keys));
});

test('nodes hear one another over multicast on loopback; replays are skipped, foreign datagrams counted', async () => {
	const config = {
		enabled: true,
		group: '239.255.80.83',
		port: 20_000 + (process.pid % 20_000),
		intervalMs: 50,
		seekMs: 0,
	};
	const problems: string[] = [];
	const make = async (
		id: string,
		more: Partial<Beacon> & {readonly under?: typeof keys} = {},
	): Promise<{
		readonly at: OpenBeacon;
		readonly heard: Beacon[];
		readonly refusals: Counters;
		until(isMet: (heard: readonly Beacon[]) => boolean): Promise<void>;
	}> => {
		const heard: Beacon[] = [];
		const refusals = new Counters();
		let wake = (): void => {};
		const at = await openBeacon({
			config,
			keys: fixedKeys(more.under ?? keys),
			id: id as NodeId,
			incarnation: more.incarnation ?? 1,
			refusals,
			content: () => ({
				clusterId: 'c',
				address: '127.0.0.1:5000',
				phase: more.phase ?? 'member',
				topics: ['news'],
				name: '',
			}),
			onBeacon(other) {
				heard.push(other);
				wake();
			},
			onProblem: line => problems.push(line),
		});
		return {
			at,
			heard,
			refusals,
			async until(isMet) {
				while (!isMet(heard)) {
					await new Promise<void>(resolve => {
						wake = resolve;
					});
				}
			},
		};
	};

	const a = await make('aaaaaaaaaaaaaaaa');
	const b = await make('bbbbbbbbbbbbbbbb', {phase: 'seeking'});
	const foreign = await make('cccccccccccccccc', {
		under: deriveKeys({secret: Buffer.alloc(32, 9), cluster: 'dapss'}),
	});
	if (problems.length > 0) throw new Error(problems[0]); // This machine has no multicast on loopback.
	await a.until(heard => heard.some(({id, phase}) => id === 'bbbbbbbbbbbbbbbb' && phase === 'seeking'));
	await b.until(heard => heard.some(({id}) => id === 'aaaaaaaaaaaaaaaa'));
	expect(foreign.heard).toEqual([]);
	expect([...a.heard, ...b.heard].some(({id}) => id === 'cccccccccccccccc')).toBe(false);

	// Replays: the same beacon, an older one, and one of an earlier incarnation.
	const attacker = createSocket('udp4');
	await new Promise<void>(resolve => attacker.bind(0, '127.0.0.1', resolve));
	attacker.setMulticastInterface('127.0.0.1');
	const say = (bytes: Buffer): Promise<void> =>
		new Promise(resolve => {
			attacker.send(bytes, config.port, config.group, () => resolve());
		});
	const victim = {...beacon, id: 'dddddddddddddddd' as NodeId};
	for (const [incarnation, counter] of [
		[2, 5],
		[2, 5],
		[2, 4],
		[1, 99],
		[2, 6],
		[3, 1],
		[2, 7],
	] as const)
		await say(encodeBeacon({...victim, incarnation}, {counter}, keys));
	await say(encodeBeacon({...victim, id: 'eeeeeeeeeeeeeeee' as NodeId}, {counter: 1}, keys));
	await a.until(heard => heard.some(({id}) => id === 'eeeeeeeeeeeeeeee'));
	expect(
		a.heard
			.filter(({id}) => id === 'dddddddddddddddd')
			.map(({incarnation, counter}: Beacon & {counter?: number}) => `${incarnation}.${counter}`),
	).toEqual(['2.5', '2.6', '3.1']);

	attacker.close();
	await Promise.all([a, b, foreign].map(({at}) => at[Symbol.asyncDispose]()));
});

test('a member answers the beacon of a node that seeks a cluster', async () => {
	const problems: string[] = [];
	const open = (id: string, phase: Beacon['phase'], onBeacon: (beacon: Beacon) => void): Promise<OpenBeacon> =>
		openBeacon({
			// No further beacon is due while the test runs.
			config: {
				enabled: true,
				group: '239.255.80.83',
				port: 20_000 + ((process.pid + 7) % 20_000),
				intervalMs: 600_000,
				seekMs: 0,
			},
			keys: fixedKeys(keys),
			id: id as NodeId,
			incarnation: 1,
			refusals: new Counters(),
			content: () => ({clusterId: 'c', address: '127.0.0.1:5000', phase, topics: [], name: ''}),
			onBeacon,
			onProblem: line => problems.push(line),
		});
	const {promise: answered, resolve} = Promise.withResolvers<Beacon>();
	await using _member = await open('aaaaaaaaaaaaaaaa', 'member', () => undefined);
	await using _seeker = await open('bbbbbbbbbbbbbbbb', 'seeking', resolve);
	if (problems.length > 0) throw new Error(problems[0]); // This machine has no multicast on loopback.
	await expect(answered).resolves.toMatchObject({id: 'aaaaaaaaaaaaaaaa', phase: 'member'});
});

test('a beacon with an address that cannot be called is malformed', () => {
	for (const address of [
		'0.0.0.0:5000',
		'[::]:5000',
		'239.1.1.1:5000',
		'[10.0.0.5:15000]:6210',
		'10.0.0.5:0',
		'db',
		'[fe80::1%eth0]:5000',
	])
		expect(decodeBeacon(encodeBeacon({...beacon, address}, {counter: 1}, keys), keys), address).toBe('malformed');
	for (const address of ['10.0.0.5:15000', '[fd77::2]:5000', 'db.example.com:5000'])
		expect(decodeBeacon(encodeBeacon({...beacon, address}, {counter: 1}, keys), keys)).toMatchObject({address});
});

test('beacons use the interfaces over which others can call the node', () => {
	const group = '239.255.80.83';
	const one = (family: 'IPv4' | 'IPv6', address: string, internal = false) =>
		({family, address, internal, scopeid: 2, netmask: '', mac: '', cidr: null}) as NetworkInterfaceInfo;
	const lo = [one('IPv4', '127.0.0.1', true), one('IPv6', '::1', true)];
	const both = {
		lo,
		eth0: [one('IPv4', '10.0.0.5'), one('IPv6', 'fd77::5'), one('IPv6', 'fe80::5')],
		eth1: [one('IPv4', '192.168.1.5')],
	};
	const at = (advertised: string, interfaces: Parameters<typeof pathsOf>[2] = both): readonly string[] =>
		pathsOf(advertised, group, interfaces).map(path => path.at);
	const zone = `::%${process.platform === 'win32' ? '2' : 'eth0'}`;
	expect(at('127.0.0.1')).toEqual(['127.0.0.1']);
	expect(at('localhost')).toEqual(['127.0.0.1']);
	expect(at('10.0.0.5')).toEqual(['127.0.0.1', '10.0.0.5', '192.168.1.5']);
	expect(at('fd77::5')).toEqual(['127.0.0.1', '10.0.0.5', '192.168.1.5', zone]);
	expect(at('db')).toEqual(['127.0.0.1', '10.0.0.5', '192.168.1.5', zone]);
	expect(at('fd77::5', {lo, eth0: [one('IPv6', 'fd77::5'), one('IPv6', 'fe80::5')]})).toEqual(['127.0.0.1', zone]);
	expect(pathsOf('fd77::5', group, both).at(-1)).toMatchObject({type: 'udp6', group: 'ff12::efff:5053'});
});

test('a machine without multicast is reported once, and the node continues', async () => {
	const problems: string[] = [];
	const at = await openBeacon({
		config: {enabled: true, group: '10.0.0.1', port: 1, intervalMs: 1000, seekMs: 0},
		keys: fixedKeys(keys),
		id: beacon.id,
		incarnation: 1,
		refusals: new Counters(),
		content: () => beacon,
		onBeacon() {},
		onProblem: line => problems.push(line),
	});
	expect(problems).toEqual([expect.stringContaining('Discovery is off')]);
	at.announce();
	await at[Symbol.asyncDispose]();
});
