/**
The streams of this process for commands: data goes to standard output with backpressure, text for people to standard
error. A closed reader (`| head`) ends the command quietly; a slow reader makes it wait with bounded memory.
*/
import type {Readable, Writable} from 'node:stream';
import type {Env} from '../settings/places.ts';
import {watchReader} from './reader-watch.ts';

export type Stream = Writable & {readonly isTTY?: boolean; readonly fd?: number};

export class Terminal {
	readonly stdin: Readable & {readonly isTTY?: boolean};
	/** Standard output is a terminal. */
	readonly isTerminal: boolean;
	readonly hasColour: boolean;
	/** Standard error is a terminal, so progress is shown. */
	readonly isWatched: boolean;
	/** The reader of standard output is gone. */
	isClosed = false;
	onClosed: (() => void) | undefined;
	readonly #out: Stream;
	readonly #err: Stream;
	#failure: Error | undefined;
	/** Writers that wait for room. */
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
			// For example a full disk.
			if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') this.#failure = error;
			this.onClosed?.();
		});
		this.#err.on('error', () => undefined); // There is no other place to report it.
	}

	/** End the command as soon as the reader of standard output is gone, even while nothing is printed. */
	followReader(): void {
		if (this.#out.fd !== undefined)
			watchReader(this.#out.fd, () => {
				this.isClosed = true;
				this.onClosed?.();
			});
	}

	/** The error of standard output, except a closed reader. */
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

	/** Give up standard output, which nobody reads: waiting writers continue, and unsent data are lost. */
	abandon(): void {
		this.isClosed = true;
		for (const go of this.#waiting) go();
	}

	line(text: string): Promise<void> {
		return this.print(`${harmless(text)}\n`);
	}

	/** One line for people. */
	say(text: string): void {
		this.#err.write(`${harmless(text)}\n`);
	}

	/** Resolves when all output has left the process, or cannot leave it. */
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

/** `FORCE_COLOR` decides, then `NO_COLOR` and `TERM=dumb`, then whether the output is a terminal. */
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

const isPlain = /^[ -~\n]*$/;
/** The colours of `paint`; or a control of C0 but newline and tab, DEL, one of C1, of direction, or a separator. */
const controls = new RegExp(
	String.raw`(?<colour>\u001B\[(?:${Object.values(codes).flat().join('|')})m)|` +
		String.raw`\r(?!\n)|[\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F` +
		String.raw`\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]`,
	'g',
);

/**
Text from outside is made printable where it is put into a line. This is the last barrier: a control that came through
is shown as its code.
*/
export function harmless(text: string): string {
	if (isPlain.test(text)) return text;
	return text.replaceAll(controls, (found, colour: string | undefined) =>
		colour === undefined ? `‹U+${found.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}›` : found,
	);
}

const flushChars = 64 * 1024;

/** Gathers lines into one write per turn of the event loop. */
export class LineWriter {
	#pending = '';
	#isScheduled = false;
	#blocked: Promise<void> | undefined;
	readonly #terminal: Terminal;

	constructor(terminal: Terminal) {
		this.#terminal = terminal;
	}

	/** @returns a promise when the reader is slow; await it before the next line */
	add(line: string): Promise<void> | undefined {
		this.#pending += `${harmless(line)}\n`;
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
