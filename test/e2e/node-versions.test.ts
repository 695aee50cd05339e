/**
The lowest version of Node that package.json allows, and the newest one. With each version three nodes form a cluster,
store messages and restart, and the console runs. Node prints no warning.
*/
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, type NodeProcess} from '../../bench/cluster.ts';
import {nodeFlags, run, serverFlags, type Finished} from './support/command.ts';
import {isMessage, waitForAll} from './support/events.ts';
import {fetchNode, lowestVersion} from './support/node-binaries.ts';
import {Terminal} from './support/terminal.ts';

/** The program that npm installs. It chooses the Node that runs the command line. */
const bin = fileURLToPath(new URL('../../source/bin.mjs', import.meta.url));
const lowest = lowestVersion();
const versions = await Promise.all(
	[lowest, 'latest'].map(async wanted => ({wanted, fetched: await fetchNode(wanted)})),
);
for (const {wanted, fetched} of versions)
	if ('problem' in fetched) process.stderr.write(`The test with Node ${wanted} did not run: ${fetched.problem}\n`);
afterAll(() => {
	for (const {fetched} of versions) if (!('problem' in fetched)) fetched[Symbol.dispose]();
}, 60_000);

describe.each(versions)('Node $wanted', ({wanted, fetched}) => {
	test.skipIf('problem' in fetched)(
		'runs a cluster of three that publishes, subscribes and restarts',
		async () => {
			if ('problem' in fetched) throw new Error(fetched.problem);
			if (wanted === lowest) expect(fetched.version).toBe(lowest);
			await using cluster = new Cluster({cli: bin, node: fetched.path, topics: ['news'], messages: true});
			const command = async (...args: string[]): Promise<Finished> => {
				const finished = await run([...args, ...serverFlags(cluster, cluster.nodes[0]!)], {
					program: bin,
					node: fetched.path,
					env: cluster.env,
				});
				expect(finished, args.join(' ')).toMatchObject({
					code: 0,
					stderr: expect.not.stringMatching(/warning/i) as string,
				});
				return finished;
			};

			expect(
				(await run(['version', '-o', 'json'], {program: bin, node: fetched.path})).stdout.toString(),
			).toContain(`"node":"${fetched.version}"`);
			await cluster.startAll(3);
			await command('publish', 'news', 'before');
			await waitForAll(cluster.nodes, isMessage('before'), 'the message');

			const stopped = cluster.nodes[2]!;
			await stopped.kill('SIGTERM');
			expect(await stopped.exited).toBe(0);
			await command('publish', 'news', 'meanwhile');
			const again: NodeProcess = cluster.start(stopped.port);
			await again.waitFor(isMessage('meanwhile'), 'the missed message');
			await command('check', '--wait-healthy', '--wait', '30s');
			const {stdout} = await command('subscribe', 'news', '--from', 'beginning', '--count', '2', '--wait', '20s');
			expect(stdout.toString()).toBe('before\nmeanwhile\n');
			for (const node of cluster.nodes) expect(node.stderr).toBe('');

			const [port] = await freePorts(1);
			const env = {
				...cluster.env,
				XDG_CONFIG_HOME: join(cluster.folder, 'config'),
				XDG_CACHE_HOME: join(cluster.folder, 'cache'),
				DAPSS_IDENTITY_FILE: cluster.identityFile,
			};
			await using terminal = new Terminal(
				fetched.path,
				[bin, '--bootstrap', String(stopped.port), ...nodeFlags(cluster, port!, 'console')],
				{columns: 120, rows: 36, env},
			);
			await terminal.waitFor(/quorum held: 3 of 3 up/, 'the console of a member');
			expect(terminal.text()).not.toMatch(/warning/i);
			expect(await terminal.quit()).toBe(0);
		},
		120_000,
	);
});
