/**
Reports the condition that a node waits for before it is a member. Each condition is recorded as an event once, not at
each attempt. Conditions may alternate, because several addresses are asked in turn. So all of them are remembered until
the node is a member.
*/
import type {BrokerEvent} from '../events.ts';

const reasonsMax = 64;

export class Waiting {
	/** For the snapshot; empty when the node waits for nothing. */
	detail = '';
	readonly #reported = new Set<string>();
	readonly #record: (event: BrokerEvent) => void;

	constructor(record: (event: BrokerEvent) => void) {
		this.#record = record;
	}

	/** @param text the condition, in words that follow "waiting for" */
	for(text: string): void {
		this.detail = `waiting for ${text}`;
		if (this.#reported.has(text)) return;
		if (this.#reported.size >= reasonsMax) this.#reported.clear();
		this.#reported.add(text);
		this.#record({type: 'waiting', for: text});
	}

	/** The node waits no longer. */
	end(): void {
		this.detail = '';
		this.#reported.clear();
	}
}
