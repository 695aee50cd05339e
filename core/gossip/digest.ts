/**
Digests for anti-entropy. A digest has a hash per topic. A topic with many origins also has a hash per part of its
origins (the origins whose ids hash to the same number), so that two nodes that differ in little exchange little: a few
hundred bytes of hashes and the watermarks of the parts that differ, however many origins there are.
*/
import type {Context} from './context.ts';
import {
	digestPartsMax,
	digestTopicsMax,
	pagesMax,
	watermarksMax,
	type PacketOf,
	type TopicAnswer,
	type TopicDigest,
	type Watermark,
} from './packet.ts';
import type {Stream, Streams, TopicStreams} from './streams.ts';

/** A topic with at most this many origins is compared as a whole. */
const wholeMax = 64;
const originsOfPart = 8;
/** Parts of all topics in one digest. */
const partsMax = 4096;

/** The digest of the topics that this node subscribes to. */
export function digestOf(context: Context, streams: Streams): TopicDigest[] {
	const topics = [...streams.topics.values()].filter(({since}) => since !== undefined);
	const chosen = topics.length > digestTopicsMax ? context.sample(topics, digestTopicsMax) : topics;
	let room = partsMax;
	return chosen.map((topic): TopicDigest => {
		const parts = partsFor(topic.origins.size);
		if (parts === 0 || parts > room) return [topic.name, topic.hash];
		room -= parts;
		return [topic.name, topic.hash, bytesOf(topic.parts(parts))];
	});
}

/** The answer to a digest, in pages: the watermarks of the topics and parts that differ. */
export function answersTo(
	context: Context,
	streams: Streams,
	{round, topics}: PacketOf<'digest'>,
): Array<PacketOf<'watermarks'>> {
	const differing: Array<{readonly topic: TopicStreams; readonly parts: Uint8Array | undefined}> = [];
	for (const [name, hash, theirs] of topics) {
		const topic = streams.topics.get(name);
		if (topic && topic.hash !== hash) differing.push({topic, parts: theirs && differenceOf(topic, theirs)});
	}

	// Start at a random topic, so that a cut answer covers other topics the next time.
	const start = differing.length > 1 ? context.random.below(differing.length) : 0;
	const pages: TopicAnswer[][] = [[]];
	let room = watermarksMax;
	let isCut = false;
	for (let index = 0; index < differing.length && !isCut; index++) {
		const {topic, parts} = differing[(start + index) % differing.length]!;
		const begin = (): Watermark[] => {
			const rows: Watermark[] = [];
			pages.at(-1)!.push(parts ? [topic.name, rows, parts] : [topic.name, rows]);
			return rows;
		};

		let rows = begin();
		for (const stream of topic.streams()) {
			// What this node knows by a claim alone, it does not claim itself: else a lie would never end.
			if (stream.next === 1 || stream.claimant !== undefined || !isCovered(stream, parts)) continue;
			if (room === 0) {
				if (pages.length === pagesMax) {
					isCut = true;
					break;
				}

				pages.push([]);
				rows = begin();
				room = watermarksMax;
			}

			room--;
			rows.push(stream.watermark);
		}
	}

	return pages.map((page, index) => {
		const isLast = index === pages.length - 1;
		return {type: 'watermarks', round, topics: page, isLast, isCut: isLast && isCut};
	});
}

/** Whether an answer for these parts (all of them when `parts` is absent) would have named the stream. */
export function isCovered({origin}: Stream, parts: Uint8Array | undefined): boolean {
	if (parts === undefined) return true;
	const part = origin.hash & (parts.length * 8 - 1);
	return (parts[part >> 3]! & (1 << (part & 7))) !== 0;
}

function partsFor(origins: number): number {
	if (origins <= wholeMax) return 0;
	return Math.min(digestPartsMax, 2 ** Math.ceil(Math.log2(origins / originsOfPart)));
}

/** One bit per part: set where our hash differs. */
function differenceOf(topic: TopicStreams, theirs: Uint8Array): Uint8Array {
	const count = theirs.length / 4;
	const view = new DataView(theirs.buffer, theirs.byteOffset);
	const bits = new Uint8Array(count / 8);
	for (const [part, sum] of topic.parts(count).entries())
		if (view.getUint32(part * 4) !== sum) bits[part >> 3]! |= 1 << (part & 7);
	return bits;
}

function bytesOf(sums: Uint32Array): Uint8Array {
	const view = new DataView(new ArrayBuffer(sums.length * 4));
	for (const [part, sum] of sums.entries()) view.setUint32(part * 4, sum);
	return new Uint8Array(view.buffer);
}
