/**
What readers of topic logs may see, judged from what they saw. A node numbers the messages of a topic in the order in
which it delivers them, and an offset is a reader's place: so offsets are dense, mean the same for ever, hold each
message once, and those of an origin in their order without a gap. Retention, a power cut and what the node told as
missed are the exceptions, and each has to be told here.
*/

/** A topic's log on a node. */
export type Place = {readonly node: string; readonly topic: string};
export type Read = {
	readonly offset: number;
	readonly origin: string;
	readonly incarnation: number;
	readonly seq: number;
	readonly digest: number;
};

type Seen = {
	/** By offset: which message, and its content. */
	readonly at: Map<number, {readonly name: string; readonly digest: number}>;
	readonly offsets: Map<string, number>;
	/**
	Messages of the same stream before the one at this offset were told as missed, or are none that the node wants.
	*/
	readonly gaps: Set<number>;
};

export class Offsets {
	readonly #logs = new Map<string, Seen>();
	/** The content of each message, whoever read it. */
	readonly #contents = new Map<string, number>();
	reads = 0;
	/** Read before a power cut or damage, which took it from the log. */
	takenBack = 0;
	/** The first violation: one that is found within a promise callback would be lost otherwise. */
	problem: Error | undefined;

	/** @param from the offset that was asked for; `undefined` when it is the log's choice */
	reader(place: Place, from?: number): OffsetReader {
		const {node, topic} = place;
		const seen = this.#log(place);
		let next = from;
		/** What came before is not known: a stream may begin with any number. */
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
					this.#fail('in the order of its origin', `${where(offset)} is ${name}, behind ${previous}`);
				if (previous !== undefined && seq !== previous + 1 && !seen.gaps.has(offset))
					this.#fail('no gap', `${where(offset)} is ${name}, behind ${previous}`);
				seen.at.set(offset, {name, digest});
				seen.offsets.set(name, offset);
				this.#contents.set(name, digest);
				last.set(stream, seq);
				next = offset + 1;
			},
		};
	}

	/** Behind the last message that anybody has read: where a program may go on. */
	end(place: Place): number {
		return Math.max(-1, ...this.#log(place).at.keys()) + 1;
	}

	/** Messages of a stream are left out right before this offset, for a reason that was given. */
	gap(place: Place, offset: number): void {
		this.#log(place).gaps.add(offset);
	}

	isGap(place: Place, offset: number): boolean {
		return this.#log(place).gaps.has(offset);
	}

	/** The log was opened again and ends there. Only a power cut may have taken what readers had. */
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

	/** The log was copied as it is. */
	copied(from: Place, to: Place): void {
		const {at, offsets, gaps} = this.#log(from);
		this.#logs.set(keyOf(to), {at: new Map(at), offsets: new Map(offsets), gaps: new Set(gaps)});
	}

	/** Its disk was damaged: what was there may come again at another place. */
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
		this.problem ??= new Error(`${rule}: ${what}`);
		throw this.problem;
	}
}

function keyOf({node, topic}: Place): string {
	return `${node} ${topic}`;
}

export type OffsetReader = {
	/** The offset that has to come next, once that is known. */
	readonly next: number | undefined;
	/** In order, one call a message. @throws what is violated */
	take(read: Read): void;
	/** So many are gone, by retention or damage, before they could be read. */
	dropped(count: number): void;
};
