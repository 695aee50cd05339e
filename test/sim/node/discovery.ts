/**
Candidate addresses of other nodes, as `core/io/net/discovery.ts` finds them: the list that a host is started with,
beacons, and former members. Hosts that start together with empty disks find each other in one of these modes.
*/
import type {NodeId} from '../../../core/message.ts';
import type {Candidate} from '../../../core/ports.ts';
import type {Beacon} from './fabric.ts';

/** `none`: the first host founds the cluster, and the others get its address. */
export type DiscoveryMode = 'none' | 'discovery' | 'list' | 'list-with-self' | 'expect';
export const discoveryModes = [
	'discovery',
	'discovery',
	'list',
	'list-with-self',
	'expect',
] as const satisfies readonly DiscoveryMode[];

/** Five lost beacons in a row are tolerated. */
const heardIntervals = 5;

/** The beacons that one process received. */
export class HeardBeacons {
	readonly #heard = new Map<NodeId, {readonly beacon: Beacon; readonly atMs: number}>();

	hear(beacon: Beacon, nowMs: number): void {
		this.#heard.set(beacon.id, {beacon, atMs: nowMs});
	}

	/** @param clusterId of the process; other clusters refuse a member of this one */
	candidates(
		lists: ReadonlyArray<readonly string[]>,
		{
			clusterId,
			nowMs,
			intervalMs,
		}: {readonly clusterId: string; readonly nowMs: number; readonly intervalMs: number},
	): readonly Candidate[] {
		const fresh = [...this.#heard.values()].filter(
			({atMs, beacon}) =>
				nowMs - atMs < heardIntervals * intervalMs &&
				(clusterId === '' || beacon.clusterId === '' || beacon.clusterId === clusterId),
		);
		const found = new Map<string, Candidate>();
		for (const address of lists.flat()) found.set(address, {address, isMember: false});
		for (const {
			beacon: {address, phase},
		} of fresh)
			if (!found.get(address)?.isMember) found.set(address, {address, isMember: phase === 'member'});
		return [...found.values()];
	}
}
