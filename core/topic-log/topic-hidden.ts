/**
What a topic's log holds and does not give out any more, because the topic was deleted: everything that is stamped up to
the Lamport time of the deletion. Segments with nothing else go at once. In a node that heard of the deletion late,
messages of after it may lie between those of before it: they stay where they are, since offsets do not change, and the
others go with their segment.
*/
import type {Batch} from '../message.ts';
import type {Log} from '../ports.ts';
import type {Segment} from './retention.ts';
import {decodeRecordHeader} from './topic-record.ts';

const scanBytes = 512 * 1024;

export class HiddenMessages {
	#until = 0;
	/** Up to here was dropped what could be. */
	#droppedUntil = 0;
	/** The earliest and the latest stamp in a segment, by where it begins. */
	readonly #stamps = new Map<number, {readonly earliest: number; readonly latest: number}>();
	/** Messages that are hidden, in segments that stay. */
	readonly #left = new Map<number, number>();
	readonly #log: Pick<Log, 'read'>;

	constructor(log: Pick<Log, 'read'>) {
		this.#log = log;
	}

	/** There is something that was not looked for yet. */
	get isNew(): boolean {
		return this.#droppedUntil < this.#until;
	}

	/** Hidden, and in segments that stay. */
	get messages(): number {
		let messages = 0;
		for (const count of this.#left.values()) messages += count;
		return messages;
	}

	hide(until: number): void {
		this.#until = Math.max(this.#until, until);
	}

	has({lamport}: Pick<Batch, 'lamport'>): boolean {
		return lamport <= this.#until;
	}

	/** A batch lies in the segment that begins there. */
	note(segment: number, lamport: number): void {
		const stamps = this.#stamps.get(segment);
		if (!stamps || lamport < stamps.earliest || lamport > stamps.latest)
			this.#stamps.set(segment, {
				earliest: Math.min(lamport, stamps?.earliest ?? lamport),
				latest: Math.max(lamport, stamps?.latest ?? lamport),
			});
	}

	/** The segment holds something that is hidden and was not looked for yet. */
	isIn({first}: Segment): boolean {
		return this.isNew && (this.#stamps.get(first)?.earliest ?? Infinity) <= this.#until;
	}

	/**
	Of the closed segments, oldest first, those that hold nothing else; whole prefixes only.
	@param isDamaged one without any message may have lost some, which may come back
	*/
	segmentsToDrop<Of extends Segment>(closed: readonly Of[], isDamaged: boolean): readonly Of[] {
		// One without any message is kept, unless it is in the way of what is to go.
		const kept = closed.findIndex(
			({first}) => (this.#stamps.get(first)?.latest ?? (this.isNew && !isDamaged ? 0 : Infinity)) > this.#until,
		);
		return kept === -1 ? closed : closed.slice(0, kept);
	}

	/** Look for what is hidden in segments that stay. How many messages that are. */
	async count(stay: readonly Segment[]): Promise<number> {
		if (!this.isNew) return 0;
		const until = this.#until;
		const before = this.messages;
		for (const {first, end} of stay.filter(segment => this.isIn(segment))) {
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

			if (messages > 0) this.#left.set(first, messages);
		}

		this.#droppedUntil = until;
		return this.messages - before;
	}

	/** Messages of the segment that were told of as deleted before it goes. */
	told(segment: number): number {
		return this.#left.get(segment) ?? 0;
	}

	/** The log begins here now. */
	dropBefore(position: number): void {
		for (const segment of this.#stamps.keys()) if (segment < position) this.#stamps.delete(segment);
		for (const segment of this.#left.keys()) if (segment < position) this.#left.delete(segment);
	}
}
