/** `/metrics`, `/healthz` and `/readyz` of a node that answers from a given snapshot. */
import {connect, type Socket} from 'node:net';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {defaults, type Config} from '../../../core/config.ts';
import {DapssError} from '../../../core/errors.ts';
import {openMetrics, type Metrics} from '../../../core/host/metrics.ts';
import type {NodeSlot} from '../../../core/host/node-slot.ts';
import {connectionsMax} from '../../../core/io/net/http-pages.ts';
import type {Topic} from '../../../core/message.ts';
import type {Node} from '../../../core/node/node.ts';
import {Journal} from '../../../core/observe/journal.ts';
import {metrics as table} from '../../../core/observe/metrics.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {freePorts} from '../../../bench/cluster.ts';
import {parseExposition, type Family} from '../../support/exposition.ts';
import {a, b, healthy} from '../../tui/support/fixtures.ts';

let metrics: Metrics;
let base: string;
let port: number;
let journal: Journal;
let snapshot: Snapshot;
let reads: number;
let node: Node | undefined;
const bounds: string[] = [];

beforeEach(async () => {
	[port] = (await freePorts(1)) as [number];
	base = `http://127.0.0.1:${port}`;
	journal = new Journal({wallMs: () => 0, feedMax: 10, eventsMax: 10, previewBytes: 10});
	snapshot = healthy;
	reads = 0;
	node = {
		journal,
		async snapshot() {
			reads++;
			return snapshot;
		},
		readIndex: async () => snapshot.raft.commit,
	} as unknown as Node;
	bounds.length = 0;
	const slot = {
		get node() {
			return node;
		},
		bound: (name: string) => void bounds.push(name),
	} as unknown as NodeSlot;
	const config = {...defaults, metrics: {port, host: '127.0.0.1'}, limits: {...defaults.limits, topics: 2}};
	metrics = await openMetrics(config as Config, slot);
	metrics.watch(node);
});
afterEach(() => metrics[Symbol.asyncDispose]());

async function scrape(): Promise<ReadonlyMap<string, Family>> {
	const answer = await fetch(`${base}/metrics`);
	expect(answer.status).toBe(200);
	expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
	return parseExposition(await answer.text());
}

const valueOf = (families: ReadonlyMap<string, Family>, name: string, labels: Readonly<Record<string, string>> = {}) =>
	families
		.get(name)
		?.samples.find(sample => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
		?.value;

describe('/metrics', () => {
	test('has every metric of the table, in a form that a strict parser takes', async () => {
		const families = await scrape();
		expect(table.filter(({name}) => !families.has(name))).toEqual([]);
		expect(valueOf(families, 'dapss_raft_term')).toBe(healthy.raft.term);
		expect(valueOf(families, 'dapss_raft_role', {role: healthy.raft.role})).toBe(1);
		expect(valueOf(families, 'dapss_members', {state: 'alive'})).toBe(3);
		expect(valueOf(families, 'dapss_messages_delivered_total')).toBe(healthy.counters.delivered);
		for (const name of [
			'process_cpu_seconds_total',
			'process_resident_memory_bytes',
			'nodejs_eventloop_lag_seconds',
		])
			expect(valueOf(families, name), name).toBeTypeOf('number');
	});

	test('shows no content of a message, and no more topics than the limit', async () => {
		const names = ['one', 'two "quoted"\\', 'three'];
		snapshot = {
			...healthy,
			topics: names.map(name => ({...healthy.topics[0]!, name: name as Topic})),
			feed: healthy.feed.map(message => ({...message, preview: new TextEncoder().encode('a secret content')})),
		};
		const text = await (await fetch(`${base}/metrics`)).text();
		const families = parseExposition(text);
		expect(text).not.toContain('secret content');
		expect(families.get('dapss_topic_stored_messages')!.samples.map(({labels}) => labels['topic'])).toEqual(
			names.slice(0, 2),
		);
		expect(valueOf(families, 'dapss_topics_omitted')).toBe(1);
	});

	test('counts changes of the leader and partitions from the events', async () => {
		journal.record({type: 'leader', term: 1, leader: a});
		journal.record({type: 'leader', term: 2, leader: undefined});
		journal.record({type: 'leader', term: 2, leader: b});
		journal.record({type: 'partition', state: 'detected', sides: [[a], [b]], quorum: -1, tookMs: 5});
		const families = await scrape();
		expect(valueOf(families, 'dapss_raft_leader_changes_total')).toBe(1);
		expect(valueOf(families, 'dapss_partitions_total')).toBe(1);
	});

	test('has the time of fsyncs as a histogram', async () => {
		metrics.observeSync(0.002);
		const families = await scrape();
		expect(families.get('dapss_fsync_seconds')!.type).toBe('histogram');
		expect(families.get('dapss_fsync_seconds')!.samples.find(({name}) => name.endsWith('_count'))!.value).toBe(1);
	});

	test('reads the node once for many readers', async () => {
		await Promise.all(Array.from({length: 20}, () => scrape()));
		expect(reads).toBe(1);
	});

	test('is there while the node starts', async () => {
		node = undefined;
		const families = await scrape();
		expect(families.get('dapss_raft_term')!.samples).toEqual([]);
		expect((await fetch(`${base}/readyz`)).status).toBe(503);
		expect((await fetch(`${base}/healthz`)).status).toBe(200);
	});
});

describe('/readyz', () => {
	test('is 200 as `check` is 0', async () => {
		const answer = await fetch(`${base}/readyz`);
		expect(answer.status).toBe(200);
		expect(await answer.json()).toMatchObject({verdict: 'healthy'});
	});

	test('is 503 with the reason when a quorum does not confirm', async () => {
		node = Object.assign(node!, {
			async readIndex() {
				throw new DapssError('no-quorum', 'no quorum');
			},
		});
		const answer = await fetch(`${base}/readyz`);
		expect(answer.status).toBe(503);
		expect(await answer.json()).toMatchObject({findings: [{reason: 'quorum-regained'}]});
	});
});

describe('the server', () => {
	test('answers GET and HEAD for its pages only', async () => {
		expect((await fetch(`${base}/metrics`, {method: 'POST', body: 'x'})).status).toBe(405);
		expect((await fetch(`${base}/`)).status).toBe(404);
		expect((await fetch(`${base}/constructor`)).status).toBe(404);
		const head = await fetch(`${base}/metrics`, {method: 'HEAD'});
		expect(head.status).toBe(200);
		expect(await head.text()).toBe('');
	});

	test('does not answer a browser under the name of another host', async () => {
		const raw = await ask('GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n');
		expect(raw).toMatch(/^HTTP\/1\.1 403 /u);
	});

	test('refuses connections beyond the limit, and counts them', async () => {
		const sockets = await Promise.all(Array.from({length: connectionsMax}, () => open()));
		const refused = await open();
		await new Promise(resolve => {
			refused
				.once('close', resolve)
				.on('error', () => undefined)
				.resume();
		});
		expect(bounds).toEqual(['metrics-connections']);
		for (const socket of sockets) socket.destroy();
	});

	test('gives up a connection that sends no request', async () => {
		const socket = await open();
		const startMs = performance.now();
		await new Promise(resolve => {
			socket.once('close', resolve).resume();
		});
		expect(performance.now() - startMs).toBeLessThan(9000);
	}, 15_000);

	test('names the setting when its port is in use', async () => {
		const config = {...defaults, metrics: {port, host: '127.0.0.1'}} as Config;
		await expect(openMetrics(config, {} as NodeSlot)).rejects.toThrow(
			/metrics\.port .*EADDRINUSE.*--metrics-port/u,
		);
	});
});

function open(): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const socket = connect(port, '127.0.0.1', () => resolve(socket)).once('error', reject);
	});
}

async function ask(text: string): Promise<string> {
	const socket = await open();
	socket.write(text);
	let answer = '';
	for await (const chunk of socket) answer += String(chunk);
	return answer;
}
