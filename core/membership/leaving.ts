/**
This node leaves its cluster: the cluster gives up its leadership, its vote and its membership (`management.ts`), then its disk notes that it left, so
that it starts again under a new id, then it stops. In this order: a note on the disk about a vote that still counts would cost the vote.
*/
import {leftReason} from '../api.ts';
import {DapssError} from '../errors.ts';
import type {Snapshot} from '../observe/snapshot.ts';

export type LeavingOptions = {
	readonly phase: () => Snapshot['phase'];
	/** Members that are agreed, this node included. */
	readonly members: () => number;
	/** Resolves when this node is no member any more. */
	readonly giveUp: () => Promise<void>;
	/** Resolves when the disk knows that this node left. */
	readonly note: () => Promise<void>;
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
		if (!this.#leaving) return false;
		const {note, stop, failed} = this.#options;
		note().catch(failed);
		stop(leftReason);
		return true;
	}

	async #leave(): Promise<void> {
		const {phase, members, giveUp, note, stop} = this.#options;
		const now = phase();
		if (now === 'stopping') throw new DapssError('closed', 'The node is stopping already');
		if (now !== 'running') throw new DapssError('refused', `This node is ${now}, it is no member yet: there is nothing to leave. Stop it instead`);
		if (members() <= 1) throw new DapssError('refused', 'This node is the only member of its cluster: there is nothing to leave. Stop it instead');
		await giveUp();
		await note();
		stop(leftReason);
	}
}
