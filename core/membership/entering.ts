/**
How a node that is no member becomes one: it asks every address that it knows until a cluster has admitted it, or until
it founds one itself (`founding.ts`). It says what it waits for. The same class serves a node without data, and one that
lost its Raft log and must join its cluster again.
*/
import {DapssError} from '../errors.ts';
import type {Candidate, Clock, PeerFinder} from '../ports.ts';
import {Stack} from '../stack.ts';
import {encodeControl} from '../wire/wire.ts';
import type {Founding} from './founding.ts';
import type {JoinAnswer, Joined, JoinRequest} from './joining.ts';
import {PeerSearch, type Asked} from './peer-search.ts';

export type EnteringOptions = {
	/** Where this node is reached. */
	readonly address: string;
	/** An operator gave the address (`--advertise`): it is asked whether another node is there. */
	readonly isAddressGiven: boolean;
	/** `undefined` for a node that may only join. */
	readonly founding: Founding | undefined;
	readonly peers: PeerFinder;
	readonly clock: Clock;
	/** Its request, without what it says as a seeker. */
	readonly request: () => JoinRequest;
	/** What is said when nobody is known who could be asked. */
	readonly aloneAdvice: string;
	readonly tell: (waitsFor: string) => void;
	/** Found a cluster of this node alone. */
	readonly found: () => void;
	readonly joined: (answer: Joined) => void;
	/** Everybody who answers refuses. */
	readonly refused: (error: Error) => void;
};

/**
What a node waits for when it knows nobody whom it could ask: one that may found a cluster, and one that belonged to
one.
*/
export const seekingAlone = 'a member of the cluster to be heard: none is known yet';
export const returningAlone =
	'a member of the cluster that this node left, or belonged to before its files were damaged: no other member is known. Name one with --bootstrap. If this node was the only one, nothing but a backup of its data folder brings the cluster back';

const turnMs = 100;
const againMs = 250;
const candidatesMs = 300;

export class Entering {
	readonly #options: EnteringOptions;
	readonly #search: PeerSearch;
	readonly #timers = new Stack();
	#candidates: readonly Candidate[] | undefined;
	#candidatesMs = Number.NEGATIVE_INFINITY;
	/** The leader, by the word of somebody who was asked. */
	#leader: string | undefined;
	/** What each address said last, for people; and the refusals that waiting does not change. */
	readonly #words = new Map<string, string>();
	readonly #refusals = new Map<string, Error>();
	/** Why members do not admit this node now, by the address of who said so. */
	readonly #reasons = new Map<string, string>();
	/** Members that leave the answer to their leader, and where that is. */
	readonly #asks = new Map<string, string>();
	/** Addresses at which a member of the cluster to be joined refused: the others of it would say the same. */
	readonly #verdicts = new Set<string>();
	/** Why an address did not answer. */
	readonly #silences = new Map<string, string>();
	/** Addresses at which this node answered itself. */
	readonly #own = new Set<string>();
	readonly #settled = Promise.withResolvers<void>();
	/** Nobody else is at this node's own address, as far as that can be seen. */
	#isAddressFree: boolean;
	#isOver = false;

	constructor(options: EnteringOptions) {
		this.#options = options;
		const {peers, clock} = options;
		this.#own.add(options.address);
		this.#isAddressFree = !options.isAddressGiven;
		this.#search = new PeerSearch({
			peers,
			againMs,
			nowMs: () => clock.monotonicMs(),
			question: () => encodeControl('join', this.#question()),
			onAsked: asked => this.#onAsked(asked),
		});
	}

	/**
	Resolves once this node is on its way: it founds or has joined, or another node is there that it must come to terms
	with.
	*/
	get settled(): Promise<void> {
		return this.#settled.promise;
	}

	start(): void {
		this.#timers.use(this.#options.clock.every(turnMs, () => this.#turn()));
		if (!this.#isAddressFree) this.#search.ask([this.#options.address]);
		this.#turn();
	}

	stop(): void {
		this.#isOver = true;
		this.#settled.resolve();
		this.#search.stop();
		this.#timers.dispose();
	}

	/** Another node asks this one, which is no member yet. */
	onRequest({id, address, seeking}: JoinRequest): JoinAnswer {
		const {founding, clock, address: own} = this.#options;
		if (!founding || !seeking) return {type: 'wait', reason: `the node at ${own} is joining itself`};
		const nowMs = clock.monotonicMs();
		founding.asked(id, address, seeking, nowMs);
		return {type: 'seeking', address: own, word: founding.word(nowMs)};
	}

	#question(): JoinRequest {
		const {founding, clock, request} = this.#options;
		return {...request(), ...(founding ? {seeking: founding.word(clock.monotonicMs())} : {})};
	}

	#readCandidates(nowMs: number): void {
		this.#candidatesMs = nowMs;
		void this.#options.peers.candidates().then(candidates => {
			this.#candidates = candidates;
			this.#turn(true);
		});
	}

	/** @param isFresh the candidates were read just now. */
	#turn(isFresh = false): void {
		if (this.#isOver) return;
		const {founding, clock} = this.#options;
		const nowMs = clock.monotonicMs();
		if (nowMs - this.#candidatesMs >= candidatesMs) this.#readCandidates(nowMs);
		if (this.#candidates === undefined) return; // The first search for candidates has not finished.
		const addresses = this.#addresses(nowMs);
		this.#search.ask(addresses);
		if (addresses.length > 0) this.#settled.resolve();
		for (const {address, isMember} of this.#candidates)
			if (isMember && !this.#own.has(address)) founding?.memberHeard(address, nowMs);
		if (!founding) return this.#tell(addresses.length === 0 ? this.#options.aloneAdvice : this.#said(addresses));
		const decision = founding.decide(nowMs);
		if (decision.type === 'found' && this.#isAddressFree && addresses.every(address => this.#words.has(address))) {
			// A member may have been heard since they were read.
			if (!isFresh) return this.#readCandidates(nowMs);
			this.stop();
			return this.#options.found();
		}

		this.#tell(
			decision.type === 'found'
				? `${addresses.find(address => !this.#words.has(address)) ?? ''} to answer`
				: `${decision.for}${decision.isAdmission ? this.#whyNot(addresses) : this.#errors(decision.for, addresses)}`,
		);
	}

	/** Whom to ask, the leader first. */
	#addresses(nowMs: number): readonly string[] {
		const {founding} = this.#options;
		const all = new Set([
			...(this.#leader === undefined ? [] : [this.#leader]),
			...(this.#candidates ?? []).map(({address}) => address),
			...(founding?.addresses(nowMs) ?? []),
		]);
		return [...all].filter(address => !this.#own.has(address));
	}

	#onAsked(asked: Asked): void {
		if (this.#isOver) return;
		const {founding, clock} = this.#options;
		const {address} = asked;
		const nowMs = clock.monotonicMs();
		if (address === this.#options.address) return this.#onOwn(asked);
		if ('error' in asked) return this.#onError(address, asked.error);
		const {id, answer, askedAtMs} = asked;
		this.#forget(address);
		if (answer.type !== 'seeking') founding?.memberHeard(address, nowMs);
		switch (answer.type) {
			case 'joined': {
				this.stop();
				return this.#options.joined(answer);
			}

			case 'seeking': {
				this.#words.set(address, 'it seeks a cluster too');
				founding?.answered(address, id, answer.address, answer.word, askedAtMs, nowMs);
				break;
			}

			case 'ask': {
				this.#leader = answer.address;
				this.#asks.set(address, answer.address);
				this.#words.set(address, `the leader at ${answer.address} to answer`);
				break;
			}

			case 'wait': {
				if (address === this.#leader) this.#leader = undefined;
				this.#words.set(address, `${address}: ${answer.reason}`);
				this.#reasons.set(address, answer.reason);
				break;
			}

			case 'refused': {
				this.#refusals.set(address, new DapssError('refused', answer.reason));
				this.#words.set(address, `${address}, which refuses this node: ${answer.reason}`);
				this.#reasons.set(address, answer.reason);
				// A node of another cluster speaks for that one alone.
				if (answer.clusterId === undefined) this.#verdicts.add(address);
				break;
			}

			default:
				answer satisfies never;
		}

		this.#turn();
		this.#maybeGiveUp();
	}

	/**
	An address that does not lead back to this node is no proof against it: not every network lets a machine call its
	own outer address.
	*/
	#onOwn(asked: Asked): void {
		this.#isAddressFree = true;
		if ('error' in asked) return this.#turn();
		this.stop();
		this.#options.refused(
			new DapssError(
				'config',
				`Expected --advertise to be the address at which other nodes reach this node, got ${asked.address}, where node ${asked.id} answers`,
			),
		);
	}

	#onError(address: string, error: Error): void {
		const {founding} = this.#options;
		if (address === this.#leader) this.#leader = undefined;
		const code = (error.cause as {readonly code?: unknown} | undefined)?.code;
		if (code === 'itself') {
			this.#own.add(address);
			founding?.isSelf(address);
			return this.#turn();
		}

		this.#forget(address);
		// A system's code says it in a word; a refusal has a reason.
		const why =
			typeof code === 'string' && /^E[A-Z_]+$/.test(code)
				? code
				: error.message.replace(`peer ${address} `, '').replace(`${address}: `, '');
		this.#words.set(address, `${address} to answer (${why})`);
		this.#silences.set(address, why);
		const isFinal = error instanceof DapssError && (error.code === 'not-authenticated' || error.code === 'refused');
		if (isFinal) this.#refusals.set(address, error);
		this.#turn();
		this.#maybeGiveUp();
	}

	/** What an address said before its newest answer. */
	#forget(address: string): void {
		for (const known of [this.#refusals, this.#reasons, this.#asks, this.#silences, this.#verdicts])
			known.delete(address);
	}

	/**
	Only when nobody is left who may answer otherwise. Who leaves the answer to a leader has its answer. Once a member
	has refused, nothing better is expected of an address that is silent or of a node that seeks a cluster itself.

	*/
	#maybeGiveUp(): void {
		if (this.#isOver || this.#refusals.size === 0) return;
		const addresses = this.#addresses(this.#options.clock.monotonicMs());
		const verdict = addresses.find(address => this.#verdicts.has(address));
		const isRefused = (address: string): boolean => {
			const leader = this.#asks.get(address);
			if (this.#refusals.has(address) || (leader !== undefined && this.#refusals.has(leader))) return true;
			return (
				verdict !== undefined && leader === undefined && !this.#reasons.has(address) && this.#words.has(address)
			);
		};
		if (!addresses.every(address => isRefused(address))) return;
		this.stop();
		this.#options.refused(
			verdict === undefined ? this.#refusals.values().next().value! : this.#refusals.get(verdict)!,
		);
	}

	#said(addresses: readonly string[]): string {
		return addresses.map(address => this.#words.get(address) ?? `${address} to answer`).join('; ');
	}

	/**
	Why the members that answered do not admit this node: what others say, or that they are silent, has nothing to do
	with it.
	*/
	#whyNot(addresses: readonly string[]): string {
		const reasons = new Set(addresses.flatMap(address => this.#reasons.get(address) ?? []));
		return reasons.size === 0 ? '' : `: ${[...reasons].join('; ')}`;
	}

	/** Why addresses are silent; those that `text` does not name are named. */
	#errors(text: string, addresses: readonly string[]): string {
		const errors = new Set(
			addresses.flatMap(address => {
				const why = this.#silences.get(address);
				return why === undefined ? [] : [text.includes(address) ? why : `${address}: ${why}`];
			}),
		);
		return errors.size === 0 ? '' : ` (${[...errors].join('; ')})`;
	}

	#tell(text: string): void {
		this.#options.tell(text);
	}
}
