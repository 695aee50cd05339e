/** Clusters for a test: removed with the test, or with a port of their own for beacons. */
import {onTestFinished} from 'vitest';
import {Cluster, freePorts, type ClusterOptions} from '../../../bench/cluster.ts';
import {cli} from './command.ts';

/** A cluster of the built command line, which is removed after the current test. */
export function newCluster(options: Partial<ClusterOptions> = {}): Cluster {
	const cluster = new Cluster({cli, ...options});
	onTestFinished(() => cluster[Symbol.asyncDispose]());
	return cluster;
}

type DiscoverySettings = {
	readonly discovery: {readonly enabled: boolean; readonly port: number; readonly interval_ms: number};
};

/** Settings with a free port for beacons, so that the nodes receive no beacons of other clusters on this machine. */
export async function separateDiscovery(intervalMs: number, enabled = true): Promise<DiscoverySettings> {
	const [port] = (await freePorts(1)) as [number];
	return {discovery: {enabled, port, interval_ms: intervalMs}};
}
