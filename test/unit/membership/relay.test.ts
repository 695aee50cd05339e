import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {Relay, relayBytesMax} from '../../../core/membership/relay.ts';
import type {NodeId} from '../../../core/message.ts';
import {decodeRelay, encodeRelayHead} from '../../../core/wire/relay-frame.ts';
import {createIdentity, signerOf} from '../../../core/wire/seal.ts';
import {encodeControl, kinds} from '../../../core/wire/wire.ts';

const [a, b, c, d] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc', 'dddddddddddddddd'] as [
	NodeId,
	NodeId,
	NodeId,
	NodeId,
];
const inner = encodeControl('raft', {type: 'heartbeat'});
const frameOf = (from: NodeId, to: NodeId, carried: Buffer = inner): Buffer =>
	Buffer.concat([encodeRelayHead(from, to), carried]);

function relayOf(
	self: NodeId,
	{
		via,
		protocol = 2,
		isUp = true,
	}: {
		readonly via?: NodeId;
		readonly protocol?: number;
		readonly isUp?: boolean;
	} = {},
) {
	const sent: Array<{readonly to: NodeId; readonly frame: Buffer}> = [];
	const bounds: string[] = [];
	const relay = new Relay({
		self,
		incarnation: 1,
		signer: signerOf(createIdentity()),
		agreedIncarnation: () => undefined,
		protocol: () => 3,
		isMember: node => node !== d,
		reach: () => via,
		links: {
			speaks: () => ({protocol, version: ''}),
			state: () => ({state: isUp ? 'up' : 'down', why: '', code: ''}),
			send(to, pieces) {
				sent.push({to, frame: Buffer.concat(pieces)});
				return isUp;
			},
		},
		bound: name => void bounds.push(name),
	});
	return {relay, sent, bounds};
}

describe('sending', () => {
	test('goes directly where that works, or where there is no relay', () => {
		for (const via of [a, undefined]) {
			const {relay, sent} = relayOf(a, via === undefined ? {} : {via});
			expect(relay.send(c, inner)).toBe(true);
			expect(sent).toEqual([{to: c, frame: inner}]);
		}
	});

	test('goes through the member that reaches the peer', () => {
		const {relay, sent} = relayOf(a, {via: b});
		relay.send(c, inner);
		expect(sent).toEqual([{to: b, frame: frameOf(a, c)}]);
	});

	test('does not use a member of protocol 1 as a relay', () => {
		const {relay, sent} = relayOf(a, {via: b, protocol: 1});
		relay.send(c, inner);
		expect(sent).toEqual([{to: c, frame: inner}]);
	});
});

describe('a relay frame', () => {
	test('is forwarded once to its destination, and accepted there as from its origin', () => {
		const {relay, sent} = relayOf(b);
		expect(relay.onFrame(a, frameOf(a, c))).toEqual({type: 'done'});
		expect(sent).toEqual([{to: c, frame: frameOf(a, c)}]);
		expect(relayOf(c).relay.onFrame(b, sent[0]!.frame)).toEqual({type: 'deliver', from: a, inner});
	});

	test.each([
		['that has been relayed before', c, frameOf(a, c)],
		['from a node that is no member', d, frameOf(d, c)],
		['for a node that is no member', a, frameOf(a, d)],
		['for its maker', a, frameOf(a, a)],
		['that this node made itself', c, frameOf(b, c)],
		['that needed no relay', a, frameOf(a, b)],
		['of live messages', a, frameOf(a, c, Buffer.of(kinds.push, 1, 1, 1))],
		['within another', a, frameOf(a, c, frameOf(a, c))],
		['without a frame', a, encodeRelayHead(a, c)],
		['cut short', a, Buffer.of(kinds.relay, 1)],
	])('%s is refused', (_, peer, frame) => {
		const {relay, sent} = relayOf(b);
		expect(relay.onFrame(peer, frame)).toEqual({type: 'refused', reason: 'malformed'});
		expect(sent).toEqual([]);
	});

	test('frames over the bound are dropped and counted, until the next tick', () => {
		const {relay, sent, bounds} = relayOf(b);
		const large = frameOf(a, c, Buffer.concat([inner, Buffer.alloc(relayBytesMax / 2)]));
		for (let count = 0; count < 3; count++) relay.onFrame(a, large);
		expect([sent.length, bounds]).toEqual([1, ['relay', 'relay']]);
		relay.tick();
		relay.onFrame(a, large);
		expect(sent).toHaveLength(2);
	});

	test('for a member of protocol 1 is dropped and counted', () => {
		const {relay, sent, bounds} = relayOf(b, {protocol: 1});
		relay.onFrame(a, frameOf(a, c));
		expect([sent, bounds]).toEqual([[], ['relay']]);
	});

	test('without a link to its destination counts no bound', () => {
		const {relay, bounds} = relayOf(b, {isUp: false});
		expect(relay.onFrame(a, frameOf(a, c))).toEqual({type: 'done'});
		expect(bounds).toEqual([]);
	});

	test('arbitrary bytes are decoded or refused', () => {
		const {relay} = relayOf(b);
		fc.assert(
			fc.property(fc.uint8Array({maxLength: 60}), bytes => {
				const frame = Buffer.from([kinds.relay, ...bytes]);
				if (decodeRelay(frame)?.from !== a) expect(relay.onFrame(a, frame).type).toBe('refused');
			}),
		);
	});
});
