/**
A protocol is a value: packets and ticks go in, output comes out, and there are no side effects. A machine owns no
socket, file, timer, clock or random source, so a whole cluster of machines runs in one test, in any order, from a seed.
*/
import type {NodeId} from './message.ts';

export type Outbound<Packet> = {readonly to: NodeId; readonly packet: Packet};

/** Uniform integer in [0, limit). No floats: a seed replays exactly. */
export type Random = {below(limit: number): number};

export type Machine<Packet, Ready> = {
	/** Handles one packet from an authenticated peer. */
	step(from: NodeId, packet: Packet): void;
	/** Advances logical time by one unit. Only the broker knows its duration in milliseconds. */
	tick(): void;
	/** Takes the pending output; `undefined` when idle. */
	ready(): Ready | undefined;
};
