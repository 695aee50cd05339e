/**
The watchers of a node: each gets a snapshot at once, and then one in each interval. Without watchers no snapshot is
built.
*/
import type {Clock} from '../ports.ts';
import type {Snapshot} from '../snapshot.ts';

export class Watchers implements Disposable {
	readonly #all = new Set<(snapshot: Snapshot) => void>();
	readonly #options: {readonly clock: Clock; readonly intervalMs: number; readonly view: () => Snapshot};
	#timer: Disposable | undefined;
	/** The snapshot of this turn of the event loop: many watchers may come in one turn. */
	#present: Snapshot | undefined;

	constructor(options: {readonly clock: Clock; readonly intervalMs: number; readonly view: () => Snapshot}) {
		this.#options = options;
	}

	add(onSnapshot: (snapshot: Snapshot) => void): Disposable {
		const {clock, intervalMs, view} = this.#options;
		this.#all.add(onSnapshot);
		if (!this.#present) {
			this.#present = view();
			clock.soon(() => {
				this.#present = undefined;
			});
		}

		onSnapshot(this.#present);
		this.#timer ??= clock.every(intervalMs, () => {
			const snapshot = view();
			for (const watcher of this.#all) watcher(snapshot);
		});
		return {
			[Symbol.dispose]: () => {
				this.#all.delete(onSnapshot);
				if (this.#all.size === 0) this[Symbol.dispose]();
			},
		};
	}

	[Symbol.dispose](): void {
		this.#timer?.[Symbol.dispose]();
		this.#timer = undefined;
	}
}
