/**
How much a second, of each topic and in all. Counters are sampled as time goes by, not when somebody looks: so a rate is
the same for everyone who looks, and does not depend on when it was looked at last. Pure; time comes with each call.
*/
import type {Counts} from '../snapshot.ts';
type Sample<Name> = {readonly atMs: number; readonly total: Counts; readonly topics: ReadonlyMap<Name, Counts>};

const stepMs = 500;
const windowMs = 5000;
const none: Counts = {published: 0, delivered: 0, stored: 0, bytes: 0};

export class RateSampler<Name> {
	/** The oldest is a window old. */
	readonly #samples: Array<Sample<Name>> = [];

	/** Look at the counters, twice a second at most. */
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

	/** A second, of all topics. */
	get total(): Counts {
		return this.#between(({total}) => total);
	}

	/** A second, of one topic. */
	of(name: Name): Counts {
		return this.#between(({topics}) => topics.get(name));
	}

	#between(read: (sample: Sample<Name>) => Counts | undefined): Counts {
		const [first] = this.#samples;
		const last = this.#samples.at(-1);
		const to = last && read(last);
		if (!first || !last || !to || last.atMs <= first.atMs) return none;
		// A topic that was not there had none.
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
