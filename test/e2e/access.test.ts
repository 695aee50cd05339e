/** Identities and roles at a real node: the founder, another user with the secret, and a revoked one. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster, type NodeProcess} from '../../bench/cluster.ts';
import type {AccessReport} from '../../core/access.ts';
import {cli, jsonAt, jsonLines, run, runAt, serverFlags, type Finished} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {userFolders} from './support/folders.ts';

/** A user of this machine with files of their own, who has the secret of the cluster. */
function userOf(cluster: Cluster, name: string): (node: NodeProcess, ...args: readonly string[]) => Promise<Finished> {
	const env = userFolders(join(cluster.folder, name));
	return (node, ...args) => run([...args, ...serverFlags(cluster, node)], {env});
}

test('the founder is an operator, another user with the secret a client until an operator says otherwise', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	const bob = userOf(cluster, 'bob');
	const founder = await jsonAt<AccessReport>(cluster, node, 'access', 'list');
	expect(founder).toMatchObject({
		defaultRole: 'client',
		grants: [{identity: founder.you.identity, role: 'operator', name: '', topics: []}],
		you: {role: 'operator', isOwner: true},
	});

	const {you} = JSON.parse((await bob(node, 'access', 'list', '-o', 'json')).stdout.toString()) as AccessReport;
	expect(you).toEqual({identity: expect.stringMatching(/^[\da-f]{64}$/), role: 'client', topics: [], isOwner: false});
	expect((await bob(node, 'publish', 'orders.eu', 'one')).code).toBe(0);
	for (const args of [
		['topic', 'create', 'wages'],
		['leader', 'transfer'],
		['access', 'default', 'operator'],
	])
		expect(await bob(node, ...args)).toMatchObject({
			code: 13,
			stderr: expect.stringContaining(
				`needs the role operator, the identity ${you.identity} has client. ` +
					`Ask an operator to run: dapss-tui access add ${you.identity} operator`,
			),
		});

	expect(
		(await runAt(cluster, node, 'access', 'add', you.identity!, 'client', 'bob', '--only', 'orders.>')).code,
	).toBe(0);
	expect((await bob(node, 'publish', 'orders.eu', 'two')).code).toBe(0);
	expect(await bob(node, 'publish', 'wages', 'three')).toMatchObject({
		code: 13,
		stderr: expect.stringContaining('may use the topics orders.>, not wages'),
	});
	expect(await bob(node, 'subscribe', 'wages', '--count', '1')).toMatchObject({code: 13});
	const restricted = await bob(node, 'status', '-o', 'json');
	expect(restricted.code).toBe(0);
	expect((await runAt(cluster, node, 'access', 'add', 'bob', 'operator')).code).toBe(0);
	expect((await bob(node, 'topic', 'create', 'wages')).code).toBe(0);
});

test('a revoked identity loses its open connections, and does not get in again', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	const env = userFolders(join(cluster.folder, 'bob'));
	const bob = userOf(cluster, 'bob');
	const identity = (await run(['access', 'identity', '--cluster', cluster.name], {env})).stdout.toString().trim();
	expect((await runAt(cluster, node, 'access', 'add', identity, 'client', 'bob')).code).toBe(0);
	expect((await runAt(cluster, node, 'access', 'default', 'none')).code).toBe(0);
	expect((await bob(node, 'publish', 'news', 'one')).code).toBe(0);

	await using follower = new CommandProcess(
		process.execPath,
		[cli, 'subscribe', 'news', '--from', 'beginning', ...serverFlags(cluster, node)],
		{env},
	);
	await follower.until(() => follower.stdout === 'one\n', 'the message');
	expect(await runAt(cluster, node, 'access', 'revoke', 'bob')).toMatchObject({
		code: 0,
		stdout: Buffer.from(`bob (${identity.slice(0, 12)}) has no access now\n`),
	});
	await follower.until(
		() => follower.stderr.includes(`the access of ${identity} has changed: it has no role now`),
		'the end of the connection',
	);
	expect(await bob(node, 'publish', 'news', 'two')).toMatchObject({
		code: 13,
		stderr: expect.stringContaining(`the identity ${identity} has no access to this cluster`),
	});
	expect((await runAt(cluster, node, 'access', 'list')).code).toBe(0);

	await node.kill('SIGTERM');
	const audit = jsonLines<Record<string, unknown>>(
		readFileSync(join(cluster.folder, String(node.port), 'audit.jsonl'), 'utf8'),
	);
	expect(audit.filter(({type}) => type === 'access').map(({change}) => change)).toEqual([
		'granted',
		'default',
		'revoked',
	]);
	expect(
		audit.find(
			({type, action, target}) =>
				type === 'audit' && action === 'change-access' && target === `revoke ${identity}`,
		),
	).toMatchObject({
		outcome: 'done',
		by: expect.stringMatching(/^[\da-f]{64}$/),
		address: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
	});
});

test('the last operator cannot shut everyone out', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(1);
	const node = cluster.nodes[0]!;
	const {you} = await jsonAt<AccessReport>(cluster, node, 'access', 'list');
	expect(await runAt(cluster, node, 'access', 'revoke', you.identity!)).toMatchObject({
		code: 1,
		stderr: expect.stringContaining('the cluster would have no operator'),
	});
});
