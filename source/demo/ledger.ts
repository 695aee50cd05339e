/**
The account of a demo's messages: which were acknowledged, and which reader got them how often. It shows whether every
acknowledged message was delivered exactly once to each reader that stayed. Pure.
*/

/** A message that the demo published: its publisher, and a number that the publisher uses once. */
export type Key = {readonly publisher: string; readonly number: number};

/** A publisher that did not keep up, or a reader that got a message twice or not at all. */
export type Shortfall = {
	readonly reader: string;
	/** Acknowledged messages that the reader has not got. */
	readonly missing: number;
	/** Deliveries of a message after its first. */
	readonly twice: number;
};

type Reader = {readonly got: Map<string, Set<number>>; twice: number};

export class Ledger {
	#acknowledged = 0;
	/** Numbers of acknowledged messages, by publisher. */
	readonly #acks = new Map<string, Set<number>>();
	readonly #readers = new Map<string, Reader>();
	/** Earlier messages of a publisher belong to an account that is closed. */
	readonly #first = new Map<string, number>();

	get acknowledged(): number {
		return this.#acknowledged;
	}

	/** Acknowledged messages of one publisher. */
	acknowledgedBy(publisher: string): number {
		return this.#acks.get(publisher)?.size ?? 0;
	}

	acknowledge({publisher, number}: Key): void {
		const numbers = this.#acks.get(publisher) ?? new Set();
		this.#acks.set(publisher, numbers.add(number));
		this.#acknowledged++;
	}

	addReader(reader: string): void {
		this.#readers.set(reader, {got: new Map(), twice: 0});
	}

	/** The reader ends, so nothing is expected of it. */
	removeReader(reader: string): void {
		this.#readers.delete(reader);
	}

	receive(reader: string, {publisher, number}: Key): void {
		const account = this.#readers.get(reader);
		if (!account || number < (this.#first.get(publisher) ?? 0)) return;
		const numbers = account.got.get(publisher) ?? new Set();
		if (numbers.has(number)) account.twice++;
		account.got.set(publisher, numbers.add(number));
	}

	get readers(): readonly string[] {
		return [...this.#readers.keys()];
	}

	/** Acknowledged messages that this reader has. @param publisher @default all */
	received(reader: string, publisher?: string): number {
		let count = 0;
		for (const [from, numbers] of this.#acks) {
			if (publisher !== undefined && from !== publisher) continue;
			const got = this.#readers.get(reader)?.got.get(from);
			for (const number of numbers) if (got?.has(number)) count++;
		}

		return count;
	}

	/** Readers that did not get every acknowledged message exactly once. */
	shortfalls(): readonly Shortfall[] {
		return [...this.#readers]
			.map(([reader, {twice}]) => ({reader, missing: this.#acknowledged - this.received(reader), twice}))
			.filter(({missing, twice}) => missing > 0 || twice > 0);
	}

	/** Closes the account. @param next the number of the next message of each publisher */
	restart(next: ReadonlyMap<string, number>): void {
		this.#acknowledged = 0;
		this.#acks.clear();
		for (const reader of this.#readers.keys()) this.addReader(reader);
		for (const [publisher, number] of next) this.#first.set(publisher, number);
	}
}
