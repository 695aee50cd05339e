/** Names of nodes in the output of commands, and the form of a log line. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import type {RecordedEvent} from '../../../core/events.ts';
import {levelOf} from '../../../core/observe/levels.ts';
import {eventLine} from '../../../source/output/json-lines.ts';
import {eventLogLine} from '../../../source/output/event-log.ts';
import {FakeBroker, run} from '../../support/fakes.ts';
import {a, b, c, d, e, longName, named} from '../../tui/support/fixtures.ts';

let home: string;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-names-'));
	writeFileSync(join(home, 'secret'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const dapss = (line: string, broker = new FakeBroker(named)): ReturnType<typeof run> =>
	run(line.split(' '), {broker, cwd: home, env: {HOME: home, DAPSS_SECRET_FILE: join(home, 'secret')}});
const short = (id: string): string => id.slice(0, 8);

describe('names of nodes', () => {
	test.each(['status', 'peers', 'check', 'leader'])(
		'%s prints the name of every node, and the id of a node without a name',
		async command => {
			const {out, err} = await dapss(command);
			expect(err).toBe('');
			expect(out).toContain('oslo-2');
			if (command !== 'leader') expect(out).toContain('paris-4');
			if (command === 'peers' || command === 'check') expect(out).toContain(short(e));
			for (const id of [b, c, d]) expect(out).not.toContain(short(id));
		},
	);

	test('names are complete in tables, next to the id of the node itself, and in JSON', async () => {
		expect((await dapss('peers')).out).toContain(longName);
		expect((await dapss('status')).out).toContain(`berlin-1 (${a}) at`);
		expect(JSON.parse((await dapss('status -o json')).out)).toMatchObject({
			self: a,
			name: 'berlin-1',
			members: [
				{id: a, name: 'berlin-1'},
				{id: b, name: 'oslo-2'},
				{id: c, name: longName},
				{id: d, name: 'paris-4'},
				{id: e, name: ''},
			],
		});
		expect(JSON.parse((await dapss('leader -o json')).out)).toMatchObject({leader: b, name: 'oslo-2'});
		expect(JSON.parse((await dapss('peers -o json')).out)).toMatchObject([
			{name: 'berlin-1'},
			{name: 'oslo-2'},
			{},
			{},
			{},
		]);
	});

	test('every command with a node accepts its name; the error of an ambiguous name has the candidates', async () => {
		const broker = new FakeBroker(named);
		expect(await dapss('leader transfer oslo-2', broker)).toMatchObject({
			code: 0,
			out: expect.stringContaining('oslo-2 (127.0.0.1:5001) leads now') as string,
		});
		expect(await dapss('peer remove paris-4', broker)).toMatchObject({
			code: 0,
			out: expect.stringContaining('paris-4 (127.0.0.1:5003) is no longer a member') as string,
		});
		expect(await dapss('fault cut paris-4', broker)).toMatchObject({code: 0, out: 'cut: done by berlin-1\n'});
		expect([broker.transfers, broker.removed, broker.faults]).toEqual([
			[b],
			[d],
			[expect.objectContaining({peers: [d]})],
		]);
		const twins = new FakeBroker({
			...named,
			members: named.members.map(member => ({...member, name: member.self ? 'one' : 'twin'})),
		});
		expect(await dapss('peer remove twin', twins)).toMatchObject({
			code: 2,
			err: expect.stringContaining(
				'Expected "twin" to be one member, but it is several: twin (127.0.0.1:5001), twin (127.0.0.1:5002)',
			) as string,
		});
		expect(await dapss('peer remove osl', broker)).toMatchObject({
			code: 2,
			err: expect.stringContaining('Expected "osl" to be a member: berlin-1 (127.0.0.1:5000), oslo-2') as string,
		});
	});

	test('events have names, and ids in JSON', async () => {
		const {out} = await dapss('events');
		expect(out).toContain('INFO  Voters: berlin-1, oslo-2, rack-07.');
		for (const id of [a, b, c]) expect(out).not.toContain(short(id));
		const event: RecordedEvent = {at: 5, type: 'leader', term: 2, leader: a, names: {[a]: 'berlin-1'}};
		expect(JSON.parse(eventLine(event))).toEqual({
			type: 'leader',
			at: 5,
			term: 2,
			leader: a,
			names: {[a]: 'berlin-1'},
		});
	});
});

describe('a line of a log', () => {
	const text = eventLogLine(false);
	test.each<[RecordedEvent, string]>([
		[
			{
				at: Date.UTC(2026, 10, 29, 16, 15, 15, 123),
				type: 'waiting',
				for: '10.0.0.7:5000 to answer (ECONNREFUSED)',
			},
			'2026-11-29T16:15:15.123Z INFO  Waiting for 10.0.0.7:5000 to answer (ECONNREFUSED)',
		],
		[
			{at: 0, type: 'ready', id: a, port: 5000, cluster: 'dapss'},
			'1970-01-01T00:00:00.000Z INFO  Ready: node 3f2a91c4 listens on port 5000 for the cluster dapss',
		],
		[
			{at: 0, type: 'admitted', id: a, clusterId: '9c41d2e07af3b816', names: {[a]: 'n1'}},
			'1970-01-01T00:00:00.000Z INFO  Running: node n1 is a member of the cluster 9c41d2e0',
		],
		[
			{at: 0, type: 'quorum', held: false, reachable: 1, voters: 3},
			'1970-01-01T00:00:00.000Z ERROR No quorum: 1 of 3 voters reachable',
		],
		[
			{at: 0, type: 'named', id: a, name: 'db2', names: {[a]: 'db2'}},
			`1970-01-01T00:00:00.000Z INFO  ${a.slice(0, 8)} is named db2`,
		],
		[
			{at: 0, type: 'named', id: a, name: 'db2', was: 'db1', names: {[a]: 'db2'}},
			`1970-01-01T00:00:00.000Z INFO  ${a.slice(0, 8)} is named db2 (was db1)`,
		],
		[
			{
				at: 0,
				type: 'refused',
				id: undefined,
				address: '10.0.0.9:4',
				code: 'not-authenticated',
				reason: 'peer 10.0.0.9:4 has another secret than this node',
				by: 'us',
			},
			'1970-01-01T00:00:00.000Z WARN  Refused 10.0.0.9:4: has another secret than this node',
		],
		[
			{at: Number.MAX_VALUE, type: 'paused', forMs: 300},
			`${Number.MAX_VALUE} WARN  This node did not run for 300 ms`,
		],
	])('has date and level: %j', (event, line) => {
		expect(text(event)).toBe(line);
	});

	test('of an unknown event has its type, and level info', () => {
		const newer = {at: 0, type: 'eclipse'} as unknown as RecordedEvent;
		expect(levelOf(newer)).toBe('info');
		expect(text(newer)).toBe('1970-01-01T00:00:00.000Z INFO  eclipse');
	});
});
