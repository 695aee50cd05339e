/**
Sessions: what each proposing node was answered, so that a command that reaches the log twice applies once and gets the
same answer (Raft thesis, 6.3). Part of the replicated state and of its snapshots. One session a node, that of its
newest incarnation: an older life of a node has nobody left to answer.
*/
import type {NodeId} from '../message.ts';
import type {Envelope} from './command.ts';

export type Result = {readonly ok: true} | {readonly ok: false; readonly reason: string};
export type SessionState = readonly [
	node: NodeId,
	incarnation: number,
	floor: number,
	results: ReadonlyArray<readonly [number, string]>,
];

/** More unanswered commands than a node may have in flight; older answers go first. */
const resultsMax = 8192;

type Session = {incarnation: number; floor: number; readonly results: Map<number, string>};

export class Sessions {
	readonly #sessions = new Map<NodeId, Session>();

	/** The answer that was given before; `undefined` when the command is new and shall apply. */
	answered(envelope: Envelope): Result | undefined {
		const session = this.#sessions.get(envelope.node);
		if (!session || envelope.incarnation > session.incarnation) return undefined;
		if (envelope.incarnation < session.incarnation)
			return {ok: false, reason: 'Expected a command of this life of the node, got one of an earlier life'};
		if (envelope.seq < session.floor) return {ok: true};
		const reason = session.results.get(envelope.seq);
		if (reason === undefined) return undefined;
		return reason === '' ? {ok: true} : {ok: false, reason};
	}

	record(envelope: Envelope, result: Result): void {
		let session = this.#sessions.get(envelope.node);
		if (!session || session.incarnation < envelope.incarnation) {
			session = {incarnation: envelope.incarnation, floor: 0, results: new Map()};
			this.#sessions.set(envelope.node, session);
		}

		session.results.set(envelope.seq, result.ok ? '' : result.reason);
		if (envelope.answeredBelow > session.floor) {
			session.floor = envelope.answeredBelow;
			for (const seq of session.results.keys()) if (seq < session.floor) session.results.delete(seq);
		}

		for (const seq of session.results.keys()) {
			if (session.results.size <= resultsMax) break;
			session.results.delete(seq);
		}
	}

	forget(node: NodeId): void {
		this.#sessions.delete(node);
	}

	save(): SessionState[] {
		const nodes = [...this.#sessions.keys()].toSorted();
		return nodes.map(node => {
			const {incarnation, floor, results} = this.#sessions.get(node)!;
			return [node, incarnation, floor, [...results]] as const;
		});
	}

	load(state: readonly SessionState[]): void {
		this.#sessions.clear();
		for (const [node, incarnation, floor, results] of state)
			this.#sessions.set(node, {incarnation, floor, results: new Map(results)});
	}
}
