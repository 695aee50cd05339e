import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import {FakeBroker} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

describe('views', () => {
	test('peers shows the version of each node, and the protocols while they differ', async () => {
		const {out} = await dapss('peers');
		expect(out).toMatch(/LINK +VERSION +WHY/);
		expect(out).toMatch(/up +0\.1\.0/);
		const mixed = {
			...snapshots.healthy,
			members: snapshots.healthy.members.map((member, index) =>
				index === 1 ? {...member, version: '0.0.9', protocol: 1} : member,
			),
		};
		const differs = (await dapss('peers', {broker: new FakeBroker(mixed)})).out;
		expect(differs).toMatch(/VERSION +PROTOCOL +WHY/);
		expect(differs).toMatch(/0\.0\.9 +1/);
	});

	test('status -o json has exactly the documented fields', async () => {
		const {code, out} = await dapss('status -o json');
		const status = JSON.parse(out) as Record<string, unknown>;
		expect(code).toBe(0);
		expect(status).toMatchObject({
			cluster: 'dapss',
			self: snapshots.a,
			role: 'leader',
			term: 4,
			leader: snapshots.a,
			commit: 318,
			applied: 318,
			quorum: {has: true, voters: 3, reachable: 3},
			clusterId: snapshots.healthy.clusterId,
			foreign: [],
			duplicates: [],
			partition: {state: 'whole'},
			lamport: 10_428,
			faults: [],
			version: '0.1.0',
			protocol: 2,
		});
		expect((status['members'] as object[])[1]).toEqual({
			id: snapshots.b,
			name: '',
			address: '127.0.0.1:5001',
			state: 'alive',
			voter: true,
			rttMs: snapshots.healthy.members[1]!.rttMs,
			version: '0.1.0',
			protocol: 2,
		});
		expect(Object.keys((status['topics'] as object[])[0]!)).toEqual([
			'name',
			'durable',
			'subscribers',
			'messages',
			'bytes',
			'missing',
			'rates',
			'created',
			'retention',
			'settings',
		]);
		expect(
			JSON.parse((await dapss('status -o json', {broker: new FakeBroker(snapshots.leaderless)})).out),
		).toMatchObject({leader: null});
	});

	test('status has the missing voters, the consequence and a remedy', async () => {
		const broker = new FakeBroker(snapshots.lost);
		const {out} = await dapss('status', {broker});
		expect(out).toContain(
			`missing     ${snapshots.c.slice(0, 8)} (127.0.0.1:5002) down for 2 min 5 s; 2 of 3 voters left: ` +
				'no further may fail\n',
		);
		expect(out).toContain(
			'what helps  start it again, or repair the network to it; a node that is gone for good is taken out ' +
				`by dapss-tui peer remove ${snapshots.c.slice(0, 8)}, and a new one takes its place`,
		);
		expect(JSON.parse((await dapss('status -o json', {broker})).out)).toMatchObject({
			quorum: {
				has: true,
				voters: 3,
				reachable: 2,
				missing: [{id: snapshots.c, address: '127.0.0.1:5002', state: 'down', downMs: 125_000}],
			},
		});
		expect((await dapss('status')).out).not.toContain('missing');
	});

	test('leader ends with 12 without a leader', async () => {
		expect(await dapss('leader')).toMatchObject({code: 0, out: expect.stringContaining(snapshots.a) as string});
		expect(await dapss('leader -o json', {broker: new FakeBroker(snapshots.leaderless)})).toMatchObject({
			code: 12,
			out: expect.stringContaining('"leader":null') as string,
		});
	});

	test('text from the network is harmless on a terminal, with or without colour', async () => {
		for (const line of ['status', 'peers', 'topics', 'leader', 'check', 'events']) {
			const {out} = await dapss(line, {
				broker: new FakeBroker(snapshots.hostile),
				isTerminal: true,
				env: {FORCE_COLOR: '0'},
			});
			// oxlint-disable-next-line no-control-regex -- the test excludes these characters
			expect(out).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u202A-\u202E\u2066-\u2069]/u);
		}
	});

	test('no colour codes without a terminal', async () => {
		for (const line of ['status', 'peers', 'topics', 'check', 'events', '--help'])
			expect((await dapss(line)).out).not.toContain('\u001B');
		expect((await dapss('check', {env: {FORCE_COLOR: '1'}})).out).toContain('\u001B[32mhealthy');
	});
});

describe('check', () => {
	test('a healthy cluster ends with 0', async () =>
		expect(await dapss('check')).toMatchObject({
			code: 0,
			out: expect.stringMatching(/^healthy: cluster dapss, 3 of 3 members/) as string,
		}));

	test('a lost quorum is reported with the missing voters and a remedy', async () => {
		const {members, raft} = snapshots.healthy;
		const snapshot = {
			...snapshots.healthy,
			raft: {...raft, hasQuorum: false, quorum: 'lost' as const, leader: undefined, reachableVoters: 1},
			members: members.map((member, index) =>
				index === 0 ? member : {...member, state: 'down' as const, reached: false, why: 'connection refused'},
			),
		};
		const broker = new FakeBroker(snapshot);
		const {code, out} = await dapss('check', {broker});
		expect(code).toBe(11);
		expect(out).toContain(
			'1 of 3 voters reachable, 2 needed; missing: ' +
				`${snapshots.b.slice(0, 8)} (127.0.0.1:5001, connection refused, down), ${snapshots.c.slice(0, 8)}`,
		);
		expect(out).toContain('Start 1 of the missing nodes again');
		expect(out).toContain('Only if their disks are gone for good: stop this node and run dapss-tui recover for it');
		expect(JSON.parse((await dapss('check -o json', {broker})).out)).toMatchObject({verdict: 'no-quorum'});
	});

	test('a healthy snapshot counts only if a quorum confirms it', async () => {
		const broker = healthy();
		broker.readIndexAnswer = async () => {
			throw new DapssError('no-quorum', 'no quorum');
		};
		expect((await dapss('check', {broker})).code).toBe(11);
		broker.readIndexAnswer = async () => {
			throw new DapssError('no-leader', 'no leader');
		};
		expect((await dapss('check', {broker})).code).toBe(12);
	});

	test('check reports a missing leader, a dead member, a partition and a joining node', async () => {
		expect(
			(
				await dapss('check', {
					broker: new FakeBroker({
						...snapshots.healthy,
						raft: {...snapshots.healthy.raft, leader: undefined, hasQuorum: false, quorum: 'electing'},
					}),
				})
			).code,
		).toBe(12);
		expect(await dapss('check', {broker: new FakeBroker(snapshots.joining)})).toMatchObject({
			code: expect.not.toBeOneOf([0]) as number,
		});
		const members = snapshots.healthy.members.map((member, index) =>
			index === 2 ? {...member, state: 'suspect' as const} : member,
		);
		expect(await dapss('check', {broker: new FakeBroker({...snapshots.healthy, members})})).toMatchObject({
			code: 10,
			out: expect.stringContaining('is suspect, and votes') as string,
		});
		const {out, code} = await dapss('check', {
			broker: new FakeBroker({
				...snapshots.partitioned,
				raft: {...snapshots.partitioned.raft, hasQuorum: true, leader: snapshots.a},
			}),
		});
		expect(code).toBe(10);
		expect(out).toMatch(/Partitioned for .*\(quorum\)/);
	});
});
