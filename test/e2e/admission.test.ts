/**
Nodes that a cluster does not admit, or admits and gives no vote: real processes that are started with a name or an address that cannot be right. Each of them, and the
cluster, says why and what helps.
*/
import {afterEach, expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {cli} from './command.ts';

const clusters: Cluster[] = [];
afterEach(async () => {
	await Promise.all(clusters.splice(0).map(cluster => cluster[Symbol.asyncDispose]()));
});

const votersAre = (count: number) => (event: JsonEvent): boolean => event.type === 'voters' && (event['voters'] as unknown[]).length === count;

async function threeVoters(flags: (index: number) => readonly string[] = () => []): Promise<{readonly cluster: Cluster; readonly nodes: readonly NodeProcess[]; readonly ports: readonly number[]}> {
	const cluster = new Cluster({cli});
	clusters.push(cluster);
	const ports = await freePorts(3);
	const nodes = ports.map((port, index) => cluster.startAlone(port, ['--bootstrap', ports.join(','), ...flags(index)]));
	await Promise.all(nodes.map(node => node.waitFor(votersAre(3), 'three voters')));
	return {cluster, nodes, ports};
}

test.each<[string, readonly string[], (ports: readonly number[]) => string]>([
	['the name of a member, in other letters', ['--name', 'WEB1'], ports => `belongs to node .* at 127.0.0.1:${ports[1]}: choose another --name`],
	['an address of another machine, in a cluster of one machine', ['--advertise', 'nosuch.invalid'], () => 'nosuch.invalid:\\d+ is told to nodes of other machines: start the node of nosuch.invalid:\\d+ with --advertise and a loopback address'],
	['a wildcard, in a cluster of one machine', ['--host', '0.0.0.0', '--advertise', '192.0.2.7'], () => 'start the node of 192.0.2.7:\\d+ with --advertise and a loopback address'],
])('a newcomer with %s ends with the reason that the leader gives, and the leader tells it too (case A)', async (_name, flags, reason) => {
	const {cluster, nodes, ports} = await threeVoters(index => ['--name', `web${index}`]);
	const [port] = await freePorts(1);
	// Followers leave the answer to the leader: their word does not keep the newcomer waiting.
	const newcomer = cluster.startAlone(port!, ['--bootstrap', ports.join(','), ...flags]);
	expect(await newcomer.exited).toBe(1);
	expect(newcomer.stderr).toMatch(new RegExp(`The node stopped: .*${reason(ports)}`));
	const isTold = (event: JsonEvent): boolean => event.type === 'refused' && event['code'] === 'join' && event['id'] === newcomer.id && new RegExp(`is not admitted: .*${reason(ports)}`).test(String(event['reason']));
	await Promise.any(nodes.map(node => node.waitFor(isTold, 'the refusal')));
}, 60_000);
