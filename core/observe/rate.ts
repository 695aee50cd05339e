/** Messages a second over the last few seconds, from a counter that is looked at now and then. */
export class Rate {
	readonly #samples: Array<{readonly atMs: number; readonly count: number}> = [];
	static readonly #windowMs = 2000;

	/** Look at the counter; the rate over the window that ends now. */
	sample(atMs: number, count: number): number {
		this.#samples.push({atMs, count});
		while (this.#samples.length > 2 && atMs - this.#samples[1]!.atMs >= Rate.#windowMs) this.#samples.shift();
		const first = this.#samples[0]!;
		const tookMs = atMs - first.atMs;
		if (tookMs >= Rate.#windowMs * 4) this.#samples.splice(0, this.#samples.length - 1);
		return tookMs <= 0 ? 0 : ((count - first.count) * 1000) / tookMs;
	}
}
