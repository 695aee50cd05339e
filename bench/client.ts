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
	  }
	| {
			readonly type: 'published';
			readonly count: number;
			readonly failed: number;
			readonly tookMs: number;
			readonly ackUs: {readonly p50: number; readonly p95: number; readonly p99: number; readonly max: number};
	  }
	| {readonly type: 'failed'; readonly message: string};

export const headBytes = 16;

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
		});
	process.on('message', order => {
		if (order === 'stop') sendFigures();
	});
	for await (const deliveries of subscription) {
		const nowNs = process.hrtime.bigint();
		if (count === 0) firstNs = nowNs;
		lastNs = nowNs;
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
			if (seen[number] === 0) unique++;
			seen[number] = 1;
			if (number < newest) disordered++;
			else newest = number;
		}

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
				() => ack.record(Number(process.hrtime.bigint() - sentNs)),
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
