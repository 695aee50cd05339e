/**
Recovery of a log when it opens: checks every byte of every segment, and distinguishes two kinds of faults.

- **A torn tail.** The power failed while records were being written. They are at the end of the last segment, and were
  never reported as synced. The sectors of one write reach the disk in any order, so there may even be good records
  after bad ones. The tail is cut off from the first bad record on, and the log continues there.
- **Damage.** Bad records that are known to have been synced: by a later record (`back`), by a later segment (a segment
  is synced before the next one is made), or by the note that a closed log leaves. The segment is set aside as
  `.corrupt`. From then on nothing is written to it, cut from it or deleted from it, until retention drops it like any
  other segment. Its good records stay readable, because each of them is bound to its position. The holes are reported
  at every opening, so that the caller can report them and backfill from peers. The positions of lost records are never
  used again.

One case cannot be distinguished: the last group of records before a crash, damaged before the next opening. It counts
as torn.
*/
import {join} from 'node:path';
import {crc32c} from '../../crc32c.ts';
import {readFully, writeAll, type Files, type OpenFile} from '../file-system.ts';
import {
	decodeSegmentHead,
	encodeSegmentHead,
	isPayloadGood,
	payloadAt,
	payloadLengthAt,
	recordHeaderBytes,
	segmentHeaderBytes,
	syncedBefore,
	type SegmentHead,
} from './segment.ts';

/** A range of positions, without the upper end. */
export type Range = {readonly from: number; readonly to: number};
/** Missing records: `bytes` from `position` on, in the segment whose file is now `file`. */
export type Damage = {readonly file: string; readonly position: number; readonly bytes: number};
export type Segment = {
	readonly first: number;
	/** The position after the newest record; of a segment that is set aside, the position after its last byte. */
	end: number;
	salt: number;
	readonly path: string;
	/** The ranges without a good record, in order. */
	readonly holes: readonly Range[];
	isDropped: boolean;
};
/** Makes the description of a new segment at a position, with a random salt. */
export type PlanSegment = (first: number) => Segment;
export type Recovered = {
	readonly segments: Segment[];
	/** The file of the last segment, if it may be written to. */
	readonly active: OpenFile | undefined;
	/** The position of the next record. */
	readonly end: number;
	readonly damaged: readonly Damage[];
};

const chunkBytes = 1024 * 1024;
const noteName = 'synced';
const noteBytes = 20;
const noteMagic = Buffer.from('DAPSSYNC');

/**
Checks all segments in a folder.
@param plan makes the segment that replaces one whose header never reached the disk
*/
export async function recover(files: Files, folder: string, plan: PlanSegment): Promise<Recovered> {
	const found = (await files.list(folder))
		.map(name => ({name, parts: /^([0-9a-f]{16})\.(log|corrupt)$/.exec(name)}))
		.filter(({parts}) => parts !== null)
		.map(({name, parts}) => ({name, first: Number.parseInt(parts![1]!, 16), isAside: parts![2] === 'corrupt'}))
		.toSorted((a, b) => a.first - b.first || Number(b.isAside) - Number(a.isAside));
	const syncedEnd = await readNote(files, folder);
	const segments: Segment[] = [];
	const damaged: Damage[] = [];
	let active: OpenFile | undefined;
	let end = 0;
	if (found.length === 0 && syncedEnd > 0) {
		// All segments that the note covers are gone. Their positions are not used again.
		end = syncedEnd;
		damaged.push({file: noteName, position: 0, bytes: syncedEnd});
	}

	for (const [index, {name, first, isAside}] of found.entries()) {
		const next = found[index + 1]?.first;
		const {segment, file, hasDamage} = await recoverSegment(
			files,
			join(folder, name),
			{first, next, isAside, syncedEnd},
			plan,
		);
		segments.push(segment);
		for (const {from, to} of segment.holes) damaged.push({file: asideName(name), position: from, bytes: to - from});
		active = file;
		end = segment.end;
		if (!hasDamage || isAside) continue;
		await files.rename(join(folder, name), segment.path);
	}

	// The process may have been killed after it made a segment and before it synced the segment's name.
	if (found.length > 0) await files.syncFolder(folder);
	// From here on the caller relies on the recovered records. If they rot before the next write, the next start must
	// not mistake that for a torn tail.
	if (active && end !== syncedEnd) await writeNote(files, folder, end);
	return {segments, active, end, damaged};
}

/** Makes the file of a new segment. After this resolves, the file survives any crash. */
export async function makeSegment(files: Files, folder: string, segment: Segment): Promise<OpenFile> {
	const file = await files.open(segment.path, 'write');
	await writeAll(file, [encodeSegmentHead(segment)], 0);
	await file.datasync();
	await files.syncFolder(folder);
	return file;
}

/** The description of a segment that is not on the disk yet. */
export function plannedSegment(folder: string, first: number, salt: number): Segment {
	return {
		first,
		end: first,
		salt,
		path: join(folder, `${first.toString(16).padStart(16, '0')}.log`),
		holes: [],
		isDropped: false,
	};
}

/**
Writes a note that everything before `end` is on the disk. The note stays true for ever, so an old one does no harm. A
lost or torn note only covers less, so there is no fsync.
*/
export async function writeNote(files: Files, folder: string, end: number): Promise<void> {
	const note = Buffer.alloc(noteBytes);
	noteMagic.copy(note);
	note.writeBigUInt64BE(BigInt(end), 8);
	note.writeUInt32BE(crc32c(note.subarray(0, 16)), 16);
	const file = await files.open(join(folder, noteName), 'write');
	try {
		await writeAll(file, [note], 0);
	} finally {
		await file.close();
	}
}

async function readNote(files: Files, folder: string): Promise<number> {
	if (!(await files.list(folder)).includes(noteName)) return 0;
	const file = await files.open(join(folder, noteName), 'read');
	try {
		const note = await readFully(file, Buffer.alloc(noteBytes), 0);
		if (
			note.length < noteBytes ||
			!note.subarray(0, 8).equals(noteMagic) ||
			note.readUInt32BE(16) !== crc32c(note.subarray(0, 16))
		)
			return 0;
		return Number(note.readBigUInt64BE(8));
	} finally {
		await file.close();
	}
}

type Place = {
	readonly first: number;
	/** The first position of the next segment; `undefined` for the last segment. */
	readonly next: number | undefined;
	/** The segment was set aside at an earlier opening. */
	readonly isAside: boolean;
	/** The position before which everything is on the disk, according to the note. */
	readonly syncedEnd: number;
};
type RecoveredSegment = {readonly segment: Segment; readonly file: OpenFile | undefined; readonly hasDamage: boolean};

/**
The condition of a segment.
- `unstarted`: the power failed when it was made, before the header reached the disk, so no record can follow.
- `damaged`: synced records are bad or missing, or its length is wrong; `end` and `holes` as in `Segment`.
- `sealed`: intact, and followed by another segment.
- `open`: the last segment, with intact records up to `end`. Later bytes are a torn tail. Everything before
  `syncedEnd` is known to be on the disk.
*/
type Condition =
	| {readonly type: 'unstarted'}
	| {readonly type: 'damaged'; readonly end: number; readonly salt: number; readonly holes: readonly Range[]}
	| {readonly type: 'sealed'; readonly end: number; readonly salt: number}
	| {
			readonly type: 'open';
			readonly end: number;
			readonly head: SegmentHead;
			readonly isTorn: boolean;
			readonly isEmpty: boolean;
			readonly syncedEnd: number;
	  };

/** Classifies a segment, then repairs or describes it accordingly. */
async function recoverSegment(files: Files, path: string, place: Place, plan: PlanSegment): Promise<RecoveredSegment> {
	const {first, next, isAside} = place;
	const file = await files.open(path, isAside ? 'read' : 'write');
	const segmentTo = (end: number, salt: number): Segment => ({first, end, salt, path, holes: [], isDropped: false});
	let active: OpenFile | undefined;
	try {
		const condition = await conditionOf(file, place);
		switch (condition.type) {
			case 'unstarted': {
				const segment = {...plan(first), path};
				await file.truncate(0);
				await writeAll(file, [encodeSegmentHead(segment)], 0);
				await file.datasync();
				if (next === undefined) active = file;
				return {segment, file: active, hasDamage: false};
			}

			case 'damaged': {
				const {end, salt, holes} = condition;
				const isHoled = holes.length > 0;
				const segment = {...segmentTo(end, salt), holes, path: isHoled ? asideName(path) : path};
				return {segment, file: undefined, hasDamage: true};
			}

			case 'sealed':
				return {segment: segmentTo(condition.end, condition.salt), file: undefined, hasDamage: false};
			case 'open': {
				const {end, head, isTorn, isEmpty, syncedEnd} = condition;
				if (isTorn) await file.truncate(end - first + segmentHeaderBytes);
				// The writes of a killed process may be in the operating system only. From here on they count as
				// synced, and so does the header.
				if (isTorn || isEmpty || end !== place.syncedEnd) await makeDurable(file, head, syncedEnd, end);
				active = file;
				return {segment: segmentTo(end, head.salt), file: active, hasDamage: false};
			}

			default:
				return condition satisfies never;
		}
	} finally {
		if (!active) await file.close();
	}
}

async function conditionOf(file: OpenFile, place: Place): Promise<Condition> {
	const {first, next, isAside} = place;
	const head = decodeSegmentHead(await readFully(file, Buffer.alloc(segmentHeaderBytes), 0));
	const bytes = Math.max(0, file.size - segmentHeaderBytes);
	/** The position up to which the file reaches, or should reach. */
	const reach = next ?? Math.max(first + bytes, place.syncedEnd);
	if (head?.first !== first) {
		// A header is on the disk before a record follows it.
		if (reach === first && !isAside) return {type: 'unstarted'};
		return {type: 'damaged', end: reach, salt: 0, holes: [{from: first, to: reach}]};
	}

	const scanned = await scan(file, head.salt, first, Math.min(first + bytes, reach));
	const {holes} = scanned;
	const syncedEnd = Math.max(scanned.syncedEnd, place.syncedEnd);
	const isWhole = holes.length === 0 && first + bytes === reach;
	const firstBad = holes[0]?.from ?? first + bytes;
	if (isAside || (!isWhole && (next !== undefined || firstBad < syncedEnd))) {
		if (first + bytes < reach) addHole(holes, {from: first + bytes, to: reach});
		// The file is longer than expected: nothing is missing, and it is set aside for inspection.
		if (holes.length === 0 && !isAside) holes.push({from: reach, to: reach});
		return {type: 'damaged', end: reach, salt: head.salt, holes};
	}

	if (next !== undefined) return {type: 'sealed', end: reach, salt: head.salt};
	return {type: 'open', end: firstBad, head, isTorn: firstBad < first + bytes, isEmpty: bytes === 0, syncedEnd};
}

/**
Syncs everything that is not known to be on the disk. The data are written again first: after a failed fsync the
operating system shows data that the disk never got, and considers them written, so the next fsync would "succeed"
(Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020).
*/
async function makeDurable(file: OpenFile, head: SegmentHead, from: number, to: number): Promise<void> {
	if (from <= head.first) await writeAll(file, [encodeSegmentHead(head)], 0);
	for (let at = Math.max(from, head.first); at < to; at += chunkBytes) {
		const fileAt = at - head.first + segmentHeaderBytes;
		const bytes = await readFully(file, Buffer.allocUnsafeSlow(Math.min(chunkBytes, to - at)), fileAt);
		await writeAll(file, [bytes], fileAt);
	}

	await file.datasync();
}

/**
Checks every record.
@param end the position after the last byte
*/
async function scan(
	file: OpenFile,
	salt: number,
	first: number,
	end: number,
): Promise<{readonly holes: Range[]; readonly syncedEnd: number}> {
	const holes: Range[] = [];
	let syncedEnd = 0;
	let bad: number | undefined;
	let chunk: Buffer = Buffer.alloc(0);
	let chunkAt = first;
	let room: Buffer = Buffer.allocUnsafeSlow(Math.min(chunkBytes, Math.max(0, end - first)));
	/** Loads at least `bytes` from `position` on into the chunk, as far as the file reaches. */
	const load = async (position: number, bytes: number): Promise<void> => {
		if (Math.min(bytes, end - position) > room.length) room = Buffer.allocUnsafeSlow(bytes);
		chunk = await readFully(
			file,
			room.subarray(0, Math.min(room.length, end - position)),
			position - first + segmentHeaderBytes,
		);
		chunkAt = position;
	};

	let at = first;
	while (at < end) {
		if (at + recordHeaderBytes > chunkAt + chunk.length && chunkAt + chunk.length < end) await load(at, chunkBytes);
		const length = payloadLengthAt(chunk, at - chunkAt, at, salt);
		const next = at + recordHeaderBytes + length;
		if (length >= 0 && next <= end) {
			if (next > chunkAt + chunk.length) await load(at, Math.max(chunkBytes, next - at));
			if (isPayloadGood(chunk, at - chunkAt, payloadAt(chunk, at - chunkAt, length))) {
				if (bad !== undefined) holes.push({from: bad, to: at});
				bad = undefined;
				syncedEnd = Math.max(syncedEnd, syncedBefore(chunk, at - chunkAt, at));
				at = next;
				continue;
			}
		}

		bad ??= at;
		at++;
	}

	if (bad !== undefined) holes.push({from: bad, to: end});
	return {holes, syncedEnd};
}

function addHole(holes: Range[], hole: Range): void {
	const last = holes.at(-1);
	if (last?.to === hole.from) holes[holes.length - 1] = {from: last.from, to: hole.to};
	else holes.push(hole);
}

function asideName(path: string): string {
	return path.replace(/\.log$/, '.corrupt');
}
