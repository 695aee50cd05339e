/**
Facts that this node observed about each peer: when it was heard, on which channel, when a round trip succeeded, and
when it refused a connection. The conclusions are drawn in `reachability.ts`. Datagrams and the link are separate
channels, because a firewall may block either one.

The module has no clock: the caller passes the time. The number of entries is bounded by the members.
*/
import type {NodeId} from '../message.ts';

export type Channel = 'link' | 'datagram';

export type PeerEvidence = {
	/**
	When the peer became a member, or this node started. Silence before that time does not count against the peer.
	*/
	readonly sinceMs: number;
	/** When something last arrived on the channel. */
	readonly heardMs: Readonly<Record<Channel, number | undefined>>;
	/** When a request on the channel was last answered: both directions work. */
	readonly roundTripMs: Readonly<Record<Channel, number | undefined>>;
	/** Since when its machine refuses connections; cleared by traffic on the link. */
	readonly refusedMs: number | undefined;
	/** Since when each of its reports named no leader. */
	readonly leaderlessMs: number | undefined;
	/** Its applied index in the Raft log, and when that last advanced or was complete. */
	readonly applied: number | undefined;
	readonly movedMs: number;
};

type Mutable<Type> = {
	-readonly [Key in keyof Type]: Type[Key] extends Readonly<Record<Channel, number | undefined>>
		? Record<Channel, number | undefined>
		: Type[Key];
};

export class Evidence {
	readonly #peers = new Map<NodeId, Mutable<PeerEvidence>>();

	setMembers(members: readonly NodeId[], nowMs: number): void {
		const wanted = new Set(members);
		for (const id of this.#peers.keys()) if (!wanted.has(id)) this.#peers.delete(id);
		for (const id of members) {
			if (this.#peers.has(id)) continue;
			const none = (): Record<Channel, number | undefined> => ({link: undefined, datagram: undefined});
			this.#peers.set(id, {
				sinceMs: nowMs,
				heardMs: none(),
				roundTripMs: none(),
				refusedMs: undefined,
				leaderlessMs: undefined,
				applied: undefined,
				movedMs: nowMs,
			});
		}
	}

	of(peer: NodeId): PeerEvidence | undefined {
		return this.#peers.get(peer);
	}

	/** Something arrived from the peer. */
	heard(peer: NodeId, channel: Channel, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		known.heardMs[channel] = nowMs;
		if (channel === 'link') known.refusedMs = undefined;
	}

	/** The peer answered a request on the channel. */
	answered(peer: NodeId, channel: Channel, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (known) known.roundTripMs[channel] = nowMs;
	}

	/** Its machine refused a connection: earlier traffic on the link no longer counts as a sign of life. */
	refused(peer: NodeId, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (known) known.refusedMs ??= nowMs;
	}

	/** A peer that was gone is heard again: its timers start anew, as for a new member. */
	returned(peer: NodeId, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		known.sinceMs = nowMs;
		known.movedMs = nowMs;
		known.leaderlessMs = undefined;
	}

	/**
	The applied index that the peer reported, or that its leader knows. `commit`: the commit index that this node knows.
	*/
	progress(peer: NodeId, applied: number, commit: number, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		if (applied !== known.applied || applied >= commit) known.movedMs = nowMs;
		known.applied = applied;
	}

	/** The peer reported whether it has a leader. */
	follows(peer: NodeId, hasLeader: boolean, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		if (hasLeader) known.leaderlessMs = undefined;
		else known.leaderlessMs ??= nowMs;
	}
}

/** For how long nothing arrived on the channel, counted from when traffic could first be expected. */
export function unheardMs({sinceMs, heardMs}: PeerEvidence, channel: Channel, nowMs: number): number {
	return nowMs - Math.max(sinceMs, heardMs[channel] ?? 0);
}

/** Something arrived over the link within `silentMs`, so its incoming direction works. */
export function isLinkHeard({heardMs: {link}, refusedMs}: PeerEvidence, nowMs: number, silentMs: number): boolean {
	return link !== undefined && refusedMs === undefined && nowMs - link < silentMs;
}
