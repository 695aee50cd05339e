/**
What Raft may find in its store after a crash: everything that was acknowledged, and after it at most a prefix of what
was not, record by record. The model also creates the work that Raft would hand out: terms, votes, entries that replace
others, snapshots taken and installed.
*/
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext} from '../../../core/cluster-state/command.ts';
import type {RaftStore} from '../../../core/control/raft-store.ts';
import type {NodeId} from '../../../core/message.ts';
import type {Entry, HardState, Recovered} from '../../../core/raft/raft.ts';
import type {Snapshot} from '../../../core/raft/snapshot.ts';
import {hash32, type SeededRandom} from '../random.ts';

type Item =
	{readonly state: HardState} | {readonly entry: Entry} | {readonly mark: Snapshot; readonly isReset: boolean};

const nodes = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'] as NodeId[];

export class RaftModel {
	/** Records that were acknowledged as durable. */
	acknowledged = 0;
	#durable: Recovered = {hardState: {term: 0, vote: undefined, commit: 0}, snapshot: undefined, entries: []};
	#issued: Recovered = this.#durable;
	/** In the order of the log. */
	#pending: Item[] = [];
	#serial = 0;

	/** Whether nothing durable has been agreed yet. */
	get isEmpty(): boolean {
		return this.#durable.entries.length === 0 && this.#durable.snapshot === undefined;
	}

	/** Compare what was read back, and continue from it. */
	recovered(found: Recovered): void {
		const print = printOf(found);
		let candidate = this.#durable;
		for (let index = 0; printOf(candidate) !== print; index++) {
			const item = this.#pending[index];
			if (!item)
				throw new Error(
					`Raft finds what was acknowledged and a prefix of what was not: got ${describe(found)}, had ${describe(this.#durable)} acknowledged and ${this.#pending.length} records after it, up to ${describe(this.#issued)}`,
				);
			candidate = after(candidate, item);
		}

		this.#durable = candidate;
		this.#issued = candidate;
		this.#pending = [];
	}

	/** One round of Raft's work, in the order of `control.ts`. */
	async work(store: RaftStore, random: SeededRandom): Promise<void> {
		const {hardState, snapshot} = this.#issued;
		let {term, vote} = hardState;
		let commit = Math.max(hardState.commit, snapshot?.index ?? 0);
		if (random.chance(1, 5)) {
			term += random.between(1, 3);
			vote = random.chance(1, 2) ? random.pick(nodes) : undefined;
		} else if (vote === undefined && random.chance(1, 3)) vote = random.pick(nodes);

		term = Math.max(1, term);
		if (random.chance(1, 20)) {
			commit += random.between(1, 20);
			await this.#save(store, this.#snapshot(commit, term, random), 'installed');
		}

		const first = this.#first(commit, random);
		if (first <= this.#last && this.#issued.entries.at(-1)!.term >= term) {
			term++; // Only a later leader replaces entries.
			vote = undefined;
		}

		const entries = Array.from({length: random.below(4)}, (_, index): Entry => ({
			term,
			index: first + index,
			kind: 'command',
			data: this.#data(random),
		}));
		const last = entries.at(-1)?.index ?? this.#last;
		if (random.chance(1, 2)) commit = random.between(commit, Math.max(commit, last));
		await this.#append(store, {term, vote, commit}, entries);
		if (commit - (this.#issued.snapshot?.index ?? 0) > random.between(6, 30)) {
			await this.#save(
				store,
				this.#snapshot(commit, this.#issued.entries.find(({index}) => index === commit)?.term ?? term, random),
				'taken',
			);
		}
	}

	get #last(): number {
		return this.#issued.entries.at(-1)?.index ?? this.#issued.snapshot?.index ?? 0;
	}

	/** The index of the next entries: after the log, or in place of uncommitted entries. */
	#first(commit: number, random: SeededRandom): number {
		const last = this.#last;
		return last > commit && random.chance(1, 5) ? random.between(commit + 1, last) : last + 1;
	}

	async #append(store: RaftStore, state: HardState, entries: readonly Entry[]): Promise<void> {
		this.#issue([...entries.map(entry => ({entry})), {state}]);
		await store.append(state, entries);
		this.#acknowledge();
	}

	async #save(store: RaftStore, snapshot: Snapshot, origin: 'installed' | 'taken'): Promise<void> {
		this.#issue([{mark: snapshot, isReset: origin === 'installed'}, {state: this.#issued.hardState}]);
		await store.saveSnapshot(snapshot, origin);
		this.#acknowledge();
	}

	#issue(items: readonly Item[]): void {
		for (const item of items) {
			this.#pending.push(item);
			this.#issued = after(this.#issued, item);
		}
	}

	#acknowledge(): void {
		this.acknowledged += this.#pending.length;
		this.#durable = this.#issued;
		this.#pending = [];
	}

	#snapshot(index: number, term: number, random: SeededRandom): Snapshot {
		const agreed = new ClusterState({topicsMax: 10, membersMax: 10});
		agreed.applyConfiguration(
			index,
			nodes,
			encodeContext({
				clusterId: `c${++this.#serial}`.padEnd(random.below(2000)),
				node: nodes[0]!,
				address: '127.0.0.1:5001',
			}),
		);
		return {index, term, configuration: {voters: nodes, learners: []}, data: agreed.save()};
	}

	#data(random: SeededRandom): Buffer {
		return Buffer.alloc(
			random.chance(1, 15) ? random.between(2000, 9000) : random.below(400),
			`${++this.#serial} `,
		);
	}
}

function after({hardState, snapshot, entries}: Recovered, item: Item): Recovered {
	if ('state' in item) return {hardState: item.state, snapshot, entries};
	if ('entry' in item)
		return {hardState, snapshot, entries: [...entries.filter(({index}) => index < item.entry.index), item.entry]};
	return {
		hardState,
		snapshot: item.mark,
		entries: item.isReset ? [] : entries.filter(({index}) => index > item.mark.index),
	};
}

/** Equal for equal content. */
export function printOf({hardState, snapshot, entries}: Recovered): string {
	const text = (bytes: Uint8Array): string => `${bytes.length}:${hash32(Buffer.from(bytes).toString('latin1'))}`;
	return JSON.stringify([
		hardState.term,
		hardState.vote ?? '',
		hardState.commit,
		snapshot && [snapshot.index, snapshot.term, snapshot.configuration, text(snapshot.data)],
		entries.map(({term, index, kind, data}) => [term, index, kind, text(data)]),
	]);
}

function describe({hardState: {term, vote, commit}, snapshot, entries}: Recovered): string {
	return `term ${term}, vote ${vote ?? 'none'}, commit ${commit}, snapshot ${snapshot?.index ?? 0}, entries ${entries[0]?.index ?? 0} to ${entries.at(-1)?.index ?? 0}`;
}
