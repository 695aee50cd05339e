/**
Asks addresses who is there: the question of a node that wants to join, over a connection of its own. The handshake
proves the id of whoever answers, so an address is never taken for a node. Each address is asked by itself, again and
again at a bounded pace, so that one that hangs delays no other.
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
	/** The question, as it is now. */
	readonly question: () => Buffer;
	readonly onAsked: (asked: Asked) => void;
	/** Between two questions to one address, milliseconds. */
	readonly againMs: number;
};

/** Addresses that are asked at one time, and that are remembered. */
const askingMax = 32;
const addressesMax = 512;

export class PeerSearch {
	readonly #options: PeerSearchOptions;
	/** When each address was answered for or failed; `undefined` while it is asked. */
	readonly #addresses = new Map<string, number | undefined>();
	#asking = 0;
	#isStopped = false;

	constructor(options: PeerSearchOptions) {
		this.#options = options;
	}

	/** Ask those of these addresses whose turn it is. */
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

	/** No further question; what is answered yet is ignored. */
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
