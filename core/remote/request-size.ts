/**
The size of requests, checked before they are decoded. Requests are small, with one exception: a reader that continues
at another node sends its positions.
*/
import {positionsMax} from '../position.ts';
import {subscribedTopicsMax} from '../broker-arguments.ts';
import {topicBytesMax} from '../message.ts';

/** Largest request without positions, in bytes. */
export const requestBytesMax = 64 * 1024;
/** A position in MessagePack: the id of a node, two numbers, and the headers of the values. */
const positionBytesMax = 1 + 17 + 9 + 9;
/** A topic in MessagePack with the fields of its position. */
const topicEntryBytesMax = topicBytesMax + 64;
/** Largest request with positions, in bytes. Its topics are listed twice. */
export const positionedBytesMax =
	requestBytesMax + positionsMax * positionBytesMax + 2 * subscribedTopicsMax * topicEntryBytesMax;
/** Operations that may have positions. */
const positioned: ReadonlySet<string> = new Set(['subscribe', 'events']);

/** The problem of a request that is too large, with its id; `undefined` within the limit. */
export function problemOfSize(frame: Buffer): {readonly id: number; readonly problem: string} | undefined {
	if (frame.length <= requestBytesMax) return undefined;
	const {id = 0, op = ''} = headOf(frame);
	const max = positioned.has(op) ? positionedBytesMax : requestBytesMax;
	return frame.length <= max
		? undefined
		: {id, problem: `request: Expected at most ${max} bytes, got ${frame.length}`};
}

/** The first two fields of a request, which are its id and its operation in every release. */
function headOf(frame: Buffer): {readonly id?: number; readonly op?: string} {
	const map = frame[1]!;
	let at = map === 0xde ? 4 : map === 0xdf ? 6 : map >= 0x80 && map < 0x90 ? 2 : frame.length;
	const head: {id?: number; op?: string} = {};
	for (let field = 0; field < 2; field++) {
		const key = shortText(frame, at);
		if (key === undefined) break;
		at += 1 + key.length;
		if (key === 'id') {
			const [id, end] = unsigned(frame, at);
			if (id === undefined) break;
			head.id = id;
			at = end;
		} else if (key === 'op') {
			head.op = shortText(frame, at) ?? '';
			at += 1 + head.op.length;
		} else break;
	}

	return head;
}

/** A text of up to 31 bytes, which has its length in its type. */
function shortText(frame: Buffer, at: number): string | undefined {
	const type = frame[at] ?? 0;
	return type >= 0xa0 && type < 0xc0 ? frame.toString('latin1', at + 1, at + 1 + (type & 0x1f)) : undefined;
}

function unsigned(frame: Buffer, at: number): readonly [value: number | undefined, end: number] {
	const type = frame[at] ?? 0xff;
	if (type < 0x80) return [type, at + 1];
	const bytes = type === 0xcc ? 1 : type === 0xcd ? 2 : type === 0xce ? 4 : 0;
	return bytes === 0 || at + 1 + bytes > frame.length
		? [undefined, at]
		: [frame.readUIntBE(at + 1, bytes), at + 1 + bytes];
}
