/**
When to campaign on the evidence that the leader's process is gone. The voters take turns, by their position among those
that are left, so that they seldom split the vote. Others may have no evidence yet and refuse the pre-vote, so it is
asked for again, a bounded number of times; then the usual timeouts apply. Evidence never skips the pre-vote: a node
that is wrong about its leader raises no term.
*/

/**
Between the first campaigns of two voters, ticks: one of them is elected in this time when messages and disks are fast.
*/
const turnTicks = 3;
/** After a pre-vote was refused or lost. */
const retryTicks = 1;
/** After another node, or this one, was encouraged to campaign: its vote has to reach the disks. */
const yieldTicks = 8;
const campaignsMax = 8;

export class CrashCampaign {
	readonly #turn: number;
	#dueTick: number;
	#left = campaignsMax;

	/** @param position of this node among the remaining voters, from 0 */
	constructor(position: number, tick: number) {
		this.#turn = position * turnTicks;
		this.#dueTick = tick + this.#turn;
	}

	/** It has campaigned as often as it may. */
	get isSpent(): boolean {
		return this.#left === 0;
	}

	/** Whether to ask for pre-votes now; each yes counts. */
	isDue(tick: number): boolean {
		if (this.isSpent || tick < this.#dueTick) return false;
		this.#left--;
		this.#dueTick = tick + retryTicks;
		return true;
	}

	/** A campaign is on its way. */
	yield(tick: number): void {
		this.#dueTick = Math.max(this.#dueTick, tick + yieldTicks + this.#turn);
	}
}
