/**
Measures the log alone on this disk: appends per second with a number of them in flight, each acknowledged after its
fsync, and the time to open a log after a crash. `node bench/log.ts [FOLDER]`; the folder selects the disk.
*/
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createHistogram} from 'node:perf_hooks';
import {openLog} from '../core/io/log/log.ts';
import {encodeBatch, decodeBatch, type NodeId, type Topic} from '../core/message.ts';
import {openTopicLog} from '../core/topic-log/topic-log.ts';
import {tableOf} from './measure.ts';

type Row = Readonly<Record<string, number | string>>;

const runMs = 1500;
const recoveryBytes = 256 * 1024 * 1024;
const options = {segmentBytes: 16 * 1024 * 1024, writeDeadlineMs: 10_000};

async function appends(folder: string, recordBytes: number, inFlight: number): Promise<Row> {
	await using log = await openLog({folder, ...options});
	const record = Buffer.alloc(recordBytes, 7);
	const waits = createHistogram(); // Nanoseconds.
	const untilMs = performance.now() + runMs;
	let count = 0;
	const startedMs = performance.now();
	const client = async (): Promise<void> => {
		while (performance.now() < untilMs) {
			const sentMs = performance.now();
			await log.append([record]).synced;
			waits.record(Math.max(1, Math.round((performance.now() - sentMs) * 1e6)));
			count++;
		}
	};

	const {user, system} = process.cpuUsage();
	await Promise.all(Array.from({length: inFlight}, client));
	const cpu = process.cpuUsage({user, system});
	const seconds = (performance.now() - startedMs) / 1000;
	const us = (percentile: number): number => Math.round(waits.percentile(percentile) / 1000);
	return {
		'record B': recordBytes,
		'in flight': inFlight,
		'appends/s': Math.round(count / seconds),
		'MB/s': Math.round((count * recordBytes) / seconds / 1e5) / 10,
		'p50 µs': us(50),
		'p99 µs': us(99),
		'CPU µs each': Math.round(((cpu.user + cpu.system) / count) * 10) / 10,
	};
}

/** The log is not closed, so that opening it checks everything, as after a crash. */
async function recovery(folder: string, batchBytes: number): Promise<Row> {
	const log = await openTopicLog(await openLog({folder, ...options}), () => undefined);
	const origin = 'aaaaaaaaaaaaaaaa' as NodeId;
	const count = Math.max(1, Math.round(batchBytes / 128));
	const bodies = Array.from({length: count}, () => Buffer.alloc(Math.min(128, batchBytes), 7));
	let written: Promise<void> = Promise.resolve();
	for (let seq = 1; log.bytes < recoveryBytes; seq += count) {
		const batch = decodeBatch(
			encodeBatch(
				{
					origin,
					incarnation: 1,
					topic: 'bench' as Topic,
					firstSeq: seq,
					lamport: seq,
					previousLamport: seq - 1,
					sentAtMs: 0,
				},
				bodies,
				'mac',
			),
		)!;
		written = log.append([{batch, hops: 0, repaired: false}], {sync: false}).written;
		if (seq % 4096 < count) await written;
	}

	await written;
	const {messages, bytes} = log;
	const startedMs = performance.now();
	const opened = await openLog({folder, ...options});
	const checkedMs = performance.now();
	const again = await openTopicLog(opened, () => undefined);
	const readyMs = performance.now();
	if (again.messages !== messages)
		throw new Error(`Expected ${messages} messages to be found again, got ${again.messages}`);
	await again[Symbol.asyncDispose]();
	await log[Symbol.asyncDispose]();
	return {
		'batch B': batchBytes,
		'log MiB': Math.round(bytes / 1024 / 1024),
		messages: messages,
		'check ms': Math.round(checkedMs - startedMs),
		'ready ms': Math.round(readyMs - startedMs),
		'ready ms per GiB': Math.round(((readyMs - startedMs) * 2 ** 30) / bytes),
	};
}

async function inFolder(work: (folder: string) => Promise<Row>): Promise<Row> {
	const folder = mkdtempSync(join(process.argv[2] ?? tmpdir(), 'dapss-bench-log-'));
	try {
		return await work(folder);
	} finally {
		rmSync(folder, {recursive: true, force: true});
	}
}

const rows: Row[] = [];
for (const recordBytes of [128, 4096]) {
	for (const inFlight of [1, 16, 256]) rows.push(await inFolder(folder => appends(folder, recordBytes, inFlight)));
}

console.log(tableOf(rows));
console.log();
const found: Row[] = [];
for (const batchBytes of [128, 4096, 65_536]) {
	found.push(await inFolder(folder => recovery(folder, batchBytes)));
}

console.log(tableOf(found));
