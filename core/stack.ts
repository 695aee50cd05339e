/**
What was opened, to be given back in the opposite order. JavaScript has `DisposableStack` and `AsyncDisposableStack` for
it, which Node 22 lacks; these take what is used of them here.
*/

export class Stack implements Disposable {
	readonly #held: Disposable[] = [];

	use<Held extends Disposable>(held: Held): Held {
		this.#held.push(held);
		return held;
	}

	/** Give all back, whatever one of them throws. @throws what the first of them threw */
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

	/** Somebody else gives them back now: the new stack has all, this one nothing. */
	move(): AsyncStack {
		const moved = new AsyncStack();
		for (const one of this.#held.splice(0)) moved.use(one);
		return moved;
	}

	/** Give all back, one after the other, whatever one of them throws. @throws what the first of them threw */
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
