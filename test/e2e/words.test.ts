/**
What nodes say never contradicts itself: every node is asked without a break while one of three is cut off, and while it
comes back. The words of the quorum, its numbers, the verdict and the exit code must agree in each answer.
*/
import {expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import type {NodeId} from '../../core/index.ts';
import {cli, run} from './support/command.ts';

type Said = {readonly code: number | null; readonly text: string};

/** @throws what does not fit together */
function expectConsistent({code, text}: Said): void {
	const [, verdict] = /^([\w-]+): cluster /.exec(text) ?? [];
	const [, quorum, ...counts] =
		/quorum (held|no leader|LOST): (\d+) of (\d+) voters? reachable, (\d+) needed/.exec(text) ?? [];
	const [reachable, voters, needed] = counts.map(Number) as [number, number, number];
	expect(voters, text).toBe(3);
	expect(quorum === 'LOST', text).toBe(reachable < needed);
	expect(code === 0, text).toBe(verdict === 'healthy');
	if (code === 0) expect({quorum, reachable}, text).toEqual({quorum: 'held', reachable: 3});
	if (quorum === 'LOST') expect({code, verdict}, text).toEqual({code: 11, verdict: 'no-quorum'});
	for (const [, has, , needs] of text.matchAll(/No quorum: (\d+) of (\d+) voters reachable, (\d+) needed/g))
		expect(Number(has), text).toBeLessThan(Number(needs));
	expect(text).not.toMatch(/left, left|0 of 0/);
}

test('a node is cut off and returns: each answer and each event of each node is consistent', async () => {
	await using cluster = new Cluster({cli, flags: ['--faults']});
	await cluster.startAll(3);
	const said = new Map<NodeProcess, Said[]>(cluster.nodes.map(node => [node, []]));
	const isHealthy = ({code}: Said): boolean => code === 0;
	const asking = new AbortController();
	/** Ask the node again and again. */
	const ask = async (node: NodeProcess): Promise<void> => {
		while (!asking.signal.aborted) {
			const {code, stdout} = await run(['check', ...cluster.clientFlags, '--server', `127.0.0.1:${node.port}`]);
			said.get(node)!.push({code, text: stdout.toString()});
		}
	};
	const last = (node: NodeProcess): Said => said.get(node)!.at(-1) ?? {code: null, text: ''};
	const answers = Promise.all(cluster.nodes.map(node => ask(node)));

	// The leader: the others need a new one meanwhile.
	const cut = cluster.leader()!;
	const others = cluster.nodes.filter(node => node !== cut);
	await using broker = await cluster.client(cut);
	const start = cluster.nodes.map(node => node.events.length);
	await broker.fault({type: 'cut', peers: others.map(({id}) => id as NodeId), direction: 'both', forMs: 60_000});
	await cut.waitFor(
		event => event.type === 'quorum' && event['held'] === false,
		'the loss of the quorum',
		start[cluster.nodes.indexOf(cut)],
	);
	await Promise.all(
		others.map(node =>
			node.waitFor(
				event => event.type === 'leader' && typeof event['leader'] === 'string' && event['leader'] !== cut.id,
				'another leader',
				start[cluster.nodes.indexOf(node)],
			),
		),
	);
	await expect.poll(() => last(cut).code, {timeout: 20_000}).toBe(11);
	await expect.poll(() => others.map(node => last(node).code), {timeout: 20_000}).toEqual([10, 10]);
	await broker.fault({type: 'heal'});
	await expect.poll(() => cluster.nodes.every(node => isHealthy(last(node))), {timeout: 20_000}).toBe(true);
	asking.abort();
	await answers;

	for (const one of [...said.values()].flat()) expectConsistent(one);
	for (const node of cluster.nodes) {
		const quorums = node.events.filter(({type}) => type === 'quorum') as unknown as ReadonlyArray<{
			readonly held: boolean;
			readonly state: string;
			readonly reachable: number;
			readonly voters: number;
		}>;
		for (const {held, state, reachable, voters} of quorums)
			expect([held, state === 'lost']).toEqual([state === 'held', reachable * 2 <= voters]);
		expect(quorums.at(-1)).toMatchObject({held: true});
	}
}, 60_000);
