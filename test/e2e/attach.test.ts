/** An attached console outlives its node, and switches between nodes and clusters. */
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import type {Cluster} from '../../bench/cluster.ts';
import {Cluster as ClusterOf, freePorts} from '../../bench/cluster.ts';
import {cli, run} from './support/command.ts';
import {userFolders} from './support/folders.ts';
import {Terminal} from './support/terminal.ts';

let home: string;
let prod: Cluster;
let lab: Cluster;
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
	home = mkdtempSync(join(tmpdir(), 'dapss-home-'));
	prod = new ClusterOf({cli});
	lab = new ClusterOf({cli});
	for (const [index, port] of (await freePorts(3)).entries())
		await prod.start(port, ['--name', `n${index + 1}`]).waitFor(({type}) => type === 'ready', 'ready');
	await prod.nodes[0]!.waitFor(
		event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
		'three voters',
	);
	const [port] = await freePorts(1);
	await lab.start(port!, ['--name', 'bench-1']).waitFor(({type}) => type === 'ready', 'ready');
	env = {...userFolders(home), CLUSTER_CONFIG_HOME: ''};
	mkdirSync(join(home, 'config', 'dapss'), {recursive: true, mode: 0o700});
	const contextOf = (cluster: Cluster, colour: string) => ({
		server: `127.0.0.1:${cluster.nodes[0]!.port}`,
		cluster: cluster.name,
		secret_file: cluster.secretFile,
		identity_file: cluster.identityFile,
		colour,
	});
	writeFileSync(
		join(home, 'config', 'dapss', 'preferences.json'),
		JSON.stringify({contexts: {prod: contextOf(prod, 'red'), lab: contextOf(lab, 'green')}}),
		{mode: 0o600},
	);
}, 60_000);
afterAll(async () => {
	await Promise.all([prod, lab].map(cluster => cluster[Symbol.asyncDispose]()));
	rmSync(home, {recursive: true, force: true});
});

const attach = (...flags: readonly string[]): Terminal =>
	new Terminal(process.execPath, [cli, 'attach', ...flags], {columns: 120, rows: 36, env});

test('the console goes to another node by name and by key, to another cluster, and on when its node is killed', async () => {
	await using terminal = attach('--context', 'prod');
	await terminal.waitFor(/prod {3}n1 .*quorum held: 3 of 3 up/, 'the first node, with its context');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('attach n2');
	await terminal.waitFor(/prod {3}n2 .*quorum held: 3 of 3 up/, 'the second node');
	terminal.press('1');
	await terminal.waitFor(/┏━ 1 Peers/, 'the focus on the peers');
	terminal.press('a');
	await terminal.waitFor(/prod {3}n[13] .*quorum held: 3 of 3 up|shows that node already/, 'the node of the row');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('context lab');
	await terminal.waitFor(/lab {3}bench-1 .*quorum held: 1 of 1 up/, 'the other cluster');
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('context nowhere');
	await terminal.waitFor(/Could not attach to nowhere: Expected a context: prod, lab/);
	terminal.press(':');
	await terminal.waitFor(/^:/m, 'the prompt');
	await terminal.enter('context prod');
	await terminal.waitFor(/prod {3}n1 .*quorum held: 3 of 3 up/, 'the first cluster again');

	// The context names this node alone; the console has learned of the others from it.
	await prod.nodes[0]!.kill('SIGKILL');
	await terminal.waitFor(/prod {3}n[23] .*instead of n1/, 'another member of the same cluster');
	await terminal.waitFor(/quorum held: 2 of 3 up/, 'its view');

	await Promise.all(prod.nodes.slice(1).map(node => node.kill('SIGKILL')));
	await terminal.waitFor(/last view of {2}n[23]/, 'the last view, named so');
	await terminal.waitFor(
		/NODE LOST: trying (?:n[123] \(127\.0\.0\.1:\d+\)(?:, )?){3} since \d\d:\d\d:\d\d/,
		'the tries',
	);
	for (const {port} of prod.nodes) prod.start(port);
	await terminal.waitFor(/quorum held: 3 of 3 up/, 'the cluster after its return', 30_000);
	expect(await terminal.quit(/Leave\? The node continues to run/)).toBe(0);
}, 120_000);

test('a context that is not there is refused before the console opens', async () => {
	const {code, stderr} = await run(['attach', '--context', 'nowhere'], {env});
	expect([code, stderr]).toEqual([1, expect.stringContaining('Expected a terminal')]);
	await using terminal = attach('--context', 'nowhere');
	expect((await terminal.exited).exitCode).toBe(2);
	expect(terminal.raw).toContain('Expected a context: prod, lab, got "nowhere"');
});

test('a console with its own node says where nodes can be switched', async () => {
	const [port] = await freePorts(1);
	await using terminal = new Terminal(
		process.execPath,
		[cli, '--port', String(port), '--cluster', 'own', '--no-discovery'],
		{columns: 120, rows: 36, env},
	);
	await terminal.waitFor(/quorum held: 1 of 1 up/);
	terminal.press('1');
	terminal.press('a');
	await terminal.waitFor(/This console stays with its node; `dapss-tui attach` in another terminal/);
}, 30_000);
