/**
Rates per second, for each topic and in total. Counters are sampled as time passes, not on access, so a rate does not
depend on who reads it and when. Pure; time is an argument.
*/
import type {Counts} from '../snapshot.ts';
type Sample<Name> = {readonly atMs: number; readonly total: Counts; readonly topics: ReadonlyMap<Name, Counts>};

const stepMs = 500;
const windowMs = 5000;
const none: Counts = {published: 0, delivered: 0, stored: 0, bytes: 0};

export class RateSampler<Name> {
	/** The oldest sample is one window old. */
	readonly #samples: Array<Sample<Name>> = [];

	/** Samples the counters, at most twice a second. */
	tick(atMs: number, total: Counts, topics: () => Iterable<readonly [Name, Counts]>): void {
		const last = this.#samples.at(-1);
		if (last && atMs - last.atMs < stepMs) return;
		this.#samples.push({
			atMs,
			total: {...total},
			topics: new Map(
				[...topics()].map(([name, {published, delivered, stored, bytes}]) => [
					name,
					{published, delivered, stored, bytes},
				]),
			),
		});
		while (this.#samples.length > 2 && atMs - this.#samples[1]!.atMs >= windowMs) this.#samples.shift();
	}

	/** Rates of all topics together. */
	get total(): Counts {
		return this.#between(({total}) => total);
	}

	/** Rates of one topic. */
	of(name: Name): Counts {
		return this.#between(({topics}) => topics.get(name));
	}

	#between(read: (sample: Sample<Name>) => Counts | undefined): Counts {
		const [first] = this.#samples;
		const last = this.#samples.at(-1);
		const to = last && read(last);
		if (!first || !last || !to || last.atMs <= first.atMs) return none;
		// A topic without an earlier sample started at 0.
		const from = read(first) ?? none;
		const rate = (count: keyof Counts): number =>
			Math.max(0, Math.round(((to[count] - from[count]) * 1000) / (last.atMs - first.atMs)));
		return {
			published: rate('published'),
			delivered: rate('delivered'),
			stored: rate('stored'),
			bytes: rate('bytes'),
		};
	}
}
