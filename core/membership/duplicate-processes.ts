/**
Detects two processes with one identity, which happens when a data folder is copied. The second process must be refused
before it can publish, and both sides must be informed. A process that was restarted while its former connection has not
timed out yet looks the same. So the linked process is asked whether it still runs. If it answers, both run. If it stays
silent, it is gone and the caller takes its place.

Raft agrees which of two running processes is kept: the instance that the cluster recorded for the node (`claim.ts`).
Until then neither can publish, and both wait. A process that lost the claim is refused even while no other one is
linked: the agreed process may have crashed, and its claim must not be undone by that.
*/
import type {NodeId} from '../message.ts';

/** One process of a node, as described by its hello. */
export type Process = {readonly instance: string; readonly incarnation: number; readonly address: string};
export type Judgement =
	| {readonly type: 'take'}
	/** Not decided yet: the caller is to try again. */
	| {readonly type: 'wait'; readonly reason: string}
	/** The caller is a second process, and must stop. */
	| {readonly type: 'refuse'; readonly reason: string; readonly incarnation: number};
export type DuplicateProcessesOptions = {
	readonly nowMs: () => number;
	/** The process that the cluster has agreed on for the node; `undefined` when there is none. */
	readonly agreed: (id: NodeId) => Pick<Process, 'instance' | 'incarnation'> | undefined;
	/** Asks the linked process whether it still runs. `other`: the address of the caller. */
	readonly ask: (peer: NodeId, other: string) => void;
	/** Closes the link to the linked process. */
	readonly drop: (peer: NodeId, why: string) => void;
	/** Reports that two processes of this node run. */
	readonly found: (id: NodeId, kept: string, refused: string) => void;
};

/** A process that does not answer for this long counts as gone. Longer than an expected stall of the event loop. */
const answerMs = 1000;
const askedMax = 256;

export class DuplicateProcesses {
	readonly #options: DuplicateProcessesOptions;
	/** Linked processes that were asked, and whether they have answered. */
	readonly #asked = new Map<NodeId, {readonly instance: string; readonly atMs: number; isAnswered: boolean}>();

	constructor(options: DuplicateProcessesOptions) {
		this.#options = options;
	}

	/**
	Decides about a caller that uses the id of a peer. `linked`: the other process that the peer is linked to, if any.
	*/
	judge(peer: NodeId, caller: Process, linked: Process | undefined): Judgement {
		const {nowMs, agreed, ask, drop, found} = this.#options;
		if (!linked) return this.#judgeUnlinked(peer, caller);
		const asked = this.#asked.get(peer);
		if (asked?.instance !== linked.instance) {
			if (this.#asked.size >= askedMax) this.#asked.clear();
			this.#asked.set(peer, {instance: linked.instance, atMs: nowMs(), isAnswered: false});
			ask(peer, caller.address);
			return {
				type: 'wait',
				reason:
					`another process of node ${peer} is linked from ${linked.address}: ` +
					'it is being asked whether it still runs',
			};
		}

		const isOver = nowMs() - asked.atMs >= answerMs;
		if (!asked.isAnswered) {
			if (!isOver)
				return {
					type: 'wait',
					reason: `another process of node ${peer} is linked from ${linked.address}: it has not answered yet`,
				};
			this.#asked.delete(peer);
			drop(peer, 'its process does not answer, and another one calls');
			return {type: 'take'};
		}

		this.#asked.delete(peer); // The next call starts a new question.
		const kept = agreed(peer);
		if (kept?.instance === caller.instance) {
			found(peer, caller.address, linked.address);
			drop(peer, 'another process of this node is the one that the cluster has agreed on');
			return {type: 'take'};
		}

		found(peer, linked.address, caller.address);
		return kept?.instance === linked.instance
			? {
					type: 'refuse',
					reason:
						`node ${peer} runs at ${linked.address} already: this process, at ${caller.address}, ` +
						'uses a copy of its data folder. Stop it, and start it with an empty data folder',
					incarnation: kept.incarnation,
				}
			: {
					type: 'wait',
					reason:
						`node ${peer} runs at ${linked.address} and at ${caller.address}: ` +
						'which of them is kept is not agreed yet',
				};
	}

	/**
	A claim counts only with a later incarnation than the agreed one, so an older process could never be confirmed.
	*/
	#judgeUnlinked(peer: NodeId, {instance, incarnation, address}: Process): Judgement {
		const kept = this.#options.agreed(peer);
		if (!kept || kept.instance === instance || incarnation > kept.incarnation) return {type: 'take'};
		return {
			type: 'refuse',
			reason:
				`node ${peer} has been started in another data folder, which the cluster has agreed on (incarnation ` +
				`${kept.incarnation}): this process, at ${address}, uses an older copy of it (incarnation ` +
				`${incarnation}). Stop it, and start the newer folder, or this one emptied`,
			incarnation: kept.incarnation,
		};
	}

	/** The linked process of this peer answered: it runs. */
	answered(peer: NodeId): void {
		const asked = this.#asked.get(peer);
		if (asked) asked.isAnswered = true;
	}
}
