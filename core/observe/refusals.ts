/**
Refused requests for the audit log, without a line for each: a client can send thousands of them in a second. The first
refusal of a client for an action, a topic and a reason is recorded at once. Later ones are counted, and the count is
recorded once a minute. Refusals for which there is no row any more are counted together.
*/
import type {BrokerEvent} from '../events.ts';

type Audit = Extract<BrokerEvent, {readonly type: 'audit'}>;
export type Refusal = Pick<Audit, 'action' | 'target' | 'by' | 'address'> & {readonly reason: string};

export type RefusalsOptions = {
	readonly record: (event: Audit) => void;
	/** The table of rows is full, or this client has all its rows. */
	readonly full: (client: string) => void;
	readonly nowMs: () => number;
};

/** An event for each row per interval, so a flood writes at most twice `rowsMax` events in it. */
export const rowsMax = 32;
/** One client leaves rows to the others. */
export const rowsPerClientMax = 8;
export const intervalMs = 60_000;

type Row = {readonly client: string; refusal: Refusal; count: number};

export class Refusals {
	readonly #options: RefusalsOptions;
	readonly #rows = new Map<string, Row>();
	#others = 0;
	#reportedMs: number;

	constructor(options: RefusalsOptions) {
		this.#options = options;
		this.#reportedMs = options.nowMs();
	}

	/** @param client the name under which limits are counted */
	add(client: string, refusal: Refusal): void {
		const {record, full} = this.#options;
		const {action, target, reason} = refusal;
		const key = [client, action, target, reason].join('\n');
		const row = this.#rows.get(key);
		if (row) {
			row.count++;
			row.refusal = refusal;
			return;
		}

		if (this.#rows.size >= rowsMax || this.#rowsOf(client) >= rowsPerClientMax) {
			this.#others++;
			full(client);
			return;
		}

		this.#rows.set(key, {client, refusal, count: 0});
		record(failed(refusal));
	}

	/** Call regularly: records the counts of the last minute, and forgets rows that were not refused again. */
	tick(): void {
		const nowMs = this.#options.nowMs();
		if (nowMs - this.#reportedMs < intervalMs) return;
		this.#reportedMs = nowMs;
		this.#report();
	}

	/** The node stops: records what was counted since the last report. */
	close(): void {
		this.#report();
	}

	#report(): void {
		const {record} = this.#options;
		for (const [key, row] of this.#rows) {
			if (row.count === 0) this.#rows.delete(key);
			else record({...failed(row.refusal), count: row.count});
			row.count = 0;
		}

		if (this.#others === 0) return;
		const reason = 'requests of other clients, for other topics or for other reasons were refused';
		record({...failed({action: 'other', target: '', by: '', address: '', reason}), count: this.#others});
		this.#others = 0;
	}

	#rowsOf(client: string): number {
		let rows = 0;
		for (const row of this.#rows.values()) if (row.client === client) rows++;
		return rows;
	}
}

function failed(refusal: Refusal): Audit {
	return {type: 'audit', ...refusal, outcome: 'failed'};
}
