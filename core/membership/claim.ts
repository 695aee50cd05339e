/**
The agreement on which process uses the identity of this node. Each process draws an instance number at its start and
claims the identity with it, through the log. A claim with a higher incarnation supersedes the former process; of two
processes of one incarnation (a data folder that was copied) the first claim wins. What the proposal is answered says
nothing, since both processes share one session: only the agreed instance counts.

A process that did not run for a while may have been superseded without having heard of it. It asks a quorum for the
newest agreement before it trusts its claim again.
*/
import {namesProtocol, type AgreedInstance, type ClusterState} from '../cluster-state/cluster-state.ts';
import type {NodeId} from '../message.ts';

export type ClaimOptions = AgreedInstance & {
	readonly self: NodeId;
	readonly agreed: Pick<ClusterState, 'protocol' | 'instance' | 'address'>;
	readonly nowMs: () => number;
	readonly hasLeader: () => boolean;
	readonly propose: () => Promise<void>;
	/** Resolves once this node has applied everything that was agreed before the call. */
	readonly catchUp: () => Promise<unknown>;
};

const retryMs = 250;

export class Claim {
	/** Called once, when it is agreed that another process uses the identity: this one must stop. */
	onLost: (by: AgreedInstance) => void = () => undefined;
	readonly #options: ClaimOptions;
	#state: 'open' | 'held' | 'lost' = 'open';
	#isDoubted = false;
	#isAsking = false;
	#askedMs = Number.NEGATIVE_INFINITY;

	constructor(options: ClaimOptions) {
		this.#options = options;
	}

	get isHeld(): boolean {
		return this.#state === 'held' && !this.#isDoubted;
	}

	/** As far as this process knows it is the agreed one, also while it is in doubt. */
	get wasHeld(): boolean {
		return this.#state === 'held';
	}

	/** This process did not run for a while and has not caught up since. */
	get isDoubted(): boolean {
		return this.#isDoubted;
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
		if (current.instance === instance) this.#state = 'held';
		else if (current.incarnation >= incarnation) {
			this.#state = 'lost';
			this.onLost(current);
		}
	}

	/**
	A peer knows that the agreed process is another one, of this incarnation. Its knowledge is old if this process was
	agreed on after that.
	*/
	isOutdated(incarnation: number | undefined): boolean {
		return this.isHeld && (incarnation === undefined || this.#options.incarnation > incarnation);
	}

	/** This process did not run for a while. */
	doubt(): void {
		this.#isDoubted = true;
	}

	/** At every tick: propose, or catch up, as soon as that can work. */
	housekeep(): void {
		const {self, agreed, nowMs, hasLeader, propose, catchUp} = this.#options;
		if (this.#isAsking || this.#state === 'lost' || !hasLeader() || agreed.address(self) === undefined) return;
		const isUnclaimed = this.#state === 'open' && this.isNeeded;
		if (!this.#isDoubted && !isUnclaimed) return;
		if (nowMs() - this.#askedMs < retryMs) return;
		this.#isAsking = true;
		this.#askedMs = nowMs();
		const asked = this.#isDoubted
			? catchUp().then(() => {
					this.#isDoubted = false;
				})
			: propose();
		asked
			.catch(() => undefined)
			.finally(() => {
				this.#isAsking = false;
			});
	}
}
