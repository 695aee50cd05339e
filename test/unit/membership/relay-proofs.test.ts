/** Relayed frames prove their origin: a relay can withhold them, and not forge, alter, redirect or repeat them. */
import {describe, expect, test} from 'vitest';
import {Relay} from '../../../core/membership/relay.ts';
import {checksMax} from '../../../core/membership/relay-proofs.ts';
import type {NodeId} from '../../../core/message.ts';
import {decodeRelay, encodeProvenRelayHead, encodeRelayHead, signedPartOf} from '../../../core/wire/relay-frame.ts';
import {createIdentity, signerOf, type Identity} from '../../../core/wire/seal.ts';
import {encodeControl, kinds} from '../../../core/wire/wire.ts';

const [origin, liar, target, other] = Array.from({length: 4}, (_, index) =>
	createIdentity(Buffer.alloc(32, index + 1)),
) as [Identity, Identity, Identity, Identity];
const inner = encodeControl('raft', {type: 'heartbeat'});
const accepted = {type: 'deliver', from: origin.id, inner};

type Side = {
	readonly incarnation?: number;
	readonly agreed?: number;
	readonly protocol?: number;
	readonly spoken?: number;
};

function relayOf(identity: Identity, {incarnation = 1, agreed, protocol = 4, spoken = 4}: Side = {}) {
	const sent: Buffer[] = [];
	const bounds: string[] = [];
	const relay = new Relay({
		self: identity.id,
		incarnation,
		signer: signerOf(identity),
		agreedIncarnation: () => agreed,
		protocol: () => protocol,
		isMember: node => [origin, liar, target, other].some(({id}) => id === node),
		reach: () => liar.id,
		links: {
			speaks: () => ({protocol: spoken, version: ''}),
			state: () => ({state: 'up', why: '', code: ''}),
			send(_to, pieces) {
				sent.push(Buffer.concat(pieces));
				return true;
			},
		},
		bound: name => void bounds.push(name),
	});
	/** What the node sends through its relay. */
	const relayed = (to: NodeId = target.id): Buffer => {
		relay.send(to, inner);
		return sent.pop()!;
	};
	return {relay, sent, bounds, relayed};
}

const signedBy = (signer: Identity, head: {readonly from: NodeId; readonly counter: number}): Buffer => {
	const fields = {...head, to: target.id, incarnation: 1};
	return Buffer.concat([
		encodeProvenRelayHead({
			...fields,
			publicKey: signer.publicKey,
			signature: signer.sign(signedPartOf(fields, inner)),
		}),
		inner,
	]);
};

describe('a proven frame', () => {
	test('is delivered as from its origin, over any relay, and forwarded unchanged', () => {
		const frame = relayOf(origin).relayed();
		expect(decodeRelay(frame)).toMatchObject({from: origin.id, to: target.id, incarnation: 1, counter: 1, inner});
		const middle = relayOf(liar);
		expect(middle.relay.onFrame(origin.id, frame)).toEqual({type: 'done'});
		expect(middle.sent).toEqual([frame]);
		expect(relayOf(target).relay.onFrame(liar.id, frame)).toEqual(accepted);
	});

	test('that the relay made is refused, whichever key it shows', () => {
		const {relay} = relayOf(target);
		const own = signedBy(liar, {from: origin.id, counter: 1});
		const shown = Buffer.from(own);
		Buffer.from(origin.publicKey).copy(shown, own.indexOf(liar.publicKey));
		for (const frame of [own, shown])
			expect(relay.onFrame(liar.id, frame)).toEqual({type: 'refused', reason: 'bad-signature'});
		expect(relay.onFrame(liar.id, relayOf(origin).relayed())).toEqual(accepted);
	});

	test('with any bit changed is never delivered as from its origin', () => {
		const frame = relayOf(origin).relayed();
		for (let bit = 8; bit < frame.length * 8; bit += 5) {
			const changed = Buffer.from(frame);
			changed[bit >> 3]! ^= 1 << (bit & 7);
			const {relay} = relayOf(target);
			const {type} = relay.onFrame(liar.id, changed);
			expect([bit, type === 'deliver']).toEqual([bit, false]);
		}
	});

	test('is accepted once, and not by another member', () => {
		const sender = relayOf(origin);
		const [first, second] = [sender.relayed(), sender.relayed()];
		const {relay, bounds} = relayOf(target);
		expect(relay.onFrame(liar.id, second)).toEqual(accepted);
		for (const frame of [second, first]) expect(relay.onFrame(liar.id, frame)).toEqual({type: 'done'});
		expect(bounds).toEqual(['relay-replays', 'relay-replays']);
		expect(relayOf(other).relay.onFrame(liar.id, first).type).not.toBe('deliver');
	});

	test('of an earlier start of its origin is not accepted, once the later start is agreed or heard', () => {
		const before = relayOf(origin, {incarnation: 4});
		const [one, two] = [before.relayed(), before.relayed()];
		expect(relayOf(target, {agreed: 5}).relay.onFrame(liar.id, one)).toEqual({type: 'done'});
		const {relay} = relayOf(target, {agreed: 4});
		expect(relay.onFrame(liar.id, relayOf(origin, {incarnation: 5}).relayed())).toEqual(accepted);
		expect(relay.onFrame(liar.id, two)).toEqual({type: 'done'});
	});

	test('costs a relay that forges no more than a bounded number of checks in a tick', () => {
		const {relay, bounds} = relayOf(target);
		const forged = signedBy(liar, {from: origin.id, counter: 99});
		for (let count = 0; count < checksMax; count++) relay.onFrame(liar.id, forged);
		expect(bounds).toEqual([]);
		expect(relay.onFrame(liar.id, forged)).toEqual({type: 'done'});
		expect(bounds).toEqual(['relay']);
		expect(relay.onFrame(other.id, relayOf(origin).relayed())).toEqual(accepted);
		relay.tick();
		expect(relay.onFrame(liar.id, forged)).toEqual({type: 'refused', reason: 'bad-signature'});
	});
});

describe('a frame without a proof', () => {
	const unproven = Buffer.concat([encodeRelayHead(origin.id, target.id), inner]);

	test('is refused once protocol 4 is agreed, and accepted before', () => {
		expect(relayOf(target).relay.onFrame(liar.id, unproven)).toEqual({type: 'refused', reason: 'unsigned'});
		expect(relayOf(target, {protocol: 3}).relay.onFrame(liar.id, unproven)).toEqual(accepted);
	});

	test('is sent only while neither the cluster nor the destination is known to speak protocol 4', () => {
		expect(relayOf(origin, {protocol: 3, spoken: 3}).relayed()[0]).toBe(kinds.relay);
		expect(relayOf(origin, {protocol: 3}).relayed()[0]).toBe(kinds.provenRelay);
		expect(relayOf(origin, {spoken: 3}).relayed()[0]).toBe(kinds.relay);
	});
});
