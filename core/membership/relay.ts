/**
Carries Raft and admin frames around a broken link, through one member that reaches both ends. A follower that is cut
off from its leader alone keeps its leader this way, and needs no election.

A frame is relayed at most once: the relay accepts it only from its origin, and delivers it only to its destination.
Live messages need no relay, because gossip routes around the link. A relay could forge the frames that it carries. Raft
trusts its voters already, so from protocol 4 on no learner relays.
*/
import type {NodeId} from '../message.ts';
import type {Links} from '../ports.ts';
import {decodeRelay, encodeRelayHead, kinds} from '../wire/wire.ts';

export type RelayOptions = {
	readonly self: NodeId;
	readonly links: Pick<Links, 'send' | 'speaks' | 'state'>;
	readonly isMember: (node: NodeId) => boolean;
	/** `self` when the peer is reached directly, else the relay to use; `undefined` when neither works. */
	readonly reach: (node: NodeId) => NodeId | undefined;
	/** Whether frames are accepted that this member relayed. @default from every member */
	readonly mayRelay?: (node: NodeId) => boolean;
	/** Counts a bound that was reached. */
	readonly bound: (name: string) => void;
};

/** The verdict on a relay frame, for its receiver. */
export type Relayed =
	| {readonly type: 'deliver'; readonly from: NodeId; readonly inner: Buffer}
	| {readonly type: 'done'}
	| {readonly type: 'refused'};

/** From this agreed protocol on, only voters relay. */
export const relaysByVotersProtocol = 4;
/** The first protocol version with relay frames. */
const protocolOfRelay = 2;
/** Bytes of frames of other nodes that this node carries per tick (25 ms): about 20 MiB a second. */
export const relayBytesMax = 512 * 1024;
const relayed: ReadonlySet<number> = new Set([kinds.raft, kinds.manage, kinds.managed]);

export class Relay {
	readonly #options: RelayOptions;
	#relayedBytes = 0;

	constructor(options: RelayOptions) {
		this.#options = options;
	}

	/** Sends directly where that works, else through a member that reaches the peer. */
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
		const decoded = decodeRelay(frame);
		if (!decoded || !relayed.has(decoded.inner[0]!)) return refused;
		const {from, to, inner} = decoded;
		if (!isMember(from) || !isMember(to) || from === self || from === to) return refused;
		if (to === self) {
			if (from === peer) return refused;
			if (this.#options.mayRelay?.(peer) ?? true) return {type: 'deliver', from, inner};
			// It may have become a learner, or the sender may not know of the protocol yet.
			this.#options.bound('learner-relays');
			return done;
		}

		// Not from its origin: it has been relayed once already.
		if (from !== peer) return refused;
		const isOver = this.#relayedBytes + frame.length > relayBytesMax;
		if (!isOver && (links.speaks(to)?.protocol ?? 0) >= protocolOfRelay && links.send(to, [frame]))
			this.#relayedBytes += frame.length;
		// Without a link no bound is reached: the origin has not learned yet that this path is broken too.
		else if (isOver || links.state(to).state === 'up') this.#options.bound('relay');
		return done;
	}

	/** Starts a new interval of the byte bound. */
	tick(): void {
		this.#relayedBytes = 0;
	}
}

const refused: Relayed = {type: 'refused'};
const done: Relayed = {type: 'done'};
