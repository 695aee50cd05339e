/**
What a member gone bad sends: a batch in its own name, with a Lamport stamp that no clock of the cluster can have
reached. Who takes it in stamps later still, and hands it on, until there are no stamps left.
*/
import {lamportMax} from '../../../core/lamport.ts';
import {encodeBatch, type Topic} from '../../../core/message.ts';
import type {Node} from '../../../core/node/node.ts';
import {encodePushHead} from '../../../core/wire/wire.ts';

const poison = lamportMax - 1000;
/** No run stamps that often, however often its nodes start anew. */
export const saneMax = 2 ** 40;

/** A frame of the node for one of its peers. */
export function poisoned({id, options: {incarnation}}: Node, topic: Topic): Buffer {
	const bytes = encodeBatch(
		{origin: id, incarnation, topic, firstSeq: 1_000_000, lamport: poison, previousLamport: 0, sentAtMs: 0},
		[Buffer.from('poison')],
		false,
	);
	return Buffer.concat([encodePushHead({hops: 1, complete: false, repair: false}), bytes]);
}
