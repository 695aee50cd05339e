/**
Carries the frames of agreement and administration around a link that does not work: through one member that reaches
both ends. A follower that is cut off from its leader alone is served that way, and no election comes of it.

A frame is relayed once: the relay takes it only from the member that made it and hands it only to the member it is for.
Live messages need no relay; gossip finds its own way. A relay could forge what it carries, as any member could already
say anything to a peer: Raft trusts its members.
*/
import type {NodeId} from '../message.ts';
import type {Links} from '../ports.ts';
import {decodeRelay, encodeRelayHead, kinds} from '../wire/wire.ts';

export type RelayOptions = {
	readonly self: NodeId;
	readonly links: Pick<Links, 'send' | 'speaks' | 'state'>;
	readonly isMember: (node: NodeId) => boolean;
	/** `self` when the peer is reached directly, the member to go through else; `undefined` for neither. */
	readonly reach: (node: NodeId) => NodeId | undefined;
	/** A bound was hit. */
	readonly bound: (name: string) => void;
};

/** What a relay frame is, and what the receiver is to do with it. */
export type Relayed =
	| {readonly type: 'deliver'; readonly from: NodeId; readonly inner: Buffer}
	| {readonly type: 'done'}
	| {readonly type: 'refused'};

/** The version of the protocol that has relay frames. */
const protocolOfRelay = 2;
/** Frames of others that this node carries between two beats (25 ms), bytes: about 20 MiB a second. */
export const relayBytesMax = 512 * 1024;
const relayed: ReadonlySet<number> = new Set([kinds.raft, kinds.manage, kinds.managed]);

export class Relay {
	readonly #options: RelayOptions;
	#carriedBytes = 0;

	constructor(options: RelayOptions) {
		this.#options = options;
	}

	/** Directly where that works, else through a member that reaches the peer. */
	send(to: NodeId, frame: Buffer): boolean {
		const {self, links, reach} = this.#options;
		const via = reach(to);
		if (via === undefined || via === self || (links.speaks(via)?.protocol ?? 0) < protocolOfRelay)
			return links.send(to, [frame]);
		return links.send(via, [encodeRelayHead(self, to), frame]);
	}

	/** @param peer the other end of the link that the frame came over */
	onFrame(peer: NodeId, frame: Buffer): Relayed {
		const {self, isMember, links} = this.#options;
		const carried = decodeRelay(frame);
		if (!carried || !relayed.has(carried.inner[0]!)) return refused;
		const {from, to, inner} = carried;
		if (!isMember(from) || !isMember(to) || from === self || from === to) return refused;
		if (to === self) return from === peer ? refused : {type: 'deliver', from, inner};
		// Not from its maker: it has been relayed once.
		if (from !== peer) return refused;
		const isOver = this.#carriedBytes + frame.length > relayBytesMax;
		if (!isOver && (links.speaks(to)?.protocol ?? 0) >= protocolOfRelay && links.send(to, [frame]))
			this.#carriedBytes += frame.length;
		// Without a link no bound is hit: the maker has not heard yet that this way is closed too.
		else if (isOver || links.state(to).state === 'up') this.#options.bound('relay');
		return done;
	}

	tick(): void {
		this.#carriedBytes = 0;
	}
}

const refused: Relayed = {type: 'refused'};
const done: Relayed = {type: 'done'};
