/**
A search for nodes on the loopback interface's multicast, against real beacons and a real node.
*/
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, afterEach, expect, test, vi} from 'vitest';
import {freePorts} from '../../bench/cluster.ts';
import {connect, defaults, findNodes, openBroker} from '../../core/index.ts';
import type {Beacon} from '../../core/io/net/beacon.ts';
import {Counters} from '../../core/io/net/counters.ts';
import {openNodeSearch, type NodeSearch} from '../../core/io/net/node-search.ts';
import {openBeacon, type OpenBeacon} from '../../core/io/net/open-beacon.ts';
import type {NodeId} from '../../core/message.ts';
import {deriveKeys} from '../../core/wire/seal.ts';
import {fixedKeys} from '../../core/wire/key-ring.ts';

const folder = mkdtempSync(join(tmpdir(), 'dapss-search-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));
afterEach(() => vi.unstubAllEnvs());

const secret = Buffer.alloc(32, 7);
const cluster = 'searched';
const discovery = {...defaults.discovery, port: 40_000 + (process.pid % 20_000)};
const keys = deriveKeys({secret, cluster});

/** A node whose beacon interval is longer than the test: it sends only its first beacon by itself. */
async function beaconOf(
	digit: string,
	more: Partial<Pick<Beacon, 'topics' | 'address'>> & {
		readonly under?: typeof keys;
		readonly intervalMs?: number;
	} = {},
): Promise<{readonly at: OpenBeacon; readonly refusals: Counters}> {
	const refusals = new Counters();
	const at = await openBeacon({
		config: {...discovery, intervalMs: more.intervalMs ?? 60_000},
		keys: fixedKeys(more.under ?? keys),
		id: digit.repeat(16) as NodeId,
		incarnation: 1,
		refusals,
		content: () => ({
			clusterId: 'c',
			address: more.address ?? `127.0.0.1:500${digit}`,
			phase: 'member',
			topics: more.topics ?? [],
			name: `node-${digit}`,
		}),
		onBeacon() {},
		onProblem(line) {
			throw new Error(line);
		},
	});
	return {at, refusals};
}

const search = (topics: readonly string[], timeoutMs = 10_000): Promise<NodeSearch> =>
	openNodeSearch({config: {...discovery, intervalMs: 2000}, keys, topics, timeoutMs});

test('nodes answer at once, with the requested topic among many', async () => {
	const {at: one} = await beaconOf('1');
	const {at: two} = await beaconOf('2', {
		topics: Array.from({length: 300}, (_, index) => `a-topic-of-many-${index}`),
	});
	await using found = await search(['a-topic-of-many-299']);
	expect(await found.next()).toEqual({
		id: '2'.repeat(16),
		address: '127.0.0.1:5002',
		clusterId: 'c',
		name: 'node-2',
		isMember: true,
		subscribes: ['a-topic-of-many-299'],
	});
	expect(await found.next()).toMatchObject({address: '127.0.0.1:5001', subscribes: []});
	expect(await found.next()).toBeUndefined();
	await Promise.all([one, two].map(at => at[Symbol.asyncDispose]()));
});

test('a beacon of another secret is ignored, and its source listed; a question gets no answer', async () => {
	const other = await beaconOf('3', {under: deriveKeys({secret: Buffer.alloc(32, 8), cluster}), intervalMs: 100});
	await using found = await search([], 1000);
	expect(await found.next()).toBeUndefined();
	expect([...found.foreignSources]).toEqual([expect.stringMatching(/^\d+\.\d+\.\d+\.\d+$/)]);
	expect(found.heard.size).toBe(0);
	expect(other.refusals.of('beacon-foreign')).toBeGreaterThan(0);
	await other.at[Symbol.asyncDispose]();
});

test('an aborted search ends at once', async () => {
	const stop = new AbortController();
	await using found = await openNodeSearch({
		config: discovery,
		keys,
		topics: [],
		timeoutMs: 600_000,
		signal: stop.signal,
	});
	const next = found.next();
	stop.abort();
	expect(await next).toBeUndefined();
});

test('the library finds a node on the network, and skips a node that has stopped', async () => {
	const [port, stoppedPort] = (await freePorts(2)) as [number, number];
	vi.stubEnv('XDG_RUNTIME_DIR', join(folder, 'its-user'));
	const common = {cluster, secret};
	await using node = await openBroker({
		...common,
		port,
		data: join(folder, 'data'),
		name: 'alpha',
		topics: ['news'],
		discovery,
	});
	const stopped = await beaconOf('4', {address: `127.0.0.1:${stoppedPort}`, topics: ['news', 'sport']});
	vi.stubEnv('XDG_RUNTIME_DIR', join(folder, 'another-user'));
	await vi.waitFor(
		async () => {
			const nodes = await findNodes({...common, discovery});
			expect(nodes.toSorted((a, b) => (a.name < b.name ? -1 : 1))).toEqual([
				{address: `127.0.0.1:${port}`, cluster, id: node.id, phase: 'running', name: 'alpha'},
				{address: `127.0.0.1:${stoppedPort}`, cluster, id: '4'.repeat(16), phase: 'running', name: 'node-4'},
			]);
		},
		{timeout: 20_000},
	);

	const unusable: string[] = [];
	await using broker = await connect({
		...common,
		enableNodeAuth: true,
		enableMessageSigning: true,
		enableEncryption: true,
		find: {
			discovery,
			topics: ['news', 'sport'],
			onUnusable: ({address}, error) => void unusable.push(`${address}: ${error.message}`),
		},
	});
	expect(unusable).toEqual([
		expect.stringContaining(`127.0.0.1:${stoppedPort}: peer 127.0.0.1:${stoppedPort} refuses connections`),
	]);
	expect(broker).toMatchObject({
		server: `127.0.0.1:${port}`,
		chosen: {name: 'alpha', subscribes: ['news'], clusters: 2},
	});
	expect(await broker.publish('news', [Buffer.from('x')])).toMatchObject({origin: node.id});

	// Without a search no node is known, and without a secret no beacon can be verified.
	const off = {
		...common,
		enableNodeAuth: true,
		enableMessageSigning: true,
		enableEncryption: true,
		find: {discovery: {...discovery, enabled: false}},
	};
	await expect(connect(off)).rejects.toMatchObject({
		code: 'unreachable',
		message: 'No node of cluster searched runs here: start one, or name one by its address',
	});
	expect(await findNodes({cluster})).toEqual([]);
	await stopped.at[Symbol.asyncDispose]();
}, 60_000);
