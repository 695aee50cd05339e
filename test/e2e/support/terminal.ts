/**
A real pseudo-terminal with a terminal emulator: the screen that a person sees, and keys as a person presses
them.
*/
import {spawn, type IPty} from '@lydell/node-pty';
import headless from '@xterm/headless';

export class Terminal implements AsyncDisposable {
	readonly exited: Promise<{readonly exitCode: number; readonly signal?: number | undefined}>;
	/** Everything that was written, escape sequences and all. */
	raw = '';
	readonly #pty: IPty;
	readonly #screen: InstanceType<typeof headless.Terminal>;
	readonly #looking = new Set<() => void>();
	#isEnded = false;

	constructor(
		command: string,
		flags: readonly string[],
		{
			columns,
			rows,
			env = {},
		}: {readonly columns: number; readonly rows: number; readonly env?: Readonly<Record<string, string>>},
	) {
		this.#screen = new headless.Terminal({cols: columns, rows, allowProposedApi: true, scrollback: 0});
		this.#pty = spawn(command, [...flags], {
			cols: columns,
			rows,
			name: 'xterm-256color',
			env: {...process.env, CI: '', ...env},
		});
		this.#pty.onData(data => {
			this.raw += data;
			this.#screen.write(data, () => this.#look());
		});
		this.exited = new Promise(resolve => {
			this.#pty.onExit(exit => {
				this.#isEnded = true;
				// The emulator takes what it is given a little later: the last words first.
				this.#screen.write('', () => {
					resolve(exit);
					this.#look();
				});
			});
		});
	}

	get pid(): number {
		return this.#pty.pid;
	}

	get isAlternate(): boolean {
		return this.#screen.buffer.active.type === 'alternate';
	}

	/** The lines as they stand on the screen. */
	lines(): string[] {
		const {active} = this.#screen.buffer;
		return Array.from(
			{length: this.#screen.rows},
			(_, row) => active.getLine(active.viewportY + row)?.translateToString(true, 0, this.#screen.cols) ?? '',
		);
	}

	text(): string {
		return this.lines().join('\n');
	}

	press(keys: string): void {
		this.#pty.write(keys);
	}

	/** Presses the keys in turn, each after the screen has handled the one before. */
	async type(text: string): Promise<void> {
		for (const key of text) {
			this.press(key);
			await new Promise(resolve => {
				setTimeout(resolve, 15);
			});
		}
	}

	resize(columns: number, rows: number): void {
		this.#screen.resize(columns, rows);
		this.#pty.resize(columns, rows);
	}

	/** Until the screen shows it. Fails after the limit, with the screen. */
	async waitFor(
		shows: RegExp | ((text: string) => boolean),
		what = String(shows),
		limitMs = 20_000,
	): Promise<string> {
		const matches = (): boolean => (shows instanceof RegExp ? shows.test(this.text()) : shows(this.text()));
		const untilMs = performance.now() + limitMs;
		while (!matches()) {
			if (this.#isEnded) throw new Error(`The program ended while waiting for ${what}:\n${this.text()}`);
			const leftMs = untilMs - performance.now();
			if (leftMs <= 0) throw new Error(`The screen did not show ${what} within ${limitMs} ms:\n${this.text()}`);
			await new Promise<void>(resolve => {
				const timer = setTimeout(done, leftMs);
				const looking = this.#looking;
				function done(): void {
					clearTimeout(timer);
					looking.delete(done);
					resolve();
				}

				looking.add(done);
			});
		}

		return this.text();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (!this.#isEnded) this.#pty.kill('SIGKILL');
		await this.exited;
		this.#screen.dispose();
	}

	#look(): void {
		for (const look of this.#looking) look();
	}
}
