/**
The tree along which a batch spreads. Subscriptions are agreed, so every subscriber of a topic knows all the others. The
tree need not be discovered by trial, as in Plumtree (Leitão 2007): each node computes its own children.

Ids are split into digits of two bits. The members whose ids start with the same digits form a **region**, and four
regions form the next wider region. The head of a region is the member closest to the origin by XOR distance (Kademlia:
Maymounkov, Mazières 2002). A batch enters a region at its head. The head pushes it to the heads of the three other
parts of the region, and so on down (El-Ansary et al. 2003). So each member gets one push, over about log4 n hops. Ids
are hashes, so every origin has its own tree and the work is shared. In all trees together a node has about 4 log4 n
neighbours. A join or leave changes the tree only in the regions of that node.

With more `copies` a region has as many heads, and each of them gets a push from every head of the surrounding region:
each member has `copies` parents. The tree for one copy is always included, so two nodes that use different numbers of
copies still leave no member out.
*/
import type {NodeId} from '../message.ts';

const digitBits = 2;
const partsOfRegion = 2 ** digitBits;
/** Digits in half an id. */
const halfDigits = 32 / digitBits;

export class Roster {
	readonly ids: readonly NodeId[];
	readonly #high: Uint32Array;
	readonly #low: Uint32Array;

	constructor(ids: readonly NodeId[]) {
		this.ids = ids;
		this.#high = Uint32Array.from(ids, high);
		this.#low = Uint32Array.from(ids, low);
	}

	/** The peers that `node` pushes a batch of `origin` to. Neither needs to be on the roster. */
	targets(node: NodeId, origin: NodeId, copies: number): ReadonlySet<NodeId> {
		const around = this.#headsAround(node, origin, copies);
		const targets = new Set<NodeId>();
		addTargets(targets, around, {node, origin, copies: 1});
		if (copies > 1) addTargets(targets, around, {node, origin, copies});
		return targets;
	}

	/** The closest member of each part of each region around `node`: few links per node that connect all members. */
	contacts(node: NodeId): NodeId[] {
		return this.#headsAround(node, node, 1).flatMap(parts => parts.flatMap(part => part.map(({id}) => id)));
	}

	/**
	By the number of digits shared with `node`: the other parts of that region, with the heads of each, closest first.
	*/
	#headsAround(node: NodeId, origin: NodeId, copies: number): Around {
		const [nodeHigh, nodeLow, originHigh, originLow] = [high(node), low(node), high(origin), low(origin)];
		const around = Array.from({length: 2 * halfDigits}, (): Head[][] => []);
		const place = (id: NodeId, memberHigh: number, memberLow: number): void => {
			const isHigh = memberHigh !== nodeHigh;
			const difference = isHigh ? memberHigh ^ nodeHigh : memberLow ^ nodeLow;
			if (difference === 0) return; // The node itself.
			const digit = Math.floor(Math.clz32(difference) / digitBits);
			const part = (difference >>> (32 - digitBits - digit * digitBits)) & (partsOfRegion - 1);
			const heads = (around[isHigh ? digit : halfDigits + digit]![part] ??= []);
			const distanceHigh = (memberHigh ^ originHigh) >>> 0;
			const distanceLow = (memberLow ^ originLow) >>> 0;
			if (heads.length >= copies) {
				// The common case: not close enough.
				const last = heads[heads.length - 1]!;
				if (distanceHigh > last.high || (distanceHigh === last.high && distanceLow > last.low)) return;
			}

			admit(heads, {id, high: distanceHigh, low: distanceLow}, copies);
		};

		let isOriginThere = false;
		for (let index = 0; index < this.ids.length; index++) {
			const memberHigh = this.#high[index]!;
			const memberLow = this.#low[index]!;
			if (memberHigh === originHigh && memberLow === originLow) isOriginThere = true;
			place(this.ids[index]!, memberHigh, memberLow);
		}

		// An origin that does not subscribe is still the root of its tree.
		if (!isOriginThere) place(origin, originHigh, originLow);
		return around.map(parts => parts.filter(heads => heads !== undefined));
	}
}

/** XOR distance from the origin. */
type Distance = {readonly high: number; readonly low: number};
type Head = Distance & {readonly id: NodeId};
type Around = ReadonlyArray<ReadonlyArray<readonly Head[]>>;

function addTargets(
	targets: Set<NodeId>,
	around: Around,
	{node, origin, copies}: {readonly node: NodeId; readonly origin: NodeId; readonly copies: number},
): void {
	let own: readonly Head[] = [headOf(node, origin)];
	for (let level = around.length - 1; level >= 0; level--) {
		if (around[level]!.length === 0) continue;
		const parts = [own, ...around[level]!.map(heads => heads.slice(0, copies))];
		const wider: Head[] = [];
		for (const heads of parts) for (const head of heads) admit(wider, head, copies);
		if (!wider.some(({id}) => id === node)) return;
		for (const heads of parts) for (const head of heads) if (!wider.includes(head)) targets.add(head.id);
		own = wider;
	}

	// The heads of the widest region have no parent but the origin: they push to one another.
	for (const {id} of own) if (id !== node && id !== origin) targets.add(id);
}

function headOf(id: NodeId, origin: NodeId): Head {
	return {id, high: (high(id) ^ high(origin)) >>> 0, low: (low(id) ^ low(origin)) >>> 0};
}

/** Inserts into the sorted list of the `max` closest heads. */
function admit(heads: Head[], head: Head, max: number): void {
	let at = heads.length;
	while (at > 0 && isCloser(head, heads[at - 1]!)) at--;
	if (at >= max) return;
	heads.splice(at, 0, head);
	if (heads.length > max) heads.pop();
}

function isCloser(a: Distance, b: Distance): boolean {
	return a.high < b.high || (a.high === b.high && a.low < b.low);
}

function high(id: NodeId): number {
	return Number.parseInt(id.slice(0, 8), 16);
}

function low(id: NodeId): number {
	return Number.parseInt(id.slice(8), 16);
}
