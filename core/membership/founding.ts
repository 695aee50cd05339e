/**
Decides which of several nodes that start without data founds the cluster.

A seeker is a node that looks for a cluster. It asks every address that it knows, and answers other seekers. Each seeker
votes for a founder: the lowest id among the seekers that are able to found. A seeker founds when it votes for itself,
and every seeker that it is in contact with has answered within the last `askedMs` that it votes for the same one. A
vote is a lease: a seeker keeps it for `leaseMs` after it was sent. That is longer than `askedMs`, so two seekers that
both need the vote of a third never both found. A seeker is able to found when the nodes that it must wait for are
present: `expect` nodes, or all seeds; or, when neither is given, after it has heard no other node for `seekMs`.

Pure: the caller passes the time, in monotonic milliseconds.
*/
import type {NodeId} from '../message.ts';

export type FoundingOptions = {
	readonly self: NodeId;
	/** The advertised address of this node. */
	readonly address: string;
	/** The seed list (`--bootstrap`); it may name this node. */
	readonly seeds: readonly string[];
	/** The number of nodes that must be present before one founds, this one included; 0: not given. */
	readonly expect: number;
	/** How long a node without seeds and `expect` listens for others before it founds. */
	readonly seekMs: number;
	readonly nowMs: number;
};
/** The state of a seeker, as its questions and answers carry it. */
export type SeekerState = {
	/** The node that it votes for; `undefined` when no seeker is able to found yet. */
	readonly choice: NodeId | undefined;
	readonly isAble: boolean;
	/** Addresses of the seekers that it knows, at most `seekersMax`. */
	readonly seekers: readonly string[];
};
/** `isAdmission`: a cluster exists, and has not admitted this node yet. */
export type Decision =
	{readonly type: 'found'} | {readonly type: 'wait'; readonly for: string; readonly isAdmission?: true};

/** What a node waits for when it has found a cluster. */
const admission = 'to admit this node';

/** The text of `decide` says that members answer, and have not admitted this node yet. */
export function isAdmission(text: string): boolean {
	return text.includes(admission);
}

/** A seeker that was not heard for this long is forgotten. */
const freshMs = 3000;
/** A cluster counts as existing for this long after a member was heard, or was first reported without a proof. */
const memberMs = 30_000;
/** How long a seeker keeps a vote that it sent; and for how long the founder counts an answer, from its question on. */
const leaseMs = 2000;
const askedMs = 1000;
export const seekersMax = 64;

type Seeker = {
	readonly address: string;
	readonly heardMs: number;
	readonly isAble: boolean;
	readonly answer: {readonly choice: NodeId | undefined; readonly askedMs: number} | undefined;
};

export class Founding {
	readonly #options: FoundingOptions;
	/** Seekers that this node is in contact with. */
	readonly #seekers = new Map<NodeId, Seeker>();
	/** Addresses of seekers that others reported, with the first and the last time. */
	readonly #hints = new Map<string, {readonly firstMs: number; lastMs: number}>();
	/** The node that answered at the address of each seed. */
	readonly #seeds = new Map<string, NodeId>();
	#lease: {readonly choice: NodeId; readonly untilMs: number} | undefined;
	#memberMs = Number.NEGATIVE_INFINITY;
	#member = '';
	/** When a member was first reported without a proof. */
	#reportedMs: number | undefined;

	constructor(options: FoundingOptions) {
		this.#options = options;
		if (options.seeds.includes(options.address)) this.#seeds.set(options.address, options.self);
	}

	/** The addresses to ask. */
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

	/** Another node reported a seeker at this address. */
	hint(address: string, nowMs: number): void {
		const known = this.#hints.get(address);
		if (known) known.lastMs = nowMs;
		else if (address !== this.#options.address && this.#hints.size < seekersMax && !this.#isKnown(address))
			this.#hints.set(address, {firstMs: nowMs, lastMs: nowMs});
	}

	/** This node reached itself at that address. */
	isSelf(address: string): void {
		if (this.#options.seeds.includes(address)) this.#seeds.set(address, this.#options.self);
		this.#hints.delete(address);
	}

	/** The state of this node to send now. The receiver may rely on the vote, so this starts its lease. */
	state(nowMs: number): SeekerState {
		const choice = this.#choose(nowMs);
		// Only a vote that would be cast again is prolonged: two nodes that voted for each other would wait for ever.
		if (choice !== undefined && choice !== this.#options.self && choice === this.#lowest(nowMs))
			this.#lease = {choice, untilMs: nowMs + leaseMs};
		return {
			choice,
			isAble: this.#isAble(nowMs),
			seekers: [...this.#seekers.values()].map(({address}) => address).slice(0, seekersMax),
		};
	}

	/** Another seeker asks; the handshake has proved its identity. */
	asked(id: NodeId, address: string, state: SeekerState, nowMs: number): void {
		this.#heard(id, address, state, this.#seekers.get(id)?.answer, nowMs);
	}

	/** A seeker answered, at the address `at`, the question that was sent at `askedAtMs`. */
	answered(at: string, id: NodeId, address: string, state: SeekerState, askedAtMs: number, nowMs: number): void {
		if (this.#options.seeds.includes(at)) this.#seeds.set(at, id);
		this.#hints.delete(at);
		this.#heard(id, address, state, {choice: state.choice, askedMs: askedAtMs}, nowMs);
	}

	/**
	A member of a cluster answered, or was heard. For `memberMs` this node founds no second cluster and votes for no
	founder: all members may be down, and return (seed 53026).
	*/
	memberHeard(address: string, nowMs: number): void {
		this.#memberMs = nowMs;
		this.#member = address;
		this.#hints.delete(address);
	}

	/**
	A beacon reports a member, and cannot prove that it is no replay: it is of an earlier version. All such reports
	together count for `memberMs` from the first one on. In that time this node asks the address repeatedly; a member
	that answers counts as heard. So a replayed beacon delays a first node, and does not keep it from founding.
	*/
	memberReported(address: string, nowMs: number): void {
		this.#reportedMs ??= nowMs;
		if (nowMs - this.#memberMs >= memberMs) this.#member = address;
	}

	/** Whether this node founds now, or else the condition that it waits for. */
	decide(nowMs: number): Decision {
		this.#forget(nowMs);
		const {self} = this.#options;
		if (this.#knowsMember(nowMs))
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
		const unsure = [...this.#seekers].find(
			([, {answer}]) => answer?.choice !== self || nowMs - answer.askedMs > askedMs,
		);
		if (unsure)
			return {
				type: 'wait',
				for: `node ${unsure[0]} (${unsure[1].address}) to agree that this node founds the cluster`,
			};
		const [hint] = [...this.#hints].find(([, {firstMs}]) => nowMs - firstMs < freshMs) ?? [];
		return hint === undefined ? {type: 'found'} : {type: 'wait', for: `${hint} to answer`};
	}

	#heard(id: NodeId, address: string, {isAble, seekers}: SeekerState, answer: Seeker['answer'], nowMs: number): void {
		if (id === this.#options.self || (this.#seekers.size >= seekersMax && !this.#seekers.has(id))) return;
		this.#seekers.set(id, {address, heardMs: nowMs, isAble, answer});
		this.#hints.delete(address);
		for (const other of seekers.slice(0, seekersMax)) this.hint(other, nowMs);
	}

	#isKnown(address: string): boolean {
		return [...this.#seekers.values()].some(seeker => seeker.address === address);
	}

	/** The founder by what is known now; a vote that was sent is kept while its lease lasts. */
	#choose(nowMs: number): NodeId | undefined {
		this.#forget(nowMs);
		if (this.#knowsMember(nowMs)) return undefined;
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
		return !this.#knowsMember(nowMs) && this.#lacking(nowMs) === undefined;
	}

	#knowsMember(nowMs: number): boolean {
		return nowMs - this.#memberMs < memberMs || nowMs - (this.#reportedMs ?? Number.NEGATIVE_INFINITY) < memberMs;
	}

	/** The condition that must hold before this node may found; `undefined` when it holds. */
	#lacking(nowMs: number): string | undefined {
		const {seeds, expect, seekMs, self, nowMs: startedMs} = this.#options;
		if (expect > 0) {
			const here = this.#seekers.size + 1;
			return here >= expect
				? undefined
				: `${expect - here} more ${expect - here === 1 ? 'node' : 'nodes'} to start (${here} of ${expect} ` +
						'expected nodes are here)';
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
