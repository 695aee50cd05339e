/**
Snapshots on their way (Raft, 7): cut into chunks for a follower that is too far behind, and put together again there. A
chunk counts only when it goes on exactly where the last one ended; whatever is lost is sent again from where the
receiver stands.
*/
import type {NodeId} from '../message.ts';
import type {Configuration} from './configuration.ts';
import {chunkBytes, type PacketOf, type Unsent} from './packet.ts';

export type Snapshot = {
	readonly index: number;
	readonly term: number;
	readonly configuration: Configuration;
	/** The state machine at `index`. */
	readonly data: Uint8Array;
};

export function chunkOf({index, term, configuration, data}: Snapshot, offset: number): Unsent {
	return {
		type: 'snapshot',
		index,
		snapshotTerm: term,
		configuration,
		offset,
		size: data.length,
		data: data.subarray(offset, offset + chunkBytes),
	};
}

export class Assembly {
	/** Sender, its term and what it sends: another leader's bytes of the same index need not be the same bytes. */
	#key = '';
	#chunks: Uint8Array[] = [];
	#received = 0;

	/** Bytes that are here of what this packet is a part of. */
	received(from: NodeId, packet: PacketOf<'snapshot'>): number {
		return this.#key === keyOf(from, packet) ? this.#received : 0;
	}

	/**
	Take in a chunk; the whole snapshot when it was the last one that was missing. Memory grows with what has come, not
	with what is announced.
	*/
	take(from: NodeId, packet: PacketOf<'snapshot'>): Snapshot | undefined {
		const {index, snapshotTerm, configuration, offset, size, data} = packet;
		const key = keyOf(from, packet);
		if (offset === 0 && this.#key !== key) {
			this.clear();
			this.#key = key;
		}

		if (this.#key !== key || offset !== this.#received) return undefined;
		this.#chunks.push(Uint8Array.from(data));
		this.#received += data.length;
		if (this.#received < size) return undefined;
		const whole = {index, term: snapshotTerm, configuration, data: new Uint8Array(Buffer.concat(this.#chunks))};
		this.clear();
		return whole;
	}

	clear(): void {
		this.#key = '';
		this.#chunks = [];
		this.#received = 0;
	}
}

function keyOf(from: NodeId, {term, index, snapshotTerm, size}: PacketOf<'snapshot'>): string {
	return `${from}:${term}:${index}:${snapshotTerm}:${size}`;
}
