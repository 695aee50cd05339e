/**
When to campaign on evidence that the leader's process is gone. The remaining voters take turns by their position, so
that they seldom split the vote. Voters that have no evidence yet reject the pre-vote, so it is repeated a bounded
number of times; then the usual timeouts apply. Evidence never skips the pre-vote: a node that is wrong about its leader
raises no term.
*/

/** Ticks between the first campaigns of two voters. One voter wins in this time when messages and disks are fast. */
const turnTicks = 3;
/** Ticks until a pre-vote that was rejected or lost is repeated. */
const retryTicks = 1;
/** Ticks that a node waits after it granted a pre-vote or campaigned itself: votes must reach the disks. */
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

	/** No campaign is left. */
	get isSpent(): boolean {
		return this.#left === 0;
	}

	/** Whether to request pre-votes now. Each `true` uses up one campaign. */
	isDue(tick: number): boolean {
		if (this.isSpent || tick < this.#dueTick) return false;
		this.#left--;
		this.#dueTick = tick + retryTicks;
		return true;
	}

	/** A campaign is in progress: wait for its end. */
	yield(tick: number): void {
		this.#dueTick = Math.max(this.#dueTick, tick + yieldTicks + this.#turn);
	}
}
