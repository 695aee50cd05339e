/**
How hosts that start together with empty disks come to one cluster: by what they hear of one another (discovery), by the same list of addresses on
all of them, with or without their own, or when so many are there as were expected. This is what a node does today (`core/open.ts`): it
founds when it has no list and heard no member for a while.
*/
import type {NodeId} from '../../../core/message.ts';
import type {Beacon} from './fabric.ts';

/** `none`: the first host founds, the others are given its address. */
export type Way = 'none' | 'discovery' | 'list' | 'list-with-self' | 'expect';
export const togetherWays = ['discovery', 'discovery', 'list', 'list-with-self', 'expect'] as const satisfies readonly Way[];

export type SearchOptions = {
	readonly way: Way;
	readonly seekMs: number;
	readonly wait: (ms: number) => Promise<void>;
	readonly nowMs: () => number;
	readonly isStopped: () => boolean;
};

/** What one process knows of the others by their beacons. */
export class Search {
	readonly #heard = new Map<NodeId, Beacon>();

	hear(beacon: Beacon): void {
		this.#heard.set(beacon.id, beacon);
	}

	/** Where members are, by their own word. */
	members(): readonly string[] {
		return [...this.#heard.values()].filter(({phase}) => phase === 'member').map(({address}) => address);
	}

	/** Whether this process is to found the cluster. */
	async mayFound({way, seekMs, wait, nowMs, isStopped}: SearchOptions): Promise<boolean> {
		if (way === 'list' || way === 'list-with-self') return false;
		const untilMs = nowMs() + seekMs;
		while (this.members().length === 0 && nowMs() < untilMs && !isStopped()) await wait(50);
		return this.members().length === 0 && !isStopped();
	}
}
