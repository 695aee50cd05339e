/**
Carries Raft and admin frames around a broken link, through one member that reaches both ends. A follower that is cut
off from its leader alone keeps its leader this way, and needs no election.

A frame is relayed at most once: the relay accepts it only from its origin, and delivers it only to its destination.
Live messages need no relay, because gossip routes around the link. From protocol 4 on the origin proves its frames
(`relay-proofs.ts`), so a relay can withhold them, and not forge them.
*/
import type {Rejection} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Links} from '../ports.ts';
import {decodeRelay, encodeRelayHead, type ProvenRelayFrame} from '../wire/relay-frame.ts';
import {kinds} from '../wire/wire.ts';
import {RelayProofs, type RelayProofsOptions} from './relay-proofs.ts';

export type RelayOptions = RelayProofsOptions & {
	readonly links: Pick<Links, 'send' | 'speaks' | 'state'>;
	/** The agreed protocol. */
	readonly protocol: () => number;
	/** `self` when the peer is reached directly, else the relay to use; `undefined` when neither works. */
	readonly reach: (node: NodeId) => NodeId | undefined;
	/** Counts a bound that was reached. */
	readonly bound: (name: string) => void;
};

/** The verdict on a relay frame, for its receiver. */
export type Relayed =
	| {readonly type: 'deliver'; readonly from: NodeId; readonly inner: Buffer}
	| {readonly type: 'done'}
	| {readonly type: 'refused'; readonly reason: Rejection};

/** Once it is agreed, frames without a proof are refused. */
export const provenRelaysProtocol = 4;
/** The first protocol version with relay frames. */
const protocolOfRelay = 2;
/** Bytes of frames of other nodes that this node carries per tick (25 ms): about 20 MiB a second. */
export const relayBytesMax = 512 * 1024;
const relayed: ReadonlySet<number> = new Set([kinds.raft, kinds.manage, kinds.managed]);

export class Relay {
	readonly #options: RelayOptions;
	readonly #proofs: RelayProofs;
	#relayedBytes = 0;

	constructor(options: RelayOptions) {
		this.#options = options;
		this.#proofs = new RelayProofs(options);
	}

	/** Sends directly where that works, else through a member that reaches the peer. */
	send(to: NodeId, frame: Buffer): boolean {
		const {self, links, reach} = this.#options;
		const via = reach(to);
		const protocol = via === undefined || via === self ? 0 : this.#spokenBy(via);
		if (via === undefined || protocol < protocolOfRelay) return links.send(to, [frame]);
		const needsProof = protocol >= provenRelaysProtocol && this.#expectsProofs(to);
		return links.send(via, [needsProof ? this.#proofs.head(to, frame) : encodeRelayHead(self, to), frame]);
	}

	/** @param peer the other end of the link that the frame came over */
	onFrame(peer: NodeId, frame: Buffer): Relayed {
		const {self, isMember, links} = this.#options;
		const decoded = decodeRelay(frame);
		if (!decoded || !relayed.has(decoded.inner[0]!)) return refused;
		const {from, to} = decoded;
		if (!isMember(from) || !isMember(to) || from === self || from === to) return refused;
		if (to === self) return from === peer ? refused : this.#onArrived(peer, decoded);
		// Not from its origin: it has been relayed once already.
		if (from !== peer) return refused;
		const isOver = this.#relayedBytes + frame.length > relayBytesMax;
		const protocol = 'signature' in decoded ? provenRelaysProtocol : protocolOfRelay;
		if (!isOver && this.#spokenBy(to) >= protocol && links.send(to, [frame])) this.#relayedBytes += frame.length;
		// Without a link no bound is reached: the origin has not learned yet that this path is broken too.
		else if (isOver || links.state(to).state === 'up') this.#options.bound('relay');
		return done;
	}

	/** Starts a new interval of the bounds. */
	tick(): void {
		this.#relayedBytes = 0;
		this.#proofs.tick();
	}

	/** A frame for this node. */
	#onArrived(peer: NodeId, frame: ReturnType<typeof decodeRelay> & object): Relayed {
		if (!isProven(frame))
			return this.#options.protocol() >= provenRelaysProtocol
				? {type: 'refused', reason: 'unsigned'}
				: {type: 'deliver', from: frame.from, inner: frame.inner};
		const verdict = this.#proofs.check(peer, frame);
		switch (verdict) {
			case 'ok':
				return {type: 'deliver', from: frame.from, inner: frame.inner};
			case 'bad-signature':
				return {type: 'refused', reason: verdict};
			case 'replayed':
				this.#options.bound('relay-replays');
				return done;
			case 'too-many':
				this.#options.bound('relay');
				return done;
			default:
				return verdict satisfies never;
		}
	}

	/** Whether the member refuses frames without a proof, or at least understands those with one. */
	#expectsProofs(to: NodeId): boolean {
		return (
			this.#options.protocol() >= provenRelaysProtocol ||
			this.#spokenBy(to) >= provenRelaysProtocol ||
			this.#proofs.hasProved(to)
		);
	}

	#spokenBy(peer: NodeId): number {
		return this.#options.links.speaks(peer)?.protocol ?? 0;
	}
}

const refused: Relayed = {type: 'refused', reason: 'malformed'};
const done: Relayed = {type: 'done'};

function isProven(frame: object): frame is ProvenRelayFrame {
	return 'signature' in frame;
}
