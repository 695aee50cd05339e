/**
Checks whether the seed list of a member leads to another cluster of the same name. This happens when nodes that were
meant to form one cluster were started alone, and got `--bootstrap` later. With discovery, beacons reveal it. Without
discovery nothing would: a node with data stays in its own cluster, and asks no address while it has a leader. So the
seeds at which no member is known are asked periodically, until they answer for this cluster. The question informs the
other node as well.
*/
import {DapssError} from '../errors.ts';
import type {PeerFinder} from '../ports.ts';
import {otherCluster} from './joining.ts';
import {PeerSearch, type Asked} from './peer-search.ts';

export type SeedWatchOptions = {
	readonly seeds: readonly string[];
	/** The advertised address of this node. */
	readonly address: string;
	readonly clusterId: () => string;
	readonly peers: Pick<PeerFinder, 'ask'>;
	readonly nowMs: () => number;
	readonly question: () => Buffer;
	/** Called when a node of another cluster answers at this address. */
	readonly foreign: (clusterId: string, address: string) => void;
};

/**
Two questions must fit into the time for which another cluster counts as recently heard (`identity-conflicts.ts`).
*/
const againMs = 4000;

export class SeedWatch {
	readonly #options: SeedWatchOptions;
	readonly #search: PeerSearch;
	/** Seeds that need no further question: a node of this cluster, or of another name or secret, answers there. */
	readonly #settled = new Set<string>();

	constructor(options: SeedWatchOptions) {
		const {address, peers, nowMs, question} = options;
		this.#options = options;
		this.#settled.add(address);
		this.#search = new PeerSearch({peers, nowMs, question, againMs, onAsked: asked => this.#onAsked(asked)});
	}

	/**
	Asks the seeds that are due. Called periodically.
	@param members addresses of the members
	*/
	check(members: ReadonlySet<string>): void {
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
