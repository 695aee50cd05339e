/** A pseudo-terminal with a terminal emulator: the screen as a person sees it, and keys as a person presses them. */
import {spawn, type IPty} from '@lydell/node-pty';
import headless from '@xterm/headless';

export class Terminal implements AsyncDisposable {
	readonly exited: Promise<{readonly exitCode: number; readonly signal?: number | undefined}>;
	/** The whole output, with its escape sequences. */
	raw = '';
	readonly #pty: IPty;
	readonly #screen: InstanceType<typeof headless.Terminal>;
	readonly #listeners = new Set<() => void>();
	#hasExited = false;

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
			this.#screen.write(data, () => this.#notify());
		});
		this.exited = new Promise(resolve => {
			this.#pty.onExit(exit => {
				this.#hasExited = true;
				// The emulator handles its input later, so wait until it has handled the last output.
				this.#screen.write('', () => {
					resolve(exit);
					this.#notify();
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

	/** The lines of the screen, without trailing spaces. */
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

	/** Types into the open prompt, above the line of hints: each key after the prompt shows the keys before it. */
	async type(text: string): Promise<void> {
		for (let length = 1; length <= text.length; length++) {
			this.press(text[length - 1]!);
			const draft = text.slice(0, length).trimEnd();
			await this.waitFor(
				() =>
					this.lines()
						.slice(-2)
						.some(line => line.endsWith(draft)),
				`the prompt with ${draft}`,
			);
		}
	}

	/** Types a line into the open prompt, and ends it with Enter. */
	async enter(text: string): Promise<void> {
		await this.type(text);
		this.press('\r');
	}

	/** Ends the console by its keys. Resolves with the exit code. @param question that the console asks before */
	async quit(question: RegExp = /Quit\?/): Promise<number> {
		this.press('q');
		await this.waitFor(question);
		this.press('y');
		return (await this.exited).exitCode;
	}

	resize(columns: number, rows: number): void {
		this.#screen.resize(columns, rows);
		this.#pty.resize(columns, rows);
	}

	/** Resolves with the screen when it matches. @throws when the program ends before, or after the limit */
	async waitFor(
		expected: RegExp | ((text: string) => boolean),
		what = String(expected),
		limitMs = 20_000,
	): Promise<string> {
		const matches = (): boolean =>
			expected instanceof RegExp ? expected.test(this.text()) : expected(this.text());
		const untilMs = performance.now() + limitMs;
		while (!matches()) {
			if (this.#hasExited) throw new Error(`The program ended while waiting for ${what}:\n${this.text()}`);
			const leftMs = untilMs - performance.now();
			if (leftMs <= 0) throw new Error(`The screen did not show ${what} within ${limitMs} ms:\n${this.text()}`);
			await new Promise<void>(resolve => {
				const timer = setTimeout(done, leftMs);
				const listeners = this.#listeners;
				function done(): void {
					clearTimeout(timer);
					listeners.delete(done);
					resolve();
				}

				listeners.add(done);
			});
		}

		return this.text();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		if (!this.#hasExited) this.#pty.kill('SIGKILL');
		await this.exited;
		this.#screen.dispose();
	}

	#notify(): void {
		for (const listener of this.#listeners) listener();
	}
}
