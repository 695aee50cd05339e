/**
Names of nodes, with real processes: default, given, in use, changed.
*/
import {hostname} from 'node:os';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, type JsonEvent, type NodeProcess} from '../../bench/cluster.ts';
import {defaultName} from '../../core/node-name.ts';
import {protocolMax} from '../../core/version.ts';
import {cli, run} from './support/command.ts';

type Member = {readonly id: string; readonly name: string; readonly version: string; readonly protocol: number};

describe('names', () => {
	let cluster: Cluster;
	let db1: NodeProcess;
	let other: NodeProcess;
	beforeAll(async () => {
		cluster = new Cluster({cli});
		const ports = await freePorts(2);
		db1 = cluster.start(ports[0]!, ['--name', 'db1']);
		await db1.waitFor(event => event.type === 'leader' && event['leader'] === db1.id, 'a leader');
		other = cluster.start(ports[1]!);
		await other.waitFor(event => event.type === 'leader' && typeof event['leader'] === 'string', 'a leader');
	}, 60_000);
	afterAll(() => cluster[Symbol.asyncDispose]());

	const members = async (): Promise<readonly Member[]> => {
		const {stdout} = await run([
			'status',
			'-o',
			'json',
			...cluster.clientFlags,
			'--server',
			`127.0.0.1:${db1.port}`,
		]);
		return (JSON.parse(stdout.toString()) as {members: Member[]}).members;
	};

	const named =
		(id: string, name: string) =>
		(event: JsonEvent): boolean =>
			event.type === 'named' && event['id'] === id && event['name'] === name;

	test('are in status from the beginning: the given name, or host and port by default', async () => {
		const names = new Map((await members()).map(({id, name}) => [id, name]));
		expect(names).toEqual(
			new Map([
				[db1.id, 'db1'],
				[other.id, defaultName(hostname(), other.port)],
			]),
		);
		expect(
			(await members()).every(({version, protocol}) => /^\d+\.\d+/.test(version) && protocol === protocolMax),
		).toBe(true);
		await other.waitFor(named(other.id, defaultName(hostname(), other.port)), 'its name as an event');
	});

	test('a node that asks for a used name is refused, with the holder and a remedy', async () => {
		const [port] = await freePorts(1);
		const late = cluster.start(port!, ['--name', 'DB1']);
		cluster.nodes.pop();
		expect(await late.exited).toBe(1);
		expect(late.stderr + JSON.stringify(late.events)).toContain(
			`the name DB1 belongs to node ${db1.id.slice(0, 8)} at 127.0.0.1:${db1.port}: choose another --name`,
		);
	}, 30_000);

	test('a member that restarts with a used name keeps its own and warns once; with a free name it is renamed, and an event has the former name (case D)', async () => {
		const {id, port} = other;
		await other.kill('SIGTERM');
		other = cluster.start(port, ['--name', 'db1']);
		const isTaken = (event: JsonEvent): boolean =>
			event.type === 'warning' && String(event['text']).startsWith(`The name db1 belongs to node ${db1.id}`);
		await other.waitFor(isTaken, 'the warning');
		expect((await members()).find(member => member.id === id)?.name).toBe(defaultName(hostname(), port));
		await other.kill('SIGTERM');
		expect(other.events.filter(event => isTaken(event))).toHaveLength(1);
		const start = db1.events.length;
		other = cluster.start(port, ['--name', 'db2']);
		expect(await db1.waitFor(named(id, 'db2'), 'the new name', start)).toMatchObject({
			was: defaultName(hostname(), port),
		});
		expect((await members()).find(member => member.id === id)?.name).toBe('db2');
	}, 60_000);

	test.each([
		['5000', /that is a port/],
		['cafe', /that is an id/],
		['a b', /1 to 63 of the characters/],
	])('%j is refused before the start, with the problem', async (name, what) => {
		const {code, stderr} = await run([
			'--headless',
			'--name',
			name,
			...cluster.clientFlags,
			'--data',
			`${cluster.folder}/none`,
		]);
		expect(code).toBe(2);
		expect(stderr).toMatch(what);
		expect(stderr).toContain('--name');
	});

	test('can come from the environment', async () => {
		const {stdout} = await run(['config', ...cluster.clientFlags.slice(0, 4)], {env: {DAPSS_NAME: 'db9'}});
		expect(stdout.toString()).toMatch(/name.*db9.*DAPSS_NAME/);
	});
});
