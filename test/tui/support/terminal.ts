/**
A terminal for tests of the console: a stdout of a given size with a real emulator, and a stdin to type on. The emulator
shows what a user would see, including escape sequences and the cursor.
*/
import {Console} from 'node:console';
import {EventEmitter} from 'node:events';
import {PassThrough} from 'node:stream';
import xterm from '@xterm/headless';
import stringWidth from 'string-width';
import type {Snapshot} from '../../../core/snapshot.ts';
import {runConsole, type ConsoleExit, type RunConsoleOptions} from '../../../tui/index.tsx';
import {FakeSource} from './fixtures.ts';

// The console of the test runner lacks the constructor that Ink needs.
console.Console ??= Console;

const knownCells = new Map<number, 0 | 1 | 2>();

function cellsOf(point: number): 0 | 1 | 2 {
	let cells = knownCells.get(point);
	if (cells === undefined) {
		const character = String.fromCodePoint(point);
		cells = /^[\p{Mn}\p{Me}\u200C]$/u.test(character) ? 0 : (Math.max(1, stringWidth(character)) as 1 | 2);
		knownCells.set(point, cells);
	}

	return cells;
}

export class Screen {
	readonly emulator: InstanceType<typeof xterm.Terminal>;
	/** Everything that was written. */
	raw = '';
	/** Titles, clipboard and other OSC sequences that reached the terminal. */
	readonly leaks: string[] = [];
	readonly stdout: NodeJS.WriteStream;
	readonly stdin: NodeJS.ReadStream;
	rawMode = false;
	readonly #input = new PassThrough();
	#written: Promise<void> = Promise.resolve();
	/** Resolves at the next write, and is then replaced. */
	#next = Promise.withResolvers<void>();

	constructor(columns: number, rows: number) {
		this.emulator = new xterm.Terminal({
			cols: columns,
			rows,
			allowProposedApi: true,
			scrollback: 0,
			convertEol: true, // As a tty does.
		});
		// A modern terminal: wide emoji, marks without width, each code point for itself. The emulator's own table is
		// that of Unicode 6.
		this.emulator.unicode.register({
			version: 'modern',
			wcwidth: cellsOf,
			charProperties(point, preceding) {
				const width = cellsOf(point);
				// The emulator's packing: bit 0 joins to the character before, bits 1 and 2 are the width.
				return width === 0 && preceding !== 0 ? (preceding & 0b110) | 1 : width << 1;
			},
		});
		this.emulator.unicode.activeVersion = 'modern';
		for (const code of [0, 1, 2, 4, 8, 9, 10, 11, 52, 777, 1337]) {
			this.emulator.parser.registerOscHandler(code, data => {
				// The console asks for the background itself.
				if (code === 11 && data === '?') return true;
				this.leaks.push(`OSC ${code};${data}`);
				return true;
			});
		}

		const stdout = Object.assign(new EventEmitter(), {
			columns,
			rows,
			isTTY: true,
			writable: true,
			destroyed: false,
			writableEnded: false,
			writableLength: 0,
			write: (text: string, done?: () => void): boolean => {
				this.raw += text;
				const written = new Promise<void>(resolve => this.emulator.write(text, resolve));
				this.#written = this.#written.then(() => written);
				this.#next.resolve();
				this.#next = Promise.withResolvers<void>();
				done?.();
				return true;
			},
		});
		this.stdout = stdout as unknown as NodeJS.WriteStream;
		this.stdin = Object.assign(this.#input, {
			isTTY: true,
			isRaw: false,
			ref: () => this.#input,
			unref: () => this.#input,
			setRawMode: (on: boolean) => {
				this.rawMode = on;
				return this.#input;
			},
		}) as unknown as NodeJS.ReadStream;
	}

	/** The rows of the screen, without trailing space. */
	lines(): string[] {
		const {active} = this.emulator.buffer;
		return Array.from(
			{length: this.emulator.rows},
			(_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '',
		);
	}

	text(): string {
		return this.lines().join('\n');
	}

	resize(columns: number, rows: number): void {
		this.emulator.resize(columns, rows);
		Object.assign(this.stdout, {columns, rows});
		this.stdout.emit('resize');
	}

	type(keys: string): void {
		this.#input.write(keys);
	}

	/** Resolves when the emulator shows everything that was written. */
	drained(): Promise<void> {
		return this.#written;
	}

	/**
	Resolves when the console has written nothing for two frames, and the emulator shows everything. This waits for the
	absence of writes, which no event reports. Wait with `until` where a text is expected.
	*/
	async settle(): Promise<void> {
		while (await isResolvedWithin(this.#next.promise, quietMs));
		await this.drained();
	}

	/** Resolves at the first write after which the screen shows this text. A failure has the screen in its message. */
	async until(wanted: string | RegExp, timeoutMs = 10_000): Promise<void> {
		const deadlineMs = performance.now() + timeoutMs;
		const isShown = (text: string): boolean =>
			typeof wanted === 'string' ? text.includes(wanted) : wanted.test(text);
		for (;;) {
			const next = this.#next.promise; // A write during the wait for the emulator counts.
			await this.drained();
			if (isShown(this.text())) return;
			if (!(await isResolvedWithin(next, deadlineMs - performance.now()))) break;
		}

		throw new Error(`Expected the screen to show ${String(wanted)}, got\n${this.text()}`);
	}
}

/** Whether the promise resolves within this time. */
async function isResolvedWithin(promise: Promise<void>, ms: number): Promise<boolean> {
	const {promise: late, resolve} = Promise.withResolvers<false>();
	const timer = setTimeout(resolve, ms, false);
	const isResolved = await Promise.race([promise.then(() => true), late]);
	clearTimeout(timer);
	return isResolved;
}

/** Two frames: the console draws at most 30 a second. */
const quietMs = 70;

export type Running = AsyncDisposable & {
	readonly screen: Screen;
	readonly source: FakeSource;
	readonly exit: Promise<ConsoleExit>;
};

/** The whole console on a screen of that size. */
export async function openConsole(
	snapshot: Snapshot | undefined,
	columns: number,
	rows: number,
	options: Partial<RunConsoleOptions> = {},
): Promise<Running> {
	const screen = new Screen(columns, rows);
	const source = new FakeSource(snapshot);
	const exit = runConsole({
		source,
		readonly: false,
		remote: false,
		preferences: {},
		stdin: screen.stdin,
		stdout: screen.stdout,
		...options,
	});
	exit.catch(() => undefined); // A test that ignores the exit must not fail by it.
	await screen.settle();
	return {
		screen,
		source,
		exit,
		async [Symbol.asyncDispose]() {
			screen.type('\u0003');
			await exit.catch(() => undefined);
		},
	};
}
