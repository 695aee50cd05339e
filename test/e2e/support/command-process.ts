/** A program that runs during a test, and its output so far. */
import {spawn, type ChildProcess} from 'node:child_process';

const waitMs = 20_000;

export class CommandProcess implements AsyncDisposable {
	readonly child: ChildProcess;
	readonly exited: Promise<number | null>;
	stdout = '';
	stderr = '';
	readonly #listeners = new Set<() => void>();

	constructor(
		program: string,
		args: readonly string[],
		{cwd, env = {}}: {readonly cwd?: string; readonly env?: Readonly<Record<string, string>>} = {},
	) {
		this.child = spawn(program, args, {
			stdio: ['pipe', 'pipe', 'pipe'],
			env: {...process.env, ...env, NO_COLOR: '1'},
			...(cwd === undefined ? {} : {cwd}),
		});
		const notify = (): void => {
			for (const listener of this.#listeners) listener();
		};

		this.child.stdout!.setEncoding('utf8').on('data', (text: string) => {
			this.stdout += text;
			notify();
		});
		this.child.stderr!.setEncoding('utf8').on('data', (text: string) => {
			this.stderr += text;
			notify();
		});
		this.exited = new Promise(resolve => {
			this.child.once('close', code => {
				resolve(code);
				notify();
			});
		});
	}

	/** Resolves when the output satisfies the condition. @throws when the program ends before, or after 20 s */
	until(isSatisfied: () => boolean, what: string): Promise<void> {
		return new Promise((resolve, reject) => {
			const end = (error?: Error): void => {
				clearTimeout(timer);
				this.#listeners.delete(check);
				if (error) reject(error);
				else resolve();
			};

			const check = (): void => {
				if (isSatisfied()) end();
				else if (!this.#isRunning)
					end(new Error(`The program ended while waiting for ${what}: ${this.stderr}`));
			};

			const timer = setTimeout(
				() => end(new Error(`No ${what}: ${this.stderr}\n${this.stdout.slice(-2000)}`)),
				waitMs,
			);
			this.#listeners.add(check);
			check();
		});
	}

	endInput(): void {
		this.child.stdin!.end();
	}

	async kill(): Promise<void> {
		if (this.#isRunning) this.child.kill('SIGKILL');
		await this.exited;
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await this.kill();
	}

	get #isRunning(): boolean {
		return this.child.exitCode === null && this.child.signalCode === null;
	}
}
