/** A slow reader reads from the log: it loses and repeats no message, and does not delay other readers. */
import {expect, test} from 'vitest';
import {Cluster} from '../../bench/cluster.ts';
import type {Topic} from '../../core/index.ts';
import {cli} from './support/command.ts';

test('a fast and two slow readers each get 200,000 messages in order', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const topic = 'flood' as Topic;
	const count = 200_000;
	const readers = await Promise.all(
		[
			[0, 0],
			[1, 60],
			[2, 30],
		].map(async ([node, pauseMs]) => {
			const broker = await cluster.client(cluster.nodes[node!]);
			const subscription = broker.subscribe([topic]);
			await subscription.agreed;
			return {broker, subscription, pauseMs: pauseMs!};
		}),
	);
	const read = Promise.all(
		readers.map(async ({subscription, pauseMs}) => {
			let next = 0;
			for await (const deliveries of subscription) {
				for (const {body} of deliveries) {
					const number = Buffer.from(body).readUInt32BE(0);
					if (number !== next) throw new Error(`Expected message ${next}, got ${number}`);
					next++;
				}

				if (next === count) break;
				// The reader is slow: it pauses after each chunk.
				await new Promise(resolve => {
					setTimeout(resolve, pauseMs);
				});
			}

			return subscription.dropped;
		}),
	);
	const publisher = await cluster.client();
	const inFlight: Array<Promise<unknown>> = [];
	for (let number = 0; number < count; number += 500) {
		inFlight.push(
			publisher.publish(
				topic,
				Array.from({length: 500}, (_, index) => {
					const body = Buffer.alloc(200);
					body.writeUInt32BE(number + index);
					return body;
				}),
			),
		);
		if (inFlight.length >= 16) await inFlight.shift();
	}

	await Promise.all(inFlight);
	expect(await read).toEqual([0, 0, 0]);
	await Promise.all([publisher, ...readers.map(({broker}) => broker)].map(broker => broker[Symbol.asyncDispose]()));
}, 60_000);
