/**
A lack of resources (descriptors, topics, disk, time) limits a node but does not end it. Real processes.
*/
import {execFileSync, spawn} from 'node:child_process';
import {existsSync, mkdirSync, readdirSync, utimesSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli, run} from './support/command.ts';

/** A node of the cluster in a shell that runs `limit` first. */
async function start(cluster: Cluster, port: number, limit: string): Promise<NodeProcess> {
	const command = [
		cli,
		'--headless',
		'-o',
		'jsonl',
		'--port',
		String(port),
		...cluster.clientFlags,
		'--data',
		join(cluster.folder, 'data'),
	];
	const node = new NodeProcess(port, ['-c', `${limit}; exec "$0" "$@"`, process.execPath, ...command], false, 'bash');
	cluster.nodes.splice(0, 1, node);
	await node.waitFor(({type, leader}) => type === 'leader' && typeof leader === 'string', 'a leader');
	return node;
}

test('with 256 descriptors a node stores messages of 228 topics, and restarts (case 13)', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const names = Array.from({length: 228}, (_, index) => `topic-${index}` as Topic);
	const node = await start(cluster, port, 'ulimit -n 256');
	const broker = await cluster.client(node);
	// The second round writes again to every log that lost its descriptor.
	for (const text of ['one', 'two']) await Promise.all(names.map(name => broker.publish(name, [Buffer.from(text)])));
	await broker[Symbol.asyncDispose]();
	expect(readdirSync(`/proc/${node.pid}/fd`).length).toBeLessThan(128);
	expect(node.events.find(({type, text}) => type === 'warning' && String(text).includes('ulimit -n'))).toMatchObject({
		text: expect.stringContaining('limits.open_files') as string,
	});
	await node.kill('SIGTERM');
	const again = await start(cluster, port, 'ulimit -n 256');
	const reader = await cluster.client(again);
	const {topics} = await reader.snapshot();
	expect(
		topics
			.filter(({messages}) => messages === 2)
			.map(({name}) => name)
			.toSorted(),
	).toEqual(names.toSorted());
	await reader[Symbol.asyncDispose]();
});

test('with too few descriptors a start is refused with the needed number; check reports connections that were refused for that reason (case 13)', async () => {
	await using cluster = new Cluster({cli, settings: {limits: {connections: 16}}});
	const [port] = (await freePorts(1)) as [number];
	const short = spawn(
		'bash',
		[
			'-c',
			'ulimit -n 24; exec "$0" "$@"',
			process.execPath,
			cli,
			'--headless',
			'--port',
			String(port),
			...cluster.clientFlags,
			'--data',
			join(cluster.folder, 'short'),
		],
		{stdio: ['ignore', 'ignore', 'pipe'], env: {...process.env, ...cluster.env}},
	);
	let stderr = '';
	short.stderr.on('data', (chunk: Buffer) => {
		stderr += chunk.toString();
	});
	expect(await new Promise(resolve => short.once('close', resolve))).toBe(2);
	expect(stderr).toMatch(/may open 24 files \(ulimit -n\), a node needs 88 at least/);

	const node = await start(cluster, port, 'true');
	const clients = await Promise.all(Array.from({length: 16}, () => cluster.client(node)));
	const check = (): ReturnType<typeof run> =>
		run(['check', '--timeout', '2s', '--server', `127.0.0.1:${port}`, ...cluster.clientFlags]);
	expect((await check()).code).toBe(14);
	for (const client of clients) await client[Symbol.asyncDispose]();
	await expect
		.poll(async () => (await check()).stdout.toString(), {timeout: 20_000})
		.toMatch(/Connections were refused: the limit \(limits\.connections/);
	await node.kill('SIGTERM');
}, 90_000);

test('many new topics at once do not exceed the limit; they are deleted with their last messages (case 14)', async () => {
	await using cluster = new Cluster({cli, settings: {limits: {topics: 16}, storage: {retain_age_s: 1}}});
	const [port] = (await freePorts(1)) as [number];
	const node = await start(cluster, port, 'true');
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
	const checked = await run(['check', '--server', `127.0.0.1:${port}`, ...cluster.clientFlags]);
	expect(checked.stdout.toString()).toContain('The limit of topics is reached: 16 of 16 (limits.topics)');
	await node.kill('SIGKILL');
	// After a restart they still count, and are still deleted.
	const again = await start(cluster, port, 'true');
	const reader = await cluster.client(again);
	await expect.poll(async () => (await reader.snapshot()).topicSlots?.used, {timeout: 40_000}).toBe(0);
	expect(existsSync(join(cluster.folder, 'data', 'topics'))).toBe(true);
	expect((await reader.snapshot()).topics).toEqual([]);
	await reader.publish('fresh', [Buffer.from('a')]);
	await reader[Symbol.asyncDispose]();
	await again.kill('SIGKILL');
	// Offsets of topics that had messages stay on the disk. They occupy no slot, also after a restart.
	const third = await start(cluster, port, 'export DAPSS_STORAGE_RETAIN_AGE_S=3600');
	const writer = await cluster.client(third);
	await Promise.all(
		Array.from({length: 15}, (_, index) => writer.publish(`other-${index}` as Topic, [Buffer.from('a')])),
	);
	await writer[Symbol.asyncDispose]();
	await broker[Symbol.asyncDispose]();
}, 90_000);

/** Segments of the topics in the node's data folder. */
const segmentsOf = (cluster: Cluster): string[] =>
	readdirSync(join(cluster.folder, 'data', 'topics'), {recursive: true, withFileTypes: true})
		.filter(({name}) => name.endsWith('.log'))
		.map(({parentPath, name}) => join(parentPath, name));

async function messagesOf(cluster: Cluster, node: NodeProcess): Promise<number> {
	const broker = await cluster.client(node);
	const {topics} = await broker.snapshot();
	await broker[Symbol.asyncDispose]();
	return topics.reduce((sum, {messages}) => sum + messages, 0);
}

async function publishThree(cluster: Cluster, node: NodeProcess): Promise<void> {
	const broker = await cluster.client(node);
	for (const text of ['one', 'two', 'three']) await broker.publish('news', [Buffer.from(text)]);
	await broker[Symbol.asyncDispose]();
	await node.kill('SIGTERM');
}

test('a clock that is 9 days ahead deletes nothing, and is reported (case 16)', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	await publishThree(cluster, await start(cluster, port, 'true'));
	const ahead = (days: number): string =>
		`export NODE_OPTIONS="--import data:text/javascript,const{now}=Date;Date.now=()=>now()+${days * 86_400_000}"`;
	// Retention runs first at a start. The next start with that clock gives the same result.
	for (const days of [9, 9, 9]) {
		const node = await start(cluster, port, ahead(days));
		expect(await messagesOf(cluster, node)).toBe(3);
		expect(node.events.find(({type}) => type === 'warning')).toMatchObject({
			text: expect.stringContaining('The clock of this machine is ahead') as string,
		});
		expect(node.events.filter(({type}) => type === 'deleted')).toEqual([]);
		await node.kill('SIGTERM');
	}
});

test('a segment dated 2099 is deleted when its messages are old, and unread messages are reported (case 16)', async () => {
	await using cluster = new Cluster({cli, settings: {storage: {retain_age_s: 3}}});
	const [port] = (await freePorts(1)) as [number];
	await publishThree(cluster, await start(cluster, port, 'true'));
	for (const path of segmentsOf(cluster)) utimesSync(path, 4_070_908_800, 4_070_908_800);
	const node = await start(cluster, port, 'true');
	const deleted = await node.waitFor(({type}) => type === 'deleted', 'a deletion');
	expect(deleted).toMatchObject({topic: 'news', reason: 'age', messages: 3, unread: 3});
	expect(await messagesOf(cluster, node)).toBe(0);
	const status = JSON.parse(
		(
			await run(['status', '-o', 'json', '--server', `127.0.0.1:${port}`, ...cluster.clientFlags])
		).stdout.toString(),
	) as {readonly deleted: unknown};
	expect(status.deleted).toEqual({age: 3, size: 0, disk: 0, topic: 0, unread: 3});
});

/** A disk of a few MiB under a folder, where one can be mounted. */
function smallDisk(folder: string, size: string): Disposable | undefined {
	mkdirSync(folder, {mode: 0o700});
	try {
		execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder], {stdio: 'ignore'});
	} catch {
		return undefined;
	}

	return {[Symbol.dispose]: () => void execFileSync('umount', ['-l', folder], {stdio: 'ignore'})};
}

test('a node on a full disk starts, serves reads, refuses messages, and accepts them again when retention has made room (case 15)', async ({
	skip,
}) => {
	await using cluster = new Cluster({cli});
	using disk = smallDisk(join(cluster.folder, 'data'), '40m');
	skip(!disk, 'needs root, to mount a small disk');
	const [port] = (await freePorts(1)) as [number];
	const node = await start(cluster, port, 'true');
	const broker = await cluster.client(node);
	let stored = 0;
	try {
		for (;;) {
			await broker.publish('news', [Buffer.alloc(500_000)]);
			stored++;
		}
	} catch (error) {
		// The write that failed succeeded in the space of the reserve.
		expect(error).toMatchObject({code: 'refused', message: expect.stringContaining('is full') as string});
	}

	await broker[Symbol.asyncDispose]();
	expect(stored).toBeGreaterThan(10);
	const warning = await node.waitFor(
		({type, text}) => type === 'warning' && /is full/.test(String(text)),
		'a full disk',
	);
	expect(warning['text']).toMatch(/storage\.retain_bytes.*A reserve of 8 MiB was released/);
	await node.kill('SIGTERM');
	for (let round = 0; round < 2; round++) {
		const again = await start(cluster, port, 'true');
		const reader = await cluster.client(again);
		let read = 0;
		for await (const deliveries of reader.subscribe(['news'], {from: 'beginning'})) {
			read += deliveries.length;
			if (read >= stored) break;
		}

		await expect(reader.publish('news', [Buffer.from('no')])).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining('limits.disk_bytes') as string,
		});
		await reader[Symbol.asyncDispose]();
		await again.kill('SIGTERM');
	}

	// With a lower limit, the start itself makes room.
	const less = await start(cluster, port, 'export DAPSS_STORAGE_RETAIN_BYTES=2000000');
	const writer = await cluster.client(less);
	await writer.publish('news', [Buffer.from('yes')]);
	await writer[Symbol.asyncDispose]();
}, 120_000);

test('on a full disk the messages of other nodes are not stored, so it starts again and again, and they follow when there is room (case 15)', async ({
	skip,
}) => {
	await using cluster = new Cluster({cli});
	const folder = join(cluster.folder, 'data');
	using disk = smallDisk(folder, '40m');
	skip(!disk, 'needs root, to mount a small disk');
	const [first, second] = (await freePorts(2)) as [number, number];
	const subscribe = 'export DAPSS_TOPICS=news';
	const full = await start(cluster, first, subscribe);
	const other = cluster.start(second);
	await other.waitFor(({type}) => type === 'ready', 'ready');
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
		const again = await start(cluster, first, subscribe);
		const reader = await cluster.client(again);
		// More than the reserve, and more than the disk had left.
		for (let index = 0; index < 20; index++) await publish();
		published += 20;
		await expect
			.poll(async () => (await reader.snapshot()).counters.bounds['disk'], {timeout: 10_000})
			.toBeGreaterThan(0);
		const check = await run(['check', '-o', 'json', '--server', `127.0.0.1:${first}`, ...cluster.clientFlags]);
		expect(JSON.parse(check.stdout.toString())).toMatchObject({
			findings: expect.arrayContaining([
				expect.objectContaining({reason: 'disk-full', code: 'unhealthy'}),
			]) as unknown,
		});
		await reader[Symbol.asyncDispose]();
		await again.kill('SIGKILL');
	}

	execFileSync('mount', ['-o', 'remount,size=200m', folder]);
	const again = await start(cluster, first, subscribe);
	const reader = await cluster.client(again);
	await expect
		.poll(async () => (await reader.snapshot()).topics.find(({name}) => name === 'news')?.messages, {
			timeout: 30_000,
		})
		.toBe(published);
	await Promise.all([reader, writer].map(client => client[Symbol.asyncDispose]()));
}, 120_000);

test('all topics together keep to limits.disk_bytes: the largest topic is reduced first, and that is reported (case 15)', async () => {
	await using cluster = new Cluster({
		cli,
		settings: {storage: {segment_bytes: 65_536}, limits: {disk_bytes: 1_000_000}},
	});
	const [port] = (await freePorts(1)) as [number];
	const node = await start(cluster, port, 'true');
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

test('topics shows the rate of a topic without subscribers, the same in text, JSON and status (case 17)', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const node = await start(cluster, port, 'true');
	const broker = await cluster.client(node);
	const flags = ['--server', `127.0.0.1:${port}`, ...cluster.clientFlags];
	const done = new AbortController();
	const publishing = (async () => {
		// One after the other, at the speed of the disk.
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
	// Longer than the window: from then on the rate is steady.
	await expect
		.poll(async () => (await broker.snapshot()).counters.rates?.published, {timeout: 30_000})
		.toBeGreaterThan(0);
	const [topics, status, text] = await Promise.all(
		[['topics', '-o', 'json'], ['status', '-o', 'json'], ['topics']].map(async words =>
			(await run([...words, ...flags])).stdout.toString(),
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

test('commands wait for a starting node for the time of --timeout (case 18)', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	await publishThree(cluster, await start(cluster, port, 'true'));
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
	const starting = start(cluster, port, `export NODE_OPTIONS="--import file://${hook}"`);
	const flags = ['--server', `127.0.0.1:${port}`, ...cluster.clientFlags];
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

test('a used UDP port is reported with its own process, not with the process of the TCP port (case 19)', async () => {
	await using cluster = new Cluster({cli});
	const [port] = (await freePorts(1)) as [number];
	const hold = (code: string) => {
		const child = spawn(process.execPath, ['-e', `${code}.on('listening', () => console.log('listening'))`], {
			stdio: ['ignore', 'pipe', 'inherit'],
		});
		return {
			pid: child.pid!,
			listening: new Promise(resolve => child.stdout.once('data', resolve)),
			[Symbol.dispose]: () => void child.kill('SIGKILL'),
		};
	};

	using udp = hold(`require('dgram').createSocket('udp4').bind({port: ${port}, address: '127.0.0.1'})`);
	// The same port at another address conflicts with nothing.
	using tcp = hold(`require('net').createServer().listen({port: ${port}, host: '127.0.0.2'})`);
	using other = hold(`require('dgram').createSocket('udp4').bind({port: ${port}, address: '127.0.0.2'})`);
	await Promise.all([udp.listening, tcp.listening, other.listening]);
	const {code, stderr} = await run([
		'--headless',
		'--port',
		String(port),
		...cluster.clientFlags,
		'--data',
		join(cluster.folder, 'data'),
	]);
	expect(code).toBe(1);
	expect(stderr).toMatch(new RegExp(`UDP port ${port} is in use \\(\\S+ \\(pid ${udp.pid}\\)\\): try --port \\d+`));
	expect(stderr).not.toMatch(new RegExp(`pid (?:${tcp.pid}|${other.pid})\\b`));
});
