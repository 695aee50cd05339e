/**
Does the seed list of a member lead to another cluster of the same name? That happens where nodes that were meant to be
one cluster were started alone, and got `--bootstrap` later. Beacons tell it where there is discovery. Elsewhere nobody
would: a node that has data stays in its own cluster, and asks nobody once it has a leader. So the seeds at which no
member is known are asked now and then, until they answer for this cluster. The one that is asked learns of it as well.
*/
import {DapssError} from '../errors.ts';
import type {PeerFinder} from '../ports.ts';
import {otherCluster} from './joining.ts';
import {PeerSearch, type Asked} from './peer-search.ts';

export type SeedWatchOptions = {
	readonly seeds: readonly string[];
	/** Where this node is reached. */
	readonly address: string;
	readonly clusterId: () => string;
	readonly peers: Pick<PeerFinder, 'ask'>;
	readonly nowMs: () => number;
	readonly question: () => Buffer;
	/** A node of another cluster answered at this address. */
	readonly foreign: (clusterId: string, address: string) => void;
};

/** Two questions fit into the time for which another cluster counts as heard lately. */
const againMs = 4000;

export class SeedWatch {
	readonly #options: SeedWatchOptions;
	readonly #search: PeerSearch;
	/** Seeds that need no further question: a node of this cluster, or none of its name, is there. */
	readonly #settled = new Set<string>();

	constructor(options: SeedWatchOptions) {
		const {address, peers, nowMs, question} = options;
		this.#options = options;
		this.#settled.add(address);
		this.#search = new PeerSearch({peers, nowMs, question, againMs, onAsked: asked => this.#onAsked(asked)});
	}

	/** Now and then. @param members addresses of the members */
	look(members: ReadonlySet<string>): void {
		this.#search.ask(this.#options.seeds.filter(seed => !this.#settled.has(seed) && !members.has(seed)));
	}

	close(): void {
		this.#search.stop();
	}

	#onAsked(asked: Asked): void {
		const {address} = asked;
		if ('error' in asked) {
			const {error} = asked;
			if (error instanceof DapssError && error.code !== 'unreachable') this.#settled.add(address);
			return;
		}

		const {answer} = asked;
		const other = otherCluster(answer, this.#options.clusterId());
		if (other !== undefined) this.#options.foreign(other, address);
		else if (answer.type === 'joined') this.#settled.add(address);
	}
}
