/**
Who reached the limits of a node, and how often. Clients may have any number of names, so few of them are kept for each
limit; the others are counted together.
*/

/** Names that are kept for each limit. */
export const namesMax = 16;

export class Attribution {
	readonly #counts = new Map<string, Map<string, number>>();
	/** By limit: the count of those whose names are not kept. */
	readonly #others = new Map<string, number>();

	/** Counts; returns the count of that name, or `undefined` when the name is not kept. */
	add(limit: string, name: string): number | undefined {
		let names = this.#counts.get(limit);
		if (!names) {
			names = new Map();
			this.#counts.set(limit, names);
		}

		const known = names.get(name);
		if (known === undefined && names.size >= namesMax) {
			this.#others.set(limit, (this.#others.get(limit) ?? 0) + 1);
			return undefined;
		}

		names.set(name, (known ?? 0) + 1);
		return (known ?? 0) + 1;
	}

	/** By limit: each name with its count, the highest first; an empty name stands for all others. */
	all(): Readonly<Record<string, ReadonlyArray<readonly [name: string, count: number]>>> {
		return Object.fromEntries(
			[...this.#counts].map(([limit, names]) => {
				const others = this.#others.get(limit) ?? 0;
				const sorted = [...names].toSorted(([, one], [, other]) => other - one);
				return [limit, others > 0 ? [...sorted, ['', others] as const] : sorted];
			}),
		);
	}
}
