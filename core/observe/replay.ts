/**
Tells news from what was agreed before this process could know of it. What a node reads back from its own log, and what
a leader had committed when the node first heard from it, happened earlier: it is applied, and not told as events of
now. Pure.
*/
export class Replay {
	/** The last entry that is old. */
	#until: number;
	#hasCaughtWord: boolean;

	/**
	@param lastIndex of the log that was read back
	@param isNew The cluster is being founded: all of its log is news.
	*/
	constructor(lastIndex: number, isNew = false) {
		this.#until = isNew ? 0 : lastIndex;
		this.#hasCaughtWord = isNew;
	}

	/** A leader says what it has committed; only the first word counts. */
	heard(commit: number): void {
		if (this.#hasCaughtWord) return;
		this.#hasCaughtWord = true;
		this.#until = Math.max(this.#until, commit);
	}

	/** This entry was agreed before. */
	isOld(index: number): boolean {
		return !this.#hasCaughtWord || index <= this.#until;
	}

	/** All that is old has been applied. */
	isOver(applied: number): boolean {
		return this.#hasCaughtWord && applied >= this.#until;
	}
}
