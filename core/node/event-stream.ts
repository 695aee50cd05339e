/**
The events of a node as one stream, with the messages of its own topics on request. The reader sets the pace: messages
wait in the log, other events in a bounded queue.
*/
import type {RecordedEvent, TrackedEvent} from '../events.ts';
import type {EventWatch} from '../observe/journal.ts';
import type {FeedEvent, OwnFeed} from './own-messages.ts';

export class EventStream implements AsyncIterableIterator<TrackedEvent> {
	readonly #watch: EventWatch;
	readonly #feed: OwnFeed | undefined;
	readonly #wallMs: () => number;
	#events: Iterator<RecordedEvent> = [].values();
	#messages: Iterator<FeedEvent> | undefined;
	#wake: (() => void) | undefined;
	#isOver = false;

	/** The end of the iteration disposes of `watch` and `feed`. */
	constructor(watch: EventWatch, feed: OwnFeed | undefined, wallMs: () => number) {
		this.#watch = watch;
		this.#feed = feed;
		this.#wallMs = wallMs;
		const wake = (): void => this.#wake?.();
		watch.onNews = wake;
		if (feed) feed.onNews = wake;
	}

	[Symbol.asyncIterator](): this {
		return this;
	}

	async next(): Promise<IteratorResult<TrackedEvent, undefined>> {
		for (;;) {
			const value = this.#isOver ? undefined : this.#take();
			if (value) return {value, done: false};
			if (this.#isOver || this.#watch.isClosed) {
				this.#end();
				return {value: undefined, done: true};
			}

			await new Promise<void>(resolve => {
				this.#wake = resolve;
			});
			this.#wake = undefined;
		}
	}

	async return(): Promise<IteratorResult<TrackedEvent, undefined>> {
		this.#end();
		return {value: undefined, done: true};
	}

	#take(): TrackedEvent | undefined {
		// After the end, the remaining messages come before the last event.
		return this.#watch.isClosed ? (this.#message() ?? this.#event()) : (this.#event() ?? this.#message());
	}

	#event(): RecordedEvent | undefined {
		const first = this.#events.next();
		if (!first.done) return first.value;
		this.#events = this.#watch.take().values();
		const next = this.#events.next();
		return next.done ? undefined : next.value;
	}

	#message(): TrackedEvent | undefined {
		for (;;) {
			const next = this.#messages?.next();
			if (next && !next.done) return {at: this.#wallMs(), ...next.value};
			const part = this.#feed?.take();
			this.#messages = part?.[Symbol.iterator]();
			if (!this.#messages) return undefined;
		}
	}

	#end(): void {
		this.#isOver = true;
		this.#watch[Symbol.dispose]();
		this.#feed?.[Symbol.dispose]();
		this.#wake?.();
	}
}
