/**
The streams of this process as commands see them: data on standard output with backpressure, everything for people on
standard error. A reader that goes away (`| head`) ends the command quietly; a reader that is slow makes it wait, never
grow.
*/
import type {Readable, Writable} from 'node:stream';
import type {Env} from '../settings/places.ts';
import {watchReader} from './reader-watch.ts';

export type Stream = Writable & {readonly isTTY?: boolean; readonly fd?: number};

export class Terminal {
	readonly stdin: Readable & {readonly isTTY?: boolean};
	/** Standard output goes to a person. */
	readonly isTerminal: boolean;
	readonly hasColour: boolean;
	/** Standard error goes to a person, who wants to see how long work goes on. */
	readonly isWatched: boolean;
	/** Standard output has nobody left who reads. */
	isClosed = false;
	onClosed: (() => void) | undefined;
	readonly #out: Stream;
	readonly #err: Stream;
	#failure: Error | undefined;
	/** Those who wait for room. */
	readonly #waiting = new Set<() => void>();

	constructor(streams: {
		readonly stdin: Readable & {readonly isTTY?: boolean};
		readonly stdout: Stream;
		readonly stderr: Stream;
		readonly env: Env;
	}) {
		this.stdin = streams.stdin;
		this.#out = streams.stdout;
		this.#err = streams.stderr;
		this.isTerminal = streams.stdout.isTTY ?? false;
		this.isWatched = streams.stderr.isTTY ?? false;
		this.hasColour = wantsColour(this.isTerminal, streams.env);
		this.#out.on('error', (error: NodeJS.ErrnoException) => {
			this.isClosed = true;
			// A full disk, say.
			if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') this.#failure = error;
			this.onClosed?.();
		});
		this.#err.on('error', () => undefined); // Nobody is left to be told.
	}

	/** End the command as soon as nobody reads standard output any more, also while there is nothing to print. */
	followReader(): void {
		if (this.#out.fd !== undefined)
			watchReader(this.#out.fd, () => {
				this.isClosed = true;
				this.onClosed?.();
			});
	}

	/** What standard output failed with, other than its reader going away. */
	get failure(): Error | undefined {
		return this.#failure;
	}

	/** One piece of data; resolves when there is room for more. */
	async print(text: string | Uint8Array): Promise<void> {
		if (this.isClosed || this.#out.write(text)) return;
		await new Promise<void>(resolve => {
			const go = (): void => {
				for (const event of ['drain', 'error', 'close']) this.#out.off(event, go);
				this.#waiting.delete(go);
				resolve();
			};

			this.#waiting.add(go);
			for (const event of ['drain', 'error', 'close']) this.#out.on(event, go);
		});
	}

	/** Standard output is not read: whoever waits for room goes on, and what has not left is lost. */
	abandon(): void {
		this.isClosed = true;
		for (const go of this.#waiting) go();
	}

	line(text: string): Promise<void> {
		return this.print(`${text}\n`);
	}

	/** One line for people. */
	say(text: string): void {
		this.#err.write(`${text}\n`);
	}

	/** Resolves once all that was printed has left the process, or cannot. */
	async flush(): Promise<void> {
		for (const stream of [this.#out, this.#err]) {
			if (stream === this.#out && this.isClosed) continue;
			if (stream.writableLength > 0 && !stream.destroyed)
				await new Promise<void>(resolve => {
					stream.write('', () => resolve());
				});
		}
	}
}

/** `FORCE_COLOR` decides, then `NO_COLOR` and `TERM=dumb`, then whether a person looks. */
export function wantsColour(isTerminal: boolean, env: Env): boolean {
	const force = env['FORCE_COLOR'];
	if (force !== undefined && force !== '') return force !== '0' && force !== 'false';
	if (env['NO_COLOR'] !== undefined && env['NO_COLOR'] !== '') return false;
	return isTerminal && env['TERM'] !== 'dumb';
}

export type Tone = 'good' | 'warning' | 'bad' | 'muted' | 'strong';
const codes: Readonly<Record<Tone, readonly [number, number]>> = {
	good: [32, 39],
	warning: [33, 39],
	bad: [31, 39],
	muted: [2, 22],
	strong: [1, 22],
};

export function paint(hasColour: boolean, tone: Tone, text: string): string {
	const [on, off] = codes[tone];
	return hasColour ? `\u001B[${on}m${text}\u001B[${off}m` : text;
}

const flushChars = 64 * 1024;

/** Lines that share a write: one write a turn of the event loop, however many lines. */
export class LineWriter {
	#pending = '';
	#isScheduled = false;
	#blocked: Promise<void> | undefined;
	readonly #terminal: Terminal;

	constructor(terminal: Terminal) {
		this.#terminal = terminal;
	}

	/** A promise when the reader is behind: wait for it before the next line. */
	add(line: string): Promise<void> | undefined {
		this.#pending += `${line}\n`;
		if (this.#pending.length >= flushChars) this.#write();
		else if (!this.#isScheduled) {
			this.#isScheduled = true;
			setImmediate(() => {
				this.#isScheduled = false;
				if (!this.#blocked) this.#write();
			});
		}

		return this.#blocked;
	}

	async end(): Promise<void> {
		await this.#blocked;
		this.#write();
		await this.#blocked;
	}

	#write(): void {
		if (this.#pending === '') return;
		const text = this.#pending;
		this.#pending = '';
		const room = this.#terminal.print(text).finally(() => {
			if (this.#blocked === room) this.#blocked = undefined;
		});
		this.#blocked = room;
	}
}
