/**
The agreement on which process uses the identity of this node. Each process draws an instance number at its start and claims the identity with it, through
the log. A claim with a higher incarnation supersedes the former process; of two processes of one incarnation (a data folder that was copied) the first claim wins.
What the proposal is answered says nothing, since both processes share one session: only the agreed instance counts.
*/
import type {NodeId} from '../message.ts';
import {namesProtocol, type AgreedInstance, type Topics} from '../topics/topics.ts';

export type ClaimOptions = AgreedInstance & {
	readonly self: NodeId;
	readonly agreed: Pick<Topics, 'protocol' | 'instance' | 'address'>;
	readonly nowMs: () => number;
	readonly hasLeader: () => boolean;
	readonly propose: () => Promise<void>;
};

const retryMs = 250;

export class Claim {
	/** Called once, when it is agreed that another process uses the identity: this one must stop. */
	onLost: (by: AgreedInstance) => void = () => undefined;
	/** Resolves when the agreed instance is that of this process; never, when it is lost first. */
	readonly held: Promise<void>;
	readonly #options: ClaimOptions;
	readonly #held = Promise.withResolvers<void>();
	#state: 'open' | 'held' | 'lost' = 'open';
	#isProposing = false;
	#proposedMs = Number.NEGATIVE_INFINITY;

	constructor(options: ClaimOptions) {
		this.#options = options;
		this.held = this.#held.promise;
	}

	get isHeld(): boolean {
		return this.#state === 'held';
	}

	get isLost(): boolean {
		return this.#state === 'lost';
	}

	/** Claims exist: false in a cluster that still has members of protocol 1. */
	get isNeeded(): boolean {
		return this.#options.agreed.protocol >= namesProtocol;
	}

	/** The agreed state changed. */
	update(): void {
		const {self, incarnation, instance, agreed} = this.#options;
		const current = agreed.instance(self);
		if (this.#state === 'lost' || !current) return;
		if (current.instance === instance) {
			if (this.#state === 'held') return;
			this.#state = 'held';
			this.#held.resolve();
		} else if (current.incarnation >= incarnation) {
			this.#state = 'lost';
			this.onLost(current);
		}
	}

	/** At every tick: propose as soon as that can work. */
	care(): void {
		const {self, agreed, nowMs, hasLeader, propose} = this.#options;
		if (this.#state !== 'open' || this.#isProposing || !this.isNeeded || !hasLeader() || agreed.address(self) === undefined) return;
		if (nowMs() - this.#proposedMs < retryMs) return;
		this.#isProposing = true;
		this.#proposedMs = nowMs();
		propose().catch(() => undefined).finally(() => {
			this.#isProposing = false;
		});
	}
}
