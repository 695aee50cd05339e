/**
The event loop of one simulated process. While the process is paused, its input waits. A timer that comes due meanwhile
fires once afterwards, however often it was due. Nothing runs after the process has ended.
*/
export class EventLoop {
	isPaused = false;
	isEnded = false;
	/** Input that arrived during a pause and is still unread. */
	unread = 0;
	#waiting: Array<() => void> = [];
	readonly #dueTimers = new Set<() => void>();

	/** Run the work, after the pause if there is one. */
	run(work: () => void): void {
		if (this.isEnded) return;
		if (this.isPaused) this.#waiting.push(() => this.run(work));
		else work();
	}

	/** Run the work after the pause, before all other waiting work. */
	runFirst(work: () => void): void {
		this.#waiting.unshift(() => this.run(work));
	}

	/** A timer is due. */
	fire(timer: () => void): void {
		if (this.isEnded) return;
		if (this.isPaused) this.#dueTimers.add(timer);
		else timer();
	}

	/** @param areTimersFirst after a pause, timers may run before the waiting input or after it */
	resume(areTimersFirst: boolean): void {
		this.isPaused = false;
		const input = this.#waiting.splice(0).map(work => (): void => {
			this.unread--;
			work();
		});
		this.unread = input.length;
		const timers = [...this.#dueTimers];
		this.#dueTimers.clear();
		for (const work of areTimersFirst ? [...timers, ...input] : [...input, ...timers]) work();
	}

	end(): void {
		this.isEnded = true;
		this.isPaused = false;
		this.unread = 0;
	}
}
