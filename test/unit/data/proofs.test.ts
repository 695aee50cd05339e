import {describe, expect, test} from 'vitest';
import {BatchProofs, type AgreedProofs, type BatchDraft, type Proofs} from '../../../core/data/proofs.ts';
import {decodeBatch, groupMax, proofKind, type NodeId, type Topic} from '../../../core/message.ts';
import {SignedBatches, signGroup} from '../../../core/wire/batch-signature.ts';
import {addBatchMac, createIdentity, deriveKeys, hasBatchMac} from '../../../core/wire/seal.ts';

const keys = deriveKeys({secret: Buffer.alloc(32, 1), cluster: 'dapss'});
const origin = createIdentity(Buffer.alloc(32, 1));
const liar = createIdentity(Buffer.alloc(32, 2));

function proofsOf(identity: typeof origin, given: Partial<Proofs> = {}): Proofs {
	const signatures = new SignedBatches();
	return {
		isRequired: true,
		isLinkProof: true,
		addMac: bytes => addBatchMac(bytes, keys.batch),
		hasMac: bytes => hasBatchMac(bytes, [keys.batch]),
		sign: group => signGroup(group, identity),
		isSigned: (bytes, id) => signatures.isGenuine(bytes, id),
		...given,
	};
}

const signed: AgreedProofs = {areSigned: () => true, hasMacs: () => false};
/** Protocol 4 was agreed when the origin had incarnation 3. */
const upgraded = {
	areSigned: () => true,
	hasMacs: (id: NodeId, incarnation: number) => id === origin.id && incarnation <= 3,
};
const before: AgreedProofs = {areSigned: () => false, hasMacs: () => true};

function drafts(count: number, incarnation = 3): BatchDraft[] {
	return Array.from({length: count}, (_, index) => ({
		header: {
			origin: origin.id,
			incarnation,
			topic: 'news' as Topic,
			firstSeq: 1 + index,
			lamport: 5 + index,
			previousLamport: 4 + index,
			sentAtMs: 0,
		},
		bodies: [Buffer.from('x')],
	}));
}

/** A batch in the name of the origin, with the proofs of `by`. */
const made = (by: typeof origin, agreed: AgreedProofs, incarnation = 3, given: Partial<Proofs> = {}): Buffer =>
	new BatchProofs(proofsOf(by, given), agreed).encode(drafts(1, incarnation))[0]!;
const check = (from: NodeId, bytes: Buffer, agreed: AgreedProofs, given: Partial<Proofs> = {}): string =>
	new BatchProofs(proofsOf(liar, given), agreed).check(from, decodeBatch(bytes)!, bytes);

describe('the proof of a batch', () => {
	test('is a signature once protocol 4 is agreed, and a MAC before', () => {
		expect(proofKind(made(origin, signed))).toBe('signature');
		expect(proofKind(made(origin, before))).toBe('mac');
		expect(proofKind(made(origin, signed, 3, {isRequired: false}))).toBe('none');
	});

	test('of many batches of one turn has signatures over groups', () => {
		let signatures = 0;
		const proofs = proofsOf(origin, {
			sign(group) {
				signatures++;
				signGroup(group, origin);
			},
		});
		const batches = new BatchProofs(proofs, signed).encode(drafts(groupMax * 2 + 1));
		expect(signatures).toBe(3);
		for (const bytes of batches) expect(check(liar.id, bytes, signed)).toBe('ok');
	});
});

describe('a batch from a node that is not its origin', () => {
	test('needs the signature of the origin', () => {
		expect(check(liar.id, made(origin, signed), signed)).toBe('ok');
		expect(check(liar.id, made(liar, signed), signed)).toBe('bad-signature');
		expect(check(liar.id, made(liar, signed, 3, {isRequired: false}), signed)).toBe('unsigned');
	});

	test('may have a MAC before protocol 4, and afterwards if the origin made it before', () => {
		const mac = made(liar, before);
		expect(check(liar.id, mac, before)).toBe('ok');
		expect(check(liar.id, mac, upgraded)).toBe('ok');
		expect(check(liar.id, mac, signed)).toBe('unsigned');
		expect(check(liar.id, made(liar, before, 4), upgraded)).toBe('unsigned');
		mac[46]! ^= 1;
		expect(check(liar.id, mac, before)).toBe('bad-signature');
	});
});

describe('a batch from its origin', () => {
	test('is proved by the link, if others cannot write to the link', () => {
		const wrong = made(liar, signed);
		expect(check(origin.id, wrong, signed)).toBe('ok');
		expect(check(origin.id, wrong, signed, {isLinkProof: false})).toBe('bad-signature');
		expect(check(origin.id, made(origin, before), signed, {isLinkProof: false})).toBe('ok');
	});

	test('has no proof where message signing is switched off', () => {
		const none = made(origin, signed, 3, {isRequired: false});
		expect(check(origin.id, none, signed)).toBe('unsigned');
		expect(check(origin.id, none, signed, {isRequired: false})).toBe('ok');
	});
});
