/** Names of node processes: the default name, a given one, a name in use, and a change of the name. */
import {readFileSync} from 'node:fs';
import {hostname} from 'node:os';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {defaultName} from '../../core/node-name.ts';
import {protocolMax} from '../../core/version.ts';
import {cli, jsonAt, run} from './support/command.ts';
import {hasLeader, isLeader} from './support/events.ts';

const {version: programVersion} = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
	version: string;
};

type Member = {readonly id: string; readonly name: string; readonly version: string; readonly protocol: number};

describe('names of nodes', () => {
	let cluster: Cluster;
	let db1: NodeProcess;
	let other: NodeProcess;
	beforeAll(async () => {
		cluster = new Cluster({cli});
		const ports = await freePorts(2);
		db1 = cluster.start(ports[0]!, ['--name', 'db1']);
		await db1.waitFor(isLeader(db1), 'a leader');
		other = cluster.start(ports[1]!);
		await other.waitFor(hasLeader, 'a leader');
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	const members = async (): Promise<readonly Member[]> =>
		(await jsonAt<{readonly members: readonly Member[]}>(cluster, db1, 'status')).members;

	const isNamed =
		(id: string, name: string) =>
		(event: JsonEvent): boolean =>
			event.type === 'named' && event['id'] === id && event['name'] === name;

	test('status has the names from the first start: the given name, or by default host and port', async () => {
		const names = new Map((await members()).map(({id, name}) => [id, name]));
		expect(names).toEqual(
			new Map([
				[db1.id, 'db1'],
				[other.id, defaultName(hostname(), other.port)],
			]),
		);
		expect((await members()).map(({version, protocol}) => [version, protocol])).toEqual([
			[programVersion, protocolMax],
			[programVersion, protocolMax],
		]);
		await other.waitFor(isNamed(other.id, defaultName(hostname(), other.port)), 'its name as an event');
	});

	test('a new node with a used name is refused, and the error names the holder and a remedy', async () => {
		const [port] = await freePorts(1);
		const late = cluster.start(port!, ['--name', 'DB1']);
		cluster.nodes.pop();
		expect(await late.exited).toBe(1);
		expect(late.stderr + JSON.stringify(late.events)).toContain(
			`the name DB1 belongs to node ${db1.id.slice(0, 8)} at 127.0.0.1:${db1.port}: choose another --name`,
		);
	}, 30_000);

	test('a member that restarts with a used name keeps its own name and warns once; with a free name it is renamed, and an event has both names', async () => {
		const {id, port} = other;
		await other.kill('SIGTERM');
		other = cluster.start(port, ['--name', 'db1']);
		const isNameWarning = (event: JsonEvent): boolean =>
			event.type === 'warning' && String(event['text']).startsWith(`The name db1 belongs to node ${db1.id}`);
		await other.waitFor(isNameWarning, 'the warning');
		expect((await members()).find(member => member.id === id)?.name).toBe(defaultName(hostname(), port));
		await other.kill('SIGTERM');
		expect(other.events.filter(isNameWarning)).toHaveLength(1);
		const start = db1.events.length;
		other = cluster.start(port, ['--name', 'db2']);
		expect(await db1.waitFor(isNamed(id, 'db2'), 'the new name', start)).toMatchObject({
			was: defaultName(hostname(), port),
		});
		expect((await members()).find(member => member.id === id)?.name).toBe('db2');
	}, 60_000);

	test.each([
		['5000', /that is a port/],
		['cafe', /that is an id/],
		['a b', /1 to 63 of the characters/],
	])('the name %j is refused before the start, with the reason', async (name, reason) => {
		const {code, stderr} = await run([
			'--headless',
			'--name',
			name,
			...cluster.clientFlags,
			'--data',
			`${cluster.folder}/none`,
		]);
		expect(code).toBe(2);
		expect(stderr).toMatch(reason);
		expect(stderr).toContain('--name');
	});

	test('the environment variable DAPSS_NAME sets the name', async () => {
		const {stdout} = await run(['config', ...cluster.clientFlags.slice(0, 4)], {env: {DAPSS_NAME: 'db9'}});
		expect(stdout.toString()).toMatch(/name.*db9.*DAPSS_NAME/);
	});
});
