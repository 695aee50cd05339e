import {expect, test, vi} from 'vitest';
import {Data} from '../../../core/data/data.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {batchOf} from '../../support/batches.ts';
import {dataOptions} from '../../support/data-options.ts';

const news = 'news' as Topic;
const self = '0000000000000001' as NodeId;
const origin = '0000000000000002' as NodeId;

/** A node that subscribes to `news` with one reader. `origin` is its only peer. */
async function openReader() {
	const read: number[] = [];
	const told = {reader: 0, event: 0};
	const data = new Data(
		dataOptions({
			self,
			hooks: {
				failed: error => expect.unreachable(String(error)),
				missed: (_topic, _origin, messages) => void (told.event += messages),
			},
		}),
	);
	data.setSubscriptions(new Map([[news, {subscribers: [self, origin], since: 0}]]));
	data.gossip.setReachable([origin]);
	await data.read(news, 'beginning', {
		room: () => 1e6,
		take(items) {
			for (const {batch} of items) read.push(batch.firstSeq);
			return items.length;
		},
		missed: messages => void (told.reader += messages),
		dropped: () => expect.unreachable('retention deleted nothing'),
		failed: error => expect.unreachable(String(error)),
	});
	const push = (firstSeq: number): void => {
		const {bytes} = batchOf({origin, topic: news, firstSeq});
		data.onPush(origin, {hops: 1, complete: true, repair: false}, Buffer.from(bytes));
	};
	/** The peer answers that it does not have the messages from `low` to before `next`. */
	const lacks = (low: number, next: number): void =>
		data.onControl(origin, {type: 'ihavenot', topic: news, isEnd: true, gaps: [[origin, 1, low, next]]});
	return {data, read, told, push, lacks};
}

test('a reader is told how many messages no node has, before it gets the next one', async () => {
	const {data, read, told, push, lacks} = await openReader();
	push(1);
	await vi.waitFor(() => expect(read).toEqual([1]));
	push(5);
	data.pump();
	lacks(2, 5);
	data.pump();
	expect(told).toEqual({reader: 3, event: 3});
	await vi.waitFor(() => expect(read).toEqual([1, 5]));
	await data[Symbol.asyncDispose]();
});

test('a reader is not told of missing messages from before its subscription', async () => {
	const {data, read, told, push, lacks} = await openReader();
	// The node has nothing of this stream: the reader does not wait for its first messages.
	push(5);
	data.pump();
	lacks(1, 5);
	data.pump();
	expect(told).toEqual({reader: 0, event: 4});
	await vi.waitFor(() => expect(read).toEqual([5]));
	await data[Symbol.asyncDispose]();
});
