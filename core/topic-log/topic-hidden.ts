/**
Messages of a deleted topic that its log still holds but no longer serves: those stamped up to the Lamport time of the
deletion. Segments without other messages are deleted at once. On a node that learned of the deletion late, later
messages may lie among earlier ones. They keep their offsets and their segment, and the hidden messages go with that
segment.
*/
import type {Batch} from '../message.ts';
import type {Log} from '../ports.ts';
import type {Segment} from './retention.ts';
import {decodeRecordHeader} from './topic-record.ts';

const scanBytes = 512 * 1024;

export class HiddenMessages {
	#until = 0;
	/** Deletion time for which segments were already dropped and counted. */
	#droppedUntil = 0;
	/** The earliest and the latest stamp in a segment, by the segment's start. */
	readonly #stamps = new Map<number, {readonly earliest: number; readonly latest: number}>();
	/** Number of hidden messages in segments that stay, by the segment's start. */
	readonly #counted = new Map<number, number>();
	readonly #log: Pick<Log, 'read'>;

	constructor(log: Pick<Log, 'read'>) {
		this.#log = log;
	}

	/** Lamport time up to which messages are hidden. */
	get until(): number {
		return this.#until;
	}

	/** Whether a deletion has not been processed yet. */
	get isNew(): boolean {
		return this.#droppedUntil < this.#until;
	}

	/** Number of hidden messages in segments that stay. */
	get messages(): number {
		let messages = 0;
		for (const count of this.#counted.values()) messages += count;
		return messages;
	}

	hide(until: number): void {
		this.#until = Math.max(this.#until, until);
	}

	has({lamport}: Pick<Batch, 'lamport'>): boolean {
		return lamport <= this.#until;
	}

	/** Notes a batch in the segment that begins there. */
	note(segment: number, lamport: number): void {
		const stamps = this.#stamps.get(segment);
		if (!stamps || lamport < stamps.earliest || lamport > stamps.latest)
			this.#stamps.set(segment, {
				earliest: Math.min(lamport, stamps?.earliest ?? lamport),
				latest: Math.max(lamport, stamps?.latest ?? lamport),
			});
	}

	/** Whether the segment may have messages hidden up to `until` that are not counted yet. */
	hasNewIn({first}: Segment, until: number): boolean {
		return this.#droppedUntil < until && (this.#stamps.get(first)?.earliest ?? Infinity) <= until;
	}

	/**
	The closed segments, oldest first, that hold only hidden messages; only a prefix.
	@param isDamaged a segment without messages may have lost some, which may come back
	*/
	segmentsToDrop<Of extends Segment>(closed: readonly Of[], isDamaged: boolean): readonly Of[] {
		// A segment without messages stays, unless a later one is to go.
		const kept = closed.findIndex(
			({first}) => (this.#stamps.get(first)?.latest ?? (this.isNew && !isDamaged ? 0 : Infinity)) > this.#until,
		);
		return kept === -1 ? closed : closed.slice(0, kept);
	}

	/**
	Counts the hidden messages in segments that stay, and returns how many are new. The deletion is processed then.
	@param stay with all messages stamped up to `until`, and written
	@param until of the deletion; a later one may have messages that are not in `stay`
	*/
	async count(stay: readonly Segment[], until: number): Promise<number> {
		if (until <= this.#droppedUntil) return 0;
		const before = this.messages;
		for (const {first, end} of stay.filter(segment => this.hasNewIn(segment, until))) {
			let messages = 0;
			for (let at = first; at < end;) {
				const {records, next} = await this.#log.read(at, Math.min(scanBytes, end - at));
				for (const {position, bytes} of records) {
					const record = position < end ? decodeRecordHeader(bytes) : undefined;
					if (record && record.type !== 'mark' && record.header.lamport <= until)
						messages += record.header.count;
				}

				if (next <= at) break;
				at = next;
			}

			if (messages > 0) this.#counted.set(first, messages);
		}

		this.#droppedUntil = until;
		return this.messages - before;
	}

	/** Messages of the segment that were already reported as deleted. */
	countedIn(segment: number): number {
		return this.#counted.get(segment) ?? 0;
	}

	/** Retention moved the start of the log. */
	dropBefore(position: number): void {
		for (const segment of this.#stamps.keys()) if (segment < position) this.#stamps.delete(segment);
		for (const segment of this.#counted.keys()) if (segment < position) this.#counted.delete(segment);
	}
}
