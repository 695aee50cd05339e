/**
The message of a faulty member: a batch in its own name with a Lamport stamp that no clock of the cluster can have
reached. A node that accepted it would stamp even later messages and spread them, until no stamps were left.
*/
import {lamportMax} from '../../../core/lamport.ts';
import {encodeBatch, type Topic} from '../../../core/message.ts';
import type {Node} from '../../../core/node/node.ts';
import {encodePushHead} from '../../../core/wire/wire.ts';

const forgedLamport = lamportMax - 1000;
/** No run stamps this often, whatever the number of restarts. */
export const lamportSaneMax = 2 ** 40;

/** A frame of the node for one of its peers. */
export function forgedStampFrame({id, options: {incarnation, io}}: Node, topic: Topic): Buffer {
	const bytes = encodeBatch(
		{origin: id, incarnation, topic, firstSeq: 1_000_000, lamport: forgedLamport, previousLamport: 0, sentAtMs: 0},
		[Buffer.from('poison')],
		{index: 0, size: 1},
	);
	io.proofs.sign([bytes]);
	return Buffer.concat([encodePushHead({hops: 1, complete: false, repair: false}), bytes]);
}
