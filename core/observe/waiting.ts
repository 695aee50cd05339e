/**
What a node waits for before it is a member: each reason is an event once, not at each try. Reasons may come in turn, as
the addresses are asked in turn, so all of them are remembered until the node has what it waits for.
*/
import type {BrokerEvent} from '../events.ts';

const reasonsMax = 64;

export class Waiting {
	/** For a snapshot; empty when it waits for nothing. */
	detail = '';
	readonly #reported = new Set<string>();
	readonly #record: (event: BrokerEvent) => void;

	constructor(record: (event: BrokerEvent) => void) {
		this.#record = record;
	}

	/** @param text in words that follow "waiting for" */
	for(text: string): void {
		this.detail = `waiting for ${text}`;
		if (this.#reported.has(text)) return;
		if (this.#reported.size >= reasonsMax) this.#reported.clear();
		this.#reported.add(text);
		this.#record({type: 'waiting', for: text});
	}

	end(): void {
		this.detail = '';
		this.#reported.clear();
	}
}
