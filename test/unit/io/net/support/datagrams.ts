/** Keys, a beacon, and damaged datagrams for tests of discovery and failure detection. */
import {encode} from '../../../../../core/codec.ts';
import type {Beacon} from '../../../../../core/io/net/beacon.ts';
import type {NodeId} from '../../../../../core/message.ts';
import {deriveKeys, macOf} from '../../../../../core/wire/seal.ts';
import type {SeededRandom} from '../../../../sim/random.ts';

export const keys = deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'dapss'});

export const beacon: Beacon = {
	id: '1111111111111111' as NodeId,
	incarnation: 3,
	clusterId: 'c1',
	address: '127.0.0.1:5000',
	phase: 'member',
	topics: ['news', 'täglich'],
	name: 'alpha',
};

/** A beacon as the previous version sends it: without a challenge and answers. */
export function formerBeacon(
	{id, incarnation, clusterId, address, phase, topics, name}: Beacon,
	counter: number,
	under = keys,
): Buffer {
	const values = [id, incarnation, counter, clusterId, address, phase, topics, ...(name === undefined ? [] : [name])];
	const body = Buffer.concat([Buffer.of(1), encode(values)]);
	return Buffer.concat([macOf(under.beacon, body), body]);
}

/** Endless datagrams: random bytes, and a valid datagram that is cut and has a wrong byte, in turn. */
export function* damagedOrRandom(
	good: Buffer,
	random: SeededRandom,
	/** A random datagram is shorter than `bytesMax`, and its first byte is less than `kinds`. */
	{bytesMax = 600, kinds = 256}: {readonly bytesMax?: number; readonly kinds?: number} = {},
): Generator<Buffer, never> {
	for (;;) {
		yield Buffer.from(
			Array.from({length: random.below(bytesMax)}, (_, at) => random.below(at === 0 ? kinds : 256)),
		);
		const cut = Buffer.from(good.subarray(0, 1 + random.below(good.length)));
		cut[random.below(cut.length)]! ^= 1 + random.below(255);
		yield cut;
	}
}
