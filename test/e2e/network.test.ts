/**
A cut that nobody in the program knows of: three nodes in network namespaces of their own, joined by a bridge whose port goes down. TCP
connections hang, datagrams vanish, nothing is refused. Needs Linux, root and `ip`; elsewhere it is told that it did not run.
*/
import {execFileSync, spawn, spawnSync} from 'node:child_process';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, NodeProcess, type JsonEvent} from '../../bench/cluster.ts';
import {cli} from './command.ts';

const prefix = `dapss${process.pid}`;
const hub = `${prefix}-hub`;
const space = (index: number): string => `${prefix}-${index}`;
const host = (index: number): string => `10.77.0.${index + 1}`;
const ip = (...words: string[]): void => void execFileSync('ip', words, {stdio: ['ignore', 'ignore', 'pipe']});
const canMakeNetworks = process.platform === 'linux' && process.getuid?.() === 0 && spawnSync('ip', ['netns', 'add', `${prefix}-try`]).status === 0;
if (canMakeNetworks) ip('netns', 'del', `${prefix}-try`);
else console.warn('Not run: test/e2e/network.test.ts needs Linux, root and iproute2');

function makeNetwork(nodes: number): void {
	ip('netns', 'add', hub);
	ip('-n', hub, 'link', 'add', 'bridge', 'type', 'bridge');
	ip('-n', hub, 'link', 'set', 'bridge', 'up');
	for (let index = 0; index < nodes; index++) {
		ip('netns', 'add', space(index));
		ip('link', 'add', 'eth', 'netns', space(index), 'type', 'veth', 'peer', 'name', `port${index}`, 'netns', hub);
		ip('-n', hub, 'link', 'set', `port${index}`, 'master', 'bridge', 'up');
		ip('-n', space(index), 'addr', 'add', `${host(index)}/24`, 'dev', 'eth');
		ip('-n', space(index), 'link', 'set', 'eth', 'up');
		ip('-n', space(index), 'link', 'set', 'lo', 'up');
	}
}

function removeNetwork(nodes: number): void {
	for (let index = 0; index < nodes; index++) spawnSync('ip', ['netns', 'del', space(index)]);
	spawnSync('ip', ['netns', 'del', hub]);
}

/** A command of the command line within a node's network. */
function runIn(index: number, flags: readonly string[]): Promise<{readonly code: number | null; readonly stderr: string}> {
	return new Promise((resolve, reject) => {
		const child = spawn('ip', ['netns', 'exec', space(index), process.execPath, cli, ...flags], {stdio: ['ignore', 'ignore', 'pipe']});
		let stderr = '';
		child.stderr.on('data', (chunk: Buffer) => {
			stderr += chunk.toString();
		});
		child.once('error', reject);
		child.once('close', code => resolve({code, stderr}));
	});
}

describe.runIf(canMakeNetworks)('a network that is cut', () => {
	let cluster: Cluster;
	let nodes: NodeProcess[];
	beforeAll(async () => {
		cluster = new Cluster({cli});
		makeNetwork(3);
		nodes = [];
		for (let index = 0; index < 3; index++) {
			const node = new NodeProcess(5000, [
				'netns', 'exec', space(index), process.execPath, cli, '--headless', '-o', 'jsonl', '--host', host(index), '--port', '5000', '--topics', 'news',
				...cluster.clientFlags, '--data', `${cluster.folder}/node${index}`, ...(index > 0 ? ['--bootstrap', `${host(0)}:5000`] : []),
			], true, 'ip');
			nodes.push(node);
			await node.waitFor(({type}) => type === 'ready', 'ready');
		}

		await Promise.all(nodes.map(node => node.waitFor(event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3, 'three voters')));
		await Promise.all(nodes.flatMap(node => nodes.map(other => node.waitFor(event => event.type === 'subscribed' && event['node'] === other.id, 'subscriptions'))));
	}, 60_000);
	afterAll(async () => {
		await Promise.all(nodes.filter(node => node.isRunning).map(node => node.kill('SIGKILL')));
		removeNetwork(3);
		await cluster[Symbol.asyncDispose]();
	});

	test('is seen by all, refuses agreement on the smaller side, carries messages within each, and leaves nothing out after the heal', async () => {
		const flags = (index: number): string[] => [...cluster.clientFlags, '--server', `${host(index)}:5000`];
		const start = nodes.map(node => node.events.length);
		const partition = (state: string) => (event: JsonEvent): boolean => event.type === 'partition' && event['state'] === state;
		ip('-n', hub, 'link', 'set', 'port2', 'down');
		const [seen] = await Promise.all(nodes.map((node, index) => node.waitFor(partition('detected'), 'detection', start[index])));
		expect(seen).toMatchObject({sides: [[nodes[0]!.id, nodes[1]!.id].toSorted(), [nodes[2]!.id]], quorum: 0});
		const refused = await runIn(2, ['subscribe', 'minority', '--count', '1', ...flags(2)]);
		expect(refused.code).toBe(11);
		expect(refused.stderr).toContain('no quorum: 1 of 3 voters reachable');
		for (const [index, text] of [[0, 'near'], [2, 'far']] as const) expect((await runIn(index, ['publish', 'news', text, ...flags(index)])).code).toBe(0);
		const printed = (text: string) => (event: JsonEvent): boolean => event.type === 'message' && event['payload'] === text;
		await nodes[1]!.waitFor(printed('near'), 'a message within the larger side', start[1]);
		await nodes[2]!.waitFor(printed('far'), 'a message within the smaller side', start[2]);
		ip('-n', hub, 'link', 'set', 'port2', 'up');
		await Promise.all(nodes.map((node, index) => node.waitFor(partition('repaired'), 'repair', start[index])));
		for (const [index, node] of nodes.entries()) {
			for (const text of ['near', 'far']) await node.waitFor(printed(text), text, start[index]);
			expect(node.events.filter(({type}) => type === 'message')).toHaveLength(2);
		}

		expect((await runIn(2, ['check', ...flags(2)])).code).toBe(0);
	}, 60_000);
});
