/** Clients of the nodes of a cluster: publish texts, and read them again. */
import {expect} from 'vitest';
import type {Cluster, NodeProcess} from '../../../bench/cluster.ts';
import type {Broker} from '../../../core/index.ts';

/** Runs the work with a client of the node, and closes the client. */
export async function withClient<Value>(
	cluster: Cluster,
	node: NodeProcess,
	work: (broker: Broker) => Promise<Value>,
): Promise<Value> {
	await using broker = await cluster.client(node);
	return await work(broker);
}

export const publishTexts = (broker: Broker, topic: string, texts: readonly string[]): Promise<unknown> =>
	broker.publish(
		topic,
		texts.map(text => Buffer.from(text)),
	);

export type TextAt = {readonly offset: number; readonly text: string};

/**
At least `count` messages of the topic from the beginning. The sequence numbers of each stream must be consecutive, so a
lost, repeated or reordered message fails.
@param startsAtOne the first sequence number of each stream is 1; not so after a deletion of the topic
*/
export async function readWithOffsets(
	broker: Broker,
	topic: string,
	count: number,
	startsAtOne = true,
): Promise<TextAt[]> {
	const messages: TextAt[] = [];
	const newest = new Map<string, number>();
	await using subscription = broker.subscribe([topic], {from: 'beginning'});
	for await (const deliveries of subscription) {
		for (const {origin, incarnation, seq, offset, body} of deliveries) {
			const stream = `${origin}:${incarnation}`;
			const before = newest.get(stream) ?? (startsAtOne ? 0 : seq - 1);
			expect(seq).toBe(before + 1);
			newest.set(stream, seq);
			messages.push({offset, text: Buffer.from(body).toString()});
		}

		if (messages.length >= count) break;
	}

	return messages;
}

/** As `readWithOffsets`, the texts alone. */
export const readTexts = async (broker: Broker, topic: string, count: number, startsAtOne = true): Promise<string[]> =>
	(await readWithOffsets(broker, topic, count, startsAtOne)).map(({text}) => text);
