/**
The input of the terminal as Ink reads it: only whole keys and whole pastes. It stands between the terminal and Ink, and
reports the parts that Ink has no events for.
*/
import {EventEmitter} from 'node:events';
import {ReadParser, type MouseEvent, type Part} from './read-parser.ts';

type Events = {
	readable: [];
	/** The key Escape that was reported last was the start of a sequence, which follows. */
	late: [];
	mouse: [event: MouseEvent];
	/** The answer of the terminal to a query. */
	reply: [text: string];
	newListener: [name: string | symbol];
	removeListener: [name: string | symbol];
};

export class TerminalInput extends EventEmitter<Events> {
	readonly isTTY = true;
	/** Keys in the read that Ink handles now. Several keys in one read were typed blindly, or pasted. */
	keysInRead = 0;
	/** Characters that the last paste lost. */
	pasteCut = 0;
	readonly #stdin: NodeJS.ReadStream;
	readonly #parser = new ReadParser();
	/** What Ink has not read yet: at most one part. */
	#chunk: string | undefined;
	#timer: NodeJS.Timeout | undefined;

	constructor(stdin: NodeJS.ReadStream) {
		super();
		this.#stdin = stdin;
		// Ink listens only while it owns the terminal.
		this.on('newListener', name => {
			if (name === 'readable' && this.listenerCount('readable') === 0) stdin.on('readable', this.#read);
		});
		this.on('removeListener', name => {
			if (name === 'readable' && this.listenerCount('readable') === 0) {
				stdin.off('readable', this.#read);
				clearTimeout(this.#timer);
				this.#parser.reset();
			}
		});
	}

	/** This object, as the stream that Ink expects. */
	get stream(): NodeJS.ReadStream {
		return this as unknown as NodeJS.ReadStream;
	}

	get isRaw(): boolean {
		return this.#stdin.isRaw;
	}

	setEncoding(encoding: BufferEncoding): this {
		this.#stdin.setEncoding(encoding);
		return this;
	}

	setRawMode(isOn: boolean): this {
		this.#stdin.setRawMode(isOn);
		return this;
	}

	ref(): this {
		this.#stdin.ref();
		return this;
	}

	unref(): this {
		this.#stdin.unref();
		return this;
	}

	read(): string | null {
		const chunk = this.#chunk;
		this.#chunk = undefined;
		return chunk ?? null;
	}

	readonly #read = (): void => {
		clearTimeout(this.#timer);
		for (;;) {
			const chunk = this.#stdin.read() as string | Buffer | null;
			if (chunk === null) break;
			this.#pass(this.#parser.read(chunk.toString(), performance.now()));
		}

		this.#arm();
	};

	#arm(): void {
		const waitMs = this.#parser.waitMs(performance.now());
		if (waitMs === undefined) return;
		this.#timer = setTimeout(() => {
			this.#pass(this.#parser.expire(performance.now()));
			this.#arm();
		}, Math.ceil(waitMs));
	}

	#pass(parts: readonly Part[]): void {
		const keys = parts.reduce((sum, part) => sum + (part.type === 'keys' ? part.count : 1), 0);
		for (const part of parts) {
			switch (part.type) {
				case 'keys':
					this.#emit(part.text, keys);
					break;
				case 'paste':
					this.pasteCut = part.cut;
					this.#emit(`\u001B[200~${part.text}\u001B[201~`, keys);
					break;
				case 'mouse':
					this.emit('mouse', part.event);
					break;
				case 'late':
					this.emit('late');
					break;
				case 'reply':
					this.emit('reply', part.text);
					break;
				default:
					part satisfies never;
			}
		}
	}

	/** Ink reads during the event. */
	#emit(text: string, keys: number): void {
		this.#chunk = text;
		this.keysInRead = keys;
		this.emit('readable');
		this.keysInRead = 0;
	}
}
