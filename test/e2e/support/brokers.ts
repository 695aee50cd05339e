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
At least `count` messages of the topic from the beginning. Each stream must have consecutive sequence numbers from 1, so
a lost, repeated or reordered message fails.
*/
export async function readWithOffsets(broker: Broker, topic: string, count: number): Promise<TextAt[]> {
	const messages: TextAt[] = [];
	const newest = new Map<string, number>();
	await using subscription = broker.subscribe([topic], {from: 'beginning'});
	for await (const deliveries of subscription) {
		for (const {origin, incarnation, seq, offset, body} of deliveries) {
			const stream = `${origin}:${incarnation}`;
			expect(seq).toBe((newest.get(stream) ?? 0) + 1);
			newest.set(stream, seq);
			messages.push({offset, text: Buffer.from(body).toString()});
		}

		if (messages.length >= count) break;
	}

	return messages;
}

/** As `readWithOffsets`, the texts alone. */
export const readTexts = async (broker: Broker, topic: string, count: number): Promise<string[]> =>
	(await readWithOffsets(broker, topic, count)).map(({text}) => text);
