/**
Who hears whom. Each node keeps one row, the members that it heard from directly within the last while, and carries it
and the newest rows of others on its packets: an all-to-all picture for a few bytes, in which a cut that works one way
only is seen too. A row that gets no newer version goes stale: what its node hears now is then not known, only what it
heard last.
*/
import type {NodeId} from '../message.ts';
import {hashMembers, rowBytes, stateBytes, statesFieldBytes, u32Max, type Row, type RowState} from './packet.ts';

/**
`isCurrent`: over the current list of members, so it may be passed on. `isOf`: the state came with this version of the
row, not with an earlier one.
*/
type Known = {
	readonly row: Row;
	readonly atTick: number;
	readonly isCurrent: boolean;
	readonly state: KnownState | undefined;
};
type KnownState = {readonly state: RowState; readonly atTick: number; readonly isOf: boolean};

/**
States of others on one packet: of those who complain, and one in turn. Everyone hears of the rest from the members
themselves.
*/
const ailingMax = 2;
/** Left free for such states when rows are chosen, bytes. */
const statesRoom = 2 * 36;

/** What this node reports of itself with its row. */
export type Report = {readonly term: number; readonly leader: NodeId | undefined; readonly applied: number};

/** What this node sees of the others, for its row. */
export type Sight = {
	readonly isHeard: (id: NodeId) => boolean;
	/** A link to it works, as far as this end can tell. */
	readonly isLinked: (id: NodeId) => boolean;
	/** Its datagrams arrive. */
	readonly isAudible: (id: NodeId) => boolean;
	/** Asked for only when a new version is made. */
	readonly report: () => Report;
};

/** One node's complaints: members to which it has no working link, and those whose datagrams do not reach it. */
export type Complaint = {
	readonly node: NodeId;
	readonly unlinked: readonly NodeId[];
	readonly silent: readonly NodeId[];
};

export class Rows {
	readonly #self: NodeId;
	readonly #incarnation: number;
	#order: readonly NodeId[];
	#index: ReadonlyMap<NodeId, number>;
	#hash: number;
	/** Insertion order is the order of passing on: what was told goes to the end. */
	readonly #known = new Map<NodeId, Known>();
	/** Of nodes with a row of a lower version than before: the last row of the process that has ended. */
	readonly #ended = new Map<NodeId, Row>();
	#counter = 0;
	#turn = 0;
	#own: Row;
	#ownState: RowState | undefined;
	#ownAtTick = 0;
	/** Whose rows, the own one included, name somebody. */
	readonly #complaining = new Set<NodeId>();
	/** Nodes whose states, the own one included, name somebody. */
	readonly #ailing = new Set<NodeId>();
	/** Rows over another list of members than ours, not read. */
	mismatches = 0;

	constructor(self: NodeId, incarnation: number) {
		this.#self = self;
		this.#incarnation = incarnation;
		this.#order = [self];
		this.#index = new Map([[self, 0]]);
		this.#hash = hashMembers(this.#order);
		this.#own = [self, incarnation, 0, this.#hash, new Uint8Array(0)];
	}

	/** Sorted, self included. */
	get order(): readonly NodeId[] {
		return this.#order;
	}

	/** As far as is known, everybody hears everybody. */
	get isClear(): boolean {
		return this.#complaining.size === 0;
	}

	/**
	Another list of members. Rows are kept, rewritten over it; a member that a row does not know yet counts as heard.
	*/
	setOrder(order: readonly NodeId[]): void {
		const former = this.#order;
		this.#order = order;
		this.#index = new Map(order.map((id, index) => [id, index]));
		this.#hash = hashMembers(order);
		for (const [node, {row, state, atTick}] of this.#known) {
			if (this.#index.has(node)) {
				const rewritten = this.#rewrite(row, former);
				const rewrittenState = state && {...state, state: this.#rewriteState(state.state, former), isOf: false};
				this.#known.set(node, {row: rewritten, state: rewrittenState, atTick, isCurrent: false});
				this.#note(rewritten, rewrittenState?.state);
			} else {
				this.#known.delete(node);
				this.#ended.delete(node);
				this.#complaining.delete(node);
				this.#ailing.delete(node);
			}
		}

		this.#own = this.#rewrite(this.#own, former);
		this.#ownState &&= this.#rewriteState(this.#ownState, former);
		this.#note(this.#own, this.#ownState);
		this.#ownAtTick = -Infinity; // The next `observe` gives it a version over this list.
	}

	/**
	Set the own row. True when its content changed; a new version is made then, and every `refreshTicks`. The report
	alone waits for that.
	*/
	observe(
		{isHeard, isLinked, isAudible, report}: Pick<Sight, 'isHeard'> & Partial<Sight>,
		tick: number,
		refreshTicks: number,
	): boolean {
		const others = (isFine: (id: NodeId) => boolean): Uint8Array =>
			bitmap(this.#order, id => id !== this.#self && !isFine(id));
		const unheard = others(isHeard);
		const unlinked = isLinked ? others(isLinked) : none;
		const silent = isAudible ? others(isAudible) : none;
		const former = this.#ownState;
		const hasChanged =
			!isEqual(unheard, this.#own[4]) ||
			!isEqual(unlinked, former?.[3] ?? none) ||
			!isEqual(silent, former?.[4] ?? none);
		if (hasChanged || tick - this.#ownAtTick >= refreshTicks) {
			this.#counter = Math.min(this.#counter + 1, u32Max);
			this.#own = [this.#self, this.#incarnation, this.#counter, this.#hash, unheard];
			const said = report?.();
			this.#ownState = said && [
				said.term,
				said.leader === undefined ? -1 : (this.#index.get(said.leader) ?? -1),
				said.applied,
				unlinked,
				silent,
			];
			this.#ownAtTick = tick;
			this.#note(this.#own, this.#ownState);
		}

		return hasChanged;
	}

	/**
	A row came in. The highest version wins; our own and those of strangers are ignored. Over a stale one any version
	wins: that may have been of another process of the node, on a copied data folder, which has ended. What others still
	pass on of that process is ignored from then on, or it would go round for ever.

	*/
	learn(row: Row, state: RowState | undefined, tick: number, staleTicks: number = Infinity): void {
		const [node, incarnation, counter, members] = row;
		if (node === this.#self || !this.#index.has(node)) return;
		if (members !== this.#hash) {
			this.mismatches++;
			return;
		}

		const known = this.#known.get(node);
		const isSame = known?.isCurrent === true && incarnation === known.row[1] && counter === known.row[2];
		const isStale = known === undefined || tick - known.atTick >= staleTicks;
		if (!isSame && known?.isCurrent && compareVersions(row, known.row) < 0) {
			if (!isStale) return;
			this.#ended.set(node, known.row);
		}

		const ended = this.#ended.get(node);
		if (ended && !isStale && !isSame && compareVersions(row, known.row) > 0 && compareVersions(row, ended) <= 0)
			return;
		if (ended && compareVersions(row, ended) > 0) this.#ended.delete(node);
		if (isSame && (!state || known.state?.isOf)) return;
		// Without a state the last one counts as long as it is fresh.
		const newest = state ? {state, atTick: tick, isOf: true} : known?.state && {...known.state, isOf: false};
		// A Map keeps the place of a key that it has.
		this.#known.set(node, {row, state: newest, atTick: isSame ? known.atTick : tick, isCurrent: true});
		this.#note(row, newest?.state);
	}

	/**
	Rows for a packet to `to`: the own one, then those that wait longest, up to `count` and `bytesMax`. Stale ones are
	not passed on.
	*/
	take(
		to: NodeId,
		count: number,
		bytesMax: number,
		tick: number,
		staleTicks: number,
	): {readonly rows: readonly Row[]; readonly states: readonly RowState[]} {
		let room = bytesMax - rowBytes(this.#own);
		const states: RowState[] = [];
		if (this.#ownState && stateBytes(this.#ownState) + statesFieldBytes <= room) {
			states.push(this.#ownState);
			room -= stateBytes(this.#ownState) + statesFieldBytes;
		}

		const told: Array<readonly [NodeId, Known]> = [];
		for (const [node, known] of this.#known) {
			if (told.length >= count - 1) break;
			if (node === to || !known.isCurrent || tick - known.atTick >= staleTicks) continue;
			if (rowBytes(known.row) > room - (states.length > 0 ? statesRoom : 0)) break;
			room -= rowBytes(known.row);
			told.push([node, known]);
		}

		// Those with a state come first.
		const stated =
			states.length > 0
				? this.#stated(told).filter(([, {state}]) => {
						const fits = stateBytes(state!.state) <= room;
						if (fits) room -= stateBytes(state!.state);
						return fits;
					})
				: [];
		for (const [node, known] of told) {
			this.#known.delete(node);
			this.#known.set(node, known);
		}

		const rest = told.filter(each => !stated.includes(each));
		return {
			rows: [this.#own, ...stated.map(([, {row}]) => row), ...rest.map(([, {row}]) => row)],
			states: [...states, ...stated.map(([, {state}]) => state!.state)],
		};
	}

	/** Of these rows, those whose state goes with them. */
	#stated(told: ReadonlyArray<readonly [NodeId, Known]>): ReadonlyArray<readonly [NodeId, Known]> {
		const fresh = told.filter(([, {state}]) => state?.isOf);
		if (fresh.length === 0) return fresh;
		const ailing =
			this.#ailing.size === 0
				? []
				: rotated(
						fresh.filter(([node]) => this.#ailing.has(node)),
						this.#turn,
					).slice(0, ailingMax);
		const next = fresh[this.#turn++ % fresh.length]!;
		return ailing.includes(next) ? ailing : [...ailing, next];
	}

	/** Whether `node` hears `other` by its last row; `undefined` when there is none, or none within `staleTicks`. */
	hears(node: NodeId, other: NodeId, tick: number, staleTicks: number = Infinity): boolean | undefined {
		const index = this.#index.get(other);
		if (index === undefined) return undefined;
		if (node === this.#self) return !hasBit(this.#own[4], index);
		const known = this.#known.get(node);
		if (!known || tick - known.atTick >= staleTicks) return undefined;
		return node === other || !hasBit(known.row[4], index);
	}

	/**
	Whether `node` has a working link to `other`, and whether datagrams of `other` reach it; `undefined` when nothing
	fresh is known.
	*/
	isLinked(node: NodeId, other: NodeId, tick: number, staleTicks: number): boolean | undefined {
		return this.#has(3, node, other, tick, staleTicks);
	}

	isAudible(node: NodeId, other: NodeId, tick: number, staleTicks: number): boolean | undefined {
		return this.#has(4, node, other, tick, staleTicks);
	}

	/** What a node reported last; `undefined` when nothing fresh is known. */
	report(node: NodeId, tick: number, staleTicks: number): Report | undefined {
		const state = this.#state(node, tick, staleTicks);
		return state && {term: state[0], leader: this.#order[state[1]], applied: state[2]};
	}

	/** The complaints that are fresh, the own one included. */
	complaints(tick: number, staleTicks: number): readonly Complaint[] {
		if (this.#ailing.size === 0) return [];
		return [...this.#ailing].flatMap((node): Complaint[] => {
			const state = this.#state(node, tick, staleTicks);
			return state ? [{node, unlinked: this.#named(state[3]), silent: this.#named(state[4])}] : [];
		});
	}

	#state(node: NodeId, tick: number, staleTicks: number): RowState | undefined {
		if (node === this.#self) return this.#ownState;
		const known = this.#known.get(node)?.state;
		return known && tick - known.atTick < staleTicks ? known.state : undefined;
	}

	#has(field: 3 | 4, node: NodeId, other: NodeId, tick: number, staleTicks: number): boolean | undefined {
		const index = this.#index.get(other);
		const state = this.#state(node, tick, staleTicks);
		return index === undefined || !state ? undefined : !hasBit(state[field], index);
	}

	#named(bits: Uint8Array): readonly NodeId[] {
		const ids: NodeId[] = [];
		for (const [at, byte] of bits.entries()) {
			for (let rest = byte; rest !== 0; rest &= rest - 1) {
				const id = this.#order[at * 8 + Math.log2(rest & -rest)];
				if (id !== undefined) ids.push(id);
			}
		}

		return ids;
	}

	#note([node, , , , unheard]: Row, state: RowState | undefined): void {
		if (unheard.length > 0) this.#complaining.add(node);
		else this.#complaining.delete(node);
		if (state && (state[3].length > 0 || state[4].length > 0)) this.#ailing.add(node);
		else this.#ailing.delete(node);
	}

	#rewriteState([term, leader, applied, unlinked, silent]: RowState, former: readonly NodeId[]): RowState {
		const followed = former[leader];
		return [
			term,
			followed === undefined ? -1 : (this.#index.get(followed) ?? -1),
			applied,
			this.#rewriteBits(unlinked, former),
			this.#rewriteBits(silent, former),
		];
	}

	#rewrite([node, incarnation, counter, , unheard]: Row, former: readonly NodeId[]): Row {
		return [node, incarnation, counter, this.#hash, this.#rewriteBits(unheard, former)];
	}

	#rewriteBits(bits: Uint8Array, former: readonly NodeId[]): Uint8Array {
		if (bits.length === 0) return bits;
		const ids = new Set(former.filter((_, index) => hasBit(bits, index)));
		return bitmap(this.#order, id => ids.has(id));
	}
}

const none = new Uint8Array(0);

function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
	const at = items.length === 0 ? 0 : by % items.length;
	return [...items.slice(at), ...items.slice(0, at)];
}

/** The bits of those ids for which `isSet`, zero bytes at the end left out. */
export function bitmap(order: readonly NodeId[], isSet: (id: NodeId) => boolean): Uint8Array {
	const bytes = new Uint8Array(Math.ceil(order.length / 8));
	let end = 0;
	for (const [index, id] of order.entries()) {
		if (!isSet(id)) continue;
		bytes[index >> 3]! |= 1 << (index & 7);
		end = (index >> 3) + 1;
	}

	return bytes.subarray(0, end);
}

/** Negative when the first is the older one. */
function compareVersions([, incarnation, counter]: Row, [, otherIncarnation, otherCounter]: Row): number {
	return incarnation - otherIncarnation || counter - otherCounter;
}

function hasBit(bytes: Uint8Array, index: number): boolean {
	return ((bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
