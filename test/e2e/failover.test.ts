/**
Failover of followers: when a node stops, its subscriptions, events and consoles continue at another node, or at the
same node after its restart.
*/
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, untilSeen, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {publishTexts, withClient} from './support/brokers.ts';
import {cli, jsonLines} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {hasLeader, isSubscribed} from './support/events.ts';
import {userFolders} from './support/folders.ts';
import {Terminal} from './support/terminal.ts';

const waitMs = 20_000;
const news = 'news' as Topic;
const at = ({port}: NodeProcess): string => `127.0.0.1:${port}`;

/** A command that follows a node until it is stopped. */
class Follower extends CommandProcess {
	/**
	@param isPiped Standard output is a pipe. Its reader prints the first line on standard error, and exits on
	`endReader()`.
	*/
	constructor(cluster: Cluster, flags: readonly string[], isPiped = false) {
		const command = [process.execPath, cli, ...flags, ...cluster.clientFlags];
		const [program, ...args] = isPiped
			? [
					'bash',
					'-c',
					`exec 9<&0; "$@" </dev/null | { read -r line; echo "read: $line" >&2; read -r _ <&9; }; exit "\${PIPESTATUS[0]}"`,
					'bash',
					...command,
				]
			: command;
		super(program!, args, {env: cluster.env});
	}

	/** Ends the reader of the pipe. */
	endReader(): void {
		this.endInput();
	}

	get events(): JsonEvent[] {
		return jsonLines(this.stdout);
	}
}

/** `events --watch -o jsonl` at the first of these nodes that answers. */
const watchEvents = (cluster: Cluster, nodes: readonly NodeProcess[], ...args: readonly string[]): Follower =>
	new Follower(cluster, [
		'events',
		'--watch',
		...args,
		'-o',
		'jsonl',
		'--server',
		nodes.map(node => at(node)).join(','),
	]);

const payloadsOf = (follower: Follower): string[] =>
	follower.events.filter(({type}) => type === 'message').map(({payload}) => String(payload));

test('a subscriber with two servers reads 6,000 messages once each, in order, although its server is killed', async () => {
	await using cluster = new Cluster({cli, topics: [news]});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const publisher = await cluster.client(third);
	// Messages from before the subscription must not arrive, neither from the first node nor from the second.
	await publishTexts(
		publisher,
		news,
		Array.from({length: 50}, (_, index) => `old ${index}`),
	);
	for (const node of cluster.nodes) {
		await using client = await cluster.client(node);
		await untilSeen(
			client,
			({topics}) => topics.find(({name}) => name === news)?.messages === 50,
			`the old messages at ${node.port}`,
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
		await publishTexts(publisher, news, texts.slice(from, from + 10));
		if (from === total / 3) {
			await follower.until(() => payloadsOf(follower).length > 100, 'some messages');
			await first.kill('SIGKILL');
		}
	}

	expect(await follower.exited, follower.stderr).toBe(0);
	expect(payloadsOf(follower)).toEqual(texts);
	expect(follower.events.filter(({type}) => type !== 'message')).toEqual([]);
	expect(follower.stderr).toMatch(
		new RegExp(`Lost ${at(first)}: .+; trying again in \\d+ ms\nConnected to ${at(second)}\n$`),
	);
	await publisher[Symbol.asyncDispose]();
}, 120_000);

test('a subscriber with one server continues after the last message when the server has restarted', async () => {
	await using cluster = new Cluster({cli, topics: [news]});
	await cluster.startAll(1);
	const [node] = cluster.nodes as [NodeProcess];
	const publish = (...texts: readonly string[]): Promise<unknown> =>
		withClient(cluster, node, client => publishTexts(client, news, texts));

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
	await follower.until(() => payloadsOf(follower).length === 2, 'two messages');
	await node.kill('SIGKILL');
	await follower.until(() => follower.stderr.includes(`Lost ${at(node)}`), 'the loss');
	const again = cluster.start(node.port);
	await again.waitFor(hasLeader, 'a leader');
	await publish('c', 'd', 'e');
	expect(await follower.exited, follower.stderr).toBe(0);
	expect(payloadsOf(follower)).toEqual(['a', 'b', 'c', 'd', 'e']);
	expect(follower.stderr).toContain(`Connected to ${at(node)}\n`);
}, 120_000);

test('events --watch continues at another node', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const [first, second] = cluster.nodes as [NodeProcess, NodeProcess];
	await using follower = watchEvents(cluster, [first, second]);
	await follower.until(() => follower.events.length > 0, 'events');
	await first.kill('SIGKILL');
	await follower.until(() => follower.stderr.includes(`Connected to ${at(second)}`), 'the other node');
	// The second node detects the loss before or after the follower connects.
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
	await follower.until(() => follower.events.some(isSubscribed(second, 'later')), 'the later event');
	const lines = follower.stdout.split('\n').slice(0, -1);
	expect(new Set(lines).size).toBe(lines.length);
	follower.child.kill('SIGTERM');
	expect(await follower.exited).toBe(143);
}, 120_000);

test('events --watch --messages prints every message of the node, and continues when it is back', async () => {
	await using cluster = new Cluster({cli, topics: ['news', 'other']});
	await cluster.startAll(1);
	const [node] = cluster.nodes as [NodeProcess];
	await using follower = watchEvents(cluster, [node], '--messages', 'news');
	await follower.until(() => follower.events.length > 0, 'events');
	const texts = Array.from({length: 20_000}, (_, index) => `${index} ${'x'.repeat(100)}`);
	const publish = async (bodies: readonly string[]): Promise<void> => {
		await using client = await cluster.client(node);
		await publishTexts(client, 'other', ['on a topic that is not named']);
		for (let from = 0; from < bodies.length; from += 1000)
			await publishTexts(client, news, bodies.slice(from, from + 1000));
	};

	await publish(texts);
	await follower.until(() => follower.stdout.includes(texts.at(-1)!), 'the last message');
	expect(payloadsOf(follower)).toEqual(texts);
	expect(follower.events.filter(({type}) => type === 'lagged')).toEqual([]);

	await node.kill('SIGKILL');
	await follower.until(() => follower.stderr.includes(`Lost ${at(node)}`), 'the loss');
	const again = cluster.start(node.port);
	await again.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	await publish(['soon']); // Maybe before the follower is connected again.
	await follower.until(() => follower.stderr.includes(`Connected to ${at(node)}`), 'the same node');
	await publish(['back']);
	await follower.until(() => follower.stdout.includes('"back"'), 'the later message');
	expect(payloadsOf(follower)).toEqual([...texts, 'soon', 'back']);
	expect(follower.events.filter(({type}) => type === 'lagged')).toEqual([]);
}, 120_000);

test('events --watch --messages continues after the last message at another node, without loss or duplicates', async () => {
	await using cluster = new Cluster({cli, topics: ['news']});
	await cluster.startAll(3);
	const [first, second, third] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	await using follower = watchEvents(cluster, [first, second], '--messages');
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
	expect(payloadsOf(follower)).toEqual(texts);
	expect(follower.events.filter(({type}) => type === 'lagged' || type === 'warning')).toEqual([]);
}, 120_000);

test('a follower that has lost its server ends at once when its reader exits, on a signal, and after --wait', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const [node] = cluster.nodes as [NodeProcess];
	const start = (...flags: readonly string[]): Follower => new Follower(cluster, [...flags, '--server', at(node)]);
	await using unread = new Follower(cluster, ['subscribe', news, '--server', at(node)], true);
	await using unreadEvents = new Follower(cluster, ['events', '--watch', '--server', at(node)], true);
	await using stopped = start('subscribe', news, '--count', '2', '-o', 'jsonl');
	await using interrupted = start('events', '--watch');
	await using waiting = start('subscribe', news, '--wait', '5s');
	const all = [unread, unreadEvents, stopped, interrupted, waiting];
	await Promise.all(
		all.map(follower => follower.until(() => follower.stderr !== '' || follower.stdout !== '', 'its first output')),
	);
	await withClient(cluster, node, client => publishTexts(client, news, ['one']));
	await unread.until(() => unread.stderr.includes('read: one'), 'the first message');
	await node.kill('SIGKILL');
	await Promise.all(all.map(follower => follower.until(() => follower.stderr.includes('Not reached: '), 'attempts')));
	unread.endReader();
	unreadEvents.endReader();
	stopped.child.kill('SIGTERM');
	interrupted.child.kill('SIGINT');
	expect(await Promise.all(all.map(follower => follower.exited))).toEqual([0, 0, 143, 130, 16]);
	expect(stopped.events.at(-1)).toMatchObject({type: 'error', received: 1, wanted: 2, exitCode: 143});
}, 120_000);

test('attach fails over to any other member, shows the loss of all, and reconnects automatically', async () => {
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
				env: userFolders(home),
			},
		);
	await using one = attach(first);
	await using both = attach(first, second);
	await Promise.all(
		[one, both].map(terminal =>
			terminal.waitFor(
				text => text.includes('quorum held: 3 of 3 up') && text.split('\n')[0]!.includes(at(first)),
				'the first node',
			),
		),
	);
	await first.kill('SIGKILL');
	// Both learned of the third node from the first one, so either of the others will do.
	const isElsewhere = (text: string): boolean =>
		cluster.nodes
			.slice(1)
			.some(node => text.includes(`Attached to ${at(node)} now`) && text.split('\n')[0]!.includes(at(node)));
	await Promise.all([one, both].map(terminal => terminal.waitFor(isElsewhere, 'another node', waitMs)));
	await Promise.all(cluster.nodes.slice(1).map(node => node.kill('SIGKILL')));
	await one.waitFor(/NODE LOST: trying .* since \d\d:\d\d:\d\d/, 'the loss of all', waitMs);
	for (const {port} of cluster.nodes) cluster.start(port);
	await one.waitFor(
		text => text.includes('quorum held: 3 of 3 up') && !text.includes('NODE LOST'),
		'the restarted cluster',
		waitMs,
	);
	expect(await one.quit(/Leave\?/)).toBe(0);
	// Without a node the console exits with 14.
	await Promise.all(cluster.nodes.map(node => node.kill('SIGKILL')));
	await both.waitFor(/NODE LOST/, 'the loss of all', waitMs);
	expect(await both.quit(/Leave\?/)).toBe(14);
}, 180_000);

test('a follower of a stalled node fails over to another node', async () => {
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
	await publishTexts(publisher, news, ['a', 'b']);
	await follower.until(() => payloadsOf(follower).length === 2, 'two messages');
	first.signal('SIGSTOP');
	await publishTexts(publisher, news, ['c', 'd']);
	expect(await follower.exited, follower.stderr).toBe(0);
	expect(payloadsOf(follower)).toEqual(['a', 'b', 'c', 'd']);
	expect(follower.stderr).toContain(`Lost ${at(first)}: it has not answered for 10 s; trying again in `);
}, 120_000);
