/**
A check of the structure of MessagePack bytes, before they are decoded: lengths, nesting and types. It is linear in the
bytes and allocates nothing that depends on them. A decoder alone would run out of stack at deep nesting, and would
build what an extension type asks for (a decoder of records, a regular expression).
https://github.com/msgpack/msgpack/blob/master/spec.md
*/

/** Deepest nesting of arrays and maps. */
export const depthMax = 32;

/** Bytes of the length field, and whether it counts bytes, items of an array or entries of a map. */
type Sized = {readonly lengthBytes: 1 | 2 | 4; readonly of: 'bytes' | 'items' | 'entries'};
const sized: ReadonlyMap<number, Sized> = new Map<number, Sized>([
	[0xc4, {lengthBytes: 1, of: 'bytes'}],
	[0xc5, {lengthBytes: 2, of: 'bytes'}],
	[0xc6, {lengthBytes: 4, of: 'bytes'}],
	[0xd9, {lengthBytes: 1, of: 'bytes'}],
	[0xda, {lengthBytes: 2, of: 'bytes'}],
	[0xdb, {lengthBytes: 4, of: 'bytes'}],
	[0xdc, {lengthBytes: 2, of: 'items'}],
	[0xdd, {lengthBytes: 4, of: 'items'}],
	[0xde, {lengthBytes: 2, of: 'entries'}],
	[0xdf, {lengthBytes: 4, of: 'entries'}],
]);
/** Bytes after the type byte of `nil`, booleans, floats and integers. */
const fixed: ReadonlyMap<number, number> = new Map([
	[0xc0, 0],
	[0xc2, 0],
	[0xc3, 0],
	[0xca, 4],
	[0xcb, 8],
	[0xcc, 1],
	[0xcd, 2],
	[0xce, 4],
	[0xcf, 8],
	[0xd0, 1],
	[0xd1, 2],
	[0xd2, 4],
	[0xd3, 8],
]);
const fixedExtension = 0xd4;

/**
Whether the bytes are exactly one value, nested at most `depthMax` deep, whose keys are no arrays or maps. Of the
extension types only `undefined` is accepted (type 0 with one byte of 0), which the encoder uses.
*/
export function isOneValue(bytes: Uint8Array): boolean {
	const end = bytes.length;
	/** Values that are still to come, of each open array and map; an entry of a map has two. */
	const left: number[] = [1];
	const isMap: boolean[] = [false];
	let at = 0;
	while (left.length > 0) {
		const depth = left.length - 1;
		if (left[depth] === 0) {
			left.pop();
			isMap.pop();
			continue;
		}

		if (at >= end) return false;
		const isKey = isMap[depth] === true && left[depth]! % 2 === 0;
		left[depth]!--;
		const type = bytes[at++]!;
		let values = -1;
		let isEntries = false;
		if (type < 0x80 || type >= 0xe0) continue;
		if (type < 0x90) [values, isEntries] = [(type & 0x0f) * 2, true];
		else if (type < 0xa0) values = type & 0x0f;
		else if (type < 0xc0) at += type & 0x1f;
		else if (type === fixedExtension) {
			if (bytes[at] !== 0 || bytes[at + 1] !== 0) return false;
			at += 2;
		} else {
			const known = sized.get(type);
			const skipped = known ? known.lengthBytes : fixed.get(type);
			if (skipped === undefined || at + skipped > end) return false;
			if (known) {
				let length = 0;
				for (let index = 0; index < skipped; index++) length = length * 256 + bytes[at + index]!;
				if (known.of === 'bytes') at += length;
				else [values, isEntries] = known.of === 'items' ? [length, false] : [length * 2, true];
			}

			at += skipped;
		}

		// Every value has a byte at least.
		if (at > end || values > end - at) return false;
		if (values < 0) continue;
		if (isKey || left.length > depthMax) return false;
		left.push(values);
		isMap.push(isEntries);
	}

	return at === end;
}
