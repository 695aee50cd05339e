/**
How a node that is no member becomes one. It asks every address that it knows until a cluster has admitted it, or until
it founds a cluster itself (`founding.ts`). It reports the condition that it waits for. The same class serves a node
without data, and a node that lost its Raft log and must join its cluster again.
*/
import {DapssError} from '../errors.ts';
import type {Candidate, Clock, PeerFinder} from '../ports.ts';
import {Stack} from '../stack.ts';
import {encodeControl} from '../wire/wire.ts';
import type {Founding} from './founding.ts';
import type {JoinAnswer, Joined, JoinRequest} from './joining.ts';
import {PeerSearch, type Asked} from './peer-search.ts';

export type BootstrappingOptions = {
	/** The advertised address of this node. */
	readonly address: string;
	/** An operator set the address (`--advertise`), so this node checks that no other node answers there. */
	readonly isAddressGiven: boolean;
	/** `undefined` for a node that may only join. */
	readonly founding: Founding | undefined;
	readonly peers: PeerFinder;
	readonly clock: Clock;
	/** The join request, without the state of a seeker. */
	readonly request: () => JoinRequest;
	/** The condition to report when no address is known that could be asked. */
	readonly aloneAdvice: string;
	readonly onWaiting: (waitsFor: string) => void;
	/** Founds a cluster of this node alone. */
	readonly found: () => void;
	readonly joined: (answer: Joined) => void;
	/** Called when every node that answers refuses. */
	readonly refused: (error: Error) => void;
};

/**
The condition that a node waits for when it knows no address to ask: a node that may found a cluster, and one that
belonged to a cluster before.
*/
export const seekingAlone = 'a member of the cluster to be heard: none is known yet';
export const returningAlone =
	'a member of the cluster that this node left, or belonged to before its files were damaged: ' +
	'no other member is known. Name one with --bootstrap. ' +
	'If this node was the only one, nothing but a backup of its data folder brings the cluster back';

const turnMs = 100;
const againMs = 250;
const candidatesMs = 300;

export class Bootstrapping {
	readonly #options: BootstrappingOptions;
	readonly #search: PeerSearch;
	readonly #timers = new Stack();
	#candidates: readonly Candidate[] | undefined;
	#candidatesMs = Number.NEGATIVE_INFINITY;
	/** The address of the leader, as reported by a node that was asked. */
	#leader: string | undefined;
	/** The last result of each address, as text; and the refusals that waiting does not change. */
	readonly #results = new Map<string, string>();
	readonly #refusals = new Map<string, Error>();
	/** Why members do not admit this node now, by their address. */
	readonly #reasons = new Map<string, string>();
	/** Members that redirect to their leader, and its address. */
	readonly #redirects = new Map<string, string>();
	/** Addresses at which a member of the cluster to be joined refused: its other members would refuse too. */
	readonly #refusedByMember = new Set<string>();
	/** Why each silent address did not answer. */
	readonly #failures = new Map<string, string>();
	/** Addresses at which this node reached itself. */
	readonly #own = new Set<string>();
	readonly #settled = Promise.withResolvers<void>();
	/** No other node answers at this node's own address, as far as this node can see. */
	#isAddressFree: boolean;
	#isStopped = false;

	constructor(options: BootstrappingOptions) {
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

	/** Resolves once this node makes progress: it founds, has joined, or has found another node to negotiate with. */
	get settled(): Promise<void> {
		return this.#settled.promise;
	}

	start(): void {
		this.#timers.use(this.#options.clock.every(turnMs, () => this.#turn()));
		if (!this.#isAddressFree) this.#search.ask([this.#options.address]);
		this.#turn();
	}

	stop(): void {
		this.#isStopped = true;
		this.#settled.resolve();
		this.#search.stop();
		this.#timers.dispose();
	}

	/** Answers another node's request, while this one is no member itself. */
	onRequest({id, address, seeking}: JoinRequest): JoinAnswer {
		const {founding, clock, address: own} = this.#options;
		if (!founding || !seeking) return {type: 'wait', reason: `the node at ${own} is joining itself`};
		const nowMs = clock.monotonicMs();
		founding.asked(id, address, seeking, nowMs);
		return {type: 'seeking', address: own, word: founding.state(nowMs)};
	}

	#question(): JoinRequest {
		const {founding, clock, request} = this.#options;
		return {...request(), ...(founding ? {seeking: founding.state(clock.monotonicMs())} : {})};
	}

	#readCandidates(nowMs: number): void {
		this.#candidatesMs = nowMs;
		void this.#options.peers.candidates().then(candidates => {
			this.#candidates = candidates;
			this.#turn(true);
		});
	}

	/** @param isFresh the candidates have just been read */
	#turn(isFresh = false): void {
		if (this.#isStopped) return;
		const {founding, clock} = this.#options;
		const nowMs = clock.monotonicMs();
		if (nowMs - this.#candidatesMs >= candidatesMs) this.#readCandidates(nowMs);
		if (this.#candidates === undefined) return; // The first search for candidates has not finished.
		const addresses = this.#addresses(nowMs);
		this.#search.ask(addresses);
		if (addresses.length > 0) this.#settled.resolve();
		for (const {address, isMember, isReported = false} of this.#candidates) {
			if (this.#own.has(address)) continue;
			if (isMember) founding?.memberHeard(address, nowMs);
			else if (isReported) founding?.memberReported(address, nowMs);
		}

		if (!founding)
			return this.#report(addresses.length === 0 ? this.#options.aloneAdvice : this.#resultsText(addresses));
		const decision = founding.decide(nowMs);
		if (
			decision.type === 'found' &&
			this.#isAddressFree &&
			addresses.every(address => this.#results.has(address))
		) {
			// A member may have been heard since the candidates were read.
			if (!isFresh) return this.#readCandidates(nowMs);
			this.stop();
			return this.#options.found();
		}

		this.#report(
			decision.type === 'found'
				? this.#pendingText(addresses)
				: decision.isAdmission
					? `${decision.for}${this.#admissionReasons(addresses)}`
					: `${decision.for}${this.#failureReasons(decision.for, addresses)}`,
		);
	}

	/** The addresses to ask, the leader first. */
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
		if (this.#isStopped) return;
		const {founding, clock} = this.#options;
		const {address} = asked;
		const nowMs = clock.monotonicMs();
		if (address === this.#options.address) return this.#onOwnAddress(asked);
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
				this.#results.set(address, 'it seeks a cluster too');
				founding?.answered(address, id, answer.address, answer.word, askedAtMs, nowMs);
				break;
			}

			case 'ask': {
				this.#leader = answer.address;
				this.#redirects.set(address, answer.address);
				this.#results.set(address, `the leader at ${answer.address} to answer`);
				break;
			}

			case 'wait': {
				if (address === this.#leader) this.#leader = undefined;
				this.#results.set(address, `${address}: ${answer.reason}`);
				this.#reasons.set(address, answer.reason);
				break;
			}

			case 'refused': {
				this.#refusals.set(address, new DapssError('refused', answer.reason));
				this.#results.set(address, `${address}, which refuses this node: ${answer.reason}`);
				this.#reasons.set(address, answer.reason);
				// A node of another cluster refuses for that cluster only.
				if (answer.clusterId === undefined) this.#refusedByMember.add(address);
				break;
			}

			default:
				answer satisfies never;
		}

		this.#turn();
		this.#maybeGiveUp();
	}

	/**
	An advertised address that does not lead back to this node may still be right: not every network lets a machine call
	its own external address.
	*/
	#onOwnAddress(asked: Asked): void {
		this.#isAddressFree = true;
		if ('error' in asked) return this.#turn();
		this.stop();
		this.#options.refused(
			new DapssError(
				'config',
				'Expected --advertise to be the address at which other nodes reach this node, ' +
					`got ${asked.address}, where node ${asked.id} answers`,
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
		// An error code of the system is short enough; a refusal has a reason.
		const why =
			typeof code === 'string' && /^E[A-Z_]+$/.test(code)
				? code
				: error.message.replace(`peer ${address} `, '').replace(`${address}: `, '');
		this.#results.set(address, `${address} to answer (${why})`);
		this.#failures.set(address, why);
		const isFinal = error instanceof DapssError && (error.code === 'not-authenticated' || error.code === 'refused');
		if (isFinal) this.#refusals.set(address, error);
		this.#turn();
		this.#maybeGiveUp();
	}

	/** Removes the former results of an address before its newest one. */
	#forget(address: string): void {
		for (const known of [this.#refusals, this.#reasons, this.#redirects, this.#failures, this.#refusedByMember])
			known.delete(address);
	}

	/**
	Gives up only when no address can still admit this node. A member that redirects to its leader counts as refused
	when the leader refuses. Once a member has refused, silent addresses and other seekers are not waited for.
	*/
	#maybeGiveUp(): void {
		if (this.#isStopped || this.#refusals.size === 0) return;
		const addresses = this.#addresses(this.#options.clock.monotonicMs());
		const verdict = addresses.find(address => this.#refusedByMember.has(address));
		const isRefused = (address: string): boolean => {
			const leader = this.#redirects.get(address);
			if (this.#refusals.has(address) || (leader !== undefined && this.#refusals.has(leader))) return true;
			return (
				verdict !== undefined &&
				leader === undefined &&
				!this.#reasons.has(address) &&
				this.#results.has(address)
			);
		};
		if (!addresses.every(address => isRefused(address))) return;
		this.stop();
		this.#options.refused(
			verdict === undefined ? this.#refusals.values().next().value! : this.#refusals.get(verdict)!,
		);
	}

	/** Before it founds a cluster, the node has asked every address, its own advertised one too. */
	#pendingText(addresses: readonly string[]): string {
		const silent = addresses.find(address => !this.#results.has(address));
		return silent === undefined
			? `the check that no other node answers at ${this.#options.address}`
			: `${silent} to answer`;
	}

	#resultsText(addresses: readonly string[]): string {
		return addresses.map(address => this.#results.get(address) ?? `${address} to answer`).join('; ');
	}

	/** The reasons of the members that do not admit this node. Other answers and silent addresses are left out. */
	#admissionReasons(addresses: readonly string[]): string {
		const reasons = new Set(
			// A member that does not lead passes no reason on: its leader has it.
			addresses.flatMap(address => this.#reasons.get(this.#redirects.get(address) ?? address) ?? []),
		);
		return reasons.size === 0 ? '' : `: ${[...reasons].join('; ')}`;
	}

	/** Why addresses are silent; with the address, unless `text` contains it. */
	#failureReasons(text: string, addresses: readonly string[]): string {
		const errors = new Set(
			addresses.flatMap(address => {
				const why = this.#failures.get(address);
				return why === undefined ? [] : [text.includes(address) ? why : `${address}: ${why}`];
			}),
		);
		return errors.size === 0 ? '' : ` (${[...errors].join('; ')})`;
	}

	#report(text: string): void {
		this.#options.onWaiting(text);
	}
}
