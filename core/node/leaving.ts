/**
This node leaves its cluster: it hands over its leadership, its vote and its membership (`management.ts`), then its disk
notes that it left, so that it starts again under a new id, then it stops. In this order: a note that it left while its
vote still counts would cost the vote. Before that the disk notes that it asked: a node that stops in between, and finds
at its next start that it was removed, knows that it wanted to be.
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
	/** It asked before its last stop, and did not learn the answer. */
	readonly hasAsked: boolean;
	readonly stop: (reason: string) => void;
	readonly failed: (error: unknown) => void;
};

const removedReason =
	'this node was removed from the cluster: to join again, start it with an empty data folder. Keep the old folder: what was published here and had not reached the others is in no other place';
const hadAskedReason =
	'this node had left the cluster before it stopped: start it once more, and it joins as a new member';

export class Leaving {
	readonly #options: LeavingOptions;
	#leaving: Promise<void> | undefined;

	constructor(options: LeavingOptions) {
		this.#options = options;
	}

	/**
	A peer refuses this node as one that was removed: that is what it asked for, now or before its last stop, and no
	news.
	*/
	isExpected({code, by}: Pick<RefusedPeer, 'code' | 'by'>): boolean {
		return code === 'removed' && by === 'peer' && this.#isWanted;
	}

	/** See `Broker.leave`. Asked again, it answers as the first time; after a refusal it may be tried again. */
	leave(): Promise<void> {
		this.#leaving ??= this.#leave().catch((error: unknown) => {
			this.#leaving = undefined;
			throw error;
		});
		return this.#leaving;
	}

	/** This node was removed: because it asked for that, or by an operator. */
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
				`This node is ${now}, it is no member yet: there is nothing to leave. Stop it instead`,
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
			// It may still happen when nobody said no in time.
			if (!(error instanceof DapssError && error.code === 'timeout')) await stateWriter.left(undefined);
			throw error;
		}

		await stateWriter.left(true);
		stop(leftReason);
	}
}
