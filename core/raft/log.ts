/**
The log in memory: the entries after the last compaction, and the indexes up to which they are on disk (`stable`),
committed and applied. Indexes start at 1. `base` is the last entry that was compacted; its term is kept, so that an
append can be checked against it.
*/
import {decodeConfigurationData, noConfiguration, type Configuration} from './configuration.ts';
import type {Entry} from './packet.ts';

export type LogPosition = {readonly index: number; readonly term: number};

export class RaftLog {
	commit: number;
	applied: number;
	/** The entries up to this index are on disk. */
	stable: number;
	#base: LogPosition;
	#entries: Entry[];
	/** Configurations in the log, oldest first. The first is the configuration at the base. */
	#configurations: Array<{readonly index: number; readonly configuration: Configuration}>;

	constructor(base: LogPosition, configuration: Configuration, entries: readonly Entry[], commit: number) {
		this.#base = base;
		this.#entries = [...entries];
		this.commit = Math.max(base.index, Math.min(commit, base.index + entries.length));
		this.applied = base.index;
		this.stable = base.index + entries.length;
		this.#configurations = [{index: base.index, configuration}];
		for (const entry of entries) this.#note(entry);
	}

	get base(): LogPosition {
		return this.#base;
	}

	get lastIndex(): number {
		return this.#base.index + this.#entries.length;
	}

	get last(): LogPosition {
		return {index: this.lastIndex, term: this.termAt(this.lastIndex)!};
	}

	/** The newest configuration, committed or not: it counts once it is appended (Raft, 6). */
	get configuration(): Configuration {
		return this.#configurations.at(-1)!.configuration;
	}

	get configurationIndex(): number {
		return this.#configurations.at(-1)!.index;
	}

	configurationAt(index: number): Configuration {
		return this.#configurations.findLast(known => known.index <= index)?.configuration ?? noConfiguration;
	}

	/** `undefined` before the base and after the end. */
	termAt(index: number): number | undefined {
		if (index === this.#base.index) return this.#base.term;
		return this.#entries[index - this.#base.index - 1]?.term;
	}

	matches({index, term}: LogPosition): boolean {
		return this.termAt(index) === term;
	}

	/** Raft, 5.4.1: the log with the later last term is more up to date; with equal terms, the longer log. */
	isUpToDate(last: LogPosition): boolean {
		const own = this.last;
		return last.term > own.term || (last.term === own.term && last.index >= own.index);
	}

	/** Entries from index `from`, up to `bytesMax` and `entriesMax`, but at least one if there is one. */
	slice(from: number, bytesMax: number, entriesMax: number): readonly Entry[] {
		const start = from - this.#base.index - 1;
		let end = start;
		for (let bytes = 0; end < this.#entries.length && end - start < entriesMax; end++) {
			bytes += this.#entries[end]!.data.length + 32;
			if (bytes > bytesMax && end > start) break;
		}

		return this.#entries.slice(start, end);
	}

	append(entry: Entry): void {
		this.#entries.push(entry);
		this.#note(entry);
	}

	/**
	Append the leader's entries after a position that matches. Entries are deleted only from the first *conflict* (Raft,
	5.3): a late append must not delete entries that matched since.
	@returns the last index that now matches
	*/
	merge(entries: readonly Entry[], previous: number): number {
		for (const entry of entries) {
			if (entry.index <= this.#base.index) continue;
			const known = this.termAt(entry.index);
			if (known === entry.term) continue;
			if (known !== undefined) this.#truncate(entry.index);
			this.append({...entry, data: Uint8Array.from(entry.data)}); // A copy: the buffer of the frame is reused.
		}

		return Math.max(previous, entries.at(-1)?.index ?? previous);
	}

	/** Raise the commit index, at most to the last entry. It never decreases. */
	commitTo(index: number): void {
		this.commit = Math.max(this.commit, Math.min(index, this.lastIndex));
	}

	/** Committed entries that are not applied. */
	unapplied(): readonly Entry[] {
		return this.#entries.slice(this.applied - this.#base.index, this.commit - this.#base.index);
	}

	unstable(): readonly Entry[] {
		return this.#entries.slice(this.stable - this.#base.index);
	}

	/** The write of the entries up to `last` is done. False when `last` was replaced meanwhile. */
	stabilized(last: Entry): boolean {
		if (last.index <= this.stable || this.termAt(last.index) !== last.term) return false;
		this.stable = last.index;
		return true;
	}

	/**
	The last entry at or before `index` with a term of at most `term`: the last position where two logs may match.
	*/
	conflictHint(index: number, term: number): LogPosition {
		let at = Math.min(index, this.lastIndex);
		while (at > this.#base.index && this.termAt(at)! > term) at--;
		return {index: at, term: this.termAt(at)!};
	}

	/** Delete the entries up to `index`, which is applied. */
	compact(index: number): void {
		if (index <= this.#base.index) return;
		const term = this.termAt(index)!;
		const configuration = this.configurationAt(index);
		this.#entries = this.#entries.slice(index - this.#base.index);
		this.#base = {index, term};
		this.#configurations = [{index, configuration}, ...this.#configurations.filter(known => known.index > index)];
	}

	/** Replace the log by an empty one after a snapshot. */
	reset(base: LogPosition, configuration: Configuration): void {
		this.#base = base;
		this.#entries = [];
		this.#configurations = [{index: base.index, configuration}];
		this.commit = base.index;
		this.applied = base.index;
		this.stable = base.index;
	}

	#truncate(from: number): void {
		if (from <= this.commit)
			throw new Error(`Expected never to truncate a committed entry, got ${from} of ${this.commit} committed`);
		this.#entries.length = from - this.#base.index - 1;
		this.stable = Math.min(this.stable, from - 1);
		while (this.#configurations.length > 1 && this.#configurations.at(-1)!.index >= from)
			this.#configurations.pop();
	}

	#note(entry: Entry): void {
		if (entry.kind !== 'configuration') return;
		const decoded = decodeConfigurationData(entry.data);
		if (decoded) this.#configurations.push({index: entry.index, configuration: decoded.configuration});
	}
}
