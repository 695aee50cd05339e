/**
The reports of a node are consistent: `check` runs at every node in a loop while one of three nodes is cut off, and while
it returns. In each output the state of the quorum, its numbers, the verdict and the exit code must agree.
*/
import {expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import type {NodeId} from '../../core/index.ts';
import {cli, runAt} from './support/command.ts';
import {eventCounts, isNewLeader, isQuorum, waitForAll} from './support/events.ts';

type Report = {readonly code: number | null; readonly text: string};

const exitCodes: Readonly<Record<string, number>> = {healthy: 0, unhealthy: 10, 'no-quorum': 11, 'no-leader': 12};

/** @throws the first contradiction */
function expectConsistent({code, text}: Report): void {
	const [, verdict] = /^([\w-]+): cluster /.exec(text) ?? [];
	const [, quorum, ...counts] =
		/quorum (held|no leader|LOST): (\d+) of (\d+) voters? reachable, (\d+) needed/.exec(text) ?? [];
	const [reachable, voters, needed] = counts.map(Number) as [number, number, number];
	expect(voters, text).toBe(3);
	expect(code, text).toBe(exitCodes[verdict!]);
	expect(quorum === 'LOST', text).toBe(reachable < needed);
	expect(verdict === 'no-quorum', text).toBe(quorum === 'LOST');
	expect(verdict !== 'healthy' || (quorum === 'held' && reachable === 3), text).toBe(true);
	for (const [, has, , needs] of text.matchAll(/No quorum: (\d+) of (\d+) voters reachable, (\d+) needed/g))
		expect(Number(has), text).toBeLessThan(Number(needs));
	expect(text).not.toMatch(/left, left|0 of 0/);
}

test('each output of check and each quorum event is consistent while a node is cut off and returns', async () => {
	await using cluster = new Cluster({cli, flags: ['--faults']});
	await cluster.startAll(3);
	const reports = new Map<NodeProcess, Report[]>(cluster.nodes.map(node => [node, []]));
	const checking = new AbortController();
	/** Runs `check` at the node until the end of the test. */
	const checkRepeatedly = async (node: NodeProcess): Promise<void> => {
		while (!checking.signal.aborted) {
			const {code, stdout} = await runAt(cluster, node, 'check');
			reports.get(node)!.push({code, text: stdout.toString()});
		}
	};
	const lastCode = (node: NodeProcess): number | null | undefined => reports.get(node)!.at(-1)?.code;
	const checks = Promise.all(cluster.nodes.map(node => checkRepeatedly(node)));

	// The cut isolates the leader, so the others elect a new one.
	const cut = cluster.leader()!;
	const others = cluster.nodes.filter(node => node !== cut);
	await using broker = await cluster.client(cut);
	const cutStart = cut.events.length;
	const otherStarts = eventCounts(others);
	await broker.fault({type: 'cut', peers: others.map(({id}) => id as NodeId), direction: 'both', forMs: 60_000});
	await cut.waitFor(isQuorum(false), 'the loss of the quorum', cutStart);
	await waitForAll(others, isNewLeader(cut), 'another leader', otherStarts);
	await expect.poll(() => lastCode(cut), {timeout: 20_000}).toBe(11);
	await expect.poll(() => others.map(node => lastCode(node)), {timeout: 20_000}).toEqual([10, 10]);
	await broker.fault({type: 'heal'});
	await expect.poll(() => cluster.nodes.map(node => lastCode(node)), {timeout: 20_000}).toEqual([0, 0, 0]);
	checking.abort();
	await checks;

	for (const report of [...reports.values()].flat()) expectConsistent(report);
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
