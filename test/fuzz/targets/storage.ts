/** Stored records and files: damage is found or harmless, and never an exception that is not the disk's. */
import fc from 'fast-check';
import {openLog, type SegmentedLog} from '../../../core/io/log/log.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {freshState, stateFromJson, stateToJson} from '../../../core/node-state/node-state.ts';
import {decodeRecord as decodeRaftRecord, encodeEntry, encodeMark, encodeState} from '../../../core/raft/records.ts';
import {
	decodeRecord,
	decodeRecordHeader,
	encodeMark as encodeTopicMark,
	encodeStored,
} from '../../../core/topic-log/topic-record.ts';
import {DapssError} from '../../../core/errors.ts';
import {CrashDisk} from '../../contract/support/crash-disk.ts';
import {createRandom} from '../../sim/random.ts';
import {batchAt} from '../../support/remote-pipes.ts';
import {altered, bytes, damaged} from '../arbitraries.ts';
import {must, target} from '../target.ts';

const origin = '1'.repeat(16) as NodeId;
const stored = encodeStored(batchAt('t', 3, 60).batch, {offset: 3, hops: 1, repaired: false, arrivedMs: 5});
const mark = encodeTopicMark({
	offset: 7,
	topic: 't' as Topic,
	streams: [{origin, incarnation: 1, next: 5, lamport: 9}],
});
const state = stateToJson(freshState());
const json = Buffer.from(JSON.stringify(state));

export const recordTarget = target('stored records', 4000, () => ({
	inputs: fc.oneof(
		bytes(200),
		damaged(stored),
		damaged(mark),
		damaged(encodeState({term: 3, vote: origin, commit: 2})),
		damaged(encodeEntry({term: 1, index: 2, kind: 'command', data: Buffer.from('x')})),
		damaged(encodeMark({index: 1, term: 1}, true)),
		damaged(json),
		altered(state).map(given => Buffer.from(JSON.stringify(given) ?? '')),
	),
	check(record) {
		decodeRecord(record);
		decodeRecordHeader(record);
		decodeRaftRecord(record);
		let parsed: unknown;
		try {
			parsed = JSON.parse(record.toString());
		} catch {
			return; // Not JSON: the start reports it.
		}

		const found = stateFromJson(parsed);
		must('problem' in found || found.identity.id.length === 16, 'an identity or a problem');
	},
}));

const folder = '/log';
const open = (disk: CrashDisk): Promise<SegmentedLog> =>
	openLog({folder, segmentBytes: 4000, writeDeadlineMs: 60_000, files: disk});

/** The files of a log of 16 KiB and the records in it. */
async function image(): Promise<{readonly files: ReadonlyMap<string, Buffer>; readonly records: ReadonlySet<string>}> {
	const disk = new CrashDisk({random: createRandom('fuzz')});
	const log = await open(disk);
	const records = Array.from({length: 60}, (_, index) => Buffer.alloc(20 + ((index * 37) % 400), index));
	for (const record of records) await log.append([record], {sync: true}).synced;
	await log[Symbol.asyncDispose]();
	return {
		files: disk.contents(),
		records: new Set(records.map(record => record.toString('hex'))),
	};
}

/** The log opens with whole records, or refuses with the reason; what it has can be read, and it takes a new record. */
async function expectWhole(contents: ReadonlyMap<string, Buffer>, records: ReadonlySet<string>): Promise<void> {
	const disk = CrashDisk.of(contents, {random: createRandom('fuzz')});
	let log: SegmentedLog;
	try {
		log = await open(disk);
	} catch (error) {
		must(error instanceof DapssError, `an error for people, got ${String(error)}`);
		return;
	}

	for (let at = log.first; at < log.end;) {
		const read = await log.read(at, 100_000);
		for (const {bytes: record} of read.records)
			must(records.has(Buffer.from(record).toString('hex')), 'only records that were written');
		if (read.next <= at) break;
		at = read.next;
	}

	await log.append([Buffer.from('new')], {sync: true}).synced;
	await log[Symbol.asyncDispose]();
}

/** A copy of the file with one bit flipped. */
function flipped(content: Buffer, bit: number): Buffer {
	const copy = Buffer.from(content);
	copy[bit >>> 3]! ^= 1 << (bit & 7);
	return copy;
}

/** Each bit of the log in turn, whatever the seed: as many runs as the image has bits flip all. */
export const flippedBitTarget = target('every bit of a log', 300, async () => {
	const {files, records} = await image();
	const places = [...files].flatMap(([path, content]) => Array.from(content, (_, at) => [path, at] as const));
	let run = 0;
	return {
		inputs: fc.constant('the next bit'),
		async check() {
			// The step has no factor in common with the number of bits, so that a short run samples the whole image.
			const bit = (run++ * 7919) % (places.length * 8);
			const [path, at] = places[bit >>> 3]!;
			const content = flipped(files.get(path)!, at * 8 + (bit & 7));
			try {
				await expectWhole(new Map([...files, [path, content]]), records);
			} catch (error) {
				throw new Error(`bit ${bit & 7} of byte ${at} of ${path}`, {cause: error});
			}
		},
	};
});

/** A log whose files have flipped bits, cuts and garbage opens with whole records, or refuses with the reason. */
export const storedLogTarget = target('damaged logs', 300, async () => {
	const {files, records} = await image();
	const paths = [...files.keys()].filter(path => files.get(path)!.length > 0);
	return {
		inputs: fc.constantFrom(...paths).chain(path =>
			fc.oneof(
				damaged(files.get(path)!).map(content => [path, content] as const),
				fc.nat(files.get(path)!.length * 8 - 1).map(bit => [path, flipped(files.get(path)!, bit)] as const),
			),
		),
		check: ([path, content]) => expectWhole(new Map([...files, [path, content]]), records),
	};
});
