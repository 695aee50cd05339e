/**
The agreement on the process that uses the identity of this node. Each process draws a random instance number at its
start, and claims the identity with it through the Raft log. A claim with a higher incarnation supersedes the former
process. Of two processes with the same incarnation (a copied data folder) the first claim wins. The result of the
proposal proves nothing, because both processes share one session: only the agreed instance counts.

A process that did not run for a while may have been superseded without knowing it. It asks a quorum for the newest
agreed state before it trusts its claim again.
*/
import {namesProtocol, type AgreedInstance, type ClusterState} from '../cluster-state/cluster-state.ts';
import type {NodeId} from '../message.ts';

export type ClaimOptions = AgreedInstance & {
	readonly self: NodeId;
	readonly agreed: Pick<ClusterState, 'protocol' | 'instance' | 'address'>;
	readonly nowMs: () => number;
	readonly hasLeader: () => boolean;
	/** The program of the leader knows no claims, so its cluster has none. */
	readonly isLeaderOlder: () => boolean;
	readonly propose: () => Promise<void>;
	/** Resolves once this node has applied everything that was committed before the call. */
	readonly catchUp: () => Promise<unknown>;
};

const retryMs = 250;

export class Claim {
	/** Called once, when another process holds the claim: this process must stop. */
	onLost: (by: AgreedInstance) => void = () => undefined;
	readonly #options: ClaimOptions;
	#state: 'open' | 'held' | 'lost' = 'open';
	#isDoubted: boolean;
	/** The request in progress; it never rejects. */
	#request: Promise<void> | undefined;
	#hasProposed = false;
	#isWithdrawn = false;
	#requestedMs = Number.NEGATIVE_INFINITY;

	constructor(options: ClaimOptions) {
		this.#options = options;
		// A log that ends before the agreement on protocol 2 does not know of a claim (seed 56972).
		this.#isDoubted = !this.isNeeded;
	}

	/** This process holds the claim, and may rely on it. */
	get isHeld(): boolean {
		return this.#state === 'held' && !this.#isDoubted;
	}

	/** As far as this process knows it holds the claim, even while that is in doubt. */
	get wasHeld(): boolean {
		return this.#state === 'held';
	}

	/** This process has not caught up since its start, or since it did not run for a while. */
	get isDoubted(): boolean {
		return this.#isDoubted;
	}

	/** False while the cluster still has members of protocol 1, which knows no claims. */
	get isNeeded(): boolean {
		return this.#options.agreed.protocol >= namesProtocol;
	}

	/** Reads the agreed state after a change. */
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
	A peer reports that the agreed process is another one, with this incarnation. The report is outdated if this process
	was agreed later.
	*/
	isOutdated(incarnation: number | undefined): boolean {
		return this.isHeld && (incarnation === undefined || this.#options.incarnation > incarnation);
	}

	/**
	Stops proposing the claim, because a peer refuses this process. An earlier proposal may be agreed nevertheless, and
	then the other process stops. So this process must not stop before that is decided. Resolves when it is, or when
	nothing can be agreed.
	*/
	async withdraw(): Promise<void> {
		this.#isWithdrawn = true;
		await this.#request;
		const isUndecided = this.#state === 'open' && this.#hasProposed;
		if (isUndecided || this.#isDoubted) await this.#catchUp().catch(() => undefined);
	}

	async #catchUp(): Promise<void> {
		// Such a leader may not answer read requests of others either.
		if (!this.#options.isLeaderOlder()) await this.#options.catchUp();
		this.#isDoubted = false;
		// The claim need not wait: this was no failed proposal.
		this.#requestedMs = Number.NEGATIVE_INFINITY;
	}

	/** Called when this process did not run for a while. */
	doubt(): void {
		this.#isDoubted = true;
	}

	/** Called at every tick: proposes the claim, or catches up, when that is needed and possible. */
	housekeep(): void {
		const {self, agreed, nowMs, hasLeader, propose} = this.#options;
		if (this.#request || this.#state === 'lost' || !hasLeader() || agreed.address(self) === undefined) return;
		const isUnclaimed = this.#state === 'open' && this.isNeeded && !this.#isWithdrawn;
		if (!this.#isDoubted && !isUnclaimed) return;
		if (nowMs() - this.#requestedMs < retryMs) return;
		this.#hasProposed ||= !this.#isDoubted;
		this.#requestedMs = nowMs();
		this.#request = (this.#isDoubted ? this.#catchUp() : propose())
			.catch(() => undefined)
			.finally(() => {
				this.#request = undefined;
			});
	}
}
