/** Shared parts of the measurements of many nodes. */
import type {NodeId} from '../../core/message.ts';
import type {SeededRandom} from '../../test/sim/random.ts';

export type Count = {packets: number; bytes: number};

/** Sorted ids, which are hashes as in a real cluster. */
export function idsOf(count: number, random: SeededRandom): NodeId[] {
	const ids = new Set<NodeId>();
	while (ids.size < count)
		ids.add(
			(random
				.below(2 ** 32)
				.toString(16)
				.padStart(8, '0') +
				random
					.below(2 ** 32)
					.toString(16)
					.padStart(8, '0')) as NodeId,
		);
	return [...ids].toSorted();
}
