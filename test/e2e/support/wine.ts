/**
Windows programs under Wine, with a profile, a registry and a server of their own, which are removed at the end. Wine
has no pipes for Node, so standard streams are files, and a wait for output watches the file.
*/
import {execFile, execFileSync, spawn, type ChildProcess} from 'node:child_process';
import {closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, watch} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {promisify} from 'node:util';

const execute = promisify(execFile);
const waitMs = 60_000;

/** The reason why this machine cannot run Windows programs; `undefined` if it can. */
export function wineProblem(): string | undefined {
	try {
		execFileSync('wine', ['--version'], {stdio: 'ignore'});
		return undefined;
	} catch (error) {
		return `wine cannot be run (${(error as NodeJS.ErrnoException).code ?? 'it failed'}); on Debian: apt-get install wine wine64`;
	}
}

export type WineResult = {readonly code: number | null; readonly out: string; readonly err: string};

export class WineProcess {
	readonly exited: Promise<number | null>;
	readonly #child: ChildProcess;
	readonly #outPath: string;
	readonly #errPath: string;

	constructor(child: ChildProcess, outPath: string, errPath: string) {
		this.#child = child;
		this.#outPath = outPath;
		this.#errPath = errPath;
		this.exited = new Promise(resolve => {
			child.once('close', resolve);
		});
	}

	get out(): string {
		return readFileSync(this.#outPath, 'utf8');
	}

	get err(): string {
		return readFileSync(this.#errPath, 'utf8');
	}

	get isRunning(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}

	/** Resolves when the output matches. @throws when the process ends before, or after a minute */
	async waitFor(pattern: RegExp): Promise<void> {
		const {promise, resolve, reject} = Promise.withResolvers<void>();
		const check = (): void => {
			if (pattern.test(this.out)) resolve();
			else if (!this.isRunning)
				reject(
					new Error(`The program ended before the output ${pattern}: ${this.out.slice(-2000)} ${this.err}`),
				);
		};

		const watcher = watch(this.#outPath, check);
		const timer = setTimeout(
			() => reject(new Error(`No output ${pattern} within ${waitMs} ms: ${this.out.slice(-2000)} ${this.err}`)),
			waitMs,
		);
		void this.exited.then(check);
		check();
		await promise.finally(() => {
			clearTimeout(timer);
			watcher.close();
		});
	}

	/** `SIGINT` arrives as Ctrl-C, `SIGKILL` ends the process at once. */
	async kill(signal: 'SIGINT' | 'SIGKILL'): Promise<number | null> {
		this.#child.kill(signal);
		return this.exited;
	}
}

export class Wine implements AsyncDisposable {
	/** The folder of drive C. */
	readonly drive: string;
	readonly #folder = mkdtempSync(join(tmpdir(), 'dapss-wine-'));
	readonly #env: NodeJS.ProcessEnv;
	readonly #node: string;
	readonly #running: WineProcess[] = [];
	#started = 0;

	private constructor(node: string) {
		this.#node = node;
		const prefix = join(this.#folder, 'prefix');
		this.drive = join(prefix, 'drive_c');
		const inherited = Object.entries(process.env).filter(([name]) => !/^(?:DAPSS|XDG)_/.test(name));
		this.#env = {
			...Object.fromEntries(inherited),
			HOME: this.#folder,
			WINEPREFIX: prefix,
			WINEDEBUG: '-all',
			WINEDLLOVERRIDES: 'winemenubuilder.exe=d;mscoree,mshtml=',
			NODE_SKIP_PLATFORM_CHECK: '1',
			NO_COLOR: '1',
			WINEPATH: `Z:${dirname(node).replaceAll('/', '\\')}`,
		};
	}

	/** Creates an installation of Windows. @param node path of a `node.exe` */
	static async boot(node: string): Promise<Wine> {
		const wine = new Wine(node);
		try {
			await execute('wine', ['wineboot', '-i'], {env: wine.#env});
			return wine;
		} catch (error) {
			await wine[Symbol.asyncDispose]();
			throw error;
		}
	}

	/** Starts a Windows program. @param cwd a folder of this machine */
	start(program: string, args: readonly string[], cwd: string): WineProcess {
		this.#started++;
		mkdirSync(join(this.#folder, 'streams'), {recursive: true});
		const [outPath, errPath] = ['out', 'err'].map(name =>
			join(this.#folder, 'streams', `${this.#started}.${name}`),
		) as [string, string];
		const files = [openSync('/dev/null', 'r'), openSync(outPath, 'w'), openSync(errPath, 'w')];
		try {
			const process = new WineProcess(
				spawn('wine', [program, ...args], {cwd, env: this.#env, stdio: [files[0], files[1], files[2]]}),
				outPath,
				errPath,
			);
			this.#running.push(process);
			return process;
		} finally {
			for (const file of files) closeSync(file);
		}
	}

	/** Starts Node. */
	node(args: readonly string[], cwd: string): WineProcess {
		return this.start(this.#node, args, cwd);
	}

	/** Runs a program until it ends. */
	async run(program: string, args: readonly string[], cwd: string): Promise<WineResult> {
		const process = this.start(program, args, cwd);
		const code = await process.exited;
		return {code, out: process.out, err: process.err};
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await Promise.all(this.#running.filter(({isRunning}) => isRunning).map(process => process.kill('SIGKILL')));
		// This ends only the server of this prefix.
		await execute('wineserver', ['-k'], {env: this.#env}).catch(() => undefined);
		await execute('wineserver', ['-w'], {env: this.#env}).catch(() => undefined);
		rmSync(this.#folder, {recursive: true, force: true});
	}
}
