/**
Stacks of resources that are disposed of in reverse order. They replace `DisposableStack` and `AsyncDisposableStack`,
which Node 22 lacks, and have only the methods that are used here.
*/

export class Stack implements Disposable {
	readonly #held: Disposable[] = [];

	use<Held extends Disposable>(held: Held): Held {
		this.#held.push(held);
		return held;
	}

	/** Disposes of all resources, even if one throws. @throws the first error */
	dispose(): void {
		const errors: unknown[] = [];
		for (const one of this.#held.splice(0).toReversed()) {
			try {
				one[Symbol.dispose]();
			} catch (error) {
				errors.push(error);
			}
		}

		if (errors.length > 0) throw errors[0];
	}

	[Symbol.dispose](): void {
		this.dispose();
	}
}

export class AsyncStack implements AsyncDisposable {
	readonly #held: Array<Disposable | AsyncDisposable> = [];

	use<Held extends Disposable | AsyncDisposable>(held: Held): Held {
		this.#held.push(held);
		return held;
	}

	/** Moves all resources to a new stack, which disposes of them from now on. */
	move(): AsyncStack {
		const moved = new AsyncStack();
		for (const one of this.#held.splice(0)) moved.use(one);
		return moved;
	}

	/** Disposes of all resources one by one, even if one throws. @throws the first error */
	async disposeAsync(): Promise<void> {
		const errors: unknown[] = [];
		for (const one of this.#held.splice(0).toReversed()) {
			try {
				await (Symbol.asyncDispose in one ? one[Symbol.asyncDispose]() : one[Symbol.dispose]());
			} catch (error) {
				errors.push(error);
			}
		}

		if (errors.length > 0) throw errors[0];
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.disposeAsync();
	}
}
