/**
A protocol is a value: packets and ticks go in, work comes out, nothing else happens. A machine owns no socket, file,
timer, clock or random source, so a whole cluster of them runs in one test, in any order, from a seed.
*/
import type {NodeId} from './message.ts';

export type Outbound<Packet> = {readonly to: NodeId; readonly packet: Packet};

/** Uniform integer in [0, limit). No floats: a seed replays exactly. */
export type Random = {below(limit: number): number};

export type Machine<Packet, Ready> = {
	/** Take in one packet from a peer whose identity the link has proved. */
	step(from: NodeId, packet: Packet): void;
	/** A beat of time. Only the broker knows how many milliseconds one lasts. */
	tick(): void;
	/** Take the work out; `undefined` when idle. */
	ready(): Ready | undefined;
};
