/**
Nodes and addresses in operation: real processes that start together, swap addresses, return on other ports, lose their
folders or run from a copied one. These faults once removed members, split clusters or lost acknowledged messages.
*/
import {chmodSync, cpSync, rmSync} from 'node:fs';
import {join} from 'node:path';
import {afterEach, describe, expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli, run} from './support/command.ts';

const clusters: Cluster[] = [];
afterEach(async () => {
	await Promise.all(clusters.splice(0).map(cluster => cluster[Symbol.asyncDispose]()));
});

function newCluster(options: Partial<ConstructorParameters<typeof Cluster>[0]> = {}): Cluster {
	const cluster = new Cluster({cli, ...options});
	clusters.push(cluster);
	return cluster;
}

const votersAre =
	(count: number) =>
	(event: JsonEvent): boolean =>
		event.type === 'voters' && (event['voters'] as unknown[]).length === count;
const status = async (
	cluster: Cluster,
	node: NodeProcess,
): Promise<{
	readonly leader: string | null;
	readonly term: number;
	readonly members: ReadonlyArray<{readonly id: string; readonly address: string; readonly voter: boolean}>;
}> => {
	const {stdout} = await run(['status', '-o', 'json', ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`]);
	return JSON.parse(stdout.toString()) as never;
};
const healthy = (cluster: Cluster, node: NodeProcess): Promise<unknown> =>
	expect
		.poll(
			async () =>
				(await run(['check', ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`])).stdout.toString(),
			{timeout: 20_000, interval: 200},
		)
		.toMatch(/^healthy/);

/** Three nodes in folders that do not follow from their ports, so that a node can be started on another port. */
async function threeVoters(cluster: Cluster): Promise<{
	readonly nodes: NodeProcess[];
	readonly ports: number[];
	start(index: number, port: number, flags?: readonly string[]): NodeProcess;
}> {
	const ports = await freePorts(3);
	const start = (index: number, port: number, flags: readonly string[] = []): NodeProcess =>
		cluster.startAlone(port, flags, `node${index}`);
	const nodes: NodeProcess[] = [];
	for (const [index, port] of ports.entries()) {
		nodes.push(start(index, port, index === 0 ? [] : ['--bootstrap', String(ports[0])]));
		await nodes[index]!.waitFor(({type}) => type === 'ready', 'ready');
	}

	await Promise.all(nodes.map(node => node.waitFor(votersAre(3), 'three voters')));
	return {nodes, ports, start};
}

describe('nodes that start together found one cluster', () => {
	const together: ReadonlyArray<readonly [string, (ports: readonly number[], index: number) => readonly string[]]> = [
		['by the same seed list on all, which names the node itself', ports => ['--bootstrap', ports.join(',')]],
		[
			'by a seed list of the others',
			(ports, index) => ['--bootstrap', ports.filter((_, other) => other !== index).join(',')],
		],
		[
			'by a number and one seed',
			(ports, index) => ['--expect', '3', ...(index === 0 ? [] : ['--bootstrap', String(ports[0])])],
		],
	];
	test.each(together)(
		'%s',
		async (_name, flags) => {
			const cluster = newCluster();
			const ports = await freePorts(3);
			const nodes = ports.map((port, index) => cluster.startAlone(port, flags(ports, index)));
			await Promise.all(nodes.map(node => node.waitFor(votersAre(3), 'three voters')));
			const seen = await Promise.all(nodes.map(node => status(cluster, node)));
			for (const one of seen) expect(one.members.map(({id}) => id)).toEqual(nodes.map(({id}) => id).toSorted());
			await Promise.all(nodes.map(node => healthy(cluster, node)));
		},
		60_000,
	);

	test('a node that is to advertise the address of another node refuses, and names that node', async () => {
		const cluster = newCluster();
		const ports = await freePorts(2);
		const first = cluster.startAlone(ports[0]!, []);
		await first.waitFor(votersAre(1), 'its own cluster');
		const second = cluster.startAlone(ports[1]!, [
			'--bootstrap',
			String(ports[0]),
			'--advertise',
			`127.0.0.1:${ports[0]}`,
		]);
		await second.exited;
		expect(second.stderr).toContain(
			`Expected --advertise to be the address at which other nodes reach this node, got 127.0.0.1:${ports[0]}, where node ${first.id} answers`,
		);
	}, 60_000);

	test('a publisher at a node that is not a member yet gets an error, and nothing is stored', async () => {
		const cluster = newCluster();
		const ports = await freePorts(2);
		const waiting = cluster.startAlone(ports[0]!, ['--expect', '2']);
		await waiting.waitFor(event => event.type === 'waiting', 'for what it waits');
		expect(
			await run(['publish', 'news', 'word', ...cluster.clientFlags, '--server', `127.0.0.1:${ports[0]}`]),
		).toMatchObject({
			code: 11,
			stderr: expect.stringMatching(/This node is not a member of a cluster yet\. Nothing was stored/) as string,
		});
	}, 60_000);

	test('a node with seeds that do not answer founds no cluster, and says what it waits for', async () => {
		const cluster = newCluster();
		const ports = await freePorts(2);
		const waiting = cluster.startAlone(ports[0]!, ['--bootstrap', String(ports[1])]);
		await waiting.waitFor(({type}) => type === 'ready', 'ready');
		await expect
			.poll(
				async () =>
					(
						await run(['status', ...cluster.clientFlags, '--server', `127.0.0.1:${ports[0]}`])
					).stdout.toString(),
				{timeout: 10_000},
			)
			.toMatch(new RegExp(`joining: .*127.0.0.1:${ports[1]}`));
		cluster.startAlone(ports[1]!);
		await waiting.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	}, 60_000);
});

describe('an address is not an identity', () => {
	test('two voters that swap their addresses stay members', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		const ids = nodes.map(({id}) => id).toSorted();
		await Promise.all([nodes[1]!.kill('SIGTERM'), nodes[2]!.kill('SIGTERM')]);
		const second = start(1, ports[2]!);
		await second.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
		const third = start(2, ports[1]!);
		await third.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
		const all = [nodes[0]!, second, third];
		await Promise.all(all.map(node => healthy(cluster, node)));
		const moved = ids.map(id => [
			id,
			true,
			`127.0.0.1:${id === second.id ? ports[2] : id === third.id ? ports[1] : ports[0]}`,
		]);
		await expect
			.poll(
				async () =>
					(await status(cluster, nodes[0]!)).members.map(({id, voter, address}) => [id, voter, address]),
				{timeout: 10_000},
			)
			.toEqual(moved);
	}, 90_000);

	test('nodes that all return at other addresses, with each other as seeds, have a quorum again', async () => {
		const cluster = newCluster();
		const {nodes, start} = await threeVoters(cluster);
		await Promise.all(nodes.map(node => node.kill('SIGTERM')));
		const ports = await freePorts(3);
		const back = ports.map((port, index) =>
			start(index, port, ['--bootstrap', ports.filter(other => other !== port).join(',')]),
		);
		await Promise.all(
			back.map(node =>
				node.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader'),
			),
		);
		await Promise.all(back.map(node => healthy(cluster, node)));
		const moved = back
			.map(({id, port}) => [id, `127.0.0.1:${port}`] as const)
			.toSorted(([a], [b]) => (a < b ? -1 : 1));
		await expect
			.poll(async () => (await status(cluster, back[0]!)).members.map(({id, address}) => [id, address]), {
				timeout: 10_000,
			})
			.toEqual(moved);
	}, 90_000);

	test('a new node at the address of a stopped voter replaces no member, and the voter returns at another address', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		await nodes[2]!.kill('SIGTERM');
		const [elsewhere] = await freePorts(1);
		const newcomer = cluster.startAlone(ports[2]!, ['--bootstrap', String(ports[0])], 'newcomer');
		await newcomer.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
		const back = start(2, elsewhere!);
		await back.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
		await Promise.all([nodes[0]!, nodes[1]!, newcomer, back].map(node => healthy(cluster, node)));
		const {members} = await status(cluster, nodes[0]!);
		expect(members.map(({id}) => id)).toEqual([...nodes.map(({id}) => id), newcomer.id].toSorted());
		// It proposes its new address once it follows a leader.
		await expect
			.poll(async () => (await status(cluster, nodes[0]!)).members.find(({id}) => id === back.id), {
				timeout: 10_000,
			})
			.toMatchObject({voter: true, address: `127.0.0.1:${elsewhere}`});
	}, 90_000);

	test('a node with an emptied folder replaces its former member', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		await nodes[2]!.kill('SIGKILL');
		rmSync(join(cluster.folder, 'node2'), {recursive: true});
		const fresh = start(2, ports[2]!, ['--bootstrap', String(ports[0])]);
		await fresh.waitFor(votersAre(3), 'three voters');
		await healthy(cluster, nodes[0]!);
		expect((await status(cluster, nodes[0]!)).members.map(({id}) => id)).toEqual(
			[nodes[0]!.id, nodes[1]!.id, fresh.id].toSorted(),
		);
	}, 90_000);

	test('a lost folder without a resignation removes no member: the operator decides', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		await nodes[2]!.kill('SIGKILL');
		rmSync(join(cluster.folder, 'node2'), {recursive: true});
		rmSync(join(cluster.folder, 'state'), {recursive: true});
		const fresh = start(2, ports[2]!, ['--bootstrap', String(ports[0])]);
		await fresh.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
		// At first its address refused connections. The others find the new node at it a little later.
		const check = (): ReturnType<typeof run> =>
			run(['check', ...cluster.clientFlags, '--server', `127.0.0.1:${ports[0]}`]);
		await expect
			.poll(async () => (await check()).stdout.toString(), {timeout: 10_000})
			.toContain(`(127.0.0.1:${ports[2]}, another node answers at its address) is unreachable`);
		expect((await check()).code).toBe(10);
		expect((await status(cluster, nodes[0]!)).members.map(({id}) => id)).toEqual(
			[...nodes.map(({id}) => id), fresh.id].toSorted(),
		);
	}, 90_000);
});

describe('a copied data folder', () => {
	test.each([
		['that runs', false],
		['that is started at the same moment', true],
	])(
		'of a node %s: the second process is refused and both are named',
		async (_name, isTogether) => {
			const cluster = newCluster({topics: ['news']});
			const {nodes, ports, start} = await threeVoters(cluster);
			if (isTogether) await nodes[2]!.kill('SIGTERM');
			cpSync(join(cluster.folder, 'node2'), join(cluster.folder, 'node9'), {
				recursive: true,
				filter: path => !/lock|pid$|\.new$/.test(path),
			});
			const [port] = await freePorts(1);
			const first = isTogether ? start(2, ports[2]!) : nodes[2]!;
			const copy = start(9, port!);
			const ended = await Promise.race([
				copy.exited.then(code => ['copy', code] as const),
				...(isTogether ? [first.exited.then(code => ['first', code] as const)] : []),
			]);
			const [refused, kept] = ended[0] === 'copy' ? [copy, first] : [first, copy];
			expect(ended[1]).toBe(1);
			expect(refused.stderr).toContain(`127.0.0.1:${kept.port}`);
			expect(refused.stderr).toContain(`127.0.0.1:${refused.port}`);
			expect(refused.stderr).toContain('copy of its data folder');
			const names = (event: JsonEvent): boolean =>
				event.type === 'duplicate' &&
				event['address'] === `127.0.0.1:${kept.port}` &&
				event['other'] === `127.0.0.1:${refused.port}`;
			await kept.waitFor(names, 'the report of the second process');
			await Promise.any(
				[nodes[0]!, nodes[1]!].map(node => node.waitFor(names, 'the report of the second process')),
			);
			// Messages of the process that is kept arrive everywhere.
			const broker = await cluster.client(kept);
			await broker.publish('news', [Buffer.from('still here')]);
			const reader = await cluster.client(nodes[0]);
			for await (const [delivery] of reader.subscribe(['news'], {from: 'beginning'})) {
				expect(String(delivery!.body)).toBe('still here');
				break;
			}

			await broker[Symbol.asyncDispose]();
			await reader[Symbol.asyncDispose]();
		},
		90_000,
	);

	test('messages that two processes of one identity acknowledge are delivered to all subscribers', async () => {
		const cluster = newCluster({topics: ['news'], messages: true});
		const {nodes, start} = await threeVoters(cluster);
		cpSync(join(cluster.folder, 'node2'), join(cluster.folder, 'node9'), {
			recursive: true,
			filter: path => !/lock|pid$|\.new$/.test(path),
		});
		// A node emits message events once it subscribes.
		await Promise.all(
			nodes.map(node =>
				node.waitFor(event => event.type === 'subscribed' && event['node'] === node.id, 'its own subscription'),
			),
		);
		const [port] = await freePorts(1);
		const acknowledged: string[] = [];
		const copy = start(9, port!);
		/** From the start of the copy to its end. */
		const publish = async (to: number): Promise<void> => {
			for (let count = 0; copy.isRunning; count++) {
				const text = `${to} ${count}`;
				const {code} = await run([
					'publish',
					'news',
					text,
					'--timeout',
					'1s',
					...cluster.clientFlags,
					'--server',
					`127.0.0.1:${to}`,
				]);
				if (code === 0) acknowledged.push(text);
			}
		};
		await Promise.all([publish(port!), publish(port!), publish(nodes[2]!.port)]);
		expect(await copy.exited).toBe(1);
		expect(acknowledged.some(text => text.startsWith(`${nodes[2]!.port} `))).toBe(true);
		for (const node of nodes)
			for (const text of acknowledged)
				await node.waitFor(
					event => event.type === 'message' && event['payload'] === text,
					`the message ${text}`,
				);
	}, 60_000);

	test('a crash stays a crash when an older copy of the folder is started and refused, and the copy has its own events (case 27)', async () => {
		const cluster = newCluster();
		const {nodes, ports, start} = await threeVoters(cluster);
		const {id} = nodes[2]!;
		await nodes[2]!.kill('SIGKILL');
		cpSync(join(cluster.folder, 'node2'), join(cluster.folder, 'node9'), {recursive: true});
		chmodSync(join(cluster.folder, 'node9'), 0o700);
		const [port] = await freePorts(1);
		const copy = start(9, port!);
		const marks = nodes.map(node => node.events.length);
		await copy.waitFor(votersAre(3), 'what it knew, once it heard the leader');
		expect(copy.events.findIndex(({type}) => type === 'leader')).toBeLessThan(
			copy.events.findIndex(({type}) => type === 'voters'),
		);
		const alive = (event: JsonEvent): boolean =>
			event.type === 'member' &&
			event['id'] === id &&
			event['state'] === 'alive' &&
			event['address'] === `127.0.0.1:${port}`;
		await Promise.all(
			[0, 1].map(index => nodes[index]!.waitFor(alive, 'the copy, which is the node now', marks[index])),
		);
		await healthy(cluster, nodes[0]!);
		const killed = nodes.map(node => node.events.length);
		await copy.kill('SIGKILL');
		const isDown = (event: JsonEvent): boolean =>
			event.type === 'member' && event['id'] === id && event['state'] === 'down';
		await Promise.all([0, 1].map(index => nodes[index]!.waitFor(isDown, 'the crash', killed[index])));
		const crashed = nodes.map(node => node.events.length);
		const old = start(2, ports[2]!);
		expect(await old.exited).toBe(1);
		expect(old.stderr).toContain('uses an older copy of it');
		for (const node of nodes.slice(0, 2)) {
			const {stdout} = await run(['check', ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`]);
			expect(stdout.toString()).toMatch(/connection refused\) is down for/);
			expect(stdout.toString()).not.toContain('stopped on purpose');
		}

		for (const [index, node] of nodes.slice(0, 2).entries())
			expect(
				node.events.slice(crashed[index]).filter(event => event.type === 'member' && event['id'] === id),
			).toEqual([]);
	}, 90_000);
});
