/** A subscription opens its topics in several turns of the event loop, and releases those that it opened. */
import {expect, test} from 'vitest';
import type {DesiredSubscriptions} from '../../../core/control/desired-subscriptions.ts';
import type {Data} from '../../../core/data/data.ts';
import {TurnBudget} from '../../../core/data/turn-budget.ts';
import type {Topic} from '../../../core/message.ts';
import {readBatches} from '../../../core/node/local-reading.ts';

const topics = Array.from({length: 1000}, (_, index) => `m${index}` as Topic);
const turn = (): Promise<void> => new Promise(resolve => void setImmediate(resolve));
const sink = {room: () => 0, take: () => 0, dropped: () => undefined, failed: () => undefined};

function start() {
	const acquired: Topic[] = [];
	const released: Topic[] = [];
	const open = new Set<Topic>();
	const reading = readBatches(
		{
			desired: {
				acquire: async (topic: Topic) => void acquired.push(topic),
				release: (topic: Topic) => void released.push(topic),
			} as unknown as DesiredSubscriptions,
			data: {
				table: {reserve: () => ({[Symbol.dispose]: () => undefined})},
				read: async (topic: Topic) => {
					open.add(topic);
					return {resume: () => undefined};
				},
				stopReading: (topic: Topic) => void open.delete(topic),
			} as unknown as Data,
			opening: new TurnBudget({soon: run => void setImmediate(run), max: 100, slice: 25}),
			closed: new Promise(() => undefined),
		},
		topics,
		'now',
		sink,
	);
	return {reading, acquired, released, open};
}

test('topics are opened a bounded number at a time, and all of them before the subscription is agreed', async () => {
	const {reading, acquired, open} = start();
	expect(acquired).toHaveLength(100);
	await turn();
	expect(acquired.length).toBeLessThanOrEqual(200);
	await reading.agreed;
	expect(acquired).toEqual(topics);
	expect(open.size).toBe(1000);
});

test('a subscription that ends early opens no further topics, and releases those that it acquired', async () => {
	const {reading, acquired, released, open} = start();
	await reading.close();
	await reading.agreed;
	expect(acquired).toHaveLength(100);
	expect(released).toEqual(acquired);
	expect(open.size).toBe(0);
});
