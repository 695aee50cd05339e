/**
This node leaves its cluster, in this order:

1. Write to disk that it asked. If the node stops before step 3, and its next start finds that it was removed, it knows
   that it asked for that.
2. Give up its leadership, its vote and its membership (`control/admin.ts`).
3. Write to disk that it left: the next start uses a new id. Before step 2 this would lose a vote that still counts.
4. Stop.
*/
import {leftReason} from '../broker.ts';
import type {ClusterState} from '../cluster-state/cluster-state.ts';
import type {Admin} from '../control/admin.ts';
import {DapssError} from '../errors.ts';
import type {RefusedPeer} from '../io/net/channel.ts';
import type {NodeStateWriter} from '../node-state/node-state-writer.ts';
import type {Snapshot} from '../snapshot.ts';

export type LeavingOptions = {
	readonly admin: Pick<Admin, 'leave'>;
	readonly stateWriter: Pick<NodeStateWriter, 'left'>;
	readonly state: Pick<ClusterState, 'members'>;
	readonly phase: () => Snapshot['phase'];
	/** The node asked before its last stop, and did not learn the answer. */
	readonly hasAsked: boolean;
	readonly stop: (reason: string) => void;
	readonly failed: (error: unknown) => void;
};

const removedReason =
	'this node was removed from the cluster: to join again, start it with an empty data folder. ' +
	'Keep the old folder: messages that were published here and had not reached other nodes are in no other place';
const hadAskedReason =
	'this node had left the cluster before it stopped: start it once more, and it joins as a new member';

export class Leaving {
	readonly #options: LeavingOptions;
	#leaving: Promise<void> | undefined;

	constructor(options: LeavingOptions) {
		this.#options = options;
	}

	/** A peer refuses this node because it was removed, and the node asked for that, now or before its last stop. */
	isExpected({code, by}: Pick<RefusedPeer, 'code' | 'by'>): boolean {
		return code === 'removed' && by === 'peer' && this.#isWanted;
	}

	/** See `Broker.leave`. A second call shares the answer of the first; after a refusal it may be tried again. */
	leave(): Promise<void> {
		this.#leaving ??= this.#leave().catch((error: unknown) => {
			this.#leaving = undefined;
			throw error;
		});
		return this.#leaving;
	}

	/** This node was removed: on its own request, or by an operator. */
	onRemoved(): void {
		const {stateWriter, stop, failed} = this.#options;
		if (!this.#isWanted) return stop(removedReason);
		stateWriter.left(true).catch(failed);
		stop(this.#leaving ? leftReason : hadAskedReason);
	}

	get #isWanted(): boolean {
		return this.#leaving !== undefined || this.#options.hasAsked;
	}

	async #leave(): Promise<void> {
		const {phase, state, admin, stateWriter, stop} = this.#options;
		const now = phase();
		if (now === 'stopping') throw new DapssError('closed', 'The node is stopping already');
		if (now !== 'running')
			throw new DapssError(
				'refused',
				`This node is ${now} and not a member yet: there is nothing to leave. Stop it instead`,
			);
		if (state.members().length <= 1)
			throw new DapssError(
				'refused',
				'This node is the only member of its cluster: there is nothing to leave. Stop it instead',
			);
		await stateWriter.left('asked');
		try {
			await admin.leave();
		} catch (error) {
			// After a timeout the removal may still be agreed.
			if (!(error instanceof DapssError && error.code === 'timeout')) await stateWriter.left(undefined);
			throw error;
		}

		await stateWriter.left(true);
		stop(leftReason);
	}
}
