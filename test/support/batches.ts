/** Batches of messages for tests. */
import {decodeBatch, encodeBatch, type Batch, type BatchHeader, type NodeId, type Topic} from '../../core/message.ts';

/**
An unsigned batch with these bodies, of one byte unless given. The stamp is the number of the first message, and the
stamp of the batch before it is one less.
*/
export function batchOf(
	{
		origin = 'aaaaaaaaaaaaaaaa' as NodeId,
		incarnation = 1,
		topic = 'news' as Topic,
		firstSeq = 1,
		lamport = firstSeq,
		previousLamport = lamport - 1,
		sentAtMs = 0,
	}: Partial<Omit<BatchHeader, 'count'>> = {},
	bodies: readonly Uint8Array[] = [Buffer.alloc(1)],
): Batch {
	const header = {origin, incarnation, topic, firstSeq, lamport, previousLamport, sentAtMs};
	return decodeBatch(encodeBatch(header, bodies, 'none'))!;
}

/** `count` bodies of this size, all zeros. */
export const zeros = (count: number, bytes: number): readonly Buffer[] =>
	Array.from({length: count}, () => Buffer.alloc(bytes));
