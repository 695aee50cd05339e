/** A node that starts, while somebody without the secret replays recorded beacons to the multicast group. */
import {createSocket, type Socket} from 'node:dgram';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, beforeEach, expect, test, vi} from 'vitest';
import {defaults} from '../../core/config.ts';
import type {BeaconMark} from '../../core/io/net/beacon.ts';
import {encodeBeacon, type Beacon} from '../../core/io/net/beacon.ts';
import {Counters} from '../../core/io/net/counters.ts';
import {Discovery} from '../../core/io/net/discovery.ts';
import {openBeacon} from '../../core/io/net/open-beacon.ts';
import type {NodeId} from '../../core/message.ts';
import type {Candidate} from '../../core/ports.ts';
import {beacon, formerBeacon, keys} from '../unit/io/net/support/datagrams.ts';
import {fixedKeys} from '../../core/wire/key-ring.ts';

const base = mkdtempSync(join(tmpdir(), 'dapss-replay-'));
afterAll(() => rmSync(base, {recursive: true}));
beforeEach(() => void vi.stubEnv('XDG_RUNTIME_DIR', base));
afterEach(() => vi.unstubAllEnvs());

const config = {...defaults.discovery, port: 21_000 + (process.pid % 20_000), intervalMs: 200};
const at = (address: string) => (candidates: readonly Candidate[]) => candidates.find(one => one.address === address);

/** A node at 127.0.0.1:5009, and what it reports. */
async function discovering(clusterId: string): Promise<{
	readonly discovery: Discovery;
	readonly foreign: string[];
	readonly duplicates: string[];
}> {
	const foreign: string[] = [];
	const duplicates: string[] = [];
	const discovery = await Discovery.open({
		config: {cluster: 'dapss', bootstrap: [], discovery: config},
		id: 'aaaaaaaaaaaaaaaa' as NodeId,
		incarnation: 1,
		address: '127.0.0.1:5009',
		keys: fixedKeys(keys),
		refusals: new Counters(),
		former: [],
		self: () => ({clusterId, isMember: clusterId !== '', topics: [], name: ''}),
		onForeign: id => foreign.push(id),
		onDuplicate: address => duplicates.push(address),
		onProblem(line) {
			throw new Error(line);
		},
	});
	return {discovery, foreign, duplicates};
}

async function replaying(): Promise<{say: (bytes: Buffer) => void; socket: Socket}> {
	const socket = createSocket('udp4');
	await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve));
	socket.setMulticastInterface('127.0.0.1');
	return {socket, say: bytes => socket.send(bytes, config.port, config.group)};
}

const member = (digit: string, more: Partial<Beacon> = {}): Beacon => ({
	...beacon,
	id: digit.repeat(16) as NodeId,
	address: `127.0.0.1:500${digit}`,
	...more,
});
const recorded = (one: Beacon, mark: Partial<BeaconMark> = {}): Buffer =>
	encodeBeacon(one, {counter: 5, answers: ['?recordedchallen'], ...mark}, keys);

test('a recorded beacon makes no member; a member that runs does, and one of an earlier version is reported', async () => {
	const {discovery} = await discovering('');
	const {say, socket} = await replaying();
	await using _running = await openBeacon({
		config,
		keys: fixedKeys(keys),
		id: '2'.repeat(16) as NodeId,
		incarnation: 1,
		refusals: new Counters(),
		content: () => member('2'),
		onBeacon: () => undefined,
		onProblem: () => undefined,
	});
	const found = await vi.waitUntil(
		async () => {
			say(recorded(member('1')));
			say(formerBeacon(member('3'), 5));
			const candidates = await discovery.candidates();
			const all = ['127.0.0.1:5001', '127.0.0.1:5002', '127.0.0.1:5003'].map(address => at(address)(candidates));
			return all.every(one => one !== undefined) && all[1]!.isMember && all;
		},
		{timeout: 10_000},
	);
	expect(found).toEqual([
		{address: '127.0.0.1:5001', isMember: false},
		{address: '127.0.0.1:5002', isMember: true},
		{address: '127.0.0.1:5003', isMember: false, isReported: true},
	]);
	socket.close();
	await discovery[Symbol.asyncDispose]();
});

test('recorded beacons report neither a second cluster nor a second process; those that run do', async () => {
	const {discovery, foreign, duplicates} = await discovering('c1');
	const {say, socket} = await replaying();
	say(recorded(member('1', {clusterId: 'former'})));
	say(recorded(member('a', {address: '127.0.0.1:5000', clusterId: 'c1'})));
	const open = (one: Beacon): ReturnType<typeof openBeacon> =>
		openBeacon({
			config,
			keys: fixedKeys(keys),
			id: one.id,
			incarnation: 1,
			refusals: new Counters(),
			content: () => one,
			onBeacon: () => undefined,
			onProblem: () => undefined,
		});
	await using _second = await open(member('2', {clusterId: 'second'}));
	await using _copy = await open(member('a', {address: '127.0.0.1:5008', clusterId: 'c1'}));
	await vi.waitUntil(() => foreign.length > 0 && duplicates.length > 0, {timeout: 10_000});
	expect(new Set(foreign)).toEqual(new Set(['second']));
	expect(new Set(duplicates)).toEqual(new Set(['127.0.0.1:5008']));
	socket.close();
	await discovery[Symbol.asyncDispose]();
});
