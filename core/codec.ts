/**
MessagePack for everything but batches: control packets, commands, snapshots. Decoded values are not trusted: each
reader validates them before use. Maps become plain objects.
*/
import {Packr} from 'msgpackr';
import {isOneValue} from './message-pack.ts';

// No records extension: the bytes of a value depend on the value alone, so that equal states have equal bytes.
const packr = new Packr({useRecords: false, mapsAsObjects: true, int64AsType: 'number', moreTypes: false});

export function encode(value: unknown): Buffer {
	return packr.pack(value);
}

/** The value, or `undefined` for bytes that are not exactly one MessagePack value within the bounds of `isOneValue`. */
export function decode(bytes: Uint8Array): unknown {
	if (!isOneValue(bytes)) return undefined;
	try {
		return packr.unpack(bytes) as unknown;
	} catch {
		return undefined;
	}
}
