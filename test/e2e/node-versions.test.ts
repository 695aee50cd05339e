/**
The lowest version of Node that package.json allows, and the newest (case 44): a cluster of three forms, stores messages
and restarts, and has a console; Node prints no warning.
*/
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, type NodeProcess} from '../../bench/cluster.ts';
import {run, type Finished} from './support/command.ts';
import {fetchNode, lowestVersion} from './support/node-binaries.ts';
import {Terminal} from './support/terminal.ts';

/** What npm puts into the path, which chooses the Node that runs the rest. */
const bin = fileURLToPath(new URL('../../source/bin.mjs', import.meta.url));
const lowest = lowestVersion();
const fetched = await Promise.all([lowest, 'latest'].map(async wanted => ({wanted, got: await fetchNode(wanted)})));
for (const {wanted, got} of fetched)
	if ('problem' in got) process.stderr.write(`The test with Node ${wanted} did not run: ${got.problem}\n`);
afterAll(() => {
	for (const {got} of fetched) if (!('problem' in got)) got[Symbol.dispose]();
}, 60_000);

describe.each(fetched)('Node $wanted (case 44)', ({wanted, got}) => {
	test.skipIf('problem' in got)(
		'runs a cluster of three that publishes, subscribes and restarts',
		async () => {
			if ('problem' in got) throw new Error(got.problem);
			if (wanted === lowest) expect(got.version).toBe(lowest);
			await using cluster = new Cluster({cli: bin, node: got.path, topics: ['news'], messages: true});
			const command = async (...words: string[]): Promise<Finished> => {
				const finished = await run(
					[...words, '--server', `127.0.0.1:${cluster.nodes[0]!.port}`, ...cluster.clientFlags],
					{program: bin, node: got.path, env: cluster.env},
				);
				expect(finished, words.join(' ')).toMatchObject({
					code: 0,
					stderr: expect.not.stringMatching(/warning/i) as string,
				});
				return finished;
			};

			expect((await run(['version', '-o', 'json'], {program: bin, node: got.path})).stdout.toString()).toContain(
				`"node":"${got.version}"`,
			);
			await cluster.startAll(3);
			await command('publish', 'news', 'before');
			const isText =
				(text: string) =>
				(event: {readonly type: string; readonly [key: string]: unknown}): boolean =>
					event.type === 'message' && event['payload'] === text;
			await Promise.all(cluster.nodes.map(node => node.waitFor(isText('before'), 'the message')));

			const stopped = cluster.nodes[2]!;
			await stopped.kill('SIGTERM');
			expect(await stopped.exited).toBe(0);
			await command('publish', 'news', 'meanwhile');
			const again: NodeProcess = cluster.start(stopped.port);
			await again.waitFor(isText('meanwhile'), 'what was published meanwhile');
			await command('check', '--wait-healthy', '--wait', '30s');
			const {stdout} = await command('subscribe', 'news', '--from', 'beginning', '--count', '2', '--wait', '20s');
			expect(stdout.toString()).toBe('before\nmeanwhile\n');
			for (const node of cluster.nodes) expect(node.stderr).toBe('');

			const [port] = await freePorts(1);
			const env = {
				...cluster.env,
				XDG_CONFIG_HOME: join(cluster.folder, 'config'),
				XDG_CACHE_HOME: join(cluster.folder, 'cache'),
			};
			await using terminal = new Terminal(
				got.path,
				[
					bin,
					'--port',
					String(port),
					'--bootstrap',
					String(stopped.port),
					...cluster.clientFlags,
					'--data',
					join(cluster.folder, 'console'),
				],
				{columns: 120, rows: 36, env},
			);
			await terminal.waitFor(/quorum 3\/3/, 'the console of a member');
			expect(terminal.text()).not.toMatch(/warning/i);
			terminal.press('q');
			await terminal.waitFor(/Quit\?/);
			terminal.press('y');
			expect((await terminal.exited).exitCode).toBe(0);
		},
		120_000,
	);
});
