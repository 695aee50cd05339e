/**
The quorum is counted over links that work: a node that says that a majority is reachable has had connections to one,
over one other member at most, within the time that it takes to find out.

Frames that go through a member: a member gone bad hands others relay frames that were relayed before, that are for no
member, or that carry what needs no relay: none of them may go on. And what a node sends of its own through another goes
to a third.
*/
import type {NodeId} from '../../../core/message.ts';
import {decodeRelay, encodeRelayHead, kinds} from '../../../core/wire/wire.ts';
import type {SeededRandom} from '../random.ts';
import type {Host} from './host.ts';

/** At the end of each lie. No packet of a node ends so. */
const mark = Buffer.from('a lie of a member gone bad');
const nobody = 'ffffffffffffffff' as NodeId;

/** What `from` gives to `to`, which must not pass it on. @param others members besides the two */
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

/** What is wrong with a frame that a node sends over a link; `undefined` when nothing. */
export function wrongRelay(sender: NodeId, to: NodeId, pieces: readonly Uint8Array[]): string | undefined {
	if (pieces[0]?.[0] !== kinds.relay) return undefined;
	const frame = Buffer.concat(pieces);
	const carried = decodeRelay(frame);
	if (!carried) return `${sender} sends half a relay frame to ${to}`;
	if (frame.subarray(-mark.length).equals(mark))
		return `${sender} passes on to ${to} what ${carried.from} is said to send to ${carried.to}`;
	if (carried.from === sender)
		return carried.to === to ? `${sender} needs no relay for ${to}, and uses one` : undefined;
	return carried.to === to ? undefined : `${sender} relays to ${to} what is for ${carried.to}`;
}

const lookMs = 500;
/** Within this time a node finds out, over the worst network that a run has. */
const detectMs = 5000;

export class QuorumChecks {
	/** Since when no majority can be reached by a node that says that one is. */
	readonly #wrongMs = new Map<Host, number>();
	#lookedMs = 0;

	/** What a node says that cannot be; `undefined` when nothing. */
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
				return `${host.id} says ${view.state} with ${view.reachable} of ${view.voters} reachable, for ${nowMs - sinceMs} ms at most ${reached} can be reached`;
		}

		return undefined;
	}
}

/** Nothing keeps a connection between them from being there, nor from being there over one member. */
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
