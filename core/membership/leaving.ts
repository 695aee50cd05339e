/**
This node leaves its cluster: it hands over its leadership, its vote and its membership (`management.ts`), then its disk notes that it left, so that it
starts again under a new id, then it stops. In this order: a note that it left while its vote still counts would cost the vote. Before that the disk notes
that it asked: a node that stops in between, and finds at its next start that it was removed, knows that it wanted to be.
*/
import {leftReason} from '../api.ts';
import {DapssError} from '../errors.ts';
import type {KeptState} from '../node-state.ts';
import type {Snapshot} from '../observe/snapshot.ts';

export type LeavingOptions = {
	readonly phase: () => Snapshot['phase'];
	/** Members that are agreed, this node included. */
	readonly members: () => number;
	/** Resolves when this node is no member any more. */
	readonly giveUp: () => Promise<void>;
	/** Resolves when the disk knows whether this node left, or asked to. */
	readonly note: (left: KeptState['left']) => Promise<void>;
	/** It asked before its last stop, and did not learn the answer. */
	readonly hasAsked: boolean;
	readonly stop: (reason: string) => void;
	readonly failed: (error: unknown) => void;
};

export class Leaving {
	readonly #options: LeavingOptions;
	#leaving: Promise<void> | undefined;

	constructor(options: LeavingOptions) {
		this.#options = options;
	}

	/** See `Broker.leave`. Asked again, it answers as the first time; after a refusal it may be tried again. */
	leave(): Promise<void> {
		this.#leaving ??= this.#leave().catch((error: unknown) => {
			this.#leaving = undefined;
			throw error;
		});
		return this.#leaving;
	}

	/** This node was removed. True when that is what it asked for. */
	onRemoved(): boolean {
		const {note, stop, failed, hasAsked} = this.#options;
		if (!this.#leaving && !hasAsked) return false;
		note(true).catch(failed);
		stop(this.#leaving ? leftReason : 'this node had left the cluster before it stopped: start it once more, and it joins as a new member');
		return true;
	}

	async #leave(): Promise<void> {
		const {phase, members, giveUp, note, stop} = this.#options;
		const now = phase();
		if (now === 'stopping') throw new DapssError('closed', 'The node is stopping already');
		if (now !== 'running') throw new DapssError('refused', `This node is ${now}, it is no member yet: there is nothing to leave. Stop it instead`);
		if (members() <= 1) throw new DapssError('refused', 'This node is the only member of its cluster: there is nothing to leave. Stop it instead');
		await note('asked');
		try {
			await giveUp();
		} catch (error) {
			// It may still happen when nobody said no in time.
			if (!(error instanceof DapssError && error.code === 'timeout')) await note(undefined);
			throw error;
		}

		await note(true);
		stop(leftReason);
	}
}
