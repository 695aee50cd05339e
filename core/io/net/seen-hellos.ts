/**
Recognizes a ClientHello that was recorded and is sent again. It has a valid proof of the secret, so it would be
answered: that takes computing time, and the connection would count as one that has shown the secret. Its sender cannot
finish the handshake. The random value of a ClientHello (RFC 8446, 4.1.2) is never used twice by an honest caller.

Only those that were answered are remembered, so junk does not displace them.
*/

/** Where the random value lies: after the heads of the record and of the message, and the version. */
const randomAt = 11;
export const helloHeadBytes = randomAt + 32;
/** At two calls a second these are nine hours. */
const answeredMax = 65_536;

export class SeenHellos {
	/** Of the connections that have not authenticated yet. */
	readonly #pending = new Set<string>();
	/** The oldest first. */
	readonly #answered = new Set<string>();

	/**
	Notes the first bytes of a ClientHello.
	@returns what to pass to `ended`, or `undefined` for a repetition
	*/
	begun(head: Buffer): string | undefined {
		const random = head.toString('latin1', randomAt, helloHeadBytes);
		if (this.#pending.has(random) || this.#answered.has(random)) return undefined;
		this.#pending.add(random);
		return random;
	}

	/** The handshake has finished or failed. */
	ended(random: string, isAnswered: boolean): void {
		this.#pending.delete(random);
		if (!isAnswered) return;
		if (this.#answered.size >= answeredMax) this.#answered.delete(this.#answered.values().next().value!);
		this.#answered.add(random);
	}
}
