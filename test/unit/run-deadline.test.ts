import {expect, test} from 'vitest';
import type {Clock} from '../../core/ports.ts';
import {runDeadline} from '../../core/run-deadline.ts';

/** A process whose event loop may be blocked. Timers that come due meanwhile fire once, late. */
class Loop implements Pick<Clock, 'monotonicMs' | 'after' | 'soon'> {
	nowMs = 0;
	#timers: Array<{readonly dueMs: number; readonly run: () => void}> = [];
	#soon: Array<() => void> = [];

	monotonicMs(): number {
		return this.nowMs;
	}

	after(delayMs: number, run: () => void): Disposable {
		const timer = {dueMs: this.nowMs + delayMs, run};
		this.#timers.push(timer);
		return {[Symbol.dispose]: () => void (this.#timers = this.#timers.filter(other => other !== timer))};
	}

	soon(run: () => void): void {
		this.#soon.push(run);
	}

	get size(): number {
		return this.#timers.length + this.#soon.length;
	}

	/** The process runs for a while, one turn each `turnMs`. @param input is read between the timers and `soon` */
	run(ms: number, input?: () => void, turnMs = 1): void {
		for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
			this.nowMs += turnMs;
			const due = this.#timers.filter(({dueMs}) => dueMs <= this.nowMs);
			this.#timers = this.#timers.filter(timer => !due.includes(timer));
			for (const {run} of due) run();
			input?.();
			for (const run of this.#soon.splice(0)) run();
		}
	}
}

test('a deadline passes once, and never after it was disposed', () => {
	const loop = new Loop();
	const ends: string[] = [];
	const met = runDeadline(loop, 1000, () => ends.push('met'));
	runDeadline(loop, 1000, () => ends.push('not met'));
	loop.run(900);
	met[Symbol.dispose]();
	expect(ends).toEqual([]);
	loop.run(10_000);
	expect(ends).toEqual(['not met']);
	expect(loop.size).toBe(0);
});

test.each([0, 50, 100, 550, 950, 999])('a pause at %d ms leaves time for an answer that comes after it', atMs => {
	const loop = new Loop();
	let isOver = false;
	const deadline = runDeadline(loop, 1000, () => (isOver = true));
	loop.run(atMs);
	loop.nowMs += 12_000;
	loop.run(50);
	expect(isOver).toBe(false);
	deadline[Symbol.dispose]();
	loop.run(5000);
	expect(isOver).toBe(false);
});

test('input of the turn in which the last timer fires is read first', () => {
	const loop = new Loop();
	let isOver = false;
	const deadline = runDeadline(loop, 1000, () => (isOver = true));
	loop.run(999);
	loop.run(1, () => deadline[Symbol.dispose]());
	loop.run(5000);
	expect(isOver).toBe(false);
});

test('a pause delays the deadline, and does not lift it', () => {
	const loop = new Loop();
	let isOver = false;
	runDeadline(loop, 1000, () => (isOver = true));
	loop.run(500);
	loop.nowMs += 12_000;
	loop.run(650);
	expect(isOver).toBe(true);
});

test('a process whose every turn is late reaches the deadline too', () => {
	const loop = new Loop();
	let isOver = false;
	runDeadline(loop, 1000, () => (isOver = true));
	loop.run(19 * 500, undefined, 500);
	expect(isOver).toBe(false);
	loop.run(500, undefined, 500);
	expect(isOver).toBe(true);
});
