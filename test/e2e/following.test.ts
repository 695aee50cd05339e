/**
Followers outlive their node (case 26): subscriptions, events and consoles continue at another node, or at the same one
when it is back.
*/
import {spawn, type ChildProcess} from 'node:child_process';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, untilSeen, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli} from './support/command.ts';
import {Terminal} from './support/terminal.ts';

const waitMs = 20_000;
const news = 'news' as Topic;
const at = ({port}: NodeProcess): string => `127.0.0.1:${port}`;

/** A command that runs until it is stopped; its lines as they arrive. */
class Follower implements AsyncDisposable {
	readonly child: ChildProcess;
	readonly exited: Promise<number | null>;
	stdout = '';
	stderr = '';
	readonly #looking = new Set<() => void>();

	/**
	@param isPiped behind it stands a reader that shows the first line on standard error, and goes when `leave` is
	called.
	*/
	constructor(cluster: Cluster, flags: readonly string[], isPiped = false) {
		const command = [process.execPath, cli, ...flags, ...cluster.clientFlags];
		const [program, ...words] = isPiped
			? [
					'bash',
					'-c',
					`exec 9<&0; "$@" </dev/null | { read -r line; echo "read: $line" >&2; read -r _ <&9; }; exit "\${PIPESTATUS[0]}"`,
					'bash',
					...command,
				]
			: command;
		this.child = spawn(program!, words, {
			stdio: ['pipe', 'pipe', 'pipe'],
			env: {...process.env, ...cluster.env, NO_COLOR: '1'},
		});
		const look = (): void => {
			for (const one of this.#looking) one();
		};

		this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
			this.stdout += text;
			look();
		});
		this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
			this.stderr += text;
			look();
		});
		this.exited = new Promise(resolve => {
			this.child.once('close', code => {
				resolve(code);
				look();
			});
		});
	}

	/** Ends the reader of the pipe. */
	leave(): void {
		this.child.stdin!.end();
	}

	get events(): JsonEvent[] {
		return this.stdout
			.split('\n')
			.slice(0, -1)
			.map(line => JSON.parse(line) as JsonEvent);
	}

	/** Until that holds. @throws when the command ends before, or after a minute */
	until(holds: () => boolean, what: string): Promise<void> {
		return new Promise((resolve, reject) => {
			const end = (error?: Error): void => {
				clearTimeout(timer);
				this.#looking.delete(look);
				if (error) reject(error);
				else resolve();
			};

			const look = (): void => {
				if (holds()) end();
				else if (this.child.exitCode !== null || this.child.signalCode !== null)
					end(new Error(`The command ended while waiting for ${what}: ${this.stderr}`));
			};

			const timer = setTimeout(
				() => end(new Error(`No ${what}: ${this.stderr}\n${this.stdout.slice(-2000)}`)),
				waitMs,
			);
			this.#looking.add(look);
			look();
		});
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill('SIGKILL');
		await this.exited;
	}
}

const seqs = (follower: Follower): string[] =>
	follower.events.filter(({type}) => type === 'message').map(({payload}) => String(payload));

test('a subscriber with two servers reads each of thousands of messages once, in order, although its server is killed (case 26)', async () => {
	await using cluster = new Cluster({cli, topics: [news]});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const publisher = await cluster.client(third);
	// What every node has before the subscription is not wanted, at no node.
	await publisher.publish(
		news,
		Array.from({length: 50}, (_, index) => Buffer.from(`old ${index}`)),
	);
	for (const node of cluster.nodes) {
		await using client = await cluster.client(node);
		await untilSeen(
			client,
			({topics}) => topics.find(({name}) => name === news)?.messages === 50,
			`an old message at ${node.port}`,
		);
	}

	const total = 6000;
	await using follower = new Follower(cluster, [
		'subscribe',
		news,
		'-o',
		'jsonl',
		'--count',
		String(total),
		'--server',
		`${at(first)},${at(second)}`,
	]);
	await follower.until(() => follower.stderr.includes(`Subscribed to news at ${at(first)}`), 'the subscription');
	const texts = Array.from({length: total}, (_, index) => `m${index}`);
	for (let from = 0; from < total; from += 10) {
		await publisher.publish(
			news,
			texts.slice(from, from + 10).map(text => Buffer.from(text)),
		);
		if (from === total / 3) {
			await follower.until(() => seqs(follower).length > 100, 'some messages');
			await first.kill('SIGKILL');
		}
	}

	expect(await follower.exited, follower.stderr).toBe(0);
	expect(seqs(follower)).toEqual(texts);
	expect(follower.events.filter(({type}) => type !== 'message')).toEqual([]);
	expect(follower.stderr).toMatch(
		new RegExp(`Lost ${at(first)}: .+; trying again in \\d+ ms\nConnected to ${at(second)}\n$`),
	);
	await publisher[Symbol.asyncDispose]();
}, 120_000);

test('a subscriber with one server continues when it is back, after the last message (case 26)', async () => {
	await using cluster = new Cluster({cli, topics: [news]});
	await cluster.startAll(1);
	const [node] = cluster.nodes as [NodeProcess];
	const publish = async (...texts: readonly string[]): Promise<void> => {
		await using client = await cluster.clientOf(node.port);
		await client.publish(
			news,
			texts.map(text => Buffer.from(text)),
		);
	};

	await publish('old 1', 'old 2');
	await using follower = new Follower(cluster, [
		'subscribe',
		news,
		'-o',
		'jsonl',
		'--count',
		'5',
		'--server',
		at(node),
	]);
	await follower.until(() => follower.stderr.includes('Subscribed to news'), 'the subscription');
	await publish('a', 'b');
	await follower.until(() => seqs(follower).length === 2, 'two messages');
	await node.kill('SIGKILL');
	await follower.until(() => follower.stderr.includes(`Lost ${at(node)}`), 'the loss');
	const again = cluster.start(node.port);
	await again.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	await publish('c', 'd', 'e');
	expect(await follower.exited, follower.stderr).toBe(0);
	expect(seqs(follower)).toEqual(['a', 'b', 'c', 'd', 'e']);
	expect(follower.stderr).toContain(`Connected to ${at(node)}\n`);
}, 120_000);

test('events --watch continues at another node (case 26)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as [NodeProcess, NodeProcess];
	await using follower = new Follower(cluster, [
		'events',
		'--watch',
		'-o',
		'jsonl',
		'--server',
		`${at(first)},${at(second)}`,
	]);
	await follower.until(() => follower.events.length > 0, 'events');
	await first.kill('SIGKILL');
	await follower.until(() => follower.stderr.includes(`Connected to ${at(second)}`), 'the other node');
	// That node has seen the loss, before or after the follower came.
	await follower.until(
		() =>
			follower.events.some(
				event =>
					event.type === 'member' &&
					event['id'] === first.id &&
					(event['state'] === 'down' || event['state'] === 'unreachable'),
			),
		'the loss of the first node',
	);
	await using client = await cluster.client(second);
	await client.subscribeNode('later');
	const isSubscribed = ({type, topic, node}: JsonEvent): boolean =>
		type === 'subscribed' && topic === 'later' && node === second.id;
	await follower.until(() => follower.events.some(event => isSubscribed(event)), 'what happens then');
	const lines = follower.stdout.split('\n').slice(0, -1);
	expect(new Set(lines).size).toBe(lines.length);
	follower.child.kill('SIGTERM');
	expect(await follower.exited).toBe(143);
}, 120_000);

test('events --watch --messages prints every message of the node, and continues when it is back (case 26, case 31)', async () => {
	await using cluster = new Cluster({cli, topics: ['news', 'other']});
	await cluster.startAll(1);
	const [node] = cluster.nodes as [NodeProcess];
	await using follower = new Follower(cluster, [
		'events',
		'--watch',
		'--messages',
		'news',
		'-o',
		'jsonl',
		'--server',
		at(node),
	]);
	await follower.until(() => follower.events.length > 0, 'events');
	const texts = Array.from({length: 20_000}, (_, index) => `${index} ${'x'.repeat(100)}`);
	const publish = async (bodies: readonly string[]): Promise<void> => {
		await using client = await cluster.clientOf(node.port);
		await client.publish('other', [Buffer.from('not named')]);
		for (let from = 0; from < bodies.length; from += 1000)
			await client.publish(
				news,
				bodies.slice(from, from + 1000).map(text => Buffer.from(text)),
			);
	};

	const payloads = (): unknown[] =>
		follower.events.filter(({type}) => type === 'message').map(event => event['payload']);
	await publish(texts);
	await follower.until(() => follower.stdout.includes(texts.at(-1)!), 'the last message');
	expect(payloads()).toEqual(texts);
	expect(follower.events.filter(({type}) => type === 'lagged')).toEqual([]);

	await node.kill('SIGKILL');
	await follower.until(() => follower.stderr.includes(`Lost ${at(node)}`), 'the loss');
	const again = cluster.start(node.port);
	await again.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	await publish(['soon']); // Maybe before the follower is connected again.
	await follower.until(() => follower.stderr.includes(`Connected to ${at(node)}`), 'the same node');
	await publish(['back']);
	await follower.until(() => follower.stdout.includes('"back"'), 'what comes then');
	expect(payloads()).toEqual([...texts, 'soon', 'back']);
	expect(follower.events.filter(({type}) => type === 'lagged')).toEqual([]);
}, 120_000);

test('events --watch --messages continues after the last message at another node, without loss or duplicates (case 26)', async () => {
	await using cluster = new Cluster({cli, topics: ['news']});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	await using follower = new Follower(cluster, [
		'events',
		'--watch',
		'--messages',
		'-o',
		'jsonl',
		'--server',
		`${at(first)},${at(second)}`,
	]);
	await follower.until(() => follower.events.length > 0, 'events');
	await using client = await cluster.client(third);
	const texts = Array.from({length: 300}, (_, index) => `message ${index}`);
	for (const [index, text] of texts.entries()) {
		await client.publish(news, [Buffer.from(text)]);
		if (index === 100) {
			await follower.until(() => follower.stdout.includes('"message 50"'), 'messages of the first node');
			await first.kill('SIGKILL');
		}
	}

	await follower.until(() => follower.stdout.includes(`"${texts.at(-1)!}"`), 'the last message');
	expect(follower.stderr).toContain(`Connected to ${at(second)}`);
	expect(seqs(follower)).toEqual(texts);
	expect(follower.events.filter(({type}) => type === 'lagged' || type === 'warning')).toEqual([]);
}, 120_000);

test('a follower without a server ends at once when its reader is gone, and on a signal (case 26, case 23)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const [node] = cluster.nodes as [NodeProcess];
	const start = (...flags: readonly string[]): Follower => new Follower(cluster, [...flags, '--server', at(node)]);
	await using unread = new Follower(cluster, ['subscribe', news, '--server', at(node)], true);
	await using unreadEvents = new Follower(cluster, ['events', '--watch', '--server', at(node)], true);
	await using stopped = start('subscribe', news, '--count', '2', '-o', 'jsonl');
	await using interrupted = start('events', '--watch');
	await using over = start('subscribe', news, '--wait', '5s');
	const all = [unread, unreadEvents, stopped, interrupted, over];
	await Promise.all(
		all.map(follower => follower.until(() => follower.stderr !== '' || follower.stdout !== '', 'the beginning')),
	);
	await using client = await cluster.client(node);
	await client.publish(news, [Buffer.from('one')]);
	await unread.until(() => unread.stderr.includes('read: one'), 'the first message');
	await client[Symbol.asyncDispose]();
	await node.kill('SIGKILL');
	await Promise.all(all.map(follower => follower.until(() => follower.stderr.includes('Not reached: '), 'attempts')));
	unread.leave();
	unreadEvents.leave();
	stopped.child.kill('SIGTERM');
	interrupted.child.kill('SIGINT');
	expect(await Promise.all(all.map(follower => follower.exited))).toEqual([0, 0, 143, 130, 16]);
	expect(stopped.events.at(-1)).toMatchObject({type: 'error', received: 1, wanted: 2, exitCode: 143});
}, 120_000);

test('attach shows that its node is lost, reconnects by itself, and fails over (case 26)', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as [NodeProcess, NodeProcess];
	const home = join(cluster.folder, 'home');
	const attach = (...servers: readonly NodeProcess[]): Terminal =>
		new Terminal(
			process.execPath,
			[cli, 'attach', servers.map(node => at(node)).join(','), ...cluster.clientFlags],
			{
				columns: 140,
				rows: 36,
				env: {
					HOME: home,
					XDG_CONFIG_HOME: join(home, 'config'),
					XDG_STATE_HOME: join(home, 'state'),
					XDG_CACHE_HOME: join(home, 'cache'),
					XDG_RUNTIME_DIR: '',
				},
			},
		);
	await using one = attach(first);
	await using both = attach(first, second);
	await Promise.all(
		[one, both].map(terminal =>
			terminal.waitFor(
				text => text.includes('quorum 3/3') && text.split('\n')[0]!.includes(at(first)),
				'the first node',
			),
		),
	);
	await first.kill('SIGKILL');
	await both.waitFor(
		text => text.includes(`Attached to ${at(second)} now`) && text.split('\n')[0]!.includes(at(second)),
		'the second node',
		waitMs,
	);
	await one.waitFor(
		text => text.includes('NODE LOST') && text.includes(at(first)) && text.includes('trying again in'),
		'the loss',
		waitMs,
	);
	cluster.start(first.port);
	await one.waitFor(
		text =>
			text.includes(`Attached to ${at(first)} now`) && text.includes('quorum 3/3') && !text.includes('NODE LOST'),
		'the node that is back',
		waitMs,
	);
	one.press('q');
	await one.waitFor(/Leave\?/);
	one.press('y');
	expect((await one.exited).exitCode).toBe(0);
	// Who leaves while there is none was not served.
	await Promise.all(cluster.nodes.map(node => node.kill('SIGKILL')));
	await both.waitFor(/NODE LOST/, 'the loss of all', waitMs);
	both.press('q');
	await both.waitFor(/Leave\?/);
	both.press('y');
	expect((await both.exited).exitCode).toBe(14);
}, 180_000);

test('a follower of a stalled node switches to another one (case 26)', async () => {
	await using cluster = new Cluster({cli, topics: [news]});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	await using publisher = await cluster.client(third);
	await using follower = new Follower(cluster, [
		'subscribe',
		news,
		'-o',
		'jsonl',
		'--count',
		'4',
		'--server',
		`${at(first)},${at(second)}`,
	]);
	await follower.until(() => follower.stderr.includes('Subscribed to news'), 'the subscription');
	await publisher.publish(news, [Buffer.from('a'), Buffer.from('b')]);
	await follower.until(() => seqs(follower).length === 2, 'two messages');
	first.signal('SIGSTOP');
	await publisher.publish(news, [Buffer.from('c'), Buffer.from('d')]);
	expect(await follower.exited, follower.stderr).toBe(0);
	expect(seqs(follower)).toEqual(['a', 'b', 'c', 'd']);
	expect(follower.stderr).toContain(`Lost ${at(first)}: it has not answered for 10 s; trying again in `);
}, 120_000);
