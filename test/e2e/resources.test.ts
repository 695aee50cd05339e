/** Limits of descriptors, topics and disk space, and a wrong clock: a node reports them and continues to work. */
import {execFileSync, spawn} from 'node:child_process';
import {existsSync, readdirSync, utimesSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, type NodeProcess} from '../../bench/cluster.ts';
import type {DapssError, Topic} from '../../core/index.ts';
import {publishTexts, withClient} from './support/brokers.ts';
import {cli, jsonAt, nodeFlags, run, runAt, serverFlags} from './support/command.ts';
import {isReady, isWarning} from './support/events.ts';
import {mountSmallDisk} from './support/folders.ts';
import {limitedData, startLimited} from './support/limited-node.ts';

test('a node with 256 descriptors stores messages of 228 topics, and has them after a restart', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const names = Array.from({length: 228}, (_, index) => `topic-${index}` as Topic);
	const node = await startLimited(cluster, port, 'ulimit -n 256');
	const broker = await cluster.client(node);
	// The second round writes again to every log whose file was closed.
	for (const text of ['one', 'two']) await Promise.all(names.map(name => publishTexts(broker, name, [text])));
	await broker[Symbol.asyncDispose]();
	expect(readdirSync(`/proc/${node.pid}/fd`).length).toBeLessThan(128);
	expect(node.events.filter(isWarning(/ulimit -n.*limits\.open_files|limits\.open_files.*ulimit -n/))).toHaveLength(
		1,
	);
	await node.kill('SIGTERM');
	const again = await startLimited(cluster, port, 'ulimit -n 256');
	const {topics} = await withClient(cluster, again, reader => reader.snapshot());
	expect(
		topics
			.filter(({messages}) => messages === 2)
			.map(({name}) => name)
			.toSorted(),
	).toEqual(names.toSorted());
});

test('a start with too few descriptors is refused, with the number that is needed; check reports refused connections', async () => {
	await using cluster = new Cluster({cli, settings: {limits: {connections: 16, connections_reserved: 0}}});
	const [port] = (await freePorts(1)) as [number];
	const short = spawn(
		'bash',
		[
			'-c',
			'ulimit -n 24; exec "$0" "$@"',
			process.execPath,
			cli,
			'--headless',
			...nodeFlags(cluster, port, 'short'),
		],
		{stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, ...cluster.env}},
	);
	let stderr = '';
	short.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk.toString();
	});
	expect(await new Promise(resolve => short.once('close', resolve))).toBe(2);
	expect(stderr).toMatch(/may open 24 files \(ulimit -n\), a node needs 88 at least/);

	const node = await startLimited(cluster, port);
	const clients = await Promise.all(Array.from({length: 16}, () => cluster.client(node)));
	const check = (): ReturnType<typeof run> => runAt(cluster, node, 'check', '--timeout', '2s');
	expect((await check()).code).toBe(14);
	for (const client of clients) await client[Symbol.asyncDispose]();
	await expect
		.poll(async () => (await check()).stdout.toString(), {timeout: 20_000})
		.toMatch(/Connections were refused: the limit \(limits\.connections/);
	await node.kill('SIGTERM');
}, 90_000);

test('a client that has used up its connections is refused with the limit, and status says which client it was', async () => {
	await using cluster = new Cluster({cli, settings: {limits: {connections_per_client: 2}}});
	const [port] = (await freePorts(1)) as [number];
	const node = await startLimited(cluster, port);
	const clients = await Promise.all([cluster.client(node), cluster.client(node)]);
	await expect(cluster.client(node)).rejects.toMatchObject({
		code: 'refused',
		message: expect.stringContaining('Expected at most 2 connections of') as string,
	});
	await clients[0][Symbol.asyncDispose]();
	await expect
		.poll(async () => (await runAt(cluster, node, 'status', '-o', 'json')).stdout.toString(), {timeout: 20_000})
		.toContain('connections-per-client');
	const {bounds} = JSON.parse((await runAt(cluster, node, 'status', '-o', 'json')).stdout.toString()) as {
		readonly bounds: unknown;
	};
	expect(bounds).toContainEqual(
		expect.objectContaining({
			name: 'connections-per-client',
			by: [
				expect.objectContaining({
					client: expect.stringMatching(/^(?:address|identity) \S+$/u),
					count: expect.any(Number),
				}),
			],
		}),
	);
	await clients[1][Symbol.asyncDispose]();
	await node.kill('SIGTERM');
}, 90_000);

test('200 new topics at once do not exceed the limit of topics; a topic is deleted with its last message', async () => {
	await using cluster = new Cluster({cli, settings: {limits: {topics: 16}, storage: {retain_age_s: 1}}});
	const [port] = (await freePorts(1)) as [number];
	const node = await startLimited(cluster, port);
	const broker = await cluster.client(node);
	const attempts = await Promise.allSettled(
		Array.from({length: 200}, (_, index) => broker.publish(`topic-${index}` as Topic, [new Uint8Array(0)])),
	);
	const refused = attempts.filter(({status}) => status === 'rejected') as PromiseRejectedResult[];
	expect(attempts.length - refused.length).toBe(16);
	expect(new Set(refused.map(({reason}) => (reason as Error).message))).toEqual(
		new Set([expect.stringContaining('limits.topics') as string]),
	);
	// A subscription counts as a topic.
	await expect(broker.subscribeNode('one more')).rejects.toMatchObject({
		code: 'refused',
		message: expect.stringContaining('limits.topics') as string,
	});
	await expect(broker.subscribe(['another']).agreed).rejects.toMatchObject({
		code: 'refused',
		message: expect.stringContaining('limits.topics') as string,
	});
	const checked = await runAt(cluster, node, 'check');
	expect(checked.stdout.toString()).toContain('The limit of topics is reached: 16 of 16 (limits.topics)');
	await node.kill('SIGKILL');
	// After a restart the topics still count, and are still deleted.
	const again = await startLimited(cluster, port);
	const reader = await cluster.client(again);
	await expect.poll(async () => (await reader.snapshot()).topicSlots?.used, {timeout: 40_000}).toBe(0);
	expect(existsSync(join(limitedData(cluster), 'topics'))).toBe(true);
	expect((await reader.snapshot()).topics).toEqual([]);
	await publishTexts(reader, 'fresh', ['a']);
	await reader[Symbol.asyncDispose]();
	await again.kill('SIGKILL');
	// The offsets of deleted topics stay on the disk. They occupy no slot, also after a restart.
	const third = await startLimited(cluster, port, 'export DAPSS_STORAGE_RETAIN_AGE_S=3600');
	await withClient(cluster, third, writer =>
		Promise.all(Array.from({length: 15}, (_, index) => publishTexts(writer, `other-${index}`, ['a']))),
	);
	await broker[Symbol.asyncDispose]();
}, 90_000);

/** The segments of all topics in the node's data folder. */
const segmentsOf = (cluster: Cluster): string[] =>
	readdirSync(join(limitedData(cluster), 'topics'), {recursive: true, withFileTypes: true})
		.filter(({name}) => name.endsWith('.log'))
		.map(({parentPath, name}) => join(parentPath, name));

/** The number of messages in all topics. */
async function messagesOf(cluster: Cluster, node: NodeProcess): Promise<number> {
	const {topics} = await withClient(cluster, node, broker => broker.snapshot());
	return topics.reduce((sum, {messages}) => sum + messages, 0);
}

/** Publishes three messages, and stops the node. */
async function publishThree(cluster: Cluster, node: NodeProcess): Promise<void> {
	await withClient(cluster, node, async broker => {
		for (const text of ['one', 'two', 'three']) await publishTexts(broker, 'news', [text]);
	});
	await node.kill('SIGTERM');
}

test('a node whose clock is 9 days ahead deletes no message, and warns', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	await publishThree(cluster, await startLimited(cluster, port));
	const ahead = `export NODE_OPTIONS="--import data:text/javascript,const{now}=Date;Date.now=()=>now()+${9 * 86_400_000}"`;
	// Retention runs at each start. Later starts with the same clock have the same result.
	for (const isFirst of [true, false, false]) {
		const node = await startLimited(cluster, port, ahead);
		expect(await messagesOf(cluster, node)).toBe(3);
		// From then on the difference is known.
		expect(node.events.filter(({type}) => type === 'warning')).toEqual(
			isFirst
				? [
						expect.objectContaining({
							text: expect.stringContaining('The clock of this machine is ahead') as string,
						}),
					]
				: [],
		);
		expect(node.events.filter(({type}) => type === 'deleted')).toEqual([]);
		await node.kill('SIGTERM');
	}
});

test('retention deletes a segment with a file time in 2099 when its messages are old, and reports unread messages', async () => {
	await using cluster = new Cluster({cli, settings: {storage: {retain_age_s: 3}}});
	const [port] = (await freePorts(1)) as [number];
	await publishThree(cluster, await startLimited(cluster, port));
	for (const path of segmentsOf(cluster)) utimesSync(path, 4_070_908_800, 4_070_908_800);
	const node = await startLimited(cluster, port);
	const deleted = await node.waitFor(({type}) => type === 'deleted', 'a deletion');
	expect(deleted).toMatchObject({topic: 'news', reason: 'age', messages: 3, unread: 3});
	expect(await messagesOf(cluster, node)).toBe(0);
	const status = await jsonAt<{readonly deleted: unknown}>(cluster, node, 'status');
	expect(status.deleted).toEqual({age: 3, size: 0, disk: 0, topic: 0, unread: 3});
});

test('a node on a full disk starts, serves readers and refuses messages; it accepts messages after retention has freed space', async ({
	skip,
}) => {
	await using cluster = new Cluster({cli});
	using disk = mountSmallDisk(limitedData(cluster), '40m');
	skip(!disk, 'needs root to mount a small disk');
	const [port] = (await freePorts(1)) as [number];
	const node = await startLimited(cluster, port);
	const broker = await cluster.client(node);
	let stored = 0;
	let failure: DapssError | undefined;
	while (failure === undefined) {
		try {
			await broker.publish('news', [Buffer.alloc(500_000)]);
			stored++;
		} catch (error) {
			failure = error as DapssError;
		}
	}

	await broker[Symbol.asyncDispose]();
	expect(stored).toBeGreaterThan(10);
	// The write that found the disk full succeeded in the space of the reserve.
	expect(failure).toMatchObject({code: 'refused', message: expect.stringContaining('is full') as string});
	const warning = await node.waitFor(
		({type, text}) => type === 'warning' && /is full/.test(String(text)),
		'a full disk',
	);
	expect(warning['text']).toMatch(/storage\.retain_bytes.*A reserve of 8 MiB was released/);
	await node.kill('SIGTERM');
	for (let round = 0; round < 2; round++) {
		const again = await startLimited(cluster, port);
		const reader = await cluster.client(again);
		let read = 0;
		for await (const deliveries of reader.subscribe(['news'], {from: 'beginning'})) {
			read += deliveries.length;
			if (read >= stored) break;
		}

		await expect(publishTexts(reader, 'news', ['no'])).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining('limits.disk_bytes') as string,
		});
		await reader[Symbol.asyncDispose]();
		await again.kill('SIGTERM');
	}

	// With a lower limit, retention frees space at the start.
	const less = await startLimited(cluster, port, 'export DAPSS_STORAGE_RETAIN_BYTES=2000000');
	await withClient(cluster, less, async writer => {
		// The node looks at the disk every ten seconds.
		const publish = (): Promise<string> =>
			publishTexts(writer, 'news', ['yes']).then(
				() => 'stored',
				(error: unknown) => (error as DapssError).code,
			);
		await expect.poll(publish, {timeout: 30_000}).toBe('stored');
	});
}, 120_000);

test('a node on a full disk stores no messages of other nodes, so it can restart repeatedly; it gets them when there is space', async ({
	skip,
}) => {
	await using cluster = new Cluster({cli});
	const folder = limitedData(cluster);
	using disk = mountSmallDisk(folder, '40m');
	skip(!disk, 'needs root to mount a small disk');
	const [first, second] = (await freePorts(2)) as [number, number];
	const subscribe = 'export DAPSS_TOPICS=news';
	const full = await startLimited(cluster, first, subscribe);
	const other = cluster.start(second);
	await other.waitFor(isReady, 'ready');
	const writer = await cluster.client(other);
	const publish = async (): Promise<void> => void (await writer.publish('news', [Buffer.alloc(500_000)]));
	let published = 0;
	for (; published < 100; published++) await publish();
	await full.waitFor(
		({type, text}) => type === 'warning' && String(text).includes('A reserve of 8 MiB was released'),
		'the full disk',
	);
	await full.kill('SIGKILL');
	for (let round = 0; round < 2; round++) {
		const again = await startLimited(cluster, first, subscribe);
		const reader = await cluster.client(again);
		// More than the reserve plus the free space of the disk.
		for (let index = 0; index < 20; index++) await publish();
		published += 20;
		await expect
			.poll(async () => (await reader.snapshot()).counters.bounds['disk'], {timeout: 10_000})
			.toBeGreaterThan(0);
		expect(await jsonAt(cluster, again, 'check')).toMatchObject({
			findings: expect.arrayContaining([
				expect.objectContaining({reason: 'disk-full', code: 'unhealthy'}),
			]) as unknown,
		});
		// The other node reports the same.
		expect(await jsonAt(cluster, other, 'check')).toMatchObject({
			findings: expect.arrayContaining([
				expect.objectContaining({
					reason: 'degraded',
					problem: expect.stringContaining('its disk is full: it stores no new messages') as string,
				}),
			]) as unknown,
		});
		await reader[Symbol.asyncDispose]();
		await again.kill('SIGKILL');
	}

	execFileSync('mount', ['-o', 'remount,size=200m', folder]);
	const again = await startLimited(cluster, first, subscribe);
	const reader = await cluster.client(again);
	await expect
		.poll(async () => (await reader.snapshot()).topics.find(({name}) => name === 'news')?.messages, {
			timeout: 30_000,
		})
		.toBe(published);
	await expect
		.poll(async () => (await writer.snapshot()).members.map(({state}) => state), {timeout: 20_000})
		.toEqual(['alive', 'alive']);
	await Promise.all([reader, writer].map(client => client[Symbol.asyncDispose]()));
}, 120_000);

test('all topics together use at most limits.disk_bytes: the largest topic loses messages first, and an event reports it', async () => {
	await using cluster = new Cluster({
		cli,
		settings: {storage: {segment_bytes: 65_536}, limits: {disk_bytes: 1_000_000}},
	});
	const [port] = (await freePorts(1)) as [number];
	const node = await startLimited(cluster, port);
	const broker = await cluster.client(node);
	await broker.publish('small', [Buffer.alloc(1000)]);
	for (let index = 0; index < 40; index++) await broker.publish('large', [Buffer.alloc(50_000)]);
	const deleted = await node.waitFor(({type}) => type === 'deleted', 'a deletion');
	expect(deleted).toMatchObject({topic: 'large', reason: 'disk'});
	const {topics} = await broker.snapshot();
	expect(topics.find(({name}) => name === 'small')).toMatchObject({messages: 1});
	expect(topics.reduce((sum, {bytes}) => sum + bytes, 0)).toBeLessThanOrEqual(1_000_000);
	await broker[Symbol.asyncDispose]();
});

test('topics and status show the rates of a topic without subscribers', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const node = await startLimited(cluster, port);
	const broker = await cluster.client(node);
	const done = new AbortController();
	const publishing = (async () => {
		// One message at a time, at the speed of the disk.
		while (!done.signal.aborted) await broker.publish('news', [Buffer.alloc(100)]);
	})();
	type Rated = {
		readonly name: string;
		readonly rates: {
			readonly published: number;
			readonly delivered: number;
			readonly stored: number;
			readonly bytes: number;
		};
	};
	// The rate is known after its first window.
	await expect
		.poll(async () => (await broker.snapshot()).counters.rates?.published, {timeout: 30_000})
		.toBeGreaterThan(0);
	const [topics, status, text] = await Promise.all(
		[['topics', '-o', 'json'], ['status', '-o', 'json'], ['topics']].map(async args =>
			(await runAt(cluster, node, ...args)).stdout.toString(),
		),
	);
	done.abort();
	await publishing;
	const [topic] = JSON.parse(topics!) as readonly Rated[];
	expect(topic).toMatchObject({name: 'news', rates: {delivered: 0}});
	expect(topic!.rates.published).toBeGreaterThan(0);
	expect(topic!.rates.stored).toBe(topic!.rates.published);
	expect(topic!.rates.bytes).toBeGreaterThan(topic!.rates.stored * 100);
	expect((JSON.parse(status!) as {readonly rates: Rated['rates']}).rates.published).toBeGreaterThan(0);
	expect(text).toMatch(/news .* [1-9]\d*\/s/);
	await broker[Symbol.asyncDispose]();
});

test('commands wait up to --timeout for a node that is starting', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	await publishThree(cluster, await startLimited(cluster, port));
	// The node reads its logs only after this file exists.
	const go = join(cluster.folder, 'go');
	const hook = join(cluster.folder, 'slow.mjs');
	writeFileSync(
		hook,
		`
		import {constants, existsSync} from 'node:fs';
		import files from 'node:fs/promises';
		import {syncBuiltinESMExports} from 'node:module';
		const {open} = files;
		files.open = async (path, flags, ...rest) => {
			while (/topics.*log$/.test(path) && (flags & constants.O_RDWR) !== 0 && !existsSync(${JSON.stringify(go)})) await new Promise(resolve => setTimeout(resolve, 20));
			return open(path, flags, ...rest);
		};
		syncBuiltinESMExports();
	`,
	);
	const starting = startLimited(cluster, port, `export NODE_OPTIONS="--import file://${hook}"`);
	const flags = serverFlags(cluster, {port});
	// Until the node listens, the connection is refused at once.
	await expect
		.poll(() => run(['status', '--timeout', '1s', ...flags]), {timeout: 30_000})
		.toMatchObject({code: 14, stderr: expect.stringContaining('the node is starting') as string});
	expect(await run(['publish', 'news', 'four', '--timeout', '300ms', ...flags])).toMatchObject({
		code: 14,
		stderr: expect.stringMatching(/the node is starting, and was not ready within 300 ms/) as string,
	});
	const waiting = Promise.all([
		run(['status', '--timeout', '30s', ...flags]),
		run(['publish', 'news', 'four', '--timeout', '30s', ...flags]),
	]);
	writeFileSync(go, '');
	expect((await waiting).map(({code}) => code)).toEqual([0, 0]);
	expect(await messagesOf(cluster, await starting)).toBe(4);
}, 120_000);

test('the error about a used UDP port names the process of that port, not the process of the TCP port', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	/** A process that listens as the expression says. */
	const listenWith = (code: string) => {
		const child = spawn(process.execPath, ['-e', `${code}.on('listening', () => console.log('listening'))`], {
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		return {
			pid: child.pid!,
			listening: new Promise(resolve => child.stdout.once('data', resolve)),
			[Symbol.dispose]: () => void child.kill('SIGKILL'),
		};
	};

	using udp = listenWith(`require('dgram').createSocket('udp4').bind({port: ${port}, address: '127.0.0.1'})`);
	// The same port at another address does not conflict.
	using tcp = listenWith(`require('net').createServer().listen({port: ${port}, host: '127.0.0.2'})`);
	using other = listenWith(`require('dgram').createSocket('udp4').bind({port: ${port}, address: '127.0.0.2'})`);
	await Promise.all([udp.listening, tcp.listening, other.listening]);
	const {code, stderr} = await run(['--headless', ...nodeFlags(cluster, port, 'data')]);
	expect(code).toBe(1);
	expect(stderr).toMatch(new RegExp(`UDP port ${port} is in use \\(\\S+ \\(pid ${udp.pid}\\)\\): try --port \\d+`));
	expect(stderr).not.toMatch(new RegExp(`pid (?:${tcp.pid}|${other.pid})\\b`));
});
