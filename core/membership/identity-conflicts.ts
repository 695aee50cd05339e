/**
Two misconfigurations that a healthy cluster does not have: another cluster of the same name on the network, and a
second process that uses the identity of a member. Each one is reported as an event when it is first observed, and stays
in the snapshot while it was observed lately.
*/
import type {BrokerEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Snapshot} from '../snapshot.ts';

export type IdentityConflictsOptions = {
	readonly cluster: string;
	readonly clusterId: () => string;
	readonly nowMs: () => number;
	readonly emit: (event: BrokerEvent) => void;
};

/**
Beacons of another cluster arrive about once a second. A duplicate process stops, and must stay visible after that.
*/
const foreignMs = 10_000;
const duplicateMs = 60_000;
const entriesMax = 64;

export class IdentityConflicts {
	readonly #options: IdentityConflictsOptions;
	readonly #foreign = new Map<string, {readonly address: string; readonly atMs: number}>();
	readonly #duplicates = new Map<NodeId, {readonly address: string; readonly other: string; readonly atMs: number}>();

	constructor(options: IdentityConflictsOptions) {
		this.#options = options;
	}

	/** A node of another cluster of this name was heard at this address. */
	foreign(clusterId: string, address: string): void {
		const {cluster, nowMs, emit} = this.#options;
		const isNew = !this.#foreign.has(clusterId);
		if (isNew && this.#foreign.size >= entriesMax) return;
		this.#foreign.set(clusterId, {address, atMs: nowMs()});
		if (isNew) emit({type: 'discovered', cluster, clusterId, address, foreign: true});
	}

	/** Two processes use the identity of one node. @param other where the second one runs, which is refused */
	duplicate(id: NodeId, address: string, other: string): void {
		const {nowMs, emit} = this.#options;
		const known = this.#duplicates.get(id);
		if (!known && this.#duplicates.size >= entriesMax) return;
		this.#duplicates.set(id, {address, other, atMs: nowMs()});
		if (known?.other !== other || known.address !== address) emit({type: 'duplicate', id, address, other});
	}

	snapshot(): Pick<Snapshot, 'foreign' | 'duplicates'> {
		const {nowMs, clusterId} = this.#options;
		const now = nowMs();
		for (const [id, {atMs}] of this.#foreign)
			if (now - atMs > foreignMs || id === clusterId()) this.#foreign.delete(id);
		for (const [id, {atMs}] of this.#duplicates) if (now - atMs > duplicateMs) this.#duplicates.delete(id);
		return {
			foreign: [...this.#foreign].map(([id, {address, atMs}]) => ({
				clusterId: id,
				address,
				heardMsAgo: Math.round(now - atMs),
			})),
			duplicates: [...this.#duplicates].map(([id, {address, other, atMs}]) => ({
				id,
				address,
				other,
				msAgo: Math.round(now - atMs),
			})),
		};
	}
}
