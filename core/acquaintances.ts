/**
Whom a node keeps links to: the members by its own log, and those it was told of. A log that is young, or was away for long, may name none
of those who live, and then nobody could bring it what it lacks: the leader is a stranger whose call is refused. So a node without a leader
asks a peer that it is linked to who the members are (the question of one who joins, `joining.ts`), and keeps what it is told until its own
log names it, and who leads. When all whom it knew are gone there is nobody to ask; then it takes up with members that call it, for
they may need its vote (a voter does not look up in its own log who asks for it: Raft, section 6).
*/
import type {JoinAnswer} from './control.ts';
import {parseJoin, parseJoinAnswer} from './joining.ts';
import type {NodeId} from './message.ts';
import type {Links} from './ports.ts';
import type {Topics} from './topics/topics.ts';
import {encodeControl} from './wire.ts';

export type AcquaintancesOptions = {
	readonly self: NodeId;
	readonly address: string;
	readonly topics: Topics;
	readonly links: Links;
	readonly leader: () => NodeId | undefined;
	readonly clusterId: () => string;
	/** The answer to one who asks to join, or asks again. */
	readonly join: (node: NodeId, address: string, clusterId: string) => Promise<JoinAnswer>;
};

/** Callers that the log does not name, and whose calls are taken nonetheless. */
const strangersMax = 64;

export class Acquaintances {
	readonly #options: AcquaintancesOptions;
	#told: ReadonlyArray<readonly [NodeId, string]> = [];
	/** The peer that was asked last: the next one is asked next. */
	#asked: NodeId | undefined;

	constructor(options: AcquaintancesOptions) {
		this.#options = options;
	}

	/** Members by the word of the cluster. */
	tell(members: ReadonlyArray<readonly [NodeId, string]>): void {
		this.#told = members;
		this.link();
	}

	/** A member of this cluster by its own word called, and was refused as a stranger: its next call is taken if this node has no leader to ask. */
	meet(peer: NodeId, address: string): void {
		if (this.#options.leader() !== undefined || this.#told.length >= strangersMax || this.#told.some(([id]) => id === peer)) return;
		this.tell([...this.#told, [peer, address]]);
	}

	/** Where a peer is: by the log, else by what this node was told. A newcomer that could not answer pings would be taken for dead. */
	address(node: NodeId): string | undefined {
		return this.#options.topics.address(node) ?? this.#told.find(([id]) => id === node)?.[1];
	}

	/** Keep links to all who are known now. */
	link(): void {
		const {self, topics, links, leader} = this.#options;
		const leading = leader();
		if (topics.address(self) !== undefined && leading !== undefined && topics.address(leading) !== undefined) this.#told = [];
		links.setRemoved(topics.removed());
		links.setPeers(new Map([...this.#told, ...topics.members().map(({id, address}) => [id, address] as const)].filter(([id]) => id !== self)));
	}

	/** Now and then: without a leader, ask the next peer. */
	ask(): void {
		const {self, address, links, leader, topics, clusterId} = this.#options;
		if (leader() !== undefined) return;
		const peers = [...new Set([...this.#told.map(([id]) => id), ...topics.members().map(({id}) => id)])].filter(id => id !== self && links.state(id).state === 'up').toSorted();
		this.#asked = peers.find(id => this.#asked !== undefined && id > this.#asked) ?? peers[0];
		if (this.#asked !== undefined) links.send(this.#asked, [encodeControl('join', {id: self, address, clusterId: clusterId()})]);
	}

	/** A peer asks. False when it is no question. */
	onAsked(from: NodeId, frame: Buffer): boolean {
		const request = parseJoin(frame);
		if (request?.id !== from) return false;
		void this.#options.join(from, request.address, request.clusterId).then(answer => this.#options.links.send(from, [encodeControl('joined', answer)]));
		return true;
	}

	/** A peer answers. False when it is no answer. */
	onAnswered(frame: Buffer): boolean {
		const answer = parseJoinAnswer(frame);
		if (answer?.type === 'joined' && answer.clusterId === this.#options.clusterId() && this.#options.leader() === undefined) this.tell(answer.members);
		return answer !== undefined;
	}
}
