/**
The proof that a relayed frame is of its origin, and new. The relay proves only itself, so the origin signs the frame
with the key whose hash is its id (Ed25519). It signs the destination and a counter too: a relay that recorded a frame
can deliver it neither to another member nor a second time. The counter begins anew with each incarnation, and a process
of a lower incarnation than the agreed one is not believed. A node that has restarted accepts a recorded frame of a
process that still runs, until a newer one arrives; Raft tolerates that, as it tolerates late packets.
*/
import type {NodeId} from '../message.ts';
import type {Signer} from '../ports.ts';
import {encodeProvenRelayHead, signedPartOf, type ProvenRelayFrame} from '../wire/relay-frame.ts';

export type RelayProofsOptions = {
	readonly self: NodeId;
	readonly incarnation: number;
	readonly signer: Signer;
	readonly isMember: (node: NodeId) => boolean;
	/** The incarnation that uses the identity of a member, as agreed. */
	readonly agreedIncarnation: (node: NodeId) => number | undefined;
};

export type Verdict = 'ok' | 'bad-signature' | 'replayed' | 'too-many';

/** Signatures that are checked per relay and tick (25 ms): a check takes a tenth to a quarter of a millisecond. */
export const checksMax = 32;
/** Origins that are remembered before those that are no members any more are forgotten. */
const originsMax = 1024;

type Mark = {readonly incarnation: number; readonly counter: number};

export class RelayProofs {
	readonly #options: RelayProofsOptions;
	/** By origin: the newest frame. */
	readonly #newest = new Map<NodeId, Mark>();
	/** By relay: the signatures that were checked in this tick. */
	readonly #checks = new Map<NodeId, number>();
	#counter = 0;

	constructor(options: RelayProofsOptions) {
		this.#options = options;
	}

	/** The head of a relay frame around a frame of this node. */
	head(to: NodeId, frame: Uint8Array): Buffer {
		const {self, incarnation, signer} = this.#options;
		const origin = {from: self, to, incarnation, counter: ++this.#counter};
		const signature = signer.sign(signedPartOf(origin, frame));
		return encodeProvenRelayHead({...origin, publicKey: signer.publicKey, signature});
	}

	/** A proven frame of this member has arrived: it speaks the protocol. */
	hasProved(node: NodeId): boolean {
		return this.#newest.has(node);
	}

	/** Checks a frame for this node, and remembers it if it is proven. @param relay the member that delivered it */
	check(relay: NodeId, frame: ProvenRelayFrame): Verdict {
		const {signer, agreedIncarnation} = this.#options;
		const {from, incarnation, counter, publicKey, signature, inner} = frame;
		const newest = this.#newest.get(from) ?? {incarnation: agreedIncarnation(from) ?? 0, counter: 0};
		const isNew =
			incarnation > newest.incarnation || (incarnation === newest.incarnation && counter > newest.counter);
		if (!isNew || incarnation < (agreedIncarnation(from) ?? 0)) return 'replayed';
		const checks = this.#checks.get(relay) ?? 0;
		if (checks >= checksMax) return 'too-many';
		this.#checks.set(relay, checks + 1);
		if (!signer.isSignedBy(from, publicKey, signedPartOf(frame, inner), signature)) return 'bad-signature';
		this.#remember(from, {incarnation, counter});
		return 'ok';
	}

	/** Starts a new interval of the bound on checks. */
	tick(): void {
		this.#checks.clear();
	}

	#remember(from: NodeId, mark: Mark): void {
		if (this.#newest.size >= originsMax)
			for (const node of this.#newest.keys()) if (!this.#options.isMember(node)) this.#newest.delete(node);
		this.#newest.set(from, mark);
	}
}
