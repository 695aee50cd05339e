import {describe, expect, test} from 'vitest';
import {Publisher} from '../../../core/data/publisher.ts';
import {DapssError} from '../../../core/errors.ts';
import {Lamport} from '../../../core/lamport.ts';
import {batchBytesTarget, bodiesOf, encodeBatch, type Batch, type NodeId, type Topic} from '../../../core/message.ts';

const news = 'news' as Topic;

function setUp(
	options: {
		readonly inFlightBytesMax?: number;
		readonly stampable?: () => Promise<void> | undefined;
		readonly nowMs?: () => number;
	} = {},
) {
	const stored: Batch[] = [];
	const disk: Array<PromiseWithResolvers<void>> = [];
	const delays: number[] = [];
	const publisher = new Publisher({
		origin: 'aaaaaaaaaaaaaaaa' as NodeId,
		incarnation: 3,
		lamport: new Lamport(100, 2 ** 40),
		clock: {
			wallMs: () => 1234,
			monotonicMs: () => options.nowMs?.() ?? 0,
			soon: run => void setImmediate(run),
			after(delayMs, run) {
				delays.push(delayMs);
				setImmediate(run);
				return {[Symbol.dispose]: () => undefined};
			},
		},
		encode: drafts => drafts.map(({header, bodies}) => encodeBatch(header, bodies, 'none')),
		stampable: options.stampable ?? (() => undefined),
		bodyBytesMax: 100_000,
		inFlightBytesMax: options.inFlightBytesMax ?? 1e9,
		store(_topic, batches) {
			stored.push(...batches);
			const written = Promise.withResolvers<void>();
			disk.push(written);
			return written.promise;
		},
	});
	return {publisher, stored, disk, delays};
}

const turn = (): Promise<void> =>
	new Promise(resolve => {
		setImmediate(resolve);
	});
const texts = (batch: Batch): string[] => [...bodiesOf(batch)].map(body => Buffer.from(body).toString());

describe('publishing', () => {
	test('waits for the ceiling of its stamps to be stored', async () => {
		const kept = Promise.withResolvers<void>();
		let isKept = false;
		const {publisher, stored, disk} = setUp({stampable: () => (isKept ? undefined : kept.promise)});
		const first = publisher.publish(news, [Buffer.from('a')]);
		await turn();
		const second = publisher.publish(news, [Buffer.from('b')]);
		await turn();
		expect(stored).toEqual([]);
		isKept = true;
		kept.resolve();
		await turn();
		expect(stored.map(texts)).toEqual([['a', 'b']]);
		disk[0]!.resolve();
		expect([(await first).firstSeq, (await second).firstSeq]).toEqual([1, 2]);
	});

	test('rejects messages that wait for a stamp when it closes or the ceiling cannot be stored', async () => {
		const {publisher, stored} = setUp({stampable: () => new Promise(() => undefined)});
		const waiting = publisher.publish(news, [Buffer.from('a')]);
		await turn();
		publisher.close(new DapssError('closed', 'stopping'));
		await expect(waiting).rejects.toMatchObject({code: 'closed'});
		const failing = setUp({stampable: () => Promise.reject(new Error('disk'))});
		await expect(failing.publisher.publish(news, [Buffer.from('a')])).rejects.toMatchObject({code: 'storage'});
		expect([...stored, ...failing.stored]).toEqual([]);
	});

	test('shares a batch within one turn of the event loop; each caller gets its own numbers', async () => {
		const {publisher, stored, disk} = setUp();
		const first = publisher.publish(news, [Buffer.from('a'), Buffer.from('b')]);
		const second = publisher.publish(news, [Buffer.from('')]);
		await turn();
		expect(stored).toHaveLength(1);
		expect(texts(stored[0]!)).toEqual(['a', 'b', '']);
		disk[0]!.resolve();
		expect(await first).toMatchObject({incarnation: 3, firstSeq: 1, count: 2});
		expect(await second).toMatchObject({firstSeq: 3, count: 1});
	});

	test('resolves once the batch is synced, not before', async () => {
		const {publisher, disk} = setUp();
		let isDone = false;
		const work = publisher.publish(news, [Buffer.from('a')]).then(() => {
			isDone = true;
		});
		await turn();
		expect(isDone).toBe(false);
		disk[0]!.resolve();
		await work;
	});

	test('assigns dense numbers over batches, and each batch has the stamp of the batch before', async () => {
		const {publisher, stored} = setUp();
		publisher
			.publish(
				news,
				Array.from({length: 5}, () => Buffer.alloc(batchBytesTarget / 2)),
			)
			.catch(() => undefined);
		await turn();
		publisher.publish(news, [Buffer.from('z')]).catch(() => undefined);
		publisher.publish('other' as Topic, [Buffer.from('o')]).catch(() => undefined);
		await turn();
		expect(
			stored.map(({topic, firstSeq, count, lamport, previousLamport}) => [
				topic,
				firstSeq,
				count,
				lamport,
				previousLamport,
			]),
		).toEqual([
			['news', 1, 1, 101, 0],
			['news', 2, 1, 102, 101],
			['news', 3, 1, 103, 102],
			['news', 4, 1, 104, 103],
			['news', 5, 1, 105, 104],
			['news', 6, 1, 106, 105],
			['other', 1, 1, 107, 0],
		]);
	});

	test('assigns a million numbers to a million messages in one turn', async () => {
		const {publisher, stored} = setUp();
		const body = Buffer.from('x');
		publisher
			.publish(
				news,
				Array.from({length: 1_000_000}, () => body),
			)
			.catch(() => undefined);
		await turn();
		let next = 1;
		for (const {firstSeq, count} of stored) {
			expect(firstSeq).toBe(next);
			next += count;
		}

		expect(next).toBe(1_000_001);
	});

	test('rejects messages that are too large, empty calls, a failed disk and a stopping node', async () => {
		const {publisher, disk} = setUp();
		await expect(publisher.publish(news, [Buffer.alloc(100_001)])).rejects.toMatchObject({code: 'too-large'});
		await expect(publisher.publish(news, [])).rejects.toMatchObject({code: 'usage'});
		const failing = publisher.publish(news, [Buffer.from('a')]);
		await turn();
		disk[0]!.reject(new Error('EIO'));
		await expect(failing).rejects.toMatchObject({code: 'storage'});
		publisher.close(new DapssError('closed', 'stopping'));
		await expect(publisher.publish(news, [Buffer.from('a')])).rejects.toMatchObject({code: 'closed'});
	});

	test('waits for the disk when too many bytes are in flight', async () => {
		const {publisher, stored, disk} = setUp({inFlightBytesMax: 10});
		const first = publisher.publish(news, [Buffer.alloc(100)]);
		await turn();
		const second = publisher.publish(news, [Buffer.alloc(100)]);
		await turn();
		expect(stored).toHaveLength(1);
		disk[0]!.resolve();
		await first;
		await turn();
		await turn();
		expect(stored).toHaveLength(2);
		disk[1]!.resolve();
		await second;
	});
});

test('a turn waits a millisecond only while much waits for the disk, and then it is one batch', async () => {
	let nowMs = 0;
	const {publisher, stored, disk, delays} = setUp({nowMs: () => nowMs});
	const publish = (bytes: number): Promise<unknown> => publisher.publish(news, [Buffer.alloc(bytes)]);
	const first = publish(10);
	await turn();
	const large = publish(100_000);
	await turn();
	const other = publish(100_000);
	await turn();
	expect([stored.length, delays]).toEqual([3, []]);
	const late = [publish(10), publish(10)];
	await turn();
	expect(delays).toEqual([1]);
	expect(stored).toHaveLength(4);
	expect(stored.at(-1)!.count).toBe(2);
	nowMs += 5;
	const afterwards = publish(10);
	await turn();
	expect(delays).toEqual([1]);
	for (const written of disk) written.resolve();
	await Promise.all([first, large, other, ...late, afterwards]);
});
