/**
Checks, before a node uses its data folder, whether a newer version of the program wrote a part of it. Files that an
older program cannot read are not damaged: if they were set aside, cut or rewritten, they would be lost with the node's
identity. So the start is refused, and nothing changes.

Only data with a valid checksum count as newer. Data with a wrong checksum are damaged; `open-node-state.ts` and
`recovery.ts` handle them. So every record of every log is examined once, read-only; its payload is checked only when
its kind is unknown. The lock and `pid` are not data of the node.
*/
import {join} from 'node:path';
import {newerState} from '../../cluster-state/saved-state.ts';
import {decode} from '../../codec.ts';
import {newerInRaftRecord} from '../../control/raft-store.ts';
import {crc32c} from '../../crc32c.ts';
import {NewerVersionError} from '../../errors.ts';
import {stateFromJson} from '../../node-state/node-state.ts';
import {parseConfiguration} from '../../raft/configuration.ts';
import {newerInTopicRecord} from '../../topic-log/topic-record.ts';
import {readFully, readWhole, type Files} from '../file-system.ts';
import {
	decodeSegmentHead,
	isPayloadGood,
	newerSegment,
	payloadAt,
	payloadLengthAt,
	recordHeaderBytes,
	segmentHeaderBytes,
} from '../log/segment.ts';

const logFile = /^[0-9a-f]{16}\.(?:log|corrupt)$/;
const snapshotFile = /^snapshot-\d{16}$/;
const chunkBytes = 1024 * 1024;
const topicFormat = 1;

/** The newer feature of an intact record, as text; `undefined` when its kind is known. */
type Judge = (record: Buffer) => string | undefined;

/** @throws {NewerVersionError} with the file and both versions */
export async function expectKnownFormats(files: Files, folder: string, stateFile: string): Promise<void> {
	const names = await list(files, folder);
	if (names.includes(stateFile)) await expectKnownNodeState(files, join(folder, stateFile));
	for (const name of names.filter(one => snapshotFile.test(one)))
		await expectKnownSnapshot(files, join(folder, name));
	await expectKnownLog(files, join(folder, 'raft'), newerInRaftRecord);
	const topics = join(folder, 'topics');
	for (const name of await list(files, topics)) {
		await expectKnownTopic(files, join(topics, name, 'topic.json'));
		await expectKnownLog(files, join(topics, name), newerInTopicRecord);
	}
}

async function expectKnownNodeState(files: Files, path: string): Promise<void> {
	const json = parse(await readOrNothing(files, path));
	const state = json === undefined ? undefined : stateFromJson(json);
	if (state && 'newer' in state && state.newer !== undefined)
		throw new NewerVersionError(`The file ${path}`, state.newer);
}

async function expectKnownSnapshot(files: Files, path: string): Promise<void> {
	const bytes = await readOrNothing(files, path);
	if (bytes.length < 4 || bytes.readUInt32BE(0) !== crc32c(bytes.subarray(4))) return;
	const {configuration, data} = Object(decode(bytes.subarray(4))) as {
		readonly configuration?: unknown;
		readonly data?: unknown;
	};
	if (!(data instanceof Uint8Array) || !parseConfiguration(configuration))
		throw new NewerVersionError(
			`The file ${path}`,
			'it is intact, and its content is of no form that this program knows',
		);
	const newer = newerState(data);
	if (newer !== undefined) throw new NewerVersionError(`The file ${path}`, newer);
}

/**
The file has no checksum. Valid JSON counts as intact: a flipped bit would hardly produce a number under this name.
*/
async function expectKnownTopic(files: Files, path: string): Promise<void> {
	const {version} = Object(parse(await readOrNothing(files, path))) as {readonly version?: unknown};
	if (typeof version === 'number' && version > topicFormat)
		throw new NewerVersionError(`The file ${path}`, `format ${version}, this program reads up to ${topicFormat}`);
}

async function expectKnownLog(files: Files, folder: string, judge: Judge): Promise<void> {
	const names = await list(files, folder);
	for (const name of names.filter(one => logFile.test(one)).toSorted()) {
		await expectKnownSegment(files, join(folder, name), judge).catch((error: unknown) => {
			if (error instanceof NewerVersionError) throw error; // Other errors are reported when the file is needed.
		});
	}
}

async function expectKnownSegment(files: Files, path: string, judge: Judge): Promise<void> {
	const file = await files.open(path, 'read');
	try {
		const start = await readFully(file, Buffer.alloc(segmentHeaderBytes), 0);
		const newer = newerSegment(start);
		if (newer !== undefined) throw new NewerVersionError(`The file ${path}`, newer);
		const head = decodeSegmentHead(start);
		if (!head) return; // Without the salt in its header, no record can be checked.
		const end = file.size - segmentHeaderBytes;
		let chunk: Buffer = Buffer.alloc(0);
		let chunkAt = 0;
		for (let at = 0; at + recordHeaderBytes <= end;) {
			const position = head.first + at;
			if (at + recordHeaderBytes > chunkAt + chunk.length) {
				chunk = await readFully(
					file,
					Buffer.allocUnsafeSlow(Math.min(chunkBytes, end - at)),
					at + segmentHeaderBytes,
				);
				chunkAt = at;
			}

			const length = payloadLengthAt(chunk, at - chunkAt, position, head.salt);
			if (length < 0 || at + recordHeaderBytes + length > end) {
				at++; // Damaged: the next intact record may start at any byte.
				continue;
			}

			if (at + recordHeaderBytes + length > chunkAt + chunk.length) {
				chunk = await readFully(
					file,
					Buffer.allocUnsafeSlow(Math.min(Math.max(chunkBytes, recordHeaderBytes + length), end - at)),
					at + segmentHeaderBytes,
				);
				chunkAt = at;
			}

			const payload = payloadAt(chunk, at - chunkAt, length);
			const newerRecord = judge(payload);
			if (newerRecord === undefined) at += recordHeaderBytes + length;
			else if (isPayloadGood(chunk, at - chunkAt, payload))
				throw new NewerVersionError(`The log ${path}`, `${newerRecord}, at position ${position}`);
			else at++;
		}
	} finally {
		await file.close();
	}
}

async function readOrNothing(files: Files, path: string): Promise<Buffer> {
	try {
		return (await readWhole(files, path)) ?? Buffer.alloc(0);
	} catch {
		return Buffer.alloc(0);
	}
}

async function list(files: Files, folder: string): Promise<readonly string[]> {
	try {
		return await files.list(folder);
	} catch {
		return [];
	}
}

function parse(bytes: Buffer): unknown {
	try {
		return JSON.parse(bytes.toString()) as unknown;
	} catch {
		return undefined;
	}
}
