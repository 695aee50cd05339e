/**
The peers that a node keeps links to, and their addresses. Raft agrees on the members; this module finds them.

Members are known from the node's own log and from reports of other members. A new or stale log may list no live member;
the node would reject the leader and never catch up. So a node without a leader asks its peers for the members, and
keeps the answer until its own log names itself and its leader.

The address of a member can change, and the agreed address may be out of date. So an address at which a member proved
its id takes precedence until another address is agreed. A node without a leader, or without a link to some member, asks
every address that it knows, also those that belong to no known member: after nodes have moved, only the seed list, the
registry and beacons may lead to them. An address proves nothing about a node except the id that the handshake verified
there.
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
	/** Answers a node that asks to join, or asks for the members. */
	readonly join: (request: JoinRequest) => Promise<JoinAnswer>;
	/** The seed list of this node. */
	readonly seeds: readonly string[];
	/** Called when a node of another cluster of the same name answers at this address. */
	readonly foreign: (clusterId: string, address: string) => void;
};

/** Bound on callers that the log does not name and that are accepted nevertheless. */
const unknownCallersMax = 64;
/**
The interval between two questions to one address; and between two searches while a leader is known but a member is
missing.
*/
const againMs = 900;
const missingAgainMs = 2000;

/**
The address at which a member proved its id, and its agreed address at that time. A later agreed address supersedes it.
*/
type Observed = {readonly address: string; readonly agreed: string | undefined};

export class PeerDirectory {
	readonly #options: PeerDirectoryOptions;
	readonly #search: PeerSearch;
	readonly #seedWatch: SeedWatch;
	readonly #observed = new Map<NodeId, Observed>();
	#reported: ReadonlyArray<readonly [NodeId, string]> = [];
	/** The peer that was asked last: the next search asks the peer after it. */
	#asked: NodeId | undefined;
	#askedMs = Number.NEGATIVE_INFINITY;

	constructor(options: PeerDirectoryOptions) {
		this.#options = options;
		const {peers, nowMs, seeds, address, clusterId, foreign} = options;
		const question = (): Buffer => this.#question();
		this.#search = new PeerSearch({peers, nowMs, againMs, question, onAsked: asked => this.#onSearched(asked)});
		this.#seedWatch = new SeedWatch({seeds, address, peers, nowMs, clusterId, foreign, question});
	}

	/** Members that another member reported. */
	report(members: ReadonlyArray<readonly [NodeId, string]>): void {
		this.#reported = members;
		this.link();
	}

	/**
	A caller claims to be a member of this cluster and was refused as unknown. If this node has no leader to ask, it
	accepts the next call.
	*/
	acceptCaller(peer: NodeId, address: string): void {
		if (
			this.#options.leader() !== undefined ||
			this.#reported.length >= unknownCallersMax ||
			this.#reported.some(([id]) => id === peer)
		)
			return;
		this.report([...this.#reported, [peer, address]]);
	}

	/**
	The address of a peer: where it proved its id, else the agreed address, else the reported one. Reported addresses
	are needed because a new member that could not answer pings would be declared dead.
	*/
	address(node: NodeId): string | undefined {
		const agreed = this.#options.topics.address(node);
		const observed = this.#observed.get(node);
		if (observed && observed.agreed === agreed) return observed.address;
		return agreed ?? this.#reported.find(([id]) => id === node)?.[1];
	}

	/** The peer proved its id at this address, or announces it on its link. */
	observe(peer: NodeId, announced: string | undefined): void {
		const address = announced === undefined ? undefined : canonicalAddress(announced);
		if (address === undefined || !isAdvertisable(address) || address === this.address(peer)) return;
		const {topics} = this.#options;
		const agreed = topics.address(peer);
		// Bounded by the members and by the reported members.
		if (agreed === undefined && !this.#reported.some(([id]) => id === peer)) return;
		this.#observed.set(peer, {address, agreed});
		this.link();
	}

	/** Keeps links to all peers that are known now. */
	link(): void {
		const {self, topics, links, leader} = this.#options;
		const leading = leader();
		if (topics.address(self) !== undefined && leading !== undefined && topics.address(leading) !== undefined)
			this.#reported = [];
		const ids = new Set([...this.#reported.map(([id]) => id), ...topics.members().map(({id}) => id)]);
		ids.delete(self);
		for (const id of this.#observed.keys()) if (!ids.has(id)) this.#observed.delete(id);
		links.setRemoved(topics.removed());
		links.setPeers(new Map([...ids].map(id => [id, this.address(id) ?? ''] as const)));
	}

	/**
	Called periodically. Without a leader, or while a member is missing: asks the next peer, and every address at which
	a node may run. Otherwise checks whether a seed leads to another cluster.
	*/
	ask(): void {
		const {self, links, leader, topics, peers} = this.#options;
		const known = [...new Set([...this.#reported.map(([id]) => id), ...topics.members().map(({id}) => id)])]
			.filter(id => id !== self)
			.toSorted();
		const linked = known.filter(id => links.state(id).state === 'up');
		const nowMs = this.#options.nowMs();
		if (leader() !== undefined && linked.length === known.length)
			return this.#seedWatch.check(new Set(linked.flatMap(id => this.address(id) ?? [])));
		// Also with a leader: its frames may arrive through another member, which knows the leader's address.
		if (leader() !== undefined && nowMs - this.#askedMs < missingAgainMs) return;
		this.#askedMs = nowMs;
		this.#asked = linked.find(id => this.#asked !== undefined && id > this.#asked) ?? linked[0];
		if (this.#asked !== undefined) links.send(this.#asked, [this.#question()]);

		// Another node may have this node's agreed address by now.
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

	/** Handles a question of a peer. Returns false when the frame is no question. */
	onAsked(from: NodeId, frame: Buffer): boolean {
		const request = parseJoin(frame);
		if (request?.id !== from) return false;
		void this.#options
			.join(request)
			.then(answer => this.#options.links.send(from, [encodeControl('joined', answer)]));
		return true;
	}

	/** Handles the answer of a peer. Returns false when the frame is no answer. */
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
		if ('error' in asked) return; // Links report the errors of members; other addresses need not answer.
		const other = otherCluster(asked.answer, this.#options.clusterId());
		if (other !== undefined) return this.#options.foreign(other, asked.address);
		const {links, topics} = this.#options;
		// A linked peer announces its own address: a node that answers elsewhere under its id is a second process.
		if (topics.address(asked.id) !== undefined && links.state(asked.id).state !== 'up')
			this.observe(asked.id, asked.address);
		this.#onAnswer(asked.answer);
	}

	#onAnswer(answer: JoinAnswer): void {
		const {self, clusterId, leader, links} = this.#options;
		if (answer.type !== 'joined' || answer.clusterId !== clusterId()) return;
		if (leader() === undefined) this.report(answer.members);
		// Another member may report a newer or an older address than ours: ask there, since only the member itself
		// proves it.
		this.#search.ask(
			answer.members
				.filter(
					([id, address]) => id !== self && links.state(id).state !== 'up' && address !== this.address(id),
				)
				.map(([, address]) => address),
		);
	}
}
