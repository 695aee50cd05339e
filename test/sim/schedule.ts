/**
Virtual time: a heap of events ordered by time, then by the order of scheduling. No time passes within an event, so an
hour takes as long as its events take to run, and two runs of one seed are identical.
*/
type Event = {readonly atMs: number; readonly seq: number; readonly run: () => void};

export class Schedule {
	#nowMs = 0;
	#seq = 0;
	readonly #heap: Event[] = [];

	get nowMs(): number {
		return this.#nowMs;
	}

	get waiting(): number {
		return this.#heap.length;
	}

	/** Run it `inMs` from now. Events with the same time run in the order in which they were scheduled. */
	after(inMs: number, run: () => void): void {
		const heap = this.#heap;
		const event = {atMs: this.#nowMs + Math.max(0, inMs), seq: ++this.#seq, run};
		let at = heap.length;
		heap.push(event);
		while (at > 0) {
			const parent = (at - 1) >> 1;
			if (!isBefore(event, heap[parent]!)) break;
			heap[at] = heap[parent]!;
			at = parent;
		}

		heap[at] = event;
	}

	/** Run the next event. If it is due after `untilMs`, advance the time to `untilMs` instead and return false. */
	next(untilMs: number): boolean {
		const event = this.#heap[0];
		if (!event || event.atMs > untilMs) {
			this.#nowMs = Math.max(this.#nowMs, untilMs);
			return false;
		}

		this.#pop();
		this.#nowMs = event.atMs;
		event.run();
		return true;
	}

	/** Run all events due within `forMs`; `afterEach` runs after every event. */
	run(forMs: number, afterEach?: () => void): void {
		const untilMs = this.#nowMs + forMs;
		while (this.next(untilMs)) afterEach?.();
	}

	#pop(): void {
		const heap = this.#heap;
		const last = heap.pop()!;
		if (heap.length === 0) return;
		let at = 0;
		for (;;) {
			let child = at * 2 + 1;
			if (child >= heap.length) break;
			if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
			if (!isBefore(heap[child]!, last)) break;
			heap[at] = heap[child]!;
			at = child;
		}

		heap[at] = last;
	}
}

function isBefore(a: Event, b: Event): boolean {
	return a.atMs < b.atMs || (a.atMs === b.atMs && a.seq < b.seq);
}
