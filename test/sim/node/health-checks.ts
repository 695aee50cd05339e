/**
Rule: the quorum counts only links that work. A node that reports a reachable majority has had connections to one,
through one relay at most, apart from the time that detection takes.

Rule for relays: a faulty member sends others relay frames that were relayed before, that are for no member, or whose
content needs no relay. No node may forward them. A node's own frames through a relay go to a third node.
*/
import type {NodeId} from '../../../core/message.ts';
import {decodeRelay, encodeRelayHead, kinds} from '../../../core/wire/wire.ts';
import type {SeededRandom} from '../random.ts';
import type {Host} from './host.ts';

/** The suffix of each forged frame. No packet of a node ends with it. */
const mark = Buffer.from('a lie of a member gone bad');
const nobody = 'ffffffffffffffff' as NodeId;

/** A frame that `from` sends to `to` and that `to` must not forward. @param others members besides the two */
export function lie(from: NodeId, to: NodeId, others: readonly NodeId[], random: SeededRandom): Buffer | undefined {
	if (others.length === 0) return undefined;
	const third = random.pick(others);
	const raft = Buffer.concat([Buffer.of(kinds.raft), mark]);
	switch (random.below(4)) {
		case 0:
			return Buffer.concat([
				encodeRelayHead(third, random.pick([from, ...others.filter(other => other !== third)])),
				raft,
			]);
		case 1:
			return Buffer.concat([encodeRelayHead(from, nobody), raft]);
		case 2:
			return Buffer.concat([encodeRelayHead(to, third), raft]);
		default:
			return Buffer.concat([encodeRelayHead(from, third), Buffer.of(kinds.gossip), mark]);
	}
}

/** What is wrong with a frame that a node sends over a link; `undefined` if nothing is. */
export function wrongRelay(sender: NodeId, to: NodeId, pieces: readonly Uint8Array[]): string | undefined {
	if (pieces[0]?.[0] !== kinds.relay) return undefined;
	const frame = Buffer.concat(pieces);
	const carried = decodeRelay(frame);
	if (!carried) return `${sender} sends an incomplete relay frame to ${to}`;
	if (frame.subarray(-mark.length).equals(mark))
		return `${sender} forwards to ${to} a forged frame from ${carried.from} to ${carried.to}`;
	if (carried.from === sender)
		return carried.to === to ? `${sender} uses a relay to reach ${to}, and needs none` : undefined;
	return carried.to === to ? undefined : `${sender} relays to ${to} a frame for ${carried.to}`;
}

const lookMs = 500;
/** The longest time of detection, over the worst network of a run. */
const detectMs = 5000;

export class QuorumChecks {
	/** Since when a node has reported a majority that it cannot reach. */
	readonly #wrongMs = new Map<Host, number>();
	#lookedMs = 0;

	/** A report that cannot be true; `undefined` if there is none. */
	look(hosts: readonly Host[]): string | undefined {
		const nowMs = hosts[0]?.options.schedule.nowMs ?? 0;
		if (nowMs - this.#lookedMs < lookMs) return undefined;
		this.#lookedMs = nowMs;
		for (const host of hosts) {
			const view = host.node?.phase === 'running' && !host.isPaused ? host.node.control.quorum() : undefined;
			const {voters = []} = host.node?.control.raft.status().configuration ?? {};
			const reached = voters.filter(voter =>
				hosts.some(other => other.id === voter && isReached(host, other, hosts)),
			).length;
			if (!view || view.voters === 0 || view.state === 'lost' || reached >= view.needed) {
				this.#wrongMs.delete(host);
				continue;
			}

			const sinceMs = this.#wrongMs.get(host) ?? nowMs;
			this.#wrongMs.set(host, sinceMs);
			if (nowMs - sinceMs >= detectMs)
				return `${host.id} reports ${view.state} with ${view.reachable} of ${view.voters} reachable; for ${nowMs - sinceMs} ms it could reach at most ${reached}`;
		}

		return undefined;
	}
}

/** Whether nothing prevents a connection between them, directly or through one relay. */
function isReached(one: Host, other: Host, hosts: readonly Host[]): boolean {
	return (
		isOpen(one, other) ||
		hosts.some(relay => relay !== one && relay !== other && isOpen(one, relay) && isOpen(relay, other))
	);
}

function isOpen(one: Host, other: Host): boolean {
	if (one === other) return true;
	const {frames} = one.options.fabric;
	return other.isUp && !other.isPaused && !frames.isCut(one.key, other.key) && !frames.isCut(other.key, one.key);
}
