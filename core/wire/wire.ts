/**
What one node says to another, as frames: one byte of kind, then the packet. Control packets are MessagePack and fully
checked by the machine they are for; a push is binary, so that the sealed bytes of a batch are forwarded as they came.

```
push   3 | u8 hops | u8 flags (1 complete, 2 repair) | batch, as sealed by its origin
relay  9 | 8 B from | 8 B to | the frame, as its sender made it; protocol 2
other  kind | MessagePack
```
*/
import {decode, encode} from '../codec.ts';
import type {NodeId} from '../message.ts';

export const kinds = {
	raft: 1,
	gossip: 2,
	push: 3,
	swim: 4,
	join: 5,
	joined: 6,
	manage: 7,
	managed: 8,
	relay: 9,
	probe: 16,
	present: 17,
} as const;
export type Kind = keyof typeof kinds;

export const pushHeaderBytes = 3;
const flagComplete = 1;
const flagRepair = 2;

export type PushHead = {readonly hops: number; readonly complete: boolean; readonly repair: boolean};

export function encodeControl(kind: Exclude<Kind, 'push' | 'relay'>, packet: unknown): Buffer {
	const body = encode(packet);
	const frame = Buffer.allocUnsafe(1 + body.length);
	frame[0] = kinds[kind];
	body.copy(frame, 1);
	return frame;
}

export function encodePushHead({hops, complete, repair}: PushHead): Buffer {
	return Buffer.of(kinds.push, Math.min(hops, 255), (complete ? flagComplete : 0) | (repair ? flagRepair : 0));
}

/**
The head of a push frame; the batch is `frame.subarray(pushHeaderBytes)`. `undefined` when too short or with unknown
flags.
*/
export function decodePushHead(frame: Uint8Array): PushHead | undefined {
	if (frame.length <= pushHeaderBytes) return undefined;
	const flags = frame[2]!;
	if ((flags & ~(flagComplete | flagRepair)) !== 0) return undefined;
	return {hops: frame[1]!, complete: (flags & flagComplete) !== 0, repair: (flags & flagRepair) !== 0};
}

/** The packet of a control frame, unchecked: its machine's parser judges it. */
export function decodeControl(frame: Uint8Array): unknown {
	return decode(frame.subarray(1));
}

const idBytes = 8;
const relayHeaderBytes = 1 + 2 * idBytes;

export type RelayFrame = {readonly from: NodeId; readonly to: NodeId; readonly inner: Buffer};

/** The head of a relay frame; the frame that is relayed follows it. */
export function encodeRelayHead(from: NodeId, to: NodeId): Buffer {
	const head = Buffer.alloc(relayHeaderBytes);
	head[0] = kinds.relay;
	head.write(from, 1, idBytes, 'hex');
	head.write(to, 1 + idBytes, idBytes, 'hex');
	return head;
}

/** `undefined` when too short to hold a frame. */
export function decodeRelay(frame: Buffer): RelayFrame | undefined {
	if (frame.length <= relayHeaderBytes) return undefined;
	return {
		from: frame.toString('hex', 1, 1 + idBytes) as NodeId,
		to: frame.toString('hex', 1 + idBytes, relayHeaderBytes) as NodeId,
		inner: frame.subarray(relayHeaderBytes),
	};
}
