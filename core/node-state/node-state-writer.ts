/**
Keeps `node.json` up to date: state that must survive a restart is written when it changes, one write after the other.
The members are included in case the Raft log is damaged: a node without seeds could not find its cluster otherwise.
*/
import type {ClusterState} from '../cluster-state/cluster-state.ts';
import type {DesiredSubscriptions} from '../control/desired-subscriptions.ts';
import type {Lamport} from '../lamport.ts';
import type {NodeId} from '../message.ts';
import {membersMax, type KeptState} from './node-state.ts';

export type NodeStateWriterOptions = {
	readonly self: NodeId;
	readonly topics: ClusterState;
	readonly interests: DesiredSubscriptions;
	readonly clusterId: () => string;
	readonly lamport: Lamport;
	/** The members known before this node had to join again. */
	readonly former: KeptState['members'];
	readonly write: (state: KeptState) => Promise<void>;
	readonly failed: (error: unknown) => void;
};

export class NodeStateWriter {
	readonly #options: NodeStateWriterOptions;
	/** The last written part that is derived from the agreed state, as JSON. */
	#agreed = '';
	#saving: Promise<void> = Promise.resolve();
	#left: KeptState['left'];
	#leftSaved: Promise<void> | undefined;

	constructor(options: NodeStateWriterOptions) {
		this.#options = options;
	}

	/** Resolves when the state at the time of the call, or a later one, is on the disk. */
	save(): Promise<void> {
		const {write, failed, lamport} = this.#options;
		this.#saving = this.#saving
			.catch(() => undefined)
			.then(async () => {
				const state = this.#state();
				await write(state);
				lamport.persisted(state.lamport);
			});
		this.#saving.catch(failed);
		return this.#saving;
	}

	/** Records that this node left its cluster, asked to leave, or stays. Resolves when that is on the disk. */
	left(left: KeptState['left']): Promise<void> {
		if (left !== this.#left || !this.#leftSaved) {
			this.#left = left;
			this.#leftSaved = this.save();
		}

		return this.#leftSaved;
	}

	/** The agreed state changed: writes the file if a part of it depends on the change. */
	agreed(): void {
		const {members, since} = this.#state();
		const agreed = JSON.stringify([members, since]);
		if (agreed === this.#agreed) return;
		this.#agreed = agreed;
		void this.save().catch(() => undefined);
	}

	/**
	`undefined` when the next Lamport stamp is below a ceiling that is on the disk; otherwise resolves when it is.
	*/
	stampable(): Promise<void> | undefined {
		const {lamport} = this.#options;
		if (lamport.isPersisted) return undefined;
		lamport.nextCeiling();
		return this.save();
	}

	/** Resolves when every pending write has finished or failed. */
	async settled(): Promise<void> {
		await this.#saving.catch(() => undefined);
	}

	#state(): KeptState {
		const {self, topics, interests, clusterId, lamport, former} = this.#options;
		const agreed = topics.members().map(({id, address}) => [id, address] as const);
		const isMember = topics.address(self) !== undefined;
		// A log that is being replayed lists the first members of the cluster, which may be gone: keep the known ones
		// until then.
		const members = new Map([...(isMember ? [[self, topics.address(self)!] as const] : former), ...agreed]);
		return {
			clusterId: clusterId(),
			lamport: lamport.ceiling,
			topics: [...interests.own],
			members: [...members].slice(0, membersMax),
			since: interests.since(),
			left: this.#left,
		};
	}
}
