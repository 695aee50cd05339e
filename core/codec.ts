/**
MessagePack for everything but the data path: control packets, commands, snapshots. Maps become plain objects, so what
is decoded is judged by the reader's own checks before it is used; nothing here trusts it.
*/
import {Packr} from 'msgpackr';

// No records extension: the bytes of a value depend on the value alone, so that equal states have equal bytes.
const packr = new Packr({useRecords: false, mapsAsObjects: true, int64AsType: 'number', moreTypes: false});

export function encode(value: unknown): Buffer {
	return packr.pack(value);
}

/** The value, or `undefined` for bytes that are not exactly one MessagePack value. */
export function decode(bytes: Uint8Array): unknown {
	try {
		return packr.unpack(bytes) as unknown;
	} catch {
		return undefined;
	}
}
