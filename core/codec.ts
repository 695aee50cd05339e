/**
MessagePack for everything but batches: control packets, commands, snapshots. Decoded values are not trusted: each
reader validates them before use. Maps become plain objects.
*/
import {Packr} from 'msgpackr';

// No records extension: the bytes of a value depend on the value alone, so that equal states have equal bytes.
const packr = new Packr({useRecords: false, mapsAsObjects: true, int64AsType: 'number', moreTypes: false});

export function encode(value: unknown): Buffer {
	return packr.pack(value);
}

/** The value, or `undefined` for bytes that are not exactly one MessagePack value, or that nest too deeply. */
export function decode(bytes: Uint8Array): unknown {
	if (!isShallow(bytes)) return undefined;
	try {
		return packr.unpack(bytes) as unknown;
	} catch {
		return undefined;
	}
}

/** Deeper values overflow the stack of some processes and not that of others. */
const depthMax = 32;

/**
Whether the value nests at most `depthMax` deep. Walks the formats of the MessagePack specification without decoding; a
malformed value is left to the decoder.
*/
function isShallow(bytes: Uint8Array): boolean {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	/** Items that are left in each open array or map. */
	const open = [1];
	for (let at = 0; at < bytes.length && open.length > 0;) {
		const {skip, items} = headAt(view, at);
		at += skip;
		open[open.length - 1]!--;
		if (items > 0 && open.push(items) > depthMax) return false;
		while (open.at(-1) === 0) open.pop();
	}

	return true;
}

/** Bytes of the value at this place without its items, and the number of its items. */
function headAt(view: DataView, at: number): {readonly skip: number; readonly items: number} {
	const code = view.getUint8(at);
	if (code <= 0x7f || code >= 0xe0) return {skip: 1, items: 0};
	if (code <= 0x8f) return {skip: 1, items: 2 * (code & 0x0f)};
	if (code <= 0x9f) return {skip: 1, items: code & 0x0f};
	if (code <= 0xbf) return {skip: 1 + (code & 0x1f), items: 0};
	const fixed = fixedBytes[code - 0xc0]!;
	if (fixed > 0) return {skip: fixed, items: 0};
	const lengthBytes = lengthBytesOf[code - 0xc0]!;
	if (at + 1 + lengthBytes > view.byteLength) return {skip: Infinity, items: 0};
	const length =
		lengthBytes === 1 ? view.getUint8(at + 1) : lengthBytes === 2 ? view.getUint16(at + 1) : view.getUint32(at + 1);
	if (code >= 0xdc) return {skip: 1 + lengthBytes, items: code >= 0xde ? 2 * length : length};
	const isExtension = code >= 0xc7 && code <= 0xc9;
	return {skip: 1 + lengthBytes + (isExtension ? 1 : 0) + length, items: 0};
}

/** By code from 0xc0 to 0xdf: the bytes of a value of fixed size, else 0. */
const fixedBytes = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 5, 9, 2, 3, 5, 9, 2, 3, 5, 9, 3, 4, 6, 10, 18, 0, 0, 0, 0, 0, 0, 0];
/** By code from 0xc0 to 0xdf: the bytes of the length of the others: bin, ext, str, array, map. */
const lengthBytesOf = [0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4];
