/**
The frames between nodes: one byte for the kind, then the packet. Control packets are MessagePack and are validated by
the machine that receives them. A push is binary, so that the sealed bytes of a batch are forwarded unchanged.

```
push   3 | u8 hops | u8 flags (1 complete, 2 repair) | batch, as sealed by its origin
relay  9, 10: `relay-frame.ts`
other  kind | MessagePack
```
*/
import {decode, encode} from '../codec.ts';

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
	provenRelay: 10,
	probe: 16,
	present: 17,
} as const;
/** Kinds whose packet is MessagePack. */
export type ControlKind = Exclude<keyof typeof kinds, 'push' | 'relay' | 'provenRelay'>;

export const pushHeaderBytes = 3;
const flagComplete = 1;
const flagRepair = 2;

export type PushHead = {readonly hops: number; readonly complete: boolean; readonly repair: boolean};

export function encodeControl(kind: ControlKind, packet: unknown): Buffer {
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
