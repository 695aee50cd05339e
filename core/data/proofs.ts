/**
Who made a batch. The publisher writes a proof into each batch of its own; `check` decides whether a batch of a peer
is of the origin that it names.

| agreed protocol | proof of a new batch | accepted of a peer that is not the origin |
|---|---|---|
| before 4 | MAC under a key of the cluster | any valid proof |
| 4 | signature of the origin | signature of the origin; a MAC only if the origin made the batch before protocol 4 |

A peer that is the origin itself needs no proof on a link that is protected: the link is the proof.
*/
import type {Rejection} from '../events.ts';
import {encodeBatch, groupMax, proofKind, type Batch, type BatchHeader, type NodeId} from '../message.ts';

/** A batch before it is encoded. */
export type BatchDraft = {readonly header: Omit<BatchHeader, 'count'>; readonly bodies: readonly Uint8Array[]};

/** Makes and checks proofs. All functions that write do so in place. */
export type Proofs = {
	/** False when message signing is switched off: then batches have no proof, and need none. */
	readonly isRequired: boolean;
	/** Whether nobody but a peer can write to its link: false without encryption or node authentication. */
	readonly isLinkProof: boolean;
	addMac(bytes: Buffer): void;
	hasMac(bytes: Buffer): boolean;
	/** Signs at most `groupMax` batches of this node together. */
	sign(group: readonly Buffer[]): void;
	isSigned(bytes: Buffer, origin: NodeId): boolean;
};

/** What the cluster has agreed on. */
export type AgreedProofs = {
	/** Whether all members read signatures of origins: protocol 4. */
	areSigned(): boolean;
	/** Whether that incarnation of the origin made batches before protocol 4. */
	hasMacs(origin: NodeId, incarnation: number): boolean;
};

/** The protocol from which on batches have signatures of their origins. */
export const signedBatchesProtocol = 4;

export class BatchProofs {
	readonly #proofs: Proofs;
	readonly #agreed: AgreedProofs;

	constructor(proofs: Proofs, agreed: AgreedProofs) {
		this.#proofs = proofs;
		this.#agreed = agreed;
	}

	/** Encodes the batches of one turn, with their proofs. */
	encode(drafts: readonly BatchDraft[]): Buffer[] {
		const proofs = this.#proofs;
		if (!proofs.isRequired) return drafts.map(({header, bodies}) => encodeBatch(header, bodies, 'none'));
		if (!this.#agreed.areSigned())
			return drafts.map(({header, bodies}) => {
				const bytes = encodeBatch(header, bodies, 'mac');
				proofs.addMac(bytes);
				return bytes;
			});
		const encoded: Buffer[] = [];
		for (let at = 0; at < drafts.length; at += groupMax) {
			const part = drafts.slice(at, at + groupMax);
			const size = part.length;
			const group = part.map(({header, bodies}, index) => encodeBatch(header, bodies, {index, size}));
			proofs.sign(group);
			encoded.push(...group);
		}

		return encoded;
	}

	/** Whether a batch that the peer sent is of the origin that it names. @param bytes of the batch */
	check(from: NodeId, {origin, incarnation}: Batch, bytes: Buffer): 'ok' | Rejection {
		const proofs = this.#proofs;
		const kind = proofKind(bytes);
		if (kind === 'none') return proofs.isRequired ? 'unsigned' : 'ok';
		if (from === origin && proofs.isLinkProof) return 'ok';
		if (kind === 'signature') return proofs.isSigned(bytes, origin) ? 'ok' : 'bad-signature';
		if (from !== origin && this.#agreed.areSigned() && !this.#agreed.hasMacs(origin, incarnation))
			return 'unsigned';
		return proofs.hasMac(bytes) ? 'ok' : 'bad-signature';
	}
}
