/**
Snapshots on their way (Raft, 7): cut into chunks for a follower that is too far behind, and put together again there. A chunk counts only
when it goes on exactly where the last one ended; whatever is lost is sent again from where the receiver stands.
*/
import type {Configuration} from './configuration.ts';
import type {PacketOf, Unsent} from './packet.ts';

export type Snapshot = {
	readonly index: number;
	readonly term: number;
	readonly configuration: Configuration;
	/** The state machine at `index`. */
	readonly data: Uint8Array;
};

export const chunkBytes = 256 * 1024;

export function chunkOf({index, term, configuration, data}: Snapshot, offset: number): Unsent {
	return {type: 'snapshot', index, snapshotTerm: term, configuration, offset, size: data.length, data: data.subarray(offset, offset + chunkBytes)};
}

export class Assembly {
	#index = 0;
	#term = 0;
	#data = new Uint8Array(0);
	#received = 0;

	/** Bytes that are here of the snapshot at `index`. */
	received(index: number, term: number): number {
		return this.#index === index && this.#term === term ? this.#received : 0;
	}

	/** Take in a chunk; the whole snapshot when it was the last one that was missing. */
	take({index, snapshotTerm, configuration, offset, size, data}: PacketOf<'snapshot'>): Snapshot | undefined {
		if (offset === 0 && (this.#index !== index || this.#term !== snapshotTerm)) {
			this.#index = index;
			this.#term = snapshotTerm;
			this.#data = new Uint8Array(size);
			this.#received = 0;
		}

		if (this.#index !== index || this.#term !== snapshotTerm || this.#data.length !== size || offset !== this.#received) return undefined;
		this.#data.set(data, offset);
		this.#received += data.length;
		if (this.#received < size) return undefined;
		const whole = {index, term: snapshotTerm, configuration, data: this.#data};
		this.#index = 0;
		return whole;
	}
}
