/**
Rules for what readers of a topic log see, checked from what they saw. A node numbers the messages of a topic in the
order of their delivery, and an offset is the position of a reader. So offsets are dense, always identify the same
message, hold each message once, and keep the order of each origin without gaps. The exceptions are retention, power
cuts and messages that the node reported as missed; each must be declared here.
*/
import {Violations} from './violations.ts';

/** The log of a topic on a node. */
export type Place = {readonly node: string; readonly topic: string};
export type Read = {
	readonly offset: number;
	readonly origin: string;
	readonly incarnation: number;
	readonly seq: number;
	readonly digest: number;
};

type Seen = {
	/** By offset: the message and its content. */
	readonly at: Map<number, {readonly name: string; readonly digest: number}>;
	readonly offsets: Map<string, number>;
	/**
	Offsets right after messages of the same stream that were reported as missed, or that the node does not subscribe
	to.
	*/
	readonly gaps: Set<number>;
};

export class Offsets {
	readonly #logs = new Map<string, Seen>();
	/** The content of each message, from any reader. */
	readonly #contents = new Map<string, number>();
	reads = 0;
	/** Messages that were read before a power cut or damage removed them from the log. */
	takenBack = 0;
	readonly violations = new Violations();

	/** @param from the requested offset; `undefined` if the log chooses it */
	reader(place: Place, from?: number): OffsetReader {
		const {node, topic} = place;
		const seen = this.#log(place);
		let next = from;
		/** Whether everything before is known. Otherwise a stream may start with any number. */
		let isWhole = from === 0;
		const last = new Map<string, number>();
		const where = (offset: number): string => `${node} ${topic} ${offset}`;
		return {
			get next() {
				return next;
			},
			dropped(count) {
				next = next === undefined ? undefined : next + count;
				isWhole = false;
				last.clear();
			},
			take: ({offset, origin, incarnation, seq, digest}) => {
				this.reads++;
				const stream = `${origin}:${incarnation}`;
				const name = `${topic} ${stream}:${seq}`;
				if (next !== undefined && offset !== next)
					this.#fail('offsets are dense', `${where(offset)} comes where ${next} is next`);
				const known = seen.at.get(offset);
				if (known && (known.name !== name || known.digest !== digest))
					this.#fail(
						'an offset means the same for ever',
						`${where(offset)} was ${known.name} (${known.digest}), is ${name} (${digest})`,
					);
				const before = seen.offsets.get(name);
				if (before !== undefined && before !== offset)
					this.#fail('each message once on a node', `${where(offset)} is ${name}, as ${before} is`);
				const content = this.#contents.get(name);
				if (content !== undefined && content !== digest)
					this.#fail(
						'a message is the same everywhere',
						`${where(offset)} is ${name} (${digest}), elsewhere ${content}`,
					);
				const previous = last.get(stream) ?? (isWhole ? 0 : undefined);
				if (previous !== undefined && seq <= previous)
					this.#fail('in the order of its origin', `${where(offset)} is ${name}, after ${previous}`);
				if (previous !== undefined && seq !== previous + 1 && !seen.gaps.has(offset))
					this.#fail('no gap', `${where(offset)} is ${name}, after ${previous}`);
				seen.at.set(offset, {name, digest});
				seen.offsets.set(name, offset);
				this.#contents.set(name, digest);
				last.set(stream, seq);
				next = offset + 1;
			},
		};
	}

	/** The offset after the last message that any program has read: where another program may continue. */
	end(place: Place): number {
		return Math.max(-1, ...this.#log(place).at.keys()) + 1;
	}

	/** Declare that messages of a stream are missing right before this offset, for a reported reason. */
	gap(place: Place, offset: number): void {
		this.#log(place).gaps.add(offset);
	}

	isGap(place: Place, offset: number): boolean {
		return this.#log(place).gaps.has(offset);
	}

	/** The log was reopened and ends at `end`. Only a power cut may have removed messages that were read. */
	reopened(place: Place, end: number, mayHaveLost: boolean): void {
		const {at, gaps} = this.#log(place);
		for (const [offset, {name}] of at) {
			if (offset >= end && !mayHaveLost)
				this.#fail(
					'what was delivered outlives the process',
					`${place.node} ${place.topic} ends at ${end}, ${name} was read at ${offset}`,
				);
		}

		this.#takeBack(place, offset => offset < end);
		for (const offset of gaps) if (offset >= end) gaps.delete(offset);
	}

	/** The log was copied unchanged. */
	copied(from: Place, to: Place): void {
		const {at, offsets, gaps} = this.#log(from);
		this.#logs.set(keyOf(to), {at: new Map(at), offsets: new Map(offsets), gaps: new Set(gaps)});
	}

	/** The disk was damaged: messages that were there may return at another offset. */
	damaged(place: Place, isThere: (offset: number) => boolean): void {
		this.#takeBack(place, isThere);
	}

	#takeBack(place: Place, isThere: (offset: number) => boolean): void {
		const {at, offsets} = this.#log(place);
		for (const [offset, {name}] of at) {
			if (isThere(offset)) continue;
			this.takenBack++;
			at.delete(offset);
			offsets.delete(name);
		}
	}

	#log(place: Place): Seen {
		const key = keyOf(place);
		let seen = this.#logs.get(key);
		if (!seen) {
			seen = {at: new Map(), offsets: new Map(), gaps: new Set()};
			this.#logs.set(key, seen);
		}

		return seen;
	}

	#fail(rule: string, what: string): never {
		throw this.violations.record(`${rule}: ${what}`);
	}
}

function keyOf({node, topic}: Place): string {
	return `${node} ${topic}`;
}

export type OffsetReader = {
	/** The offset that must come next, once it is known. */
	readonly next: number | undefined;
	/** Called for each message, in order. @throws the violation */
	take(read: Read): void;
	/** Retention or damage removed this many messages before they were read. */
	dropped(count: number): void;
};
