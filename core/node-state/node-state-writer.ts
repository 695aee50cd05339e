/**
Keeps `node.json` up to date: what must outlive a restart is written when it changes, one write after the other. The
members are in it for the day on which the Raft log is damaged: without them a node that was told of nobody would not
find its cluster again.
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
	/** As known before this node had to join anew. */
	readonly former: KeptState['members'];
	readonly write: (state: KeptState) => Promise<void>;
	readonly failed: (error: unknown) => void;
};

export class NodeStateWriter {
	readonly #options: NodeStateWriterOptions;
	/** The part that was written last which follows from what is agreed. */
	#agreed = '';
	#saving: Promise<void> = Promise.resolve();
	#left: KeptState['left'];
	#leftSaved: Promise<void> | undefined;

	constructor(options: NodeStateWriterOptions) {
		this.#options = options;
	}

	/** Resolves when the state as it is then is on the disk. */
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

	/** This node left its cluster, or asked to, or stays. Resolves when the disk knows it too. */
	left(left: KeptState['left']): Promise<void> {
		if (left !== this.#left || !this.#leftSaved) {
			this.#left = left;
			this.#leftSaved = this.save();
		}

		return this.#leftSaved;
	}

	/** What is agreed has changed: write it down if it is any of what is kept. */
	agreed(): void {
		const {members, since} = this.#state();
		const agreed = JSON.stringify([members, since]);
		if (agreed === this.#agreed) return;
		this.#agreed = agreed;
		void this.save().catch(() => undefined);
	}

	/** Resolves when the next stamp is below a ceiling that is on the disk; `undefined` when it is. */
	stampable(): Promise<void> | undefined {
		const {lamport} = this.#options;
		if (lamport.isPersisted) return undefined;
		lamport.nextCeiling();
		return this.save();
	}

	/** All that was to be written is, or has failed. */
	async settled(): Promise<void> {
		await this.#saving.catch(() => undefined);
	}

	#state(): KeptState {
		const {self, topics, interests, clusterId, lamport, former} = this.#options;
		const agreed = topics.members().map(({id, address}) => [id, address] as const);
		const isMember = topics.address(self) !== undefined;
		// A log that is young names those who were there in the beginning, who may be gone.
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
