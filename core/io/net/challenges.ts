/**
Proof that a beacon is not a replay. A program that needs the proof sends a random challenge in its own datagram, and a
node repeats the challenge in its next beacon. Such a beacon was made after the challenge was drawn. Clocks are not
compared, so the proof does not depend on them.

A challenge has the length of a topic hash and a first character that no hash has. A node of an earlier version takes
it for the hash of a topic that it does not have.
*/
import type {Clock, Entropy} from '../../ports.ts';

/**
How long an answer proves that its sender runs, in milliseconds: as long as a beacon counts at the default interval.
*/
const validMs = 5000;
/** A challenge is used for all datagrams of this time, so that many programs that search do not need many answers. */
const reuseMs = 500;
/** Bounds on own challenges, on those of others that wait for an answer, and on those that were answered. */
const ownMax = 64;
const waitingMax = 64;
const answeredMax = 1024;
/** The number of challenges that one beacon answers. */
export const answersMax = 8;

const form = /^\?[\w-]{15}$/;

export function isChallenge(value: unknown): value is string {
	return typeof value === 'string' && form.test(value);
}

/** The challenges that this program has sent. */
export class OwnChallenges {
	readonly #clock: Pick<Clock, 'monotonicMs'>;
	readonly #entropy: Pick<Entropy, 'bytes'>;
	/** The oldest first. */
	readonly #sent = new Map<string, number>();
	#newest: readonly [challenge: string | undefined, atMs: number] = [undefined, 0];

	constructor(clock: Pick<Clock, 'monotonicMs'>, entropy: Pick<Entropy, 'bytes'>) {
		this.#clock = clock;
		this.#entropy = entropy;
	}

	/** The challenge for a datagram that is sent now. */
	current(): string {
		const [newest, atMs] = this.#newest;
		return newest !== undefined && this.#clock.monotonicMs() - atMs < reuseMs ? newest : this.draw();
	}

	/** A new challenge. */
	draw(): string {
		const challenge = `?${Buffer.from(this.#entropy.bytes(12)).toString('base64url').slice(0, 15)}`;
		if (this.#sent.size >= ownMax) this.#sent.delete(this.#sent.keys().next().value!);
		const atMs = this.#clock.monotonicMs();
		this.#sent.set(challenge, atMs);
		this.#newest = [challenge, atMs];
		return challenge;
	}

	has(challenge: string): boolean {
		return this.#sent.has(challenge);
	}

	/** Whether one of these challenges is an own one that was drawn lately. */
	isMetBy(answers: readonly string[]): boolean {
		const sinceMs = this.#clock.monotonicMs() - validMs;
		return answers.some(answer => (this.#sent.get(answer) ?? Number.NEGATIVE_INFINITY) >= sinceMs);
	}
}

/** Challenges of other programs. Each is answered once, so a replayed one gains one beacon. */
export class ForeignChallenges {
	readonly #entropy: Pick<Entropy, 'below'>;
	readonly #waiting: string[] = [];
	readonly #answered = new Set<string>();

	constructor(entropy: Pick<Entropy, 'below'>) {
		this.#entropy = entropy;
	}

	get isEmpty(): boolean {
		return this.#waiting.length === 0;
	}

	/** When too many wait, a random one is replaced: an attacker that replays many does not keep out a new one. */
	add(challenge: string): void {
		if (this.#answered.has(challenge) || this.#waiting.includes(challenge)) return;
		if (this.#waiting.length < waitingMax) this.#waiting.push(challenge);
		else this.#waiting[this.#entropy.below(waitingMax)] = challenge;
	}

	/** Takes up to `answersMax` challenges, the oldest first. */
	take(): readonly string[] {
		const taken = this.#waiting.splice(0, answersMax);
		for (const challenge of taken) {
			if (this.#answered.size >= answeredMax) this.#answered.delete(this.#answered.values().next().value!);
			this.#answered.add(challenge);
		}

		return taken;
	}
}
