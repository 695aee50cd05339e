/**
Frames that go through a member. A member gone bad hands others relay frames that were relayed before, that are for no member, or that carry what needs no relay:
none of them may go on. And what a node sends of its own through another goes to a third.
*/
import type {NodeId} from '../../../core/message.ts';
import {decodeRelay, encodeRelayHead, kinds} from '../../../core/wire.ts';
import type {SeededRandom} from '../random.ts';

/** At the end of each lie. No packet of a node ends so. */
const mark = Buffer.from('a lie of a member gone bad');
const nobody = 'ffffffffffffffff' as NodeId;

/** What `from` gives to `to`, which must not pass it on. @param others members besides the two */
export function lie(from: NodeId, to: NodeId, others: readonly NodeId[], random: SeededRandom): Buffer | undefined {
	if (others.length === 0) return undefined;
	const third = random.pick(others);
	const raft = Buffer.concat([Buffer.of(kinds.raft), mark]);
	switch (random.below(4)) {
		case 0: return Buffer.concat([encodeRelayHead(third, random.pick([from, ...others.filter(other => other !== third)])), raft]);
		case 1: return Buffer.concat([encodeRelayHead(from, nobody), raft]);
		case 2: return Buffer.concat([encodeRelayHead(to, third), raft]);
		default: return Buffer.concat([encodeRelayHead(from, third), Buffer.of(kinds.gossip), mark]);
	}
}

/** What is wrong with a frame that a node sends over a link; `undefined` when nothing. */
export function wrongRelay(sender: NodeId, to: NodeId, pieces: readonly Uint8Array[]): string | undefined {
	if (pieces[0]?.[0] !== kinds.relay) return undefined;
	const frame = Buffer.concat(pieces);
	const carried = decodeRelay(frame);
	if (!carried) return `${sender} sends half a relay frame to ${to}`;
	if (frame.subarray(-mark.length).equals(mark)) return `${sender} passes on to ${to} what ${carried.from} is said to send to ${carried.to}`;
	if (carried.from === sender) return carried.to === to ? `${sender} needs no relay for ${to}, and uses one` : undefined;
	return carried.to === to ? undefined : `${sender} relays to ${to} what is for ${carried.to}`;
}
