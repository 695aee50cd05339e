import {join} from 'node:path';
import {Readable} from 'node:stream';
import {beforeEach, describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {Topic} from '../../../core/message.ts';
import type {SurvivorReport} from '../../../core/recover.ts';
import type {Backend} from '../../../source/context.ts';
import {FakeBroker, type Outcome} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine} from './support/command-line.ts';

const {dapss, home} = commandLine();

test('leave stops the node after it left, or prints the reason of the refusal', async () => {
	const broker = new FakeBroker(snapshots.healthy);
	const {code, out} = await dapss('leave -o json', {broker});
	expect([code, broker.hasLeft]).toEqual([0, true]);
	expect(JSON.parse(out)).toEqual({
		left: snapshots.a,
		name: '',
		address: '127.0.0.1:5000',
		cluster: 'dapss',
		tookMs: expect.any(Number) as number,
	});
	expect((await dapss('leave', {broker: new FakeBroker(snapshots.healthy)})).out).toMatch(
		/^3f2a91c4 \(127\.0\.0\.1:5000\) left the cluster dapss after \d+ ms and stops\. Started again with its data folder it joins as a new member\n$/,
	);
	broker.manageAnswer = async () => {
		throw new DapssError('no-quorum', 'This node cannot leave: no quorum');
	};
	expect(await dapss('leave', {broker})).toEqual({
		code: 11,
		out: '',
		err: 'dapss-tui: This node cannot leave: no quorum\n',
	});
	expect(await dapss('leave 5001', {broker})).toMatchObject({code: 2});
});

describe('leader transfer, peer remove, recover', () => {
	test('transfers leadership to the given node, or to any voter', async () => {
		const broker = new FakeBroker(snapshots.healthy);
		expect(await dapss('leader transfer 5001', {broker})).toMatchObject({
			code: 0,
			out: expect.stringContaining('(127.0.0.1:5001) leads now') as string,
		});
		const {out} = await dapss('leader transfer -o json', {broker});
		expect(JSON.parse(out)).toMatchObject({
			leader: snapshots.b,
			address: '127.0.0.1:5001',
			tookMs: expect.any(Number) as number,
		});
		expect(broker.transfers).toEqual([snapshots.b, undefined]);
		expect(await dapss('leader depose', {broker})).toMatchObject({code: 2});
		expect(await dapss('leader transfer 5009', {broker})).toMatchObject({
			code: 2,
			err: expect.stringContaining('"5009" to be a member') as string,
		});
	});

	test('removes a member, or prints the reason of the refusal', async () => {
		const broker = new FakeBroker(snapshots.healthy);
		expect(await dapss('peer remove 5002 -o json', {broker})).toEqual({
			code: 0,
			out: `${JSON.stringify({removed: snapshots.c, name: '', address: '127.0.0.1:5002'})}\n`,
			err: '',
		});
		expect(broker.removed).toEqual([snapshots.c]);
		broker.manageAnswer = async () => {
			throw new DapssError('refused', 'Without it there is no quorum');
		};
		expect(await dapss('peer remove 5002', {broker})).toEqual({
			code: 1,
			out: '',
			err: 'dapss-tui: Without it there is no quorum\n',
		});
		expect(await dapss('peer', {broker})).toMatchObject({code: 2});
	});

	describe('recover', () => {
		const remains: SurvivorReport = {
			node: snapshots.a,
			name: '',
			address: '127.0.0.1:5000',
			clusterId: 'old-cluster',
			voters: [snapshots.a, snapshots.b, snapshots.c],
			last: {term: 7, index: 40},
			commit: 38,
			topics: ['news' as Topic],
			lost: [
				{id: snapshots.b, name: 'oslo-2', address: '127.0.0.1:5001', voter: true},
				{id: snapshots.d, name: '', address: '127.0.0.1:5003', voter: false},
			],
		};
		let carried: number;
		let opened: string[];
		const backend: Partial<Backend> = {
			async openSurvivor({data}) {
				opened.push(data);
				return {
					report: remains,
					async forceNewCluster() {
						carried++;
						return 'new-cluster';
					},
					async [Symbol.asyncDispose]() {}, // oxlint-disable-line no-empty-function
				};
			},
		};
		beforeEach(() => {
			carried = 0;
			opened = [];
		});

		test('changes nothing before the name of the cluster is given', async () => {
			const {code, out, err} = await dapss('recover --data /d', {backend});
			expect({code, out, carried}).toEqual({code: 2, out: '', carried: 0});
			expect(err).toContain('Nothing was changed: without a terminal, expected --confirm dapss');
			for (const text of [
				'entry 40 of term 7',
				'1 topic,',
				'this node does not know whether the last 2 of them were committed',
				`oslo-2 (127.0.0.1:5001, voter), ${snapshots.d.slice(0, 8)} (127.0.0.1:5003)`,
				'LOST',
			])
				expect(err).toContain(text);
			expect(await dapss('recover --data /d --confirm other', {backend})).toMatchObject({
				code: 2,
				err: expect.stringContaining(
					'Nothing was changed: expected the name of the cluster, dapss, got "other"',
				) as string,
			});
			expect(carried).toBe(0);
		});

		test('prints the next steps after the recovery', async () => {
			const {code, out} = await dapss('recover --data /d --confirm dapss', {backend});
			expect([code, carried]).toEqual([0, 1]);
			expect(out).toContain('is the only voter of the new cluster new-clus now');
			expect(out).toContain('--bootstrap 127.0.0.1:5000');
			const {out: json} = await dapss('recover --data /d --cluster plant --confirm plant -o json', {backend});
			expect(JSON.parse(json)).toEqual({
				cluster: 'plant',
				clusterId: 'new-cluster',
				formerClusterId: 'old-cluster',
				node: snapshots.a,
				address: '127.0.0.1:5000',
				formerVoters: remains.voters,
				lost: [snapshots.b, snapshots.d],
				topics: ['news'],
				last: {term: 7, index: 40},
			});
		});

		test('asks for the name of the cluster on a terminal', async () => {
			const asked = (answer: string): Promise<Outcome> =>
				dapss('recover --data /d', {
					backend,
					stdin: Object.assign(Readable.from([Buffer.from(answer)]), {isTTY: true}),
				});
			expect(await asked('dapss\n')).toMatchObject({
				code: 0,
				err: expect.stringContaining('Type the name of the cluster, dapss, to continue:') as string,
			});
			expect(await asked('yes\n')).toMatchObject({code: 2});
			expect(await asked('')).toMatchObject({code: 2});
			expect(carried).toBe(1);
		});

		test('requires --data or --port', async () => {
			expect(await dapss('recover --confirm dapss', {backend})).toMatchObject({
				code: 2,
				err: expect.stringContaining('Expected --data DIR or --port PORT') as string,
			});
			expect(await dapss('recover --confirm dapss --port 5001', {backend})).toMatchObject({code: 0});
			expect(opened).toEqual([join(home, '.local', 'share', 'dapss', 'dapss', '5001')]);
		});
	});
});
