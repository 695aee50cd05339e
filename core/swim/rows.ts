/**
Which members each node hears. Each node keeps a row of the members that it heard from directly within the silence
bound. It sends its own row and the newest rows of others with its packets: a who-hears-whom matrix for a few bytes,
which also shows one-way cuts. A row without a newer version goes stale: the node's last view is then known, but not its
present one.
*/
import type {NodeId} from '../message.ts';
import {hashMembers, rowBytes, stateBytes, statesFieldBytes, u32Max, type Row, type RowState} from './packet.ts';

/**
`isCurrent`: the row is over the current member list, so it may be passed on. `isSameVersion`: the state arrived with
this version of the row, not with an earlier one.
*/
type Known = {
	readonly row: Row;
	readonly atTick: number;
	readonly isCurrent: boolean;
	readonly state: KnownState | undefined;
};
type KnownState = {readonly state: RowState; readonly atTick: number; readonly isSameVersion: boolean};

/**
States of others per packet: those with complaints, plus one in turn. Other states reach each member from their own
nodes.
*/
const complaintsMax = 2;
/** Bytes reserved for such states when rows are chosen. */
const statesRoom = 2 * 36;

/** The Raft state that a node reports with its row. */
export type Report = {readonly term: number; readonly leader: NodeId | undefined; readonly applied: number};

/** What this node observes of the others, for its row. */
export type Sight = {
	readonly isHeard: (id: NodeId) => boolean;
	/** Whether a link to the member works, as far as this end can tell. */
	readonly isLinked: (id: NodeId) => boolean;
	/** Whether its datagrams arrive. */
	readonly isAudible: (id: NodeId) => boolean;
	/** Called only when a new version is made. */
	readonly report: () => Report;
	/** Whether the disk of this node is full. @default it is not */
	readonly isDiskFull?: () => boolean;
};

/** The complaints of one node: members without a working link to it, and members whose datagrams do not reach it. */
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
	/** Insertion order is the order of sending: a sent row moves to the end. */
	readonly #known = new Map<NodeId, Known>();
	/** By node: the last row of a process that has ended, where a row of a lower version followed. */
	readonly #ended = new Map<NodeId, Row>();
	#counter = 0;
	#turn = 0;
	#own: Row;
	#ownState: RowState | undefined;
	#ownAtTick = 0;
	/** Nodes whose rows, our own included, name a member. */
	readonly #withUnheard = new Set<NodeId>();
	/** Nodes whose states, our own included, name a member. */
	readonly #withComplaints = new Set<NodeId>();
	/** Nodes that reported a full disk, each with the tick of its last report. Our own is not in it. */
	readonly #fullDisks = new Map<NodeId, number>();
	/** As reported with our row. */
	isOwnDiskFull = false;
	/** Rows over another member list, which cannot be read. */
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

	/** Whether every known row hears every member. */
	get isClear(): boolean {
		return this.#withUnheard.size === 0;
	}

	/** Sets the member list and rewrites all rows over it. A member that is new to a row counts as heard. */
	setOrder(order: readonly NodeId[]): void {
		const former = this.#order;
		this.#order = order;
		this.#index = new Map(order.map((id, index) => [id, index]));
		this.#hash = hashMembers(order);
		for (const [node, {row, state, atTick}] of this.#known) {
			if (this.#index.has(node)) {
				const rewritten = this.#rewrite(row, former);
				const rewrittenState = state && {
					...state,
					state: this.#rewriteState(state.state, former),
					isSameVersion: false,
				};
				this.#known.set(node, {row: rewritten, state: rewrittenState, atTick, isCurrent: false});
				this.#note(rewritten, rewrittenState?.state);
			} else {
				this.#known.delete(node);
				this.#ended.delete(node);
				this.#withUnheard.delete(node);
				this.#withComplaints.delete(node);
				this.#fullDisks.delete(node);
			}
		}

		this.#own = this.#rewrite(this.#own, former);
		this.#ownState &&= this.#rewriteState(this.#ownState, former);
		this.#note(this.#own, this.#ownState);
		this.#ownAtTick = -Infinity; // The next `observe` makes a version over this list.
	}

	/**
	Sets our row. A change makes a new version, and so does every `refreshTicks`; a changed report alone waits for that.
	True when the row or its state changed.
	*/
	observe(
		{isHeard, isLinked, isAudible, report, isDiskFull}: Pick<Sight, 'isHeard'> & Partial<Sight>,
		tick: number,
		refreshTicks: number,
	): boolean {
		const others = (isFine: (id: NodeId) => boolean): Uint8Array =>
			bitmap(this.#order, id => id !== this.#self && !isFine(id));
		const unheard = others(isHeard);
		const unlinked = isLinked ? others(isLinked) : none;
		const silent = isAudible ? others(isAudible) : none;
		const former = this.#ownState;
		const isFull = isDiskFull?.() ?? false;
		const hasChanged =
			isFull !== this.isOwnDiskFull ||
			!isEqual(unheard, this.#own[4]) ||
			!isEqual(unlinked, former?.[3] ?? none) ||
			!isEqual(silent, former?.[4] ?? none);
		if (hasChanged || tick - this.#ownAtTick >= refreshTicks) {
			this.#counter = Math.min(this.#counter + 1, u32Max);
			this.#own = [this.#self, this.#incarnation, this.#counter, this.#hash, unheard];
			const reported = report?.();
			this.#ownState = reported && [
				reported.term,
				reported.leader === undefined ? -1 : (this.#index.get(reported.leader) ?? -1),
				reported.applied,
				unlinked,
				silent,
			];
			this.isOwnDiskFull = isFull;
			this.#ownAtTick = tick;
			this.#note(this.#own, this.#ownState);
		}

		return hasChanged;
	}

	/**
	Handles a row. The highest version wins; our own rows and those of non-members are ignored. Any version replaces a
	stale row: the stale one may be of another process of the node, started on a copy of its data folder, that has
	ended. Rows of that process that others still pass on are ignored from then on, or they would circulate for ever.
	@param isDiskFull the report of the node itself; `undefined` for a row that another node passed on
	*/
	learn(
		row: Row,
		state: RowState | undefined,
		tick: number,
		staleTicks: number = Infinity,
		isDiskFull?: boolean,
	): void {
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
		// A row that the node itself sends belongs to its running process. The ended row may be forged by another node.
		const isOwn = isDiskFull !== undefined;
		if (
			ended &&
			!isOwn &&
			!isStale &&
			!isSame &&
			compareVersions(row, known.row) > 0 &&
			compareVersions(row, ended) <= 0
		)
			return;
		if (ended && compareVersions(row, ended) > 0) this.#ended.delete(node);
		// The same version may have arrived from another node before.
		if (isDiskFull === true) this.#fullDisks.set(node, tick);
		else if (isDiskFull === false) this.#fullDisks.delete(node);
		if (isSame && (!state || known.state?.isSameVersion)) return;
		// Without a state in the packet the last one counts while it is fresh.
		const newest = state
			? {state, atTick: tick, isSameVersion: true}
			: known?.state && {...known.state, isSameVersion: false};
		// `Map.set` keeps the position of an existing key.
		this.#known.set(node, {row, state: newest, atTick: isSame ? known.atTick : tick, isCurrent: true});
		this.#note(row, newest?.state);
	}

	/**
	Rows for a packet to `to`: our own, then those that have waited longest, up to `count` and `bytesMax`. Stale rows
	are left out.
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

		const chosen: Array<readonly [NodeId, Known]> = [];
		for (const [node, known] of this.#known) {
			if (chosen.length >= count - 1) break;
			if (node === to || !known.isCurrent || tick - known.atTick >= staleTicks) continue;
			if (rowBytes(known.row) > room - (states.length > 0 ? statesRoom : 0)) break;
			room -= rowBytes(known.row);
			chosen.push([node, known]);
		}

		// Rows with a state come first.
		const stated =
			states.length > 0
				? this.#withState(chosen).filter(([, {state}]) => {
						const fits = stateBytes(state!.state) <= room;
						if (fits) room -= stateBytes(state!.state);
						return fits;
					})
				: [];
		for (const [node, known] of chosen) {
			this.#known.delete(node);
			this.#known.set(node, known);
		}

		const rest = chosen.filter(each => !stated.includes(each));
		return {
			rows: [this.#own, ...stated.map(([, {row}]) => row), ...rest.map(([, {row}]) => row)],
			states: [...states, ...stated.map(([, {state}]) => state!.state)],
		};
	}

	/** The rows among these that are sent with their states. */
	#withState(chosen: ReadonlyArray<readonly [NodeId, Known]>): ReadonlyArray<readonly [NodeId, Known]> {
		const fresh = chosen.filter(([, {state}]) => state?.isSameVersion);
		if (fresh.length === 0) return fresh;
		const complaining =
			this.#withComplaints.size === 0
				? []
				: rotated(
						fresh.filter(([node]) => this.#withComplaints.has(node)),
						this.#turn,
					).slice(0, complaintsMax);
		const next = fresh[this.#turn++ % fresh.length]!;
		return complaining.includes(next) ? complaining : [...complaining, next];
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

	/** Whether `node` has a working link to `other`; `undefined` without a fresh state. */
	isLinked(node: NodeId, other: NodeId, tick: number, staleTicks: number): boolean | undefined {
		return this.#has(3, node, other, tick, staleTicks);
	}

	/** Whether datagrams of `other` reach `node`; `undefined` without a fresh state. */
	isAudible(node: NodeId, other: NodeId, tick: number, staleTicks: number): boolean | undefined {
		return this.#has(4, node, other, tick, staleTicks);
	}

	/** The last report of a node; `undefined` without a fresh state. */
	report(node: NodeId, tick: number, staleTicks: number): Report | undefined {
		const state = this.#state(node, tick, staleTicks);
		return state && {term: state[0], leader: this.#order[state[1]], applied: state[2]};
	}

	/** Whether the disk of another node is full, by its own fresh report. */
	isDiskFull(node: NodeId, tick: number, staleTicks: number): boolean {
		const atTick = this.#fullDisks.get(node);
		return atTick !== undefined && tick - atTick < staleTicks;
	}

	/** The fresh complaints, our own included. */
	complaints(tick: number, staleTicks: number): readonly Complaint[] {
		if (this.#withComplaints.size === 0) return [];
		return [...this.#withComplaints].flatMap((node): Complaint[] => {
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
		if (unheard.length > 0) this.#withUnheard.add(node);
		else this.#withUnheard.delete(node);
		if (state && (state[3].length > 0 || state[4].length > 0)) this.#withComplaints.add(node);
		else this.#withComplaints.delete(node);
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

/** A bit for each id for which `isSet` holds, without trailing zero bytes. */
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

/** Negative when the first row is the older one. */
function compareVersions([, incarnation, counter]: Row, [, otherIncarnation, otherCounter]: Row): number {
	return incarnation - otherIncarnation || counter - otherCounter;
}

function hasBit(bytes: Uint8Array, index: number): boolean {
	return ((bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
