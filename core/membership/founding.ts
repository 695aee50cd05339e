/**
Which one of several nodes that start without data founds the cluster.

A node that seeks a cluster asks every address it knows, and is asked. Each seeker chooses a founder: the lowest id
among the seekers that are able to found. A seeker founds when it chooses itself and every seeker it is in contact with
said, less than `askedMs` ago, that it chooses the same. A choice is a lease: it stays for `leaseMs` after it was told,
which is longer than `askedMs`, so two seekers that both need the word of a third never found both. A seeker is able to
found when the nodes that it must wait for are there: `expect` of them, or all of the seed list, or nobody for `seekMs`
when neither is given.

Pure: the caller passes the time, in milliseconds that never go back.
*/
import type {NodeId} from '../message.ts';

export type FoundingOptions = {
	readonly self: NodeId;
	/** Where this node is reached. */
	readonly address: string;
	/** The seed list (`--bootstrap`); it may name this node. */
	readonly seeds: readonly string[];
	/** Nodes that must be there before one founds, this one included; 0: not given. */
	readonly expect: number;
	/** How long a node that nobody is named to listens for others before it founds. */
	readonly seekMs: number;
	readonly nowMs: number;
};
/** What a seeker says of itself, in its questions and its answers. */
export type SeekerWord = {
	/** Whom it chooses; `undefined` when no seeker is able to found yet. */
	readonly choice: NodeId | undefined;
	readonly isAble: boolean;
	/** Addresses of seekers that it knows, at most `seekersMax`. */
	readonly seekers: readonly string[];
};
/** `isAdmission`: a cluster is there, and has not admitted this node yet. */
export type Decision =
	{readonly type: 'found'} | {readonly type: 'wait'; readonly for: string; readonly isAdmission?: true};

/** What a node waits for that knows a cluster. */
const admission = 'to admit this node';

/** The words of `decide` say that members answer, and do not admit this node yet. */
export function isAdmission(words: string): boolean {
	return words.includes(admission);
}

/** A seeker that was not heard for this long is gone. */
const freshMs = 3000;
/** A choice that was told stays for so long; and counts for the founder for so long after it was asked for. */
const leaseMs = 2000;
const askedMs = 1000;
export const seekersMax = 64;

type Seeker = {
	readonly address: string;
	readonly heardMs: number;
	readonly isAble: boolean;
	readonly told: {readonly choice: NodeId | undefined; readonly askedMs: number} | undefined;
};

export class Founding {
	readonly #options: FoundingOptions;
	/** Seekers that this node was in contact with. */
	readonly #seekers = new Map<NodeId, Seeker>();
	/** Addresses of seekers that others named, and when first and last. */
	readonly #hints = new Map<string, {readonly firstMs: number; lastMs: number}>();
	/** Which node answered at a seed's address. */
	readonly #seeds = new Map<string, NodeId>();
	#lease: {readonly choice: NodeId; readonly untilMs: number} | undefined;
	#memberMs = Number.NEGATIVE_INFINITY;
	#member = '';

	constructor(options: FoundingOptions) {
		this.#options = options;
		if (options.seeds.includes(options.address)) this.#seeds.set(options.address, options.self);
	}

	/** Addresses to ask. */
	addresses(nowMs: number): readonly string[] {
		this.#forget(nowMs);
		const {seeds, address, self} = this.#options;
		const others = seeds.filter(seed => this.#seeds.get(seed) !== self);
		return [
			...new Set([
				...others,
				...[...this.#seekers.values()].map(seeker => seeker.address),
				...this.#hints.keys(),
			]),
		].filter(one => one !== address);
	}

	/** Somebody said that a seeker is at this address. */
	hint(address: string, nowMs: number): void {
		const known = this.#hints.get(address);
		if (known) known.lastMs = nowMs;
		else if (address !== this.#options.address && this.#hints.size < seekersMax && !this.#isKnown(address))
			this.#hints.set(address, {firstMs: nowMs, lastMs: nowMs});
	}

	/** This node answered itself at that address. */
	isSelf(address: string): void {
		if (this.#options.seeds.includes(address)) this.#seeds.set(address, this.#options.self);
		this.#hints.delete(address);
	}

	/** What this node says of itself now. Whoever is told may rely on it: the choice is leased. */
	word(nowMs: number): SeekerWord {
		const choice = this.#choose(nowMs);
		// Only what would be chosen anew is prolonged: two nodes that had chosen each other would wait for ever.
		if (choice !== undefined && choice !== this.#options.self && choice === this.#lowest(nowMs))
			this.#lease = {choice, untilMs: nowMs + leaseMs};
		return {
			choice,
			isAble: this.#isAble(nowMs),
			seekers: [...this.#seekers.values()].map(({address}) => address).slice(0, seekersMax),
		};
	}

	/** Another seeker asks; its identity is proved. */
	asked(id: NodeId, address: string, word: SeekerWord, nowMs: number): void {
		this.#heard(id, address, word, this.#seekers.get(id)?.told, nowMs);
	}

	/** A seeker answered the question that left at `askedAtMs` for `at`. */
	answered(at: string, id: NodeId, address: string, word: SeekerWord, askedAtMs: number, nowMs: number): void {
		if (this.#options.seeds.includes(at)) this.#seeds.set(at, id);
		this.#hints.delete(at);
		this.#heard(id, address, word, {choice: word.choice, askedMs: askedAtMs}, nowMs);
	}

	/** A member of a cluster answered, or was heard: nobody founds another beside it. */
	memberHeard(address: string, nowMs: number): void {
		this.#memberMs = nowMs;
		this.#member = address;
		this.#hints.delete(address);
	}

	decide(nowMs: number): Decision {
		this.#forget(nowMs);
		const {self} = this.#options;
		if (nowMs - this.#memberMs < freshMs)
			return {type: 'wait', for: `the cluster at ${this.#member} ${admission}`, isAdmission: true};
		const lacking = this.#lacking(nowMs);
		const choice = this.#choose(nowMs);
		if (choice !== self)
			return {
				type: 'wait',
				for:
					choice === undefined
						? (lacking ?? 'the other nodes')
						: `node ${choice} (${this.#seekers.get(choice)?.address ?? '?'}) to found the cluster`,
			};
		const unsure = [...this.#seekers].find(([, {told}]) => told?.choice !== self || nowMs - told.askedMs > askedMs);
		if (unsure)
			return {
				type: 'wait',
				for: `node ${unsure[0]} (${unsure[1].address}) to agree that this node founds the cluster`,
			};
		const [hint] = [...this.#hints].find(([, {firstMs}]) => nowMs - firstMs < freshMs) ?? [];
		return hint === undefined ? {type: 'found'} : {type: 'wait', for: `${hint} to answer`};
	}

	#heard(id: NodeId, address: string, {isAble, seekers}: SeekerWord, told: Seeker['told'], nowMs: number): void {
		if (id === this.#options.self || (this.#seekers.size >= seekersMax && !this.#seekers.has(id))) return;
		this.#seekers.set(id, {address, heardMs: nowMs, isAble, told});
		this.#hints.delete(address);
		for (const other of seekers.slice(0, seekersMax)) this.hint(other, nowMs);
	}

	#isKnown(address: string): boolean {
		return [...this.#seekers.values()].some(seeker => seeker.address === address);
	}

	/** The founder by what is known now; a choice that was told is kept while its lease lasts. */
	#choose(nowMs: number): NodeId | undefined {
		this.#forget(nowMs);
		if (this.#lease && nowMs < this.#lease.untilMs && this.#seekers.get(this.#lease.choice)?.isAble)
			return this.#lease.choice;
		this.#lease = undefined;
		return this.#lowest(nowMs);
	}

	/** The lowest id among the seekers that are able to found. */
	#lowest(nowMs: number): NodeId | undefined {
		const able = [...this.#seekers].filter(([, {isAble}]) => isAble).map(([id]) => id);
		return [...able, ...(this.#isAble(nowMs) ? [this.#options.self] : [])].toSorted()[0];
	}

	#isAble(nowMs: number): boolean {
		return this.#lacking(nowMs) === undefined;
	}

	/** What this node must wait for before it may found; `undefined`: nothing. */
	#lacking(nowMs: number): string | undefined {
		const {seeds, expect, seekMs, self, nowMs: startedMs} = this.#options;
		if (expect > 0) {
			const here = this.#seekers.size + 1;
			return here >= expect
				? undefined
				: `${expect - here} more ${expect - here === 1 ? 'node' : 'nodes'} to start (${here} of ${expect} expected nodes are here)`;
		}

		if (seeds.length > 0) {
			const silent = seeds.filter(seed => {
				const id = this.#seeds.get(seed);
				return id === undefined || (id !== self && !this.#seekers.has(id));
			});
			return silent.length === 0 ? undefined : `${silent.join(', ')} to answer`;
		}

		return nowMs - startedMs >= seekMs ? undefined : 'a cluster on the local network to be heard';
	}

	#forget(nowMs: number): void {
		for (const [id, {heardMs}] of this.#seekers) if (nowMs - heardMs > freshMs) this.#seekers.delete(id);
		for (const [address, {lastMs}] of this.#hints) if (nowMs - lastMs > freshMs) this.#hints.delete(address);
	}
}
