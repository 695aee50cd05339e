/**
Streams that are known by the claim of a peer alone: it says to hold a part, and no batch has arrived. A peer with a
fault can claim any number of them, and each takes memory and requests. So each peer has a limit, and a claim ends some
time after the last peer that made it is gone. A batch proves its stream, which then belongs to no peer any more.
*/
import type {NodeId} from '../message.ts';

/** As many as one answer to a digest may name. */
export const claimsMax = 16_384;

/** What a stream needs for its claim. */
export type Claimable = {
	/** The peer by whose claim alone the stream is known. */
	claimant: NodeId | undefined;
	/** Nothing changes when it is forgotten. */
	readonly isMereClaim: boolean;
	/** The peers that say to hold what is missing of it. */
	readonly lack: {readonly claims: ReadonlyMap<NodeId, number>} | undefined;
};

type Claimed<Stream> = {
	readonly streams: Set<Stream>;
	/** The tick at which the link to the peer was lost. */
	goneTick: number | undefined;
};

export class Claims<Stream extends Claimable> {
	/** Claims that were ignored at the limit, by peer. */
	readonly refused = new Map<NodeId, number>();
	readonly #byPeer = new Map<NodeId, Claimed<Stream>>();
	readonly #onDrop: (stream: Stream) => void;

	/** @param onDrop removes a stream whose claim has ended */
	constructor(onDrop: (stream: Stream) => void) {
		this.#onDrop = onDrop;
	}

	/** Whether the peer may claim one more stream. */
	hasRoom(peer: NodeId): boolean {
		if ((this.#byPeer.get(peer)?.streams.size ?? 0) < claimsMax) return true;
		this.refused.set(peer, (this.refused.get(peer) ?? 0) + 1);
		return false;
	}

	add(stream: Stream, peer: NodeId): void {
		let claimed = this.#byPeer.get(peer);
		if (!claimed) {
			claimed = {streams: new Set(), goneTick: undefined};
			this.#byPeer.set(peer, claimed);
		}

		claimed.streams.add(stream);
		stream.claimant = peer;
	}

	/** A batch of the stream has arrived. */
	prove(stream: Stream): void {
		const {claimant} = stream;
		if (claimant === undefined) return;
		stream.claimant = undefined;
		const claimed = this.#byPeer.get(claimant);
		claimed?.streams.delete(stream);
		if (claimed?.streams.size === 0) this.#byPeer.delete(claimant);
	}

	drop(stream: Stream): void {
		this.#onDrop(stream);
		this.prove(stream);
	}

	/** Make room for a stream with a batch: drops a claim of the peer with the most. False when there is none. */
	dropOne(): boolean {
		const most = [...this.#byPeer.values()].toSorted((a, b) => b.streams.size - a.streams.size)[0];
		for (const stream of most?.streams ?? []) {
			if (!stream.isMereClaim) continue;
			this.drop(stream);
			return true;
		}

		return false;
	}

	gone(peer: NodeId, tick: number): void {
		const claimed = this.#byPeer.get(peer);
		if (claimed) claimed.goneTick ??= tick;
	}

	appeared(peer: NodeId): void {
		const claimed = this.#byPeer.get(peer);
		if (claimed) claimed.goneTick = undefined;
	}

	/** Ends the claims of peers that are gone since `untilTick` or longer, unless another peer made them too. */
	expire(untilTick: number): void {
		for (const [peer, {streams, goneTick}] of [...this.#byPeer]) {
			if (goneTick === undefined || goneTick > untilTick) continue;
			for (const stream of [...streams]) {
				const [other] = stream.lack?.claims.keys() ?? [];
				if (other !== undefined && other !== peer) {
					this.prove(stream);
					this.add(stream, other);
				} else if (stream.isMereClaim) this.drop(stream);
			}
		}
	}
}
