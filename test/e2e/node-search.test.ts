/**
A command on a host without a node finds a node on the network by multicast. The hosts are network namespaces on a
bridge.
*/
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';
import {isAdmitted, isSubscribed, killAll} from './support/events.ts';
import {writeForeignSecret} from './support/folders.ts';
import {canFilter, canMakeNetworks, Network, sayNotRun, type Host, type Ran} from './support/namespaces.ts';
import {pollUntil} from './support/poll.ts';
import {Terminal} from './support/terminal.ts';

sayNotRun('test/e2e/node-search.test.ts', true);

describe.runIf(canMakeNetworks)('a command on a host without a node', () => {
	let cluster: Cluster;
	let network: Network;
	let hosts: [Host, Host, Host];
	let nodes: [NodeProcess, NodeProcess];
	const at = (index: number): string => `${hosts[index]!.v4}:5000`;
	/** Runs a command on the third host, which has no node. */
	const run = (...args: string[]): Promise<Ran> => hosts[2].run([...args, ...cluster.clientFlags]);
	/** The first line on standard error. */
	const foundText = (index: number, name: string): string =>
		`No node of cluster ${cluster.name} runs here: using ${at(index)} (${name}), found on the network`;
	const anyFound =
		/^No node of cluster \S+ runs here: using 10\.77\.0\.[12]:5000 \((?:alpha|beta)\), found on the network\n/;
	beforeAll(async () => {
		cluster = new Cluster({cli, settings: {discovery: {enabled: true}}});
		network = new Network();
		hosts = [network.host(), network.host(), network.host()];
		const start = (host: Host, name: string, topic: string): NodeProcess =>
			host.start(cluster, ['--host', host.v4, '--name', name, '--topics', topic]);
		const first = start(hosts[0], 'alpha', 'news');
		await first.waitFor(isAdmitted, 'its cluster');
		nodes = [first, start(hosts[1], 'beta', 'weather')];
		for (const [index, topic] of ['news', 'weather'].entries())
			await nodes[index]!.waitFor(isSubscribed(nodes[index]!, topic), topic);
		await pollUntil(
			async () => {
				const {stdout} = await hosts[0].run(['status', '-o', 'json', ...cluster.clientFlags]);
				const {members} = JSON.parse(stdout) as {readonly members: ReadonlyArray<{readonly name: string}>};
				return members.map(({name}) => name).toSorted();
			},
			names => names.join(' ') === 'alpha beta',
			'the names of both members',
		);
	}, 60_000);
	afterAll(async () => {
		await killAll(nodes ?? []);
		network?.[Symbol.dispose]();
		await cluster?.[Symbol.asyncDispose]();
	});

	test('publishes and subscribes through the node that subscribes to the topic, and names it on standard error', async () => {
		for (const [index, topic, name] of [
			[0, 'news', 'alpha'],
			[1, 'weather', 'beta'],
		] as const) {
			const published = await run('publish', topic, `to ${topic}`);
			expect(published).toMatchObject({
				code: 0,
				stdout: expect.stringContaining(`1 message stored in ${topic} (${name}`) as string,
				stderr: expect.stringContaining(`${foundText(index, name)}; it subscribes to ${topic}\n`) as string,
			});
			const subscribed = await run('subscribe', topic, '--from', 'beginning', '--count', '1');
			expect(subscribed).toMatchObject({
				code: 0,
				stdout: `to ${topic}\n`,
				stderr: expect.stringContaining(`${foundText(index, name)}; it subscribes to ${topic}\n`) as string,
			});
		}
	}, 60_000);

	test('uses any node if it has no topic, or if no node subscribes to its topic', async () => {
		const status = await run('status', '-o', 'json');
		expect(status.code).toBe(0);
		expect(JSON.parse(status.stdout)).toMatchObject({cluster: cluster.name});
		expect(status.stderr).toMatch(new RegExp(`${anyFound.source}$`));
		const published = await run('publish', 'sport', 'without a subscriber');
		expect(published).toMatchObject({
			code: 0,
			stderr: expect.stringContaining('found on the network; it advertises no subscription to sport\n') as string,
		});
	}, 60_000);

	test.each([
		['peers', 0, /^(?=[^]*alpha)(?=[^]*beta)/],
		['topics', 0, /news[^]*weather/],
		['leader', 0, /alpha/],
		['check', 0, /^healthy: cluster /],
		['events', 0, /INFO {2}Ready: node \S+ listens on port 5000/],
		['events --watch --wait 1s', 16, /INFO {2}Ready: node \S+ listens on port 5000/],
	] as const)(
		'%s finds a node',
		async (args, expectedCode, output) => {
			const {code, stdout, stderr} = await run(...args.split(' '));
			expect([code, stderr]).toEqual([expectedCode, expect.stringMatching(anyFound)]);
			expect(stdout).toMatch(output);
		},
		60_000,
	);

	test('attach opens the console of a found node', async () => {
		await using terminal = new Terminal(
			'ip',
			hosts[2].inside(process.execPath, [cli, 'attach', ...cluster.clientFlags]),
			{columns: 120, rows: 30},
		);
		await terminal.waitFor(/^(?=[^]*alpha)(?=[^]*beta)/, 'the members');
		expect(terminal.raw).toContain(`No node of cluster ${cluster.name} runs here: using 10.77.0.`);
	}, 60_000);

	test('with another secret it finds no node, and the error lists the attempts and a remedy', async () => {
		const {code, stdout, stderr} = await hosts[2].run([
			'status',
			'--cluster',
			cluster.name,
			'--config',
			join(cluster.folder, 'config.json'),
			'--secret-file',
			writeForeignSecret(cluster.folder),
		]);
		expect({code, stdout}).toEqual({code: 14, stdout: ''});
		expect(stderr).toContain(
			`No node of cluster ${cluster.name} runs here: listening on the network for up to 1.5 s\n`,
		);
		expect(stderr).toContain(
			'none was heard on the network within 1500 ms (multicast to 239.255.80.83:45454); beacons of another cluster or another secret came from 10.77.0.',
		);
		expect(stderr).toContain(
			'or give one with --server host:port. A node is found if it has the same secret (--secret-file) and the network passes multicast\n',
		);
	}, 60_000);

	test('does not search with --no-discovery, or for a command that changes the node', async () => {
		const stderr = `dapss-tui: No node of cluster ${cluster.name} runs here: start one with dapss-tui, or give one with --server host:port\n`;
		for (const args of [
			['status', '--no-discovery'],
			['publish', 'news', 'x', '--no-discovery'],
			['leave'],
			['fault', 'drop', '10'],
			['fault', 'heal'],
		])
			expect(await run(...args)).toEqual({code: 14, stdout: '', stderr});
		expect(nodes.every(node => node.isRunning)).toBe(true);
	}, 60_000);

	test.runIf(canFilter)(
		'skips an unreachable node whose beacons arrive',
		async () => {
			const unblock = network.block({protocol: 'tcp', from: hosts[0], to: hosts[2]});
			try {
				const {code, stderr} = await run('publish', 'news', 'through beta', '--timeout', '3s');
				expect({code, stderr}).toMatchObject({code: 0});
				expect(stderr).toContain(
					`${at(0)} was heard on the network and cannot be used: peer ${at(0)} does not answer`,
				);
				expect(stderr).toContain(`${foundText(1, 'beta')}; it advertises no subscription to news\n`);
			} finally {
				unblock();
			}
		},
		60_000,
	);
});

test.runIf(canMakeNetworks)(
	'a command finds a node on hosts without IPv4; on a host without a network the error names the reason',
	async () => {
		await using cluster = new Cluster({cli, settings: {discovery: {enabled: true}}});
		using network = new Network();
		const [host, other, isolated] = [
			network.host({v4: false}),
			network.host({v4: false}),
			network.host({v4: false, v6: false}),
		];
		const node = host.start(cluster, ['--host', host.v6, '--name', 'alpha']);
		await node.waitFor(isAdmitted, 'its cluster');
		expect(await other.run(['status', ...cluster.clientFlags])).toMatchObject({
			code: 0,
			stderr: `No node of cluster ${cluster.name} runs here: using [${host.v6}]:5000 (alpha), found on the network\n`,
		});
		isolated.ip('link', 'set', 'eth', 'down');
		expect(await isolated.run(['status', ...cluster.clientFlags])).toMatchObject({
			code: 14,
			stderr: expect.stringContaining(
				'(multicast to 239.255.80.83:45454, which no interface but loopback takes here)',
			) as string,
		});
		await node.kill('SIGKILL');
	},
	60_000,
);
