/**
Separates new entries of the Raft log from old ones, which were agreed before this process could know of them. The
entries that a node reads back from its own log, and those that a leader had committed when the node first heard from
it, are old: they are applied, but not reported as events. Pure.
*/
export class Replay {
	/** The index of the last old entry. */
	#lastOldIndex: number;
	#hasLeaderCommit: boolean;

	/**
	@param lastIndex the last index of the log that was read back
	@param isNew this node founds the cluster, so all entries are new
	*/
	constructor(lastIndex: number, isNew = false) {
		this.#lastOldIndex = isNew ? 0 : lastIndex;
		this.#hasLeaderCommit = isNew;
	}

	/** A leader sent its commit index. Only the first call counts. */
	heard(commit: number): void {
		if (this.#hasLeaderCommit) return;
		this.#hasLeaderCommit = true;
		this.#lastOldIndex = Math.max(this.#lastOldIndex, commit);
	}

	/** Whether this entry was agreed before. */
	isOld(index: number): boolean {
		return !this.#hasLeaderCommit || index <= this.#lastOldIndex;
	}

	/** Whether all old entries have been applied. */
	isOver(applied: number): boolean {
		return this.#hasLeaderCommit && applied >= this.#lastOldIndex;
	}
}
