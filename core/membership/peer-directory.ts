/**
Whom a node keeps links to, and where those are. Raft agrees who is a member; this module finds them.

Members are known from the node's own log, and from what others told it: a new or stale log may list no live member, and
the node would reject the leader and never catch up. So a node without a leader asks who the members are, and keeps the
answer until its own log names it and its leader.

An address is a fact about a member that changes. The agreed address may be out of date, so an address at which a member
proved its id replaces it, until another one is agreed. A node without a leader, or without a link to a member, asks
every address that it knows, also those of no known member: after nodes moved, the seed list, the registry and beacons
are all that leads from one to the other. Nothing is believed of an address but the id that was proved there.
*/
import {canonicalAddress, isAdvertisable} from '../address.ts';
import type {ClusterState} from '../cluster-state/cluster-state.ts';
import type {NodeId} from '../message.ts';
import type {Links, PeerFinder} from '../ports.ts';
import {encodeControl} from '../wire/wire.ts';
import {otherCluster, parseJoin, parseJoinAnswer, type JoinAnswer, type JoinRequest} from './joining.ts';
import {PeerSearch, type Asked} from './peer-search.ts';
import {SeedWatch} from './seed-watch.ts';

export type PeerDirectoryOptions = {
	readonly self: NodeId;
	readonly address: string;
	readonly topics: ClusterState;
	readonly links: Links;
	readonly peers: PeerFinder;
	readonly nowMs: () => number;
	readonly leader: () => NodeId | undefined;
	readonly clusterId: () => string;
	/** The answer to a node that asks to join, or asks who the members are. */
	readonly join: (request: JoinRequest) => Promise<JoinAnswer>;
	/** The seed list of this node. */
	readonly seeds: readonly string[];
	/** A node of another cluster of this name is at this address. */
	readonly foreign: (clusterId: string, address: string) => void;
};

/** Callers that the log does not name, and whose calls are taken nonetheless. */
const strangersMax = 64;
/** Between two questions to one address; and between two searches of a node that has a leader and misses a member. */
const againMs = 900;
const missingAgainMs = 2000;

/** Where a member proved its id; `agreed`: its agreed address then. Another agreed address is newer. */
type Observed = {readonly address: string; readonly agreed: string | undefined};

export class PeerDirectory {
	readonly #options: PeerDirectoryOptions;
	readonly #search: PeerSearch;
	readonly #seedWatch: SeedWatch;
	readonly #observed = new Map<NodeId, Observed>();
	#told: ReadonlyArray<readonly [NodeId, string]> = [];
	/** The peer that was asked last: the next one is asked next. */
	#asked: NodeId | undefined;
	#askedMs = Number.NEGATIVE_INFINITY;

	constructor(options: PeerDirectoryOptions) {
		this.#options = options;
		const {peers, nowMs, seeds, address, clusterId, foreign} = options;
		const question = (): Buffer => this.#question();
		this.#search = new PeerSearch({peers, nowMs, againMs, question, onAsked: asked => this.#onSearched(asked)});
		this.#seedWatch = new SeedWatch({seeds, address, peers, nowMs, clusterId, foreign, question});
	}

	/** Members by the word of the cluster. */
	tell(members: ReadonlyArray<readonly [NodeId, string]>): void {
		this.#told = members;
		this.link();
	}

	/**
	A member of this cluster by its own word called, and was refused as a stranger: its next call is taken if this node
	has no leader to ask.
	*/
	meet(peer: NodeId, address: string): void {
		if (
			this.#options.leader() !== undefined ||
			this.#told.length >= strangersMax ||
			this.#told.some(([id]) => id === peer)
		)
			return;
		this.tell([...this.#told, [peer, address]]);
	}

	/**
	Where a peer is: where it proved its id, else by the log, else by what this node was told. A newcomer that could not
	answer pings would be taken for dead.
	*/
	address(node: NodeId): string | undefined {
		const agreed = this.#options.topics.address(node);
		const observed = this.#observed.get(node);
		if (observed && observed.agreed === agreed) return observed.address;
		return agreed ?? this.#told.find(([id]) => id === node)?.[1];
	}

	/** The peer proved its id at this address, or says on its link that it is reached there. */
	observe(peer: NodeId, said: string | undefined): void {
		const address = said === undefined ? undefined : canonicalAddress(said);
		if (address === undefined || !isAdvertisable(address) || address === this.address(peer)) return;
		const {topics} = this.#options;
		const agreed = topics.address(peer);
		// Bounded by the members, and by those that this node was told of.
		if (agreed === undefined && !this.#told.some(([id]) => id === peer)) return;
		this.#observed.set(peer, {address, agreed});
		this.link();
	}

	/** Keep links to all who are known now. */
	link(): void {
		const {self, topics, links, leader} = this.#options;
		const leading = leader();
		if (topics.address(self) !== undefined && leading !== undefined && topics.address(leading) !== undefined)
			this.#told = [];
		const ids = new Set([...this.#told.map(([id]) => id), ...topics.members().map(({id}) => id)]);
		ids.delete(self);
		for (const id of this.#observed.keys()) if (!ids.has(id)) this.#observed.delete(id);
		links.setRemoved(topics.removed());
		links.setPeers(new Map([...ids].map(id => [id, this.address(id) ?? ''] as const)));
	}

	/**
	Now and then, without a leader or while a member is missing: ask the next peer, and every address at which somebody
	may be. Else look whether a seed leads to another cluster.

	*/
	ask(): void {
		const {self, links, leader, topics, peers} = this.#options;
		const known = [...new Set([...this.#told.map(([id]) => id), ...topics.members().map(({id}) => id)])]
			.filter(id => id !== self)
			.toSorted();
		const linked = known.filter(id => links.state(id).state === 'up');
		const nowMs = this.#options.nowMs();
		if (leader() !== undefined && linked.length === known.length)
			return this.#seedWatch.look(new Set(linked.flatMap(id => this.address(id) ?? [])));
		// Also with a leader: its frames may come over another member, which knows where it is.
		if (leader() !== undefined && nowMs - this.#askedMs < missingAgainMs) return;
		this.#askedMs = nowMs;
		this.#asked = linked.find(id => this.#asked !== undefined && id > this.#asked) ?? linked[0];
		if (this.#asked !== undefined) links.send(this.#asked, [this.#question()]);

		// The agreed address of this node may be another one's by now.
		const former = topics.address(self);
		const addresses = new Set([this.#options.address, ...linked.map(id => this.address(id))]);
		void peers
			.candidates()
			.then(candidates =>
				this.#search.ask(
					[...candidates.map(({address}) => address), ...(former === undefined ? [] : [former])].filter(
						address => !addresses.has(address),
					),
				),
			);
	}

	/** A peer asks. False when it is no question. */
	onAsked(from: NodeId, frame: Buffer): boolean {
		const request = parseJoin(frame);
		if (request?.id !== from) return false;
		void this.#options
			.join(request)
			.then(answer => this.#options.links.send(from, [encodeControl('joined', answer)]));
		return true;
	}

	/** A peer answers. False when it is no answer. */
	onAnswered(frame: Buffer): boolean {
		const answer = parseJoinAnswer(frame);
		if (answer) this.#onAnswer(answer);
		return answer !== undefined;
	}

	close(): void {
		this.#search.stop();
		this.#seedWatch.close();
	}

	#question(): Buffer {
		const {self, address, clusterId} = this.#options;
		return encodeControl('join', {id: self, address, clusterId: clusterId()});
	}

	#onSearched(asked: Asked): void {
		if ('error' in asked) return; // Links say what is wrong with members; of others nothing is expected.
		const other = otherCluster(asked.answer, this.#options.clusterId());
		if (other !== undefined) return this.#options.foreign(other, asked.address);
		const {links, topics} = this.#options;
		// Where a peer is linked, its own word counts: who answers elsewhere is a second process of its id.
		if (topics.address(asked.id) !== undefined && links.state(asked.id).state !== 'up')
			this.observe(asked.id, asked.address);
		this.#onAnswer(asked.answer);
	}

	#onAnswer(answer: JoinAnswer): void {
		const {self, clusterId, leader, links} = this.#options;
		if (answer.type !== 'joined' || answer.clusterId !== clusterId()) return;
		if (leader() === undefined) this.tell(answer.members);
		// Others may know better where a member is, or worse: who is there says so itself.
		this.#search.ask(
			answer.members
				.filter(
					([id, address]) => id !== self && links.state(id).state !== 'up' && address !== this.address(id),
				)
				.map(([, address]) => address),
		);
	}
}
