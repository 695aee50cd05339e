/**
What this node has seen of each peer: when it was heard, over which channel, when a round trip succeeded, and why the
last call failed. Facts only; what they mean is decided in `reachability.ts`. Datagrams and the link are kept apart,
since a firewall may block either.

No clock: the caller passes the time. Bounded by the members.
*/
import type {NodeId} from '../message.ts';

export type Channel = 'link' | 'datagram';

export type PeerEvidence = {
	/** It became a member, or this node started. Nothing is held against a peer for what was not heard before that. */
	readonly sinceMs: number;
	/** Something came from it over the channel. */
	readonly heardMs: Readonly<Record<Channel, number | undefined>>;
	/** It answered over the channel: both directions work. */
	readonly roundTripMs: Readonly<Record<Channel, number | undefined>>;
	/** Its machine refused a connection then; nothing was heard over the link since. */
	readonly refusedMs: number | undefined;
	/** Its last report named no leader, and the ones before did not either, since then. */
	readonly leaderlessMs: number | undefined;
	/** How far it is in the agreed log, and when that last moved or it lacked nothing. */
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

	heard(peer: NodeId, channel: Channel, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		known.heardMs[channel] = nowMs;
		if (channel === 'link') known.refusedMs = undefined;
	}

	answered(peer: NodeId, channel: Channel, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (known) known.roundTripMs[channel] = nowMs;
	}

	/** Its machine refused the connection: what the link carried before is no sign of life any more. */
	refused(peer: NodeId, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (known) known.refusedMs ??= nowMs;
	}

	/** It was gone and speaks again: it has the benefit of the doubt as a newcomer has. */
	returned(peer: NodeId, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		known.sinceMs = nowMs;
		known.movedMs = nowMs;
		known.leaderlessMs = undefined;
	}

	/**
	What it reported of itself, or what its leader knows of its log. `commit`: what is agreed, as far as this node
	knows.
	*/
	progress(peer: NodeId, applied: number, commit: number, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		if (applied !== known.applied || applied >= commit) known.movedMs = nowMs;
		known.applied = applied;
	}

	follows(peer: NodeId, hasLeader: boolean, nowMs: number): void {
		const known = this.#peers.get(peer);
		if (!known) return;
		if (hasLeader) known.leaderlessMs = undefined;
		else known.leaderlessMs ??= nowMs;
	}
}

/** For how long nothing came over the channel, counted from when it could be expected. */
export function unheardMs({sinceMs, heardMs}: PeerEvidence, channel: Channel, nowMs: number): number {
	return nowMs - Math.max(sinceMs, heardMs[channel] ?? 0);
}

/** This end of the link works: something came over it within `silentMs`. */
export function isLinkHeard({heardMs: {link}, refusedMs}: PeerEvidence, nowMs: number, silentMs: number): boolean {
	return link !== undefined && refusedMs === undefined && nowMs - link < silentMs;
}
