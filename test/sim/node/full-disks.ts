/**
What a node promises for a full disk. With its reserve it starts there, also again after the reserve was released. Then
it refuses publishes with advice, stores no messages of others, and takes both again once there is room. Other checkers
judge that nothing is lost, and that unread deletions are reported.
*/
import type {DapssError} from '../../../core/errors.ts';
import {fullDiskRemedy} from '../../../core/io/file-system.ts';
import {reserveFile, type ReserveSizes} from '../../../core/io/files/reserve.ts';
import type {Host} from './host.ts';

/** As small as simulated logs are. */
export const simReserve: ReserveSizes = {reserve: 64 * 1024, low: 16 * 1024, spare: 64 * 1024};

/** A process ended since nothing more could be written. */
export function isFullDisk(reason: string): boolean {
	return reason.includes('ENOSPC: no space left');
}

export class FullDisks {
	/** Processes whose start found the disk full, and whether with a reserve. A start looks for room once, at its beginning. */
	readonly #starting = new Map<Host, boolean>();
	/** Processes that had no reserve when they looked last. */
	readonly #short = new Set<Host>();
	/** Hosts that had a reserve once: from then on a start gets through, since messages never use its space. */
	readonly #reserved = new Set<Host>();
	/** Processes that something else than the room keeps from a reserve: they take messages. */
	readonly #excused = new Set<Host>();
	/**
	Of whole starts on a disk that was full, of starts that found neither room nor a reserve, and of messages that were
	refused.
	*/
	readonly counts = {starts: 0, failedStarts: 0, refused: 0};

	booted(host: Host): void {
		this.#short.delete(host);
		this.#excused.delete(host);
		if (host.options.disk.isFilled) this.#starting.set(host, hasReserve(host));
	}

	started(host: Host): void {
		if (this.#starting.delete(host)) this.counts.starts++;
	}

	/** What is wrong about its end. */
	ended(host: Host): string | undefined {
		const isWithReserve = this.#starting.get(host);
		this.#starting.delete(host);
		this.#short.delete(host);
		if (isWithReserve === undefined || !isFullDisk(host.reason)) return undefined;
		if (isWithReserve || this.#reserved.has(host))
			return `a start on a full disk gets through with a reserve: ${host.id} ended: ${host.reason}`;
		this.counts.failedStarts++; // It never had the space for a reserve.
		return undefined;
	}

	/** What it says of its room. */
	said(host: Host, text: string): void {
		if (text.startsWith('No reserve for a full disk can be kept')) this.#excused.add(host);
	}

	/** It has looked how much room there is. */
	tended(host: Host): void {
		if (hasReserve(host)) this.#reserved.add(host);
		if (hasReserve(host) || this.#excused.has(host)) this.#short.delete(host);
		else this.#short.add(host);
	}

	/** A client publishes through the node: what is wrong about the answer. */
	publishing(host: Host): (error: Partial<DapssError> | undefined) => string | undefined {
		if (!this.#short.has(host)) return () => undefined;
		return error => {
			if (error?.code === 'refused' && error.message?.endsWith(fullDiskRemedy)) this.counts.refused++;
			else return `a full disk takes no messages: ${host.id} answers ${error?.message ?? 'that they are stored'}`;
			return undefined;
		};
	}

	/** In the end: who refuses messages although there is room. */
	left(hosts: readonly Host[]): string[] {
		return hosts
			.filter(
				host => (this.#short.has(host) || host.node?.options.io.room?.isFull) && !host.options.disk.isFilled,
			)
			.map(({id}) => `${id} has room on its disk, and takes no messages`);
	}
}

function hasReserve({options: {disk}}: Host): boolean {
	return disk.content(`/data/${reserveFile}`) !== undefined;
}
