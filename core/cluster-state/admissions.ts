/**
Nodes that operators have admitted and that are no members yet, and join tokens. A part of the cluster state, so it is
deterministic: whether a token has expired is decided by the leader that admits a node.
*/
import type {JoinToken} from '../access.ts';
import type {NodeId} from '../message.ts';
import type {Result} from './sessions.ts';

/** Admitted nodes that are remembered; the oldest is dropped. */
const admittedMax = 1024;
/** Tokens of a cluster. */
export const tokensMax = 64;

export type SavedAdmissions = {
	readonly admitted: readonly NodeId[];
	readonly tokens: ReadonlyArray<readonly [hash: string, uses: number, untilMs: number]>;
};

export class Admissions {
	readonly #admitted = new Set<NodeId>();
	readonly #tokens = new Map<string, Omit<JoinToken, 'hash'>>();

	get admitted(): readonly NodeId[] {
		return [...this.#admitted];
	}

	get tokens(): readonly JoinToken[] {
		return [...this.#tokens].map(([hash, token]) => ({hash, ...token}));
	}

	isAdmitted(node: NodeId): boolean {
		return this.#admitted.has(node);
	}

	token(hash: string): JoinToken | undefined {
		const token = this.#tokens.get(hash);
		return token && {hash, ...token};
	}

	admit(node: NodeId): void {
		this.#admitted.delete(node);
		this.#admitted.add(node);
		for (const oldest of this.#admitted) {
			if (this.#admitted.size <= admittedMax) break;
			this.#admitted.delete(oldest);
		}
	}

	/** The node has become a member, with this token or without one. */
	joined(node: NodeId, hash: string | undefined): void {
		this.#admitted.delete(node);
		const token = hash === undefined ? undefined : this.#tokens.get(hash);
		if (!token) return;
		if (token.uses <= 1) this.#tokens.delete(hash!);
		else this.#tokens.set(hash!, {...token, uses: token.uses - 1});
	}

	addToken({hash, uses, untilMs}: JoinToken): Result {
		if (!this.#tokens.has(hash) && this.#tokens.size >= tokensMax)
			return {
				ok: false,
				reason:
					`Expected at most ${tokensMax} join tokens, got one more: ` +
					'withdraw some (access list shows them)',
			};
		this.#tokens.set(hash, {uses, untilMs});
		return {ok: true};
	}

	withdraw(hash: string): Result {
		return this.#tokens.delete(hash) ? {ok: true} : {ok: false, reason: 'there is no such join token'};
	}

	save(): SavedAdmissions {
		return {
			admitted: [...this.#admitted],
			tokens: [...this.#tokens].map(([hash, {uses, untilMs}]) => [hash, uses, untilMs]),
		};
	}

	load(saved: SavedAdmissions | undefined): void {
		this.#admitted.clear();
		this.#tokens.clear();
		for (const node of saved?.admitted ?? []) this.#admitted.add(node);
		for (const [hash, uses, untilMs] of saved?.tokens ?? []) this.#tokens.set(hash, {uses, untilMs});
	}
}
