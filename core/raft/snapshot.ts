/**
Transfer of snapshots (Raft, 7): the leader sends chunks, and the follower assembles them. A chunk counts only when it
starts exactly where the last one ended. After a loss the leader continues at the offset that the follower reports.
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
	/** Sender, term and snapshot: two leaders' snapshots of the same index need not have the same bytes. */
	#key = '';
	#chunks: Uint8Array[] = [];
	#received = 0;
	/** The last snapshot that was refused. It is not assembled again. */
	#refused = '';

	/** Bytes of the snapshot of this packet that this node has. */
	received(from: NodeId, packet: PacketOf<'snapshot'>): number {
		return this.#key === keyOf(from, packet) ? this.#received : 0;
	}

	/**
	Add a chunk. Returns the whole snapshot after the last chunk. Memory grows with the bytes that arrived, not with the
	announced size.
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

	/** The state in the snapshot cannot be restored. */
	refuse(from: NodeId, packet: PacketOf<'snapshot'>): void {
		this.#refused = keyOf(from, packet);
	}

	isRefused(from: NodeId, packet: PacketOf<'snapshot'>): boolean {
		return this.#refused === keyOf(from, packet);
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
