/**
Who hears whom. Each node keeps one row, the members that it heard from directly within the last while, and carries it and the
newest rows of others on its packets: an all-to-all picture for a few bytes, in which a cut that works one way only is seen too.
A row that gets no newer version goes stale: what its node hears now is then not known, only what it heard last.
*/
import type {NodeId} from '../message.ts';
import {hashMembers, rowBytes, u32Max, type Row} from './packet.ts';

type Known = {readonly row: Row; readonly atTick: number; /** Over the current list of members, so it may be passed on. */ readonly isCurrent: boolean};

export class Rows {
	readonly #self: NodeId;
	readonly #incarnation: number;
	#order: readonly NodeId[];
	#index: ReadonlyMap<NodeId, number>;
	#hash: number;
	/** Insertion order is the order of passing on: what was told goes to the end. */
	readonly #known = new Map<NodeId, Known>();
	#counter = 0;
	#own: Row;
	#ownAtTick = 0;
	/** Whose rows, the own one included, name somebody. */
	readonly #complaining = new Set<NodeId>();
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

	/** Another list of members. Rows are kept, rewritten over it; a member that a row does not know yet counts as heard. */
	setOrder(order: readonly NodeId[]): void {
		const former = this.#order;
		this.#order = order;
		this.#index = new Map(order.map((id, index) => [id, index]));
		this.#hash = hashMembers(order);
		for (const [node, {row, atTick}] of this.#known) {
			if (this.#index.has(node)) {
				const rewritten = this.#rewrite(row, former);
				this.#known.set(node, {row: rewritten, atTick, isCurrent: false});
				this.#note(rewritten);
			} else {
				this.#known.delete(node);
				this.#complaining.delete(node);
			}
		}

		this.#own = this.#rewrite(this.#own, former);
		this.#note(this.#own);
		this.#ownAtTick = -Infinity; // The next `observe` gives it a version over this list.
	}

	/** Set the own row. True when its content changed; a new version is made then, and every `refreshTicks`. */
	observe(isHeard: (id: NodeId) => boolean, tick: number, refreshTicks: number): boolean {
		const unheard = bitmap(this.#order, id => id !== this.#self && !isHeard(id));
		const hasChanged = !isEqual(unheard, this.#own[4]);
		if (hasChanged || tick - this.#ownAtTick >= refreshTicks) {
			this.#counter = Math.min(this.#counter + 1, u32Max);
			this.#own = [this.#self, this.#incarnation, this.#counter, this.#hash, unheard];
			this.#ownAtTick = tick;
			this.#note(this.#own);
		}

		return hasChanged;
	}

	/** A row came in. The highest version wins; our own and those of strangers are ignored. */
	learn(row: Row, tick: number): void {
		const [node, incarnation, counter, members] = row;
		if (node === this.#self || !this.#index.has(node)) return;
		if (members !== this.#hash) {
			this.mismatches++;
			return;
		}

		const known = this.#known.get(node);
		if (known?.isCurrent && (incarnation < known.row[1] || (incarnation === known.row[1] && counter <= known.row[2]))) return;
		this.#known.set(node, {row, atTick: tick, isCurrent: true}); // A Map keeps the place of a key that it has.
		this.#note(row);
	}

	/** Rows for a packet to `to`: the own one, then those that wait longest, up to `count` and `bytesMax`. Stale ones are not passed on. */
	take(to: NodeId, count: number, bytesMax: number, tick: number, staleTicks: number): Row[] {
		const rows = [this.#own];
		let bytes = rowBytes(this.#own);
		const told: Array<[NodeId, Known]> = [];
		for (const [node, known] of this.#known) {
			if (rows.length >= count) break;
			if (node === to || !known.isCurrent || tick - known.atTick >= staleTicks) continue;
			bytes += rowBytes(known.row);
			if (bytes > bytesMax) break;
			rows.push(known.row);
			told.push([node, known]);
		}

		for (const [node, known] of told) {
			this.#known.delete(node);
			this.#known.set(node, known);
		}

		return rows;
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

	#note([node, , , , unheard]: Row): void {
		if (unheard.length > 0) this.#complaining.add(node);
		else this.#complaining.delete(node);
	}

	#rewrite([node, incarnation, counter, , unheard]: Row, former: readonly NodeId[]): Row {
		const ids = new Set(former.filter((_, index) => hasBit(unheard, index)));
		return [node, incarnation, counter, this.#hash, bitmap(this.#order, id => ids.has(id))];
	}
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

function hasBit(bytes: Uint8Array, index: number): boolean {
	return ((bytes[index >> 3] ?? 0) & (1 << (index & 7))) !== 0;
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && a.every((byte, index) => byte === b[index]);
}
