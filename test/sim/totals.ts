/**
The results of all seeds of a run, added up.
*/
import type {Report} from './worker.ts';

type Failure = Extract<Report, {readonly type: 'failed'}>;

export class Totals {
	seeds = 0;
	virtualMs = 0;
	events = 0;
	readonly failed: number[] = [];
	readonly #counts = new Map<string, number>();
	readonly #agreedMs: number[] = [];
	readonly #convergedMs: number[] = [];
	readonly #onFailure: (failure: Failure) => void;

	constructor(onFailure: (failure: Failure) => void) {
		this.#onFailure = onFailure;
	}

	take(report: Exclude<Report, {readonly type: 'done'}>): void {
		this.seeds++;
		if (report.type === 'failed') {
			this.failed.push(report.seed);
			this.#onFailure(report);
			return;
		}

		const {virtualMs, events, agreedMs, convergedMs, faults, work} = report.outcome;
		this.virtualMs += virtualMs;
		this.events += events;
		this.#agreedMs.push(agreedMs);
		this.#convergedMs.push(convergedMs);
		for (const [name, value] of [...Object.entries(faults), ...Object.entries(work)])
			this.#counts.set(name, (this.#counts.get(name) ?? 0) + value);
	}

	counts(): Readonly<Record<string, number>> {
		return Object.fromEntries(this.#counts);
	}

	agreed(): string {
		return spread(this.#agreedMs);
	}

	converged(): string {
		return spread(this.#convergedMs);
	}
}

function spread(numbers: readonly number[]): string {
	const sorted = numbers.toSorted((a, b) => a - b);
	const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
	return `p50 ${at(0.5)}, p99 ${at(0.99)}, worst ${at(1)}`;
}
