/** The rotation of the cluster's key at real nodes: without a restart, without a lost message, and its refusals. */
import {chmodSync, copyFileSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {freePorts, type Cluster, type NodeProcess} from '../../bench/cluster.ts';
import type {ChangedKey, KeyId, KeysReport} from '../../core/cluster-keys.ts';
import {connect} from '../../core/index.ts';
import {newCluster} from './support/clusters.ts';
import {cli, jsonAt, run, runAt, serverFlags, type Finished} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {userFolders} from './support/folders.ts';
import {pollUntil} from './support/poll.ts';

const keysAt = (cluster: Cluster, node: NodeProcess): Promise<KeysReport> =>
	jsonAt<KeysReport>(cluster, node, 'keys', 'list');
const activeOf = ({keys}: KeysReport): KeyId => keys.find(({state}) => state === 'active')!.id;
const secretIn = (file: string): string => readFileSync(file, 'utf8').trim();

async function done(finished: Promise<Finished>): Promise<string> {
	const {code, stdout, stderr} = await finished;
	expect(code, stderr).toBe(0);
	return stdout.toString();
}

const poll = (isTrue: () => boolean | Promise<boolean>, what: string): Promise<boolean> =>
	pollUntil(async () => isTrue(), Boolean, what);

/** Starts a node of the cluster with another secret file than that of the user. */
function startWith(cluster: Cluster, port: number, file: string): NodeProcess {
	Object.defineProperty(cluster, 'secretFile', {value: file, configurable: true});
	const node = cluster.start(port);
	Reflect.deleteProperty(cluster, 'secretFile');
	return node;
}

/** The files in a folder, and in its folders, that contain the text. */
function filesWith(folder: string, text: string): readonly string[] {
	return readdirSync(folder, {recursive: true, withFileTypes: true})
		.filter(entry => entry.isFile())
		.map(entry => join(entry.parentPath, entry.name))
		.filter(file => readFileSync(file).includes(text));
}

/** Publishes a numbered message after the other, each over a connection of its own, until it is stopped. */
class Publishing {
	readonly sent: string[] = [];
	readonly failed: string[] = [];
	readonly #cluster: Cluster;
	#isStopped = false;
	readonly #running: Promise<void>;

	constructor(cluster: Cluster) {
		this.#cluster = cluster;
		this.#running = this.#run();
	}

	async stop(): Promise<void> {
		this.#isStopped = true;
		await this.#running;
	}

	async #run(): Promise<void> {
		const {name, secretFile, identityFile, nodes} = this.#cluster;
		for (let number = 0; !this.#isStopped; number++) {
			const servers = [`127.0.0.1:${nodes[0]!.port}`];
			await using client = await connect({servers, cluster: name, secretFile, identityFile});
			// One that loses its connection does not know whether its message was stored.
			await client.publish('news', [`m${number}`]).then(
				() => this.sent.push(`m${number}`),
				() => this.failed.push(`m${number}`),
			);
		}
	}
}

test('three nodes rotate their key while messages flow: none is lost, and no node restarts', async () => {
	const cluster = newCluster({topics: ['news']});
	await cluster.startAll(3);
	const [one, two, three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const former = activeOf(await keysAt(cluster, one));
	await using reader = new CommandProcess(
		process.execPath,
		[cli, 'subscribe', 'news', '--from', 'beginning', ...serverFlags(cluster, two)],
		{env: cluster.env},
	);
	const publishing = new Publishing(cluster);
	await reader.until(() => reader.stdout.includes('m5\n'), 'the first messages');

	const {key} = JSON.parse(await done(runAt(cluster, three, 'keys', 'add', '-o', 'json'))) as ChangedKey;
	expect((await keysAt(cluster, two)).keys.map(({id, state}) => [id, state])).toEqual([
		[former, 'active'],
		[key, 'valid'],
	]);
	expect(await done(runAt(cluster, one, 'keys', 'use', key.slice(0, 8)))).toContain(`use the key ${key} now`);
	// The nodes of this user have the new secret in its file.
	await poll(async () => (await keysAt(cluster, two)).outdatedFiles.length === 0, 'the new secret in the file');
	expect(secretIn(cluster.secretFile)).not.toBe(cluster.secret.toString());
	const used = await keysAt(cluster, two);
	expect(used.keys.find(({id}) => id === key)!.usedBy).toHaveLength(3);

	// The reader has connected before; members renew their links by themselves.
	const refused = await runAt(cluster, two, 'keys', 'remove', former);
	expect(refused).toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/is still in use: connections use it: client /),
	});
	await done(runAt(cluster, two, 'keys', 'remove', former, '--force'));
	await reader.until(() => reader.stderr.includes('Connected to'), 'the reader with the new secret');
	const count = publishing.sent.length;
	await poll(() => publishing.sent.length > count + 5, 'messages under the new key');
	await publishing.stop();
	await reader.until(() => reader.stdout.includes(`${publishing.sent.at(-1)!}\n`), 'the last message');
	const read = reader.stdout.trim().split('\n');
	expect(read.filter(message => !publishing.failed.includes(message))).toEqual(publishing.sent);
	expect(publishing.failed.length).toBeLessThanOrEqual(1);

	for (const node of cluster.nodes) {
		expect(node.isRunning).toBe(true);
		expect((await keysAt(cluster, node)).keys.map(({id, state}) => [id, state])).toEqual([
			[former, 'removed'],
			[key, 'active'],
		]);
		const {missing} = (await jsonAt<{topics: Array<{missing: number}>}>(cluster, node, 'status')).topics[0]!;
		expect(missing).toBe(0);
	}

	expect((await runAt(cluster, one, 'check')).code).toBe(0);
	expect(readFileSync(join(cluster.folder, String(one.port), 'audit.jsonl'), 'utf8')).toMatch(
		new RegExp(`"type":"keys","change":"removed","key":"${former}"`),
	);
	// No secret is in a log or in another file of a node.
	const next = secretIn(cluster.secretFile);
	expect(filesWith(cluster.folder, next)).toEqual([cluster.secretFile]);

	await Promise.all(cluster.nodes.map(node => node.kill('SIGTERM')));
	for (const {port} of cluster.nodes.slice()) cluster.startAlone(port);
	for (const node of cluster.nodes) await node.waitFor(({type}) => type === 'quorum', 'a quorum after a restart');
}, 90_000);

test('a client with the former secret is served until its key is removed, and then told which key it has', async () => {
	const cluster = newCluster();
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	const formerFile = join(cluster.folder, 'former.secret');
	copyFileSync(cluster.secretFile, formerFile);
	const bob = {env: userFolders(join(cluster.folder, 'bob'))};
	const publish = (file: string): Promise<Finished> =>
		run(
			[
				'publish',
				'news',
				'hello',
				...serverFlags(cluster, node).map(flag => (flag === cluster.secretFile ? file : flag)),
			],
			bob,
		);
	const newFile = join(cluster.folder, 'new.secret');
	const former = activeOf(await keysAt(cluster, node));
	const {stderr} = await runAt(cluster, node, 'keys', 'add', '--file', newFile);
	expect(stderr).toContain(`Wrote its secret to ${newFile} (mode 0600)`);
	for (const file of [formerFile, newFile]) expect((await publish(file)).code).toBe(0);
	const {keys} = await keysAt(cluster, node);
	await done(runAt(cluster, node, 'keys', 'use', keys[1]!.id));
	await poll(() => secretIn(cluster.secretFile) === secretIn(newFile), 'the new secret in the file');
	for (const file of [formerFile, newFile]) expect((await publish(file)).code).toBe(0);
	await done(runAt(cluster, node, 'keys', 'remove', former));
	expect((await publish(newFile)).code).toBe(0);
	expect(await publish(formerFile)).toMatchObject({
		code: 13,
		stderr: expect.stringContaining(`does not accept the key ${former}`),
	});
	const check = await runAt(cluster, node, 'check');
	expect(check.stdout.toString()).toContain(`uses the key ${former}, which was removed from the cluster`);

	// An open connection under a removed key is closed within a second.
	await using follower = new CommandProcess(
		process.execPath,
		[cli, 'events', '--watch', ...serverFlags(cluster, node)],
		{env: cluster.env},
	);
	await done(runAt(cluster, node, 'keys', 'add'));
	const report = await keysAt(cluster, node);
	const third = report.keys.find(({state}) => state === 'valid')!.id;
	await follower.until(() => follower.stdout.includes('is valid too'), 'the event of the addition');
	await done(runAt(cluster, node, 'keys', 'use', third));
	const atMs = Date.now();
	await done(runAt(cluster, node, 'keys', 'remove', keys[1]!.id, '--force'));
	await follower.until(() => follower.stderr.includes('was removed from the cluster'), 'the end of the connection');
	expect(Date.now() - atMs).toBeLessThan(5000);
}, 60_000);

test('a member that was down for the whole rotation is refused, named on both sides, and brought back', async () => {
	const cluster = newCluster();
	const ports = await freePorts(3);
	const files = ports.map(port => join(cluster.folder, `secret-${port}`));
	const start = async (index: number): Promise<NodeProcess> => {
		const node = startWith(cluster, ports[index]!, files[index]!);
		await node.waitFor(({type}) => type === 'ready', 'ready');
		return node;
	};
	for (const [index, file] of files.entries()) {
		copyFileSync(cluster.secretFile, file);
		chmodSync(file, 0o600);
		await start(index);
	}

	const [one, two, three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	for (const node of cluster.nodes)
		await node.waitFor(
			event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
			'three voters',
		);
	const at = (node: NodeProcess, ...args: readonly string[]): Promise<Finished> => {
		const file = files[ports.indexOf(node.port)]!;
		const flags = serverFlags(cluster, node).map(flag => (flag === cluster.secretFile ? file : flag));
		return run([...args, ...flags], {env: cluster.env});
	};
	const {keys} = JSON.parse(await done(at(one, 'keys', 'list', '-o', 'json'))) as KeysReport;
	const former = keys[0]!.id;
	await three.kill('SIGKILL');
	const added = await at(one, 'keys', 'add', '-o', 'json');
	const {key} = JSON.parse(added.stdout.toString()) as ChangedKey;
	await poll(async () => (await at(one, 'keys', 'use', key)).stderr.includes('does not answer'), 'the refusal');
	await done(at(one, 'keys', 'use', key, '--force'));
	await poll(
		() => secretIn(files[0]!) === secretIn(files[1]!) && secretIn(files[0]!) !== cluster.secret.toString(),
		'the files',
	);
	expect((await at(two, 'keys', 'remove', former)).stderr).toMatch(/does not answer/);
	await done(at(two, 'keys', 'remove', former, '--force'));

	const back = await start(2);
	await poll(
		async () => (await at(back, 'check')).stdout.toString().includes(`does not accept the key ${former}`),
		'the key in the check of the node that came back',
	);
	const ownCheck = (await at(back, 'check')).stdout.toString();
	expect(ownCheck).toContain(`uses the key ${key}, which this node does not know`);
	await poll(
		async () =>
			(await at(one, 'check')).stdout
				.toString()
				.includes(`uses the key ${former}, which was removed from the cluster: its key is ${key}`),
		'the key in the check of a member',
	);

	await back.kill('SIGTERM');
	writeFileSync(files[2]!, readFileSync(files[0]!), {mode: 0o600});
	const again = await start(2);
	await poll(async () => (await at(again, 'check')).code === 0, 'a healthy cluster');
	const report = JSON.parse(await done(at(again, 'keys', 'list', '-o', 'json'))) as KeysReport;
	expect(report.keys.find(({id}) => id === key)!.usedBy).toHaveLength(3);
}, 90_000);

test('a node whose secret file it must not write uses the present key from its own state', async () => {
	const cluster = newCluster();
	const ports = await freePorts(3);
	const shared = join(cluster.folder, 'shared.secret');
	copyFileSync(cluster.secretFile, shared);
	chmodSync(shared, 0o640);
	const start = (index: number): NodeProcess =>
		index === 2 ? startWith(cluster, ports[2]!, shared) : cluster.start(ports[index]!);
	for (const index of [0, 1, 2]) await start(index).waitFor(({type}) => type === 'ready', 'ready');
	for (const node of cluster.nodes)
		await node.waitFor(
			event => event.type === 'voters' && (event['voters'] as unknown[]).length === 3,
			'three voters',
		);
	const [one, , three] = cluster.nodes as [NodeProcess, NodeProcess, NodeProcess];
	const former = activeOf(await keysAt(cluster, one));
	const {key} = JSON.parse(await done(runAt(cluster, one, 'keys', 'add', '-o', 'json'))) as ChangedKey;
	await done(runAt(cluster, one, 'keys', 'use', key));
	await poll(() => secretIn(cluster.secretFile) !== cluster.secret.toString(), 'the new secret in the file');
	await done(runAt(cluster, one, 'keys', 'remove', former));
	expect(secretIn(shared)).toBe(cluster.secret.toString());
	expect((await keysAt(cluster, one)).outdatedFiles).toEqual([three.id]);
	await three.waitFor(
		event => event.type === 'warning' && String(event['text']).includes('can be read by a group'),
		'the warning about the file',
	);
	expect((await runAt(cluster, three, 'check')).stdout.toString()).toContain(
		`The secret file ${shared} does not have`,
	);

	await three.kill('SIGKILL');
	const back = start(2);
	await back.waitFor(({type}) => type === 'quorum', 'a quorum');
	await poll(async () => (await keysAt(cluster, one)).keys[1]!.usedBy.length === 3, 'the present key in use');
}, 60_000);

test('wrong requests are refused with the reason', async () => {
	const cluster = newCluster();
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	const at = (...args: readonly string[]): Promise<Finished> => runAt(cluster, node, 'keys', ...args);
	expect(await at('use', '0123456789abcdef')).toMatchObject({
		code: 2,
		stderr: expect.stringContaining('Expected a key of'),
	});
	expect(await at('rotate')).toMatchObject({code: 2});
	expect(await at('use')).toMatchObject({code: 2});
	await done(at('add'));
	expect(await at('add')).toMatchObject({code: 1, stderr: expect.stringContaining('two keys are valid already')});
	const {keys} = await keysAt(cluster, node);
	expect(await at('remove', keys[0]!.id)).toMatchObject({
		code: 1,
		stderr: expect.stringMatching(/is still in use|is the active one/),
	});
	const weak = join(cluster.folder, 'weak');
	writeFileSync(weak, 'password\n', {mode: 0o600});
	await done(at('remove', keys[1]!.id));
	expect(await at('add', '--file', weak)).toMatchObject({stderr: expect.stringContaining('it is a placeholder')});
	expect((await at('list')).stdout.toString()).not.toContain(cluster.secret.toString());

	const bob = await run(['keys', 'list', ...serverFlags(cluster, node)], {
		env: userFolders(join(cluster.folder, 'bob')),
	});
	expect(bob).toMatchObject({code: 13, stderr: expect.stringContaining('keys needs the role operator')});
}, 60_000);

test('without node authentication there is no key to rotate', async () => {
	const cluster = newCluster({settings: {enable_node_auth: false}});
	await cluster.startAll(1);
	expect(await runAt(cluster, cluster.nodes[0]!, 'keys', 'add')).toMatchObject({
		code: 1,
		stderr: expect.stringContaining('enable_node_auth is off: no key protects this cluster'),
	});
});
