/**
The frames between nodes: one byte for the kind, then the packet. Control packets are MessagePack and are validated by
the machine that receives them. A push is binary, so that the sealed bytes of a batch are forwarded unchanged.

```
push   3 | u8 hops | u8 flags (1 complete, 2 repair) | batch, as sealed by its origin
relay  9 | 8 B from | 8 B to | the relayed frame; protocol 2
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
The header of a push frame; the batch is `frame.subarray(pushHeaderBytes)`. `undefined` when the frame is too short or
has unknown flags.
*/
export function decodePushHead(frame: Uint8Array): PushHead | undefined {
	if (frame.length <= pushHeaderBytes) return undefined;
	const flags = frame[2]!;
	if ((flags & ~(flagComplete | flagRepair)) !== 0) return undefined;
	return {hops: frame[1]!, complete: (flags & flagComplete) !== 0, repair: (flags & flagRepair) !== 0};
}

/** The packet of a control frame, not validated yet. */
export function decodeControl(frame: Uint8Array): unknown {
	return decode(frame.subarray(1));
}

const idBytes = 8;
const relayHeaderBytes = 1 + 2 * idBytes;

export type RelayFrame = {readonly from: NodeId; readonly to: NodeId; readonly inner: Buffer};

/** The header of a relay frame; the relayed frame follows it. */
export function encodeRelayHead(from: NodeId, to: NodeId): Buffer {
	const head = Buffer.alloc(relayHeaderBytes);
	head[0] = kinds.relay;
	head.write(from, 1, idBytes, 'hex');
	head.write(to, 1 + idBytes, idBytes, 'hex');
	return head;
}

/** `undefined` when the frame is too short. */
export function decodeRelay(frame: Buffer): RelayFrame | undefined {
	if (frame.length <= relayHeaderBytes) return undefined;
	return {
		from: frame.toString('hex', 1, 1 + idBytes) as NodeId,
		to: frame.toString('hex', 1 + idBytes, relayHeaderBytes) as NodeId,
		inner: frame.subarray(relayHeaderBytes),
	};
}
