/**
What a node promises for a full disk. With its reserve it starts there, also again after the reserve was released. Then
it refuses publishes with advice, stores no messages of others, and takes both again once there is room. Other checkers
judge that nothing is lost, and that unread deletions are reported.
*/
import type {DapssError} from '../../../../core/errors.ts';
import {fullDiskRemedy} from '../../../../core/io/file-system.ts';
import {reserveFile, type ReserveSizes} from '../../../../core/io/files/reserve.ts';
import type {Lamport} from '../../../../core/lamport.ts';
import type {BatchHeader} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Host} from '../host/host.ts';

/** As small as the simulated logs. */
export const simReserve: ReserveSizes = {reserve: 64 * 1024, low: 16 * 1024, spare: 64 * 1024};

/** Whether a process ended because its disk was full. */
export function isFullDisk(reason: string): boolean {
	return reason.includes('ENOSPC: no space left');
}

export class FullDiskChecks {
	/**
	Processes that started on a full disk, and whether they had a reserve. A start checks the room once, at its
	beginning.
	*/
	readonly #starting = new Map<Host, boolean>();
	/**
	Processes without a reserve at their last check, and their Lamport time at the first such check. Messages with a
	later stamp arrived afterwards. `undefined` until the node is assembled.
	*/
	readonly #short = new Map<Host, number | undefined>();
	/**
	By host: the fills of its disk when it had a reserve last. Until something else fills the disk again, a start
	succeeds, since messages never use the space of a released reserve.
	*/
	readonly #reserved = new Map<Host, number>();
	readonly #lamports = new Map<Host, Lamport>();
	/** Processes that cannot keep a reserve for another reason. They accept messages. */
	readonly #excused = new Set<Host>();
	/** Completed starts on a full disk; starts that failed without a reserve; refused messages. */
	readonly counts = {starts: 0, failedStarts: 0, refused: 0};

	booted(host: Host): void {
		this.#short.delete(host);
		this.#lamports.delete(host);
		this.#excused.delete(host);
		if (host.options.disk.isFilled) this.#starting.set(host, hasReserve(host));
		this.#noteReserve(host);
	}

	/** The node exists, and has not started. */
	assembled(host: Host, {options: {lamport}}: Node): void {
		this.#lamports.set(host, lamport);
		if (this.#short.has(host)) this.#noteShort(host);
	}

	started(host: Host): void {
		if (this.#starting.delete(host)) this.counts.starts++;
	}

	/** What is wrong with the end of the process. */
	ended(host: Host): string | undefined {
		const isWithReserve = this.#starting.get(host);
		this.#starting.delete(host);
		this.#short.delete(host);
		if (isWithReserve === undefined || !isFullDisk(host.exitReason)) return undefined;
		if (isWithReserve || this.#reserved.get(host) === host.options.disk.fills)
			return `a node with a reserve starts on a full disk: ${host.id} ended: ${host.exitReason}`;
		this.counts.failedStarts++; // Something else has taken the space of the reserve.
		return undefined;
	}

	/** A message of the node about its room. */
	said(host: Host, text: string): void {
		if (text.startsWith('No reserve for a full disk can be kept')) this.#excused.add(host);
	}

	/** The node has checked its room. */
	tended(host: Host): void {
		this.#noteReserve(host);
		if (hasReserve(host) || this.#excused.has(host)) this.#short.delete(host);
		else this.#noteShort(host);
	}

	/** A node appends a batch to a log. Returns what is wrong. */
	appended(host: Host, {origin, lamport, topic}: BatchHeader): string | undefined {
		const since = this.#short.get(host);
		return since === undefined || lamport <= since || origin === host.id
			? undefined
			: `a full disk accepts no messages: ${host.id} stores a batch of ${origin} in ${topic} with the stamp ${lamport}, full since ${since}`;
	}

	#noteShort(host: Host): void {
		this.#short.set(host, this.#short.get(host) ?? this.#lamports.get(host)?.now);
	}

	#noteReserve(host: Host): void {
		if (hasReserve(host)) this.#reserved.set(host, host.options.disk.fills);
	}

	/** A client publishes through the node. Returns a check of the answer, which returns what is wrong. */
	publishing(host: Host): (error: Partial<DapssError> | undefined) => string | undefined {
		if (!this.#short.has(host)) return () => undefined;
		return error => {
			if (error?.code === 'refused' && error.message?.endsWith(fullDiskRemedy)) this.counts.refused++;
			else
				return `a full disk accepts no messages: ${host.id} answers ${error?.message ?? 'that the messages are stored'}`;
			return undefined;
		};
	}

	/** At the end: the nodes that refuse messages although there is room. */
	remaining(hosts: readonly Host[]): string[] {
		return hosts
			.filter(
				host => (this.#short.has(host) || host.node?.options.io.room?.isFull) && !host.options.disk.isFilled,
			)
			.map(({id}) => `${id} has room on its disk and accepts no messages`);
	}
}

function hasReserve({options: {disk}}: Host): boolean {
	return disk.content(`/data/${reserveFile}`) !== undefined;
}
