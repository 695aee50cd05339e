/**
Two processes with one identity: somebody copied a data folder. A second one must be refused before it can publish, and
both sides must be told; but a process that was restarted, and whose former connection has not been found dead yet,
looks the same. So the process that is linked is asked. If it answers, both run. If it stays silent, it is gone and the
caller takes its place.

Which of two that run is kept is agreed: the instance that the cluster has recorded for the node (`claim`). Before that,
neither can publish, and both wait. A process that the agreement has passed over is refused also while no other one is
linked: the agreed one may have crashed, and that must not look undone.
*/
import type {NodeId} from '../message.ts';

/** One process of a node, by its hello. */
export type Process = {readonly instance: string; readonly incarnation: number; readonly address: string};
export type Judgement =
	| {readonly type: 'take'}
	/** Call again: it is not known yet. */
	| {readonly type: 'wait'; readonly reason: string}
	/** It is a second process, and is to stop. */
	| {readonly type: 'refuse'; readonly reason: string; readonly incarnation: number};
export type DoublesOptions = {
	readonly nowMs: () => number;
	/** The process that the cluster has agreed on for the node; `undefined` when there is none. */
	readonly agreed: (id: NodeId) => Pick<Process, 'instance' | 'incarnation'> | undefined;
	/** Ask the process that is linked whether it runs. `other`: where the caller is. */
	readonly ask: (peer: NodeId, other: string) => void;
	/** Close the link to the process that is linked. */
	readonly drop: (peer: NodeId, why: string) => void;
	/** Two processes of this node run. */
	readonly found: (id: NodeId, kept: string, refused: string) => void;
};

/** A process that does not answer for so long is gone. Longer than a stall of an event loop that is to be expected. */
const answerMs = 1000;
const askedMax = 256;

export class Doubles {
	readonly #options: DoublesOptions;
	/** Linked processes that were asked, and whether they answered since. */
	readonly #asked = new Map<NodeId, {readonly instance: string; readonly atMs: number; isAnswered: boolean}>();

	constructor(options: DoublesOptions) {
		this.#options = options;
	}

	/**
	A process calls under the id of a peer. `linked`: another process that the peer is linked to, if there is one.
	*/
	judge(peer: NodeId, caller: Process, linked: Process | undefined): Judgement {
		const {nowMs, agreed, ask, drop, found} = this.#options;
		if (!linked) return this.#judgeAlone(peer, caller);
		const asked = this.#asked.get(peer);
		if (asked?.instance !== linked.instance) {
			if (this.#asked.size >= askedMax) this.#asked.clear();
			this.#asked.set(peer, {instance: linked.instance, atMs: nowMs(), isAnswered: false});
			ask(peer, caller.address);
			return {
				type: 'wait',
				reason: `another process of node ${peer} is linked from ${linked.address}: it is being asked whether it still runs`,
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

		this.#asked.delete(peer); // The next call is judged anew.
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
					reason: `node ${peer} runs at ${linked.address} already: this process, at ${caller.address}, uses a copy of its data folder. Stop it, and start it with an empty data folder`,
					incarnation: kept.incarnation,
				}
			: {
					type: 'wait',
					reason: `node ${peer} runs at ${linked.address} and at ${caller.address}: which of them is kept is not agreed yet`,
				};
	}

	/** A claim counts only with a later incarnation than the agreed one: this process could never be confirmed. */
	#judgeAlone(peer: NodeId, {instance, incarnation, address}: Process): Judgement {
		const kept = this.#options.agreed(peer);
		if (!kept || kept.instance === instance || incarnation > kept.incarnation) return {type: 'take'};
		return {
			type: 'refuse',
			reason: `node ${peer} has been started in another data folder, which the cluster has agreed on (incarnation ${kept.incarnation}): this process, at ${address}, uses an older copy of it (incarnation ${incarnation}). Stop it, and start the newer folder, or this one emptied`,
			incarnation: kept.incarnation,
		};
	}

	/** The linked process of this peer runs. */
	answered(peer: NodeId): void {
		const asked = this.#asked.get(peer);
		if (asked) asked.isAnswered = true;
	}
}
