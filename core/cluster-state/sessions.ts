/**
Client sessions: the results that each proposing node got, so that a command that reaches the log twice applies once and
gets the same result (Raft thesis, 6.3). They are part of the replicated state and of its snapshots. Each node has one
session, that of its newest incarnation, because no process waits for results of an older one.
*/
import {isNodeId, type NodeId} from '../message.ts';
import {isCount, type Envelope} from './command.ts';

export type Result = {readonly ok: true} | {readonly ok: false; readonly reason: string};
export type SessionState = readonly [
	node: NodeId,
	incarnation: number,
	floor: number,
	results: ReadonlyArray<readonly [number, string]>,
];

/** Results per session, more than a node may have commands in flight; the oldest are dropped first. */
const resultsMax = 8192;

type Session = {incarnation: number; floor: number; readonly results: Map<number, string>};

export class Sessions {
	readonly #sessions = new Map<NodeId, Session>();

	/** The recorded result; `undefined` when the command is new and must be applied. */
	answered(envelope: Envelope): Result | undefined {
		const session = this.#sessions.get(envelope.node);
		if (!session || envelope.incarnation > session.incarnation) return undefined;
		if (envelope.incarnation < session.incarnation)
			return {ok: false, reason: 'Expected a command of this incarnation of the node, got one of an earlier one'};
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

/** Whether a decoded value is a saved session. */
export function isSessionState(value: unknown): value is SessionState {
	if (!Array.isArray(value) || value.length !== 4) return false;
	const [node, incarnation, floor, results] = value as unknown[];
	return (
		isNodeId(node) &&
		isCount(incarnation) &&
		isCount(floor) &&
		Array.isArray(results) &&
		results.length <= resultsMax &&
		results.every(
			(row: unknown) => Array.isArray(row) && row.length === 2 && isCount(row[0]) && typeof row[1] === 'string',
		)
	);
}
