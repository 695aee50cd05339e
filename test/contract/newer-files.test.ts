/**
Files that a newer version of the program wrote: the start is refused with both formats, and the folder stays
byte for byte as it is. Data with a wrong checksum are damaged instead, and are set aside as before.
*/
import {createHash} from 'node:crypto';
import {chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {crc32c} from '@node-rs/crc32';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {encodeContext, encodeEnvelope} from '../../core/cluster-state/command.ts';
import {encode} from '../../core/codec.ts';
import {defaults} from '../../core/config.ts';
import {NewerVersionError} from '../../core/errors.ts';
import {realFiles} from '../../core/io/file-system.ts';
import {expectKnownFormats} from '../../core/io/files/known-formats.ts';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import {moveAside, reserveQuarantine} from '../../core/io/files/quarantine.ts';
import {openLog} from '../../core/io/log/log.ts';
import {encodeBatch, decodeBatch, type NodeId, type Topic} from '../../core/message.ts';
import {stateToJson} from '../../core/node-state/node-state.ts';
import {openNodeState, type OpenedNodeState} from '../../core/node-state/open-node-state.ts';
import type {Log} from '../../core/ports.ts';
import {encodeConfigurationData} from '../../core/raft/configuration.ts';
import {encodeEntry} from '../../core/raft/records.ts';
import {openSurvivor} from '../../core/recover.ts';
import {encodeStored} from '../../core/topic-log/topic-record.ts';

const address = '127.0.0.1:5002';
const news = 'news' as Topic;
let path: string;
const open: Log[] = [];
beforeEach(() => {
	path = mkdtempSync(join(tmpdir(), 'dapss-newer-'));
	chmodSync(path, 0o700);
});
afterEach(async () => {
	for (const log of open.splice(0)) await log[Symbol.asyncDispose]();
	rmSync(path, {recursive: true, force: true});
});

const logOptions = {segmentBytes: 1e6, writeDeadlineMs: 5000};
const start = async (): Promise<OpenedNodeState> => {
	const folder = new NodeFiles(realFiles, path);
	return openNodeState(
		{
			expectKnownFormats: () => expectKnownFormats(realFiles, path, 'node.json'),
			readState: () => folder.readJson('node.json'),
			writeState: json => folder.writeJson('node.json', json),
			async openLog() {
				const log = await openLog({folder: join(path, 'raft'), ...logOptions});
				open.push(log);
				return log;
			},
			blobs: folder.blobs,
			reserve: () => reserveQuarantine(realFiles, path, 'node.json'),
			moveAside: name => moveAside(realFiles, path, name),
		},
		address,
	);
};

/**
A hash of all names, contents and modes below the folder, except the lock of SQLite and the file `pid`.
*/
function printOf(folder: string): string {
	const hash = createHash('sha256');
	for (const name of readdirSync(folder, {recursive: true, encoding: 'utf8'})
		.filter(one => one !== 'lock' && one !== 'pid')
		.toSorted()) {
		const stats = statSync(join(folder, name));
		hash.update(`${name} ${stats.mode} ${stats.mtimeMs}\0`);
		if (stats.isFile()) hash.update(readFileSync(join(folder, name)));
	}

	return hash.digest('hex');
}

async function append(folder: string, records: readonly Uint8Array[]): Promise<void> {
	await using log = await openLog({folder, ...logOptions});
	await log.append(records, {sync: true}).synced;
}

const batchOf = (text: string, seq: number): Buffer<ArrayBuffer> =>
	encodeBatch(
		{
			topic: news,
			origin: 'aaaaaaaaaaaaaaaa' as NodeId,
			incarnation: 1,
			firstSeq: seq,
			lamport: 9 + seq,
			previousLamport: 8 + seq,
			sentAtMs: 1,
		},
		[Buffer.from(text)],
		'none',
	);
const stored = (bytes: Buffer<ArrayBuffer>, offset: number): Buffer =>
	encodeStored(decodeBatch(bytes)!, {offset, hops: 0, repaired: false, arrivedMs: 0});
const sealed = (bytes: Uint8Array): Buffer => {
	const checksum = Buffer.alloc(4);
	checksum.writeUInt32BE(crc32c(bytes));
	return Buffer.concat([checksum, bytes]);
};

/** A founder with a topic of two messages, stopped. */
async function node(): Promise<NodeId> {
	const {state, store} = await start();
	const {id} = state.identity;
	await store.found(
		{
			term: 1,
			index: 1,
			kind: 'configuration',
			data: encodeConfigurationData(
				{voters: [id], learners: []},
				encodeContext({clusterId: 'c1', protocol: 2, node: id, address}),
			),
		},
		id,
	);
	await store[Symbol.asyncDispose]();
	const folder = new NodeFiles(realFiles, path);
	await folder.writeJson('node.json', stateToJson({...state, incarnation: 3, clusterId: 'c1', lamport: 100}));
	await append(await folder.topicFolder(news), [stored(batchOf('one', 1), 0), stored(batchOf('two', 2), 1)]);
	return id;
}

const topicFolder = async (): Promise<string> => new NodeFiles(realFiles, path).topicFolder(news);
const raftRecord = (kind: number, entryKind = 0): Buffer => {
	const record = encodeEntry({term: 1, index: 2, kind: 'command', data: Buffer.from('x')});
	record[0] = kind;
	record[1] = entryKind;
	return record;
};
const command = encodeEnvelope({
	node: 'aaaaaaaaaaaaaaaa' as NodeId,
	incarnation: 1,
	seq: 1,
	answeredBelow: 1,
	lamport: 1,
	command: {type: 'protocol', node: 'aaaaaaaaaaaaaaaa' as NodeId, protocol: 5},
});
const newerState = {version: 5, applied: 9, clusterId: 'c1', somethingNew: true};

/** Files that a newer program may have written, and the text of the refusal. */
const cases: ReadonlyArray<readonly [string, RegExp, () => Promise<void>]> = [
	[
		'a node.json of a later format',
		/node\.json was written by a newer version of dapss-tui \(format 3, this program reads up to 2\)/,
		async () => {
			const {checksum: _old, ...body} = JSON.parse(readFileSync(join(path, 'node.json'), 'utf8')) as Record<
				string,
				unknown
			>;
			const newer = {...body, version: 3, somethingNew: [1]};
			writeFileSync(join(path, 'node.json'), JSON.stringify({...newer, checksum: crc32c(JSON.stringify(newer))}));
		},
	],
	[
		'a snapshot whose state is of a later format',
		/snapshot-\d+ was written by a newer version of dapss-tui \(format 5, this program reads up to 4\)/,
		async () => {
			writeFileSync(
				join(path, 'snapshot-0000000000000009'),
				sealed(
					encode({
						index: 9,
						term: 1,
						configuration: {voters: ['aaaaaaaaaaaaaaaa'], learners: []},
						data: encode(newerState),
					}),
				),
			);
		},
	],
	[
		'a snapshot of another form',
		/snapshot-\d+ was written by a newer version/,
		async () => {
			writeFileSync(join(path, 'snapshot-0000000000000009'), sealed(encode({version: 2, parts: []})));
		},
	],
	[
		'a record of a later kind in the Raft log',
		/raft\/\d+\.log was written by a newer version of dapss-tui \(a record of kind 9\.0/,
		() => append(join(path, 'raft'), [raftRecord(9)]),
	],
	[
		'an entry of a later kind in the Raft log',
		/a record of kind 2\.7/,
		() => append(join(path, 'raft'), [raftRecord(2, 7)]),
	],
	[
		'an agreement on a later protocol in the Raft log',
		/its cluster uses protocol 5, this program speaks up to 4/,
		() => append(join(path, 'raft'), [encodeEntry({term: 1, index: 2, kind: 'command', data: command})]),
	],
	[
		'a segment of a later format',
		/\.log was written by a newer version of dapss-tui \(format 3, this program reads 2\)/,
		async () => {
			const copy = Buffer.alloc(24);
			copy.write('DAPSLOG3');
			copy.writeUInt32BE(crc32c(copy.subarray(0, 20)), 20);
			writeFileSync(join(path, 'raft/0000000000000000.log'), Buffer.concat([copy, copy, Buffer.alloc(100, 7)]));
		},
	],
	[
		"a record of a later kind in a topic's log",
		/topics\/.*\.log was written by a newer version of dapss-tui \(a record with the flags 16/,
		async () => {
			const record = stored(batchOf('three', 3), 2);
			record[7] = 16;
			await append(await topicFolder(), [record]);
		},
	],
	[
		"a batch of a later format in a topic's log",
		/a batch of format 2, this program reads up to 1/,
		async () => {
			const record = stored(batchOf('three', 3), 2);
			record[14] = 2;
			await append(await topicFolder(), [record]);
		},
	],
	[
		'a batch with a flag that is not known',
		/a batch with the flags 4/,
		async () => {
			const record = stored(batchOf('three', 3), 2);
			record[15] = 4;
			await append(await topicFolder(), [record]);
		},
	],
	[
		'a topic.json of a later format',
		/topic\.json was written by a newer version of dapss-tui \(format 2, this program reads up to 1\)/,
		async () => {
			writeFileSync(
				join(await topicFolder(), 'topic.json'),
				JSON.stringify({version: 2, topic: news, kind: 'durable'}),
			);
		},
	],
];

describe.each(cases)('%s', (_name, message, plant) => {
	test('refuses the start, and changes nothing in the folder', async () => {
		await node();
		await plant();
		const before = printOf(path);
		const error: unknown = await start().catch((reason: unknown) => reason);
		expect(error).toBeInstanceOf(NewerVersionError);
		expect(error).toMatchObject({code: 'storage', message: expect.stringMatching(message)});
		expect(error).toMatchObject({
			message: expect.stringMatching(/start that version, or use another --data\. Nothing was changed$/),
		});
		expect(printOf(path)).toBe(before);
		await expect(openSurvivor({...defaults, data: path})).rejects.toBeInstanceOf(NewerVersionError);
		expect(printOf(path)).toBe(before);
	});
});

describe('damaged data do not count as data of a newer version', () => {
	test('a folder of this version starts', async () => {
		const id = await node();
		const {state, quarantined} = await start();
		expect([state.identity.id, quarantined]).toEqual([id, undefined]);
	});

	test('a node.json whose version was flipped is set aside, as its checksum is wrong', async () => {
		const id = await node();
		writeFileSync(
			join(path, 'node.json'),
			readFileSync(join(path, 'node.json'), 'utf8').replace('"version": 2', '"version": 3'),
		);
		const {state, quarantined} = await start();
		expect(quarantined).toMatchObject({folder: 'quarantine-1'});
		expect(state.identity.id).not.toBe(id);
	});

	test('a Raft record whose kind was flipped is set aside, as its checksum is wrong', async () => {
		await node();
		await append(join(path, 'raft'), [
			raftRecord(2),
			encodeEntry({term: 1, index: 3, kind: 'noop', data: Buffer.alloc(0)}),
		]);
		const file = join(path, 'raft/0000000000000000.log');
		const bytes = readFileSync(file);
		const at = bytes.indexOf(raftRecord(2));
		bytes[at] = 9;
		writeFileSync(file, bytes);
		const {quarantined} = await start();
		expect(quarantined).toMatchObject({
			folder: 'quarantine-1',
			problem: expect.stringContaining('Raft log is damaged') as string,
		});
	});

	test('a snapshot of a later format with a wrong checksum does not refuse the start', async () => {
		await node();
		const bytes = sealed(
			encode({
				index: 9,
				term: 1,
				configuration: {voters: ['aaaaaaaaaaaaaaaa'], learners: []},
				data: encode(newerState),
			}),
		);
		bytes[0]! ^= 1;
		writeFileSync(join(path, 'snapshot-0000000000000009'), bytes);
		await expect(start()).resolves.toMatchObject({quarantined: undefined});
	});

	test('a newer record after a damaged record refuses the start', async () => {
		await node();
		await append(join(path, 'raft'), [raftRecord(2), raftRecord(9)]);
		const file = join(path, 'raft/0000000000000000.log');
		const bytes = readFileSync(file);
		bytes[bytes.indexOf(raftRecord(2))]! ^= 4;
		writeFileSync(file, bytes);
		const before = printOf(path);
		await expect(start()).rejects.toBeInstanceOf(NewerVersionError);
		expect(printOf(path)).toBe(before);
	});
});
