/** `doctor` on a network: beacons of other nodes, and interfaces without multicast. */
import {once} from 'node:events';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster} from '../../bench/cluster.ts';
import type {Check} from '../../source/doctor/outcome.ts';
import {cli} from './support/command.ts';
import {isReady} from './support/events.ts';
import {canFilter, Network, sayNotRun, type Host} from './support/namespaces.ts';

sayNotRun('test/e2e/doctor-network.test.ts', true);

describe.runIf(canFilter)('doctor on a network', () => {
	let network: Network;
	let cluster: Cluster;
	beforeAll(() => {
		network = new Network();
		cluster = new Cluster({cli, settings: {discovery: {enabled: true, interval_ms: 300}}});
	});
	afterAll(async () => {
		await cluster[Symbol.asyncDispose]();
		network[Symbol.dispose]();
	});

	async function doctor(
		host: Host,
		...flags: string[]
	): Promise<{readonly code: number | null; of(code: string): Check}> {
		const {code, stdout} = await host.run(['doctor', ...flags, ...cluster.clientFlags, '-o', 'json']);
		const {checks} = JSON.parse(stdout) as {checks: readonly Check[]};
		return {code, of: name => checks.find(check => check.code === name)!};
	}

	test('receives the beacons of another host, and warns with the interface when a firewall drops multicast', async () => {
		const [a, b] = [network.host({v6: false}), network.host({v6: false})];
		const node = a.start(cluster, ['--host', a.v4]);
		await node.waitFor(isReady, 'ready');
		const free = await doctor(b, '--host', b.v4);
		expect(free.code).toBe(0);
		expect(free.of('multicast').values).toMatchObject({works: ['127.0.0.1', b.v4], fails: []});
		expect(free.of('neighbours').values['heard']).toEqual([`${node.id} ${a.v4}:5000 member`]);
		expect(free.of('address').found).toContain(`at ${b.v4}:5000`);

		const [code] = await once(
			b.spawn('nft', [
				'add table ip wall; add chain ip wall out { type filter hook output priority 0; }; add rule ip wall out oifname "eth" udp dport 45454 drop',
			]),
			'close',
		);
		expect(code).toBe(0);
		const walled = await doctor(b, '--host', b.v4);
		expect(walled.code).toBe(0);
		expect(walled.of('multicast')).toMatchObject({
			reason: 'some',
			level: 'warning',
			values: {works: ['127.0.0.1'], fails: [b.v4]},
		});
	}, 60_000);

	test('reports an address of another machine, and a wildcard on a machine with two addresses', async () => {
		const two = network.host({v6: false, more: ['192.168.7.1/24']});
		const absent = await doctor(two, '--host', '10.9.9.9');
		expect([absent.code, absent.of('tcp-port').reason, absent.of('udp-port').reason]).toEqual([
			1,
			'not-here',
			'not-here',
		]);
		expect(absent.of('tcp-port').remedy).toContain(two.v4);
		const unclear = await doctor(two, '--host', '0.0.0.0');
		expect([unclear.code, unclear.of('address').reason, unclear.of('address').remedy]).toEqual([
			1,
			'unclear',
			'Use --advertise to choose the one for other nodes',
		]);
		expect((await doctor(two, '--host', '0.0.0.0', '--advertise', two.v4)).code).toBe(0);
	}, 60_000);
});
