/**
`--wait`: how long a command waits for messages, events or health, after it has reached a node. `--timeout` bounds
reaching it.
*/
import type {Flags} from '../arguments/flags.ts';
import {parseDuration} from '../arguments/values.ts';

/** Aborted by a signal, by a closed reader, or (`over`) because the time of `--wait` is over. */
export class Wait implements Disposable {
	readonly signal: AbortSignal;
	readonly #timer: NodeJS.Timeout | undefined;

	constructor(
		{flags, signal}: {readonly flags: Pick<Flags, 'wait'>; readonly signal: AbortSignal},
		whenMissing?: string,
	) {
		const text = flags.wait ?? whenMissing;
		const over = new AbortController();
		this.#timer =
			text === undefined ? undefined : setTimeout(() => over.abort('over'), parseDuration(text, '--wait'));
		this.signal = AbortSignal.any([signal, over.signal]);
	}

	[Symbol.dispose](): void {
		clearTimeout(this.#timer);
	}
}
