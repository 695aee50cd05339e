/**
Delta debugging (Zeller and Hildebrandt 2002, ddmin): remove events as long as the rest still fails.
*/

export type Shrunk<Item> = {readonly items: readonly Item[]; readonly runs: number};

/**
@param fails is called at most `budget` times. The result fails and, given enough budget, no longer fails without any
one of its items.
*/
export function shrink<Item>(
	all: readonly Item[],
	fails: (items: readonly Item[]) => boolean,
	budget: number,
): Shrunk<Item> {
	let items = all;
	let parts = 2;
	let runs = 0;
	while (items.length > 0 && runs < budget) {
		const size = Math.ceil(items.length / Math.min(parts, items.length));
		let rest: readonly Item[] | undefined;
		for (let at = 0; at < items.length && runs < budget && !rest; at += size) {
			const without = [...items.slice(0, at), ...items.slice(at + size)];
			runs++;
			if (fails(without)) rest = without;
		}

		if (rest) {
			items = rest;
			parts = Math.max(2, parts - 1);
		} else if (size === 1) break;
		else parts *= 2;
	}

	return {items, runs};
}
