/**
Virtual time: a heap of (time, order of scheduling). Nothing happens between two events, so an hour passes as fast as
its events can be carried out, and two runs of one seed are the same run.
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

	/** Run it `inMs` from now; what is due at one time runs in the order in which it was scheduled. */
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

	/** Carry out the next event, unless it is due after `untilMs`: then time moves there and the answer is false. */
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

	/** Carry out all that is due within `forMs`; `afterEach` runs after every event. */
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
