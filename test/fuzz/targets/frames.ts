/** The decoders of frames: each takes any bytes, in any chunks, without an exception. */
import fc from 'fast-check';
import {decode} from '../../../core/codec.ts';
import {parseGossipPacket} from '../../../core/gossip/packet.ts';
import {Handshake} from '../../../core/io/net/handshake.ts';
import {parseJoin, parseJoinAnswer} from '../../../core/membership/joining.ts';
import {isOneValue} from '../../../core/message-pack.ts';
import {bodiesOf, decodeBatch, type NodeId} from '../../../core/message.ts';
import {parseRaftPacket} from '../../../core/raft/packet.ts';
import {decodeDelivery, decodePublish, encodeDelivery, encodePublish} from '../../../core/remote/protocol.ts';
import {receiveAnswer, receiveEvents, receiveSnapshot} from '../../../core/remote/received.ts';
import {parseSwimPacket} from '../../../core/swim/packet.ts';
import {frameHead, FrameReader} from '../../../core/wire/frame.ts';
import {deriveKeys} from '../../../core/wire/seal.ts';
import {decodeRelay} from '../../../core/wire/relay-frame.ts';
import {decodeControl, decodePushHead, kinds} from '../../../core/wire/wire.ts';
import type {Topic} from '../../../core/message.ts';
import {batchAt} from '../../support/remote-pipes.ts';
import {bytes, changed, damaged, packed, value} from '../arbitraries.ts';
import {gossipPackets, raftPackets, swimPackets} from '../packets.ts';
import {must, target} from '../target.ts';

const frameBytesMax = 2000;

/** Frames in chunks: whole ones come out unchanged, and a length over the bound ends the stream. */
export const frameTarget = target('frame decoder', 4000, () => ({
	inputs: fc.record({
		frames: fc.array(bytes(300), {maxLength: 6}),
		rest: bytes(40),
		cuts: fc.array(fc.nat(2000), {maxLength: 10}),
	}),
	check({frames, rest, cuts}) {
		const given = frames.filter(frame => frame.length > 0);
		const stream = Buffer.concat([...given.flatMap(frame => [frameHead(frame.length), frame]), rest]);
		const reader = new FrameReader(frameBytesMax);
		const got: Buffer[] = [];
		let at = 0;
		for (const end of [...cuts.map(cut => Math.min(cut, stream.length)).toSorted((a, b) => a - b), stream.length]) {
			reader.push(stream.subarray(at, end), payload => got.push(Buffer.from(payload)));
			at = end;
		}

		must(
			given.every((frame, index) => got[index]?.equals(frame) === true),
			'every frame to come out unchanged',
		);
		must(
			got.every(frame => frame.length <= frameBytesMax),
			'no frame over the bound',
		);
	},
}));

const keys = deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'dapss'});
const delivery = Buffer.concat(encodeDelivery(1, batchAt('t', 3, 100)).pieces);
const publish = Buffer.concat(encodePublish(7, 't' as Topic, [Buffer.from('a'), Buffer.from('b')]));
const listener = {
	role: 'node',
	id: '1111111111111111' as NodeId,
	address: '127.0.0.1:5000',
	cluster: 'dapss',
	clusterId: '',
	incarnation: 1,
	instance: '',
	name: '',
	flags: 'auth,sign,encrypt',
	version: '1.0.0',
	protocol: 4,
	via: 'peer',
} as const;

/** The parsers of what nodes and clients send: a packet, or a refusal. */
export const packetTarget = target('packets', 6000, () => ({
	inputs: fc.oneof(
		bytes(400),
		damaged(delivery),
		damaged(publish),
		value.map(packed),
		changed([...raftPackets, ...gossipPackets, ...swimPackets]).map(packed),
	),
	check(input) {
		const frame = Buffer.concat([Buffer.of(1), input]);
		const decoded = decode(input);
		must(decoded === undefined || isOneValue(input), 'only one whole value to be decoded');
		parseRaftPacket(decoded);
		parseGossipPacket(decoded);
		parseSwimPacket(decoded);
		parseJoin(frame);
		parseJoinAnswer(frame);
		decodeControl(frame);
		decodePushHead(frame);
		decodeRelay(Buffer.concat([Buffer.of(kinds.relay), input]));
		decodeRelay(Buffer.concat([Buffer.of(kinds.provenRelay), input]));
		decodePublish(input);
		const batch = decodeBatch(input);
		if (batch) must([...bodiesOf(batch)].length === batch.count, 'as many bodies as are counted');
		decodeDelivery(input);
		receiveAnswer(frame);
		receiveEvents(frame);
		receiveSnapshot(frame);
		new Handshake({
			side: 'listener',
			local: listener,
			identity: undefined,
			keys: [keys],
			binding: Buffer.alloc(0),
			peerName: 'peer',
		}).step(input);
	},
}));
