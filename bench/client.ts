/**
A client in its own process: it publishes or subscribes on command and reports figures, not messages. Commands arrive
over the channel of `child_process.fork`. Bodies start with the sender's monotonic clock (`process.hrtime`, one for all
processes of a machine) and a number, so that the receiver measures latency, losses, duplicates and order.
*/
import {createHistogram} from 'node:perf_hooks';
import {connect, type Broker, type Topic} from '../core/index.ts';

export type ClientOptions = {
	readonly servers: readonly string[];
	readonly secret: string;
	readonly cluster: string;
	readonly topic: string;
};
export type ClientOrder =
	| {readonly type: 'subscribe'; readonly options: ClientOptions; readonly expect: number}
	| {
			readonly type: 'publish';
			readonly options: ClientOptions;
			readonly count: number;
			readonly size: number;
			/** Messages a second; 0 for as fast as acknowledgements allow. */ readonly rate: number;
			readonly perCall: number;
			readonly inFlight: number;
			readonly first: number;
	  };
export type ClientReport =
	| {readonly type: 'ready'}
	| {
			readonly type: 'received';
			readonly count: number;
			readonly unique: number;
			readonly duplicates: number;
			readonly disordered: number;
			readonly corrupt: number;
			readonly firstNs: string;
			readonly lastNs: string;
			readonly latencyUs: {
				readonly p50: number;
				readonly p95: number;
				readonly p99: number;
				readonly max: number;
			};
			readonly course: readonly Interval[];
	  }
	| {
			readonly type: 'published';
			readonly count: number;
			readonly failed: number;
			readonly tookMs: number;
			readonly ackUs: {readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number};
			readonly course: readonly Interval[];
	  }
	| {readonly type: 'failed'; readonly message: string};

/** A quarter of a second: when it ended (wall clock), messages in it, and their latencies. */
export type Interval = {readonly atMs: number; readonly count: number; readonly p50: number; readonly p99: number};

export const headBytes = 16;
const intervalMs = 250;
/** Intervals that are kept: ten minutes. */
const intervalsMax = 2400;

/** The course of a run: one histogram for the present interval. */
class Course {
	readonly intervals: Interval[] = [];
	readonly #latency = createHistogram();
	#count = 0;
	#endMs = Date.now() + intervalMs;

	add(count: number, tookNs: number): void {
		this.#close(Date.now());
		this.#count += count;
		if (tookNs > 0) this.#latency.record(tookNs);
	}

	all(): readonly Interval[] {
		this.#close(Date.now() + intervalMs);
		return this.intervals;
	}

	#close(nowMs: number): void {
		if (nowMs < this.#endMs) return;
		if (this.#count > 0 && this.intervals.length < intervalsMax) {
			const {p50, p99} = percentiles(this.#latency);
			this.intervals.push({atMs: this.#endMs, count: this.#count, p50, p99});
		}

		this.#count = 0;
		this.#latency.reset();
		this.#endMs += Math.max(1, Math.ceil((nowMs - this.#endMs) / intervalMs)) * intervalMs;
	}
}

function report(body: ClientReport): void {
	process.send!(body);
}

function percentiles(histogram: ReturnType<typeof createHistogram>): {
	p50: number;
	p95: number;
	p99: number;
	max: number;
} {
	const us = (ns: number): number => Math.round(ns / 100) / 10;
	return histogram.count === 0
		? {p50: 0, p95: 0, p99: 0, max: 0}
		: {
				p50: us(histogram.percentile(50)),
				p95: us(histogram.percentile(95)),
				p99: us(histogram.percentile(99)),
				max: us(histogram.max),
			};
}

async function open({servers, secret, cluster}: ClientOptions): Promise<Broker> {
	return connect({
		servers,
		secret: Buffer.from(secret),
		cluster,
		enableNodeAuth: true,
		enableMessageSigning: true,
		enableEncryption: true,
	});
}

/** The numbers are 0 to `expect` − 1. Reports when all have arrived, or on command. */
async function subscribe({options, expect}: Extract<ClientOrder, {type: 'subscribe'}>): Promise<void> {
	const broker = await open(options);
	const subscription = broker.subscribe([options.topic]);
	await subscription.agreed;
	report({type: 'ready'});
	const seen = new Uint8Array(expect);
	const latency = createHistogram();
	const course = new Course();
	let count = 0;
	let unique = 0;
	let disordered = 0;
	let corrupt = 0;
	let newest = -1;
	let firstNs = 0n;
	let lastNs = 0n;
	const sendFigures = (): void =>
		report({
			type: 'received',
			count,
			unique,
			duplicates: count - unique - corrupt,
			disordered,
			corrupt,
			firstNs: String(firstNs),
			lastNs: String(lastNs),
			latencyUs: percentiles(latency),
			course: course.all(),
		});
	process.on('message', order => {
		if (order === 'stop') sendFigures();
	});
	for await (const deliveries of subscription) {
		const nowNs = process.hrtime.bigint();
		if (count === 0) firstNs = nowNs;
		lastNs = nowNs;
		let tookNs = 0;
		for (const {body} of deliveries) {
			count++;
			const view = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
			const number = view.length >= headBytes ? Number(view.readBigUInt64BE(8)) : -1;
			if (number < 0 || number >= expect) {
				corrupt++;
				continue;
			}

			const took = Number(nowNs - view.readBigUInt64BE(0));
			if (took > 0) latency.record(took);
			tookNs = took;
			if (seen[number] === 0) unique++;
			seen[number] = 1;
			if (number < newest) disordered++;
			else newest = number;
		}

		// One entry a turn, because the clock and a second histogram would cost as much as the rest.
		course.add(deliveries.length, tookNs);
		if (unique === expect) sendFigures();
	}
}

/** A body that begins with the time of its creation (ns) and its number. */
function bodyOf(number: number, size: number): Buffer {
	const body = Buffer.alloc(Math.max(size, headBytes));
	body.writeBigUInt64BE(process.hrtime.bigint(), 0);
	body.writeBigUInt64BE(BigInt(number), 8);
	return body;
}

async function publish({
	options,
	count,
	size,
	rate,
	perCall,
	inFlight,
	first,
}: Extract<ClientOrder, {type: 'publish'}>): Promise<void> {
	const broker = await open(options);
	const topic = options.topic as Topic;
	const ack = createHistogram();
	const course = new Course();
	let sent = 0;
	let failed = 0;
	const flight = {open: 0};
	let wake: (() => void) | undefined;
	const startNs = process.hrtime.bigint();
	while (sent < count) {
		if (rate > 0) {
			const due = Math.floor((Number(process.hrtime.bigint() - startNs) * rate) / 1e9) + 1;
			if (sent >= Math.min(due, count)) {
				await new Promise(resolve => {
					setTimeout(resolve, 1);
				});
				continue;
			}
		}

		if (flight.open >= inFlight) {
			await new Promise<void>(resolve => {
				wake = resolve;
			});
			continue;
		}

		const calls = rate > 0 ? 1 : Math.min(perCall, count - sent);
		const bodies = Array.from({length: calls}, (_, index) => bodyOf(first + sent + index, size));
		const sentNs = process.hrtime.bigint();
		sent += calls;
		flight.open++;
		broker
			.publish(topic, bodies)
			.then(
				() => {
					const took = Number(process.hrtime.bigint() - sentNs);
					ack.record(took);
					course.add(calls, took);
				},
				() => {
					failed += calls;
				},
			)
			.finally(() => {
				flight.open--;
				wake?.();
			});
	}

	while (flight.open > 0) {
		await new Promise<void>(resolve => {
			wake = resolve;
		});
	}

	report({
		type: 'published',
		count: sent - failed,
		failed,
		tookMs: Number(process.hrtime.bigint() - startNs) / 1e6,
		ackUs: percentiles(ack),
		course: course.all(),
	});
	await broker[Symbol.asyncDispose]();
	process.disconnect();
}

process.once('message', order => {
	const work =
		(order as ClientOrder).type === 'subscribe'
			? subscribe(order as Extract<ClientOrder, {type: 'subscribe'}>)
			: publish(order as Extract<ClientOrder, {type: 'publish'}>);
	work.catch((error: unknown) => {
		report({type: 'failed', message: error instanceof Error ? error.message : String(error)});
		process.exitCode = 1;
		process.disconnect();
	});
});
process.on('disconnect', () => process.exit());
