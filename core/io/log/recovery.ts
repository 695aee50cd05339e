/**
What a log finds when it opens: every byte of every segment is checked, and each fault is called by its name.

- **A torn tail.** Power went while records were being written. They lie at the end of the last segment, nobody was told
  that they are on the disk, and the sectors of one write reach it in any order: so there may even be good records
  behind bad ones. What begins with the first bad one is cut off, and the log goes on from there.
- **Damage.** Records are bad that are known to have been on the disk: a later record says so (`back`), a later segment
  does (the one before is synced before a new one is made), or the note that a closed log leaves. The segment is set
  aside as `.corrupt`: nothing is written to it, cut from it or deleted from it any more, until retention takes it like
  any other. Its good records stay readable, as each of them says where it belongs; the holes are reported at every
  opening, so that the caller can say so and refill from peers. Positions of lost records are never given out again.

What cannot be told apart: the last group of records before a crash, damaged before the next opening. It counts as torn.
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

/** From a position up to, and without, another. */
export type Range = {readonly from: number; readonly to: number};
/** Records that are missing: `bytes` from `position` on, in the segment that is now called `file`. */
export type Damage = {readonly file: string; readonly position: number; readonly bytes: number};
export type Segment = {
	readonly first: number;
	/** The position after its newest record; of one that is set aside, the position after its last byte. */
	end: number;
	salt: number;
	readonly path: string;
	/** Where no good record is, in order. */
	readonly holes: readonly Range[];
	isDropped: boolean;
};
/** A new segment at a position, with chance from outside. */
export type PlanSegment = (first: number) => Segment;
export type Recovered = {
	readonly segments: Segment[];
	/** The file of the last segment, when that may be written to. */
	readonly active: OpenFile | undefined;
	/** Where the next record goes. */
	readonly end: number;
	readonly damaged: readonly Damage[];
};

const chunkBytes = 1024 * 1024;
const noteName = 'synced';
const noteBytes = 20;
const noteMagic = Buffer.from('DAPSSYNC');

/** @param plan makes the segment that takes the place of one whose header never reached the disk */
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
		// All that the note speaks of is gone. Its positions are not given out again.
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

	// The process may have been killed between making a segment and making its name last.
	if (found.length > 0) await files.syncFolder(folder);
	// From here on it is acted on: what of it rots before anything is written behind it must not look like a torn tail
	// at the next start.
	if (active && end !== syncedEnd) await writeNote(files, folder, end);
	return {segments, active, end, damaged};
}

/** Make the file of a new segment: once this resolves, it is there after any crash. */
export async function makeSegment(files: Files, folder: string, segment: Segment): Promise<OpenFile> {
	const file = await files.open(segment.path, 'write');
	await writeAll(file, [encodeSegmentHead(segment)], 0);
	await file.datasync();
	await files.syncFolder(folder);
	return file;
}

/** A segment that is not on the disk yet. */
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
Leave a note that everything before `end` is on the disk. It stays true for ever, so an old one does no harm, and one
that was lost or torn only says less: no fsync.
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
	/** Where the next segment begins; `undefined` for the last. */
	readonly next: number | undefined;
	readonly isAside: boolean;
	/** What the note says. */
	readonly syncedEnd: number;
};
type RecoveredSegment = {readonly segment: Segment; readonly file: OpenFile | undefined; readonly hasDamage: boolean};

async function recoverSegment(files: Files, path: string, place: Place, plan: PlanSegment): Promise<RecoveredSegment> {
	const {first, next, isAside} = place;
	const asIs = (end: number, salt: number, holes: readonly Range[]): Segment => ({
		first,
		end,
		salt,
		path: holes.length > 0 ? asideName(path) : path,
		holes,
		isDropped: false,
	});
	const file = await files.open(path, isAside ? 'read' : 'write');
	let isKept = false;
	try {
		const head = decodeSegmentHead(await readFully(file, Buffer.alloc(segmentHeaderBytes), 0));
		const bytes = Math.max(0, file.size - segmentHeaderBytes);
		/** How far the file reaches, or should. */
		const reach = next ?? Math.max(first + bytes, place.syncedEnd);
		if (head?.first !== first) {
			// Made when the power went: a header is on the disk before a record follows it.
			if (reach === first && !isAside) {
				await file.truncate(0);
				const fresh = {...plan(first), path};
				await writeAll(file, [encodeSegmentHead(fresh)], 0);
				await file.datasync();
				isKept = next === undefined;
				return {segment: fresh, file: isKept ? file : undefined, hasDamage: false};
			}

			return {segment: asIs(reach, 0, [{from: first, to: reach}]), file: undefined, hasDamage: true};
		}

		const {holes, syncedEnd} = await scan(file, head.salt, first, Math.min(first + bytes, reach));
		const isWhole = holes.length === 0 && first + bytes === reach;
		const firstBad = holes[0]?.from ?? first + bytes;
		if (isAside || (!isWhole && (next !== undefined || firstBad < Math.max(syncedEnd, place.syncedEnd)))) {
			if (first + bytes < reach) addHole(holes, {from: Math.max(first, first + bytes), to: reach});
			// A file that is longer than it should be has nothing missing, and is kept aside for its looks.
			if (holes.length === 0 && !isAside) holes.push({from: reach, to: reach});
			return {segment: asIs(reach, head.salt, holes), file: undefined, hasDamage: true};
		}

		if (next !== undefined) return {segment: asIs(reach, head.salt, []), file: undefined, hasDamage: false};
		const isTorn = firstBad < first + bytes;
		if (isTorn) await file.truncate(firstBad - first + segmentHeaderBytes);
		// What a killed process had written is with the operating system only; from here on it counts as synced. So
		// does the header.
		if (isTorn || bytes === 0 || firstBad !== place.syncedEnd)
			await settle(file, head, Math.max(syncedEnd, place.syncedEnd), firstBad);
		isKept = true;
		return {segment: asIs(firstBad, head.salt, []), file, hasDamage: false};
	} finally {
		if (!isKept) await file.close();
	}
}

/**
Make durable what is not known to be. It is written again first: where an fsync failed, the operating system shows what
the disk never got, and takes it for written; the next fsync would "succeed" (Rebello et al., "Can Applications Recover
from fsync Failures?", ATC 2020).
*/
async function settle(file: OpenFile, head: SegmentHead, from: number, to: number): Promise<void> {
	if (from <= head.first) await writeAll(file, [encodeSegmentHead(head)], 0);
	for (let at = Math.max(from, head.first); at < to; at += chunkBytes) {
		const fileAt = at - head.first + segmentHeaderBytes;
		const bytes = await readFully(file, Buffer.allocUnsafeSlow(Math.min(chunkBytes, to - at)), fileAt);
		await writeAll(file, [bytes], fileAt);
	}

	await file.datasync();
}

/** Check every record. @param end the position after the last byte */
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
	/** Have `bytes` from `position` on in the chunk, as far as the file goes. */
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
