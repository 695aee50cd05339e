/**
Checks the causes that nodes report for a change of leader against what happened to the former leader.
*/
import type {BrokerEvent, LeaderCause} from '../../../../core/events.ts';
import type {NodeId} from '../../../../core/message.ts';

type LeaderEvent = Extract<BrokerEvent, {readonly type: 'leader'}>;
type Link = {wasUp: boolean; isClosed: boolean; isRefused: boolean};

export class LeaderCauseChecks {
	readonly counts: Record<LeaderCause, number> = {
		silent: 0,
		crashed: 0,
		transferred: 0,
		'quorum-lost': 0,
		'newer-term': 0,
		removed: 0,
		started: 0,
	};
	/** When the process of each node last ended, and when it last started to transfer leadership. */
	readonly #endedMs = new Map<NodeId, number>();
	readonly #handedOverMs = new Map<NodeId, number>();
	/** When each node started to lead in a term, by its own report. */
	readonly #ledMs = new Map<string, number>();
	/**
	By running process: the term in which it last followed each leader; the state of its links, as reported to it.
	*/
	readonly #followed = new Map<string, Map<NodeId, number>>();
	readonly #links = new Map<string, Map<NodeId, Link>>();

	/** @param key of the machine */
	booted(key: string): void {
		this.#followed.set(key, new Map());
		this.#links.set(key, new Map());
	}

	ended(id: NodeId, nowMs: number): void {
		this.#endedMs.set(id, nowMs);
	}

	handedOver(id: NodeId, nowMs: number): void {
		this.#handedOverMs.set(id, nowMs);
	}

	linked(key: string, peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void {
		const link = this.#links.get(key)?.get(peer) ?? {wasUp: false, isClosed: false, isRefused: false};
		this.#links.get(key)?.set(peer, link);
		if (change === 'up') Object.assign(link, {wasUp: true, isClosed: false, isRefused: false});
		else if (change === 'down') Object.assign(link, {isClosed: true, isRefused: false});
		else if (change === 'refused') link.isRefused = true;
	}

	/** What is wrong with treating this peer as crashed now. */
	treatedAsCrashed(key: string, peer: NodeId): string | undefined {
		const link = this.#links.get(key)?.get(peer);
		return link?.wasUp === true && link.isClosed && link.isRefused
			? undefined
			: `a closed link alone is no evidence of a crash: ${key} treats ${peer} as crashed`;
	}

	/** What is wrong with the report. */
	reported(
		{id, key}: {readonly id: NodeId; readonly key: string},
		{leader, previous, cause, silentMs, term}: LeaderEvent,
		{nowMs, electionMs}: {readonly nowMs: number; readonly electionMs: number},
	): string | undefined {
		const followed = this.#followed.get(key)!;
		// The node may learn late of a leadership that is already over. Its start counts.
		const sinceMs = this.#ledMs.get(`${previous}:${previous && followed.get(previous)}`);
		if (leader !== undefined) followed.set(leader, term);
		if (leader === id) this.#ledMs.set(`${id}:${term}`, nowMs);
		if (cause === undefined) return `a change of leader has a cause: ${id} gives none in term ${term}`;
		this.counts[cause]++;
		const isStart = cause === 'started';
		if (isStart !== (previous === undefined))
			return `only the first leader has no predecessor: ${id} reports ${cause}, and ${previous} as predecessor, in term ${term}`;
		// The node followed the leader for less than a tick.
		if (previous === undefined || sinceMs === undefined) return undefined;
		const happened = (atMs: number | undefined): boolean => atMs !== undefined && atMs >= sinceMs;
		if (cause === 'crashed' && !happened(this.#endedMs.get(previous)))
			return `a leader reported as crashed has ended: ${id} reports ${previous} in term ${term}`;
		if (cause === 'transferred' && !happened(this.#handedOverMs.get(previous)))
			return `a leader reported as transferred was asked to transfer: ${id} reports ${previous} in term ${term}`;
		if (cause === 'silent' && silentMs !== undefined && silentMs < electionMs)
			return `a silent leader was silent for an election timeout: ${id} reports ${silentMs} ms for ${previous} in term ${term}`;
		return undefined;
	}
}
