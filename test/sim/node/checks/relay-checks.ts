/**
Rule for relays: a faulty member sends others relay frames that were relayed before, that are for no member, or whose
content needs no relay. No node may forward them. A node's own frames through a relay go to a third node.
*/
import type {NodeId} from '../../../../core/message.ts';
import {decodeRelay, encodeRelayHead, isRelayKind} from '../../../../core/wire/relay-frame.ts';
import {kinds} from '../../../../core/wire/wire.ts';
import type {SeededRandom} from '../../random.ts';

/** The suffix of each forged frame. No packet of a node ends with it. */
const mark = Buffer.from('forged by a faulty member.');
const nobody = 'ffffffffffffffff' as NodeId;

/** A frame that `from` sends to `to` and that `to` must not forward. @param others members besides the two */
export function forgedRelayFrame(
	from: NodeId,
	to: NodeId,
	others: readonly NodeId[],
	random: SeededRandom,
): Buffer | undefined {
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

/** The violation in a frame that a node sends over a link. */
export function relayViolation(sender: NodeId, to: NodeId, pieces: readonly Uint8Array[]): string | undefined {
	const wrong = wrongRelayFrame(sender, to, pieces);
	return wrong && `a frame is relayed once, between members: ${wrong}`;
}

function wrongRelayFrame(sender: NodeId, to: NodeId, pieces: readonly Uint8Array[]): string | undefined {
	if (!isRelayKind(pieces[0]?.[0])) return undefined;
	const frame = Buffer.concat(pieces);
	const carried = decodeRelay(frame);
	if (!carried) return `${sender} sends an incomplete relay frame to ${to}`;
	if (frame.subarray(-mark.length).equals(mark))
		return `${sender} forwards to ${to} a forged frame from ${carried.from} to ${carried.to}`;
	if (carried.from === sender)
		return carried.to === to ? `${sender} uses a relay to reach ${to}, and needs none` : undefined;
	return carried.to === to ? undefined : `${sender} relays to ${to} a frame for ${carried.to}`;
}
