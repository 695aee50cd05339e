/**
Asks addresses which node runs there, with the request of a joining node, each over a connection of its own. The
handshake proves the id of the node that answers, so an address is never mistaken for a node. Each address is asked
independently and repeatedly, at a bounded rate, so that one that hangs does not delay the others.
*/
import {errorMessage} from '../errors.ts';
import type {NodeId} from '../message.ts';
import type {PeerFinder} from '../ports.ts';
import {parseJoinAnswer, type JoinAnswer} from './joining.ts';

export type Asked = {readonly address: string; readonly askedAtMs: number} & (
	{readonly id: NodeId; readonly answer: JoinAnswer} | {readonly error: Error}
);
export type PeerSearchOptions = {
	readonly peers: Pick<PeerFinder, 'ask'>;
	readonly nowMs: () => number;
	/** Builds the request with the current state. */
	readonly question: () => Buffer;
	readonly onAsked: (asked: Asked) => void;
	/** The interval between two requests to one address, in milliseconds. */
	readonly againMs: number;
};

/** Bounds on the addresses that are asked concurrently, and that are remembered. */
const askingMax = 32;
const addressesMax = 512;

export class PeerSearch {
	readonly #options: PeerSearchOptions;
	/** When each address last answered or failed; `undefined` while a request is pending. */
	readonly #addresses = new Map<string, number | undefined>();
	#asking = 0;
	#isStopped = false;

	constructor(options: PeerSearchOptions) {
		this.#options = options;
	}

	/** Asks those of these addresses that are due. */
	ask(addresses: Iterable<string>): void {
		const {nowMs, againMs} = this.#options;
		for (const address of addresses) {
			if (this.#isStopped || this.#asking >= askingMax) return;
			if (this.#addresses.has(address)) {
				const lastMs = this.#addresses.get(address);
				if (lastMs === undefined || nowMs() - lastMs < againMs) continue;
			} else if (this.#addresses.size >= addressesMax) this.#addresses.clear();
			void this.#askOne(address);
		}
	}

	/** Sends no further request; pending answers are ignored. */
	stop(): void {
		this.#isStopped = true;
	}

	async #askOne(address: string): Promise<void> {
		const {peers, question, nowMs} = this.#options;
		this.#asking++;
		this.#addresses.set(address, undefined);
		const askedAtMs = nowMs();
		let asked: Asked;
		try {
			const {id, frame} = await peers.ask(address, question());
			const answer = parseJoinAnswer(frame);
			asked =
				id === undefined || !answer
					? {address, askedAtMs, error: new Error(`${address} gives no answer to a node that wants to join`)}
					: {address, askedAtMs, id, answer};
		} catch (error) {
			asked = {address, askedAtMs, error: error instanceof Error ? error : new Error(errorMessage(error))};
		}

		this.#asking--;
		this.#addresses.set(address, nowMs());
		if (!this.#isStopped) this.#options.onAsked(asked);
	}
}
