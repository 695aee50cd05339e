import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {FakeBroker} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

describe('fault', () => {
	test('a cut applies to every node of the first group, towards the second', async () => {
		const brokers = new Map(['127.0.0.1:5000', '127.0.0.1:5001'].map(address => [address, healthy()]));
		const {code, out} = await dapss(
			`fault cut 5000,${snapshots.b.slice(0, 8)} 127.0.0.1:5002 --for 30s --one-way -o json`,
			{broker: address => brokers.get(address)!},
		);
		expect(code).toBe(0);
		for (const broker of brokers.values())
			expect(broker.faults).toEqual([{type: 'cut', peers: [snapshots.c], direction: 'out', forMs: 30_000}]);
		expect(JSON.parse(out)).toMatchObject({nodes: [snapshots.a, snapshots.b]});
	});

	test('a node is isolated from all others, and no fault is for ever', async () => {
		const brokers = new Map(['127.0.0.1:5000', '127.0.0.1:5001'].map(address => [address, healthy()]));
		expect(await dapss('fault isolate 5001', {broker: address => brokers.get(address)!})).toMatchObject({code: 0});
		expect(brokers.get('127.0.0.1:5001')!.faults).toEqual([
			{
				type: 'cut',
				peers: snapshots.healthy.members.map(({id}) => id).filter(id => id !== snapshots.b),
				direction: 'both',
				forMs: 10_000,
			},
		]);
		expect(brokers.get('127.0.0.1:5000')!.faults).toEqual([]);
		expect(await dapss('fault drop 10 --for 0s')).toMatchObject({code: 2});
	});

	test('an unknown name and a node in both groups are refused', async () => {
		expect(await dapss('fault cut 5000 5009')).toMatchObject({
			code: 2,
			err: expect.stringContaining('"5009" to be a member') as string,
		});
		expect(await dapss('fault cut 5000,5001 5001')).toMatchObject({
			code: 2,
			err: expect.stringContaining('is in both') as string,
		});
	});

	test('delay and drop are for the asked node, heal for all reachable nodes', async () => {
		const broker = healthy();
		await dapss('fault delay 200ms', {broker});
		await dapss('fault drop 12.5 --for 1m', {broker});
		expect(broker.faults).toEqual([
			{type: 'delay', ms: 200, forMs: 10_000},
			{type: 'drop', percent: 12.5, forMs: 60_000},
		]);
		const asked: string[] = [];
		const some = (address: string): FakeBroker => {
			if (address.endsWith('5002')) throw new DapssError('unreachable', 'refused');
			const one = healthy();
			one.fault = async () => void asked.push(address);
			return one;
		};
		expect(await dapss('fault heal', {broker: some})).toMatchObject({
			code: 0,
			err: expect.stringContaining('127.0.0.1:5002): refused') as string,
		});
		expect(asked.toSorted()).toEqual(['127.0.0.1:5000', '127.0.0.1:5001']);
	});
});
