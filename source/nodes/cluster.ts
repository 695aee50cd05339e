/**
A cluster of real node processes on this machine, for the demo, benchmarks and end-to-end tests: temporary data and
secret, free ports, and every event of every node in memory. Waits are for events, never for a fixed time.
*/
import {spawn, type ChildProcess} from 'node:child_process';
import {randomBytes} from 'node:crypto';
import {chmodSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {
	connect,
	follow,
	type Broker,
	type ConnectOptions,
	type FollowedBroker,
	type NodeId,
	type Snapshot,
} from '../../core/index.ts';
import {openIdentity} from '../../core/io/files/identity-file.ts';
import {identityPath} from '../../core/io/files/user-files.ts';

export type JsonEvent = {readonly type: string; readonly at: number; readonly [key: string]: unknown};

export type ClusterOptions = {
	/** The beginning of the name of its folder, and of the cluster. @default 'dapss', 'bench' */
	readonly prefix?: {readonly folder: string; readonly cluster: string};
	/** The built command line. */
	readonly cli: string;
	/** The Node that runs the program. @default the one of this process */
	readonly node?: string;
	/** Settings for every node, as in config.json. */
	readonly settings?: Readonly<Record<string, unknown>>;
	readonly topics?: readonly string[];
	/** Keep the lines of `message` events too. @default false */
	readonly messages?: boolean;
	readonly flags?: readonly string[];
};

const waitMs = 30_000;
/** One attempt of a client that tries again, milliseconds. */
const followMs = 5000;

/** Ports that are free now. */
export async function freePorts(count: number): Promise<number[]> {
	const servers = await Promise.all(
		Array.from(
			{length: count},
			() =>
				new Promise<ReturnType<typeof createServer>>((resolve, reject) => {
					const server = createServer();
					server.once('error', reject);
					server.listen(0, '127.0.0.1', () => resolve(server));
				}),
		),
	);
	const ports = servers.map(server => (server.address() as {port: number}).port);
	await Promise.all(
		servers.map(
			server =>
				new Promise(resolve => {
					server.close(resolve);
				}),
		),
	);
	return ports;
}

export class NodeProcess {
	readonly port: number;
	readonly events: JsonEvent[] = [];
	readonly exited: Promise<number | null>;
	stderr = '';
	readonly #child: ChildProcess;
	readonly #waiting = new Set<() => void>();

	/** @param program runs `command`; Node by default */
	constructor(
		port: number,
		command: readonly string[],
		keepMessages: boolean,
		program: string = process.execPath,
		env: Readonly<Record<string, string>> = {},
	) {
		this.port = port;
		// When this process is killed, the pipe ends and the node with it (`entry.ts`).
		this.#child = spawn(program, [...command], {
			stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
			env: {...process.env, _DAPSS_LAUNCHER_FD: '3', ...env},
		});
		const {stdout, stderr} = this.#child;
		let rest = '';
		stdout!.setEncoding('utf8').on('data', (text: string) => {
			const lines = (rest + text).split('\n');
			rest = lines.pop()!; // The last line of a killed process may be incomplete.
			for (const line of lines) {
				const event = JSON.parse(line) as JsonEvent;
				if (event.type !== 'message' || keepMessages) this.events.push(event);
			}

			for (const look of this.#waiting) look();
		});
		stderr!.on('data', (chunk: Buffer) => {
			this.stderr = (this.stderr + chunk.toString()).slice(-10_000);
		});
		this.exited = new Promise(resolve => {
			this.#child.once('close', code => {
				resolve(code);
				for (const look of this.#waiting) look();
			});
		});
	}

	get pid(): number {
		return this.#child.pid!;
	}

	get id(): string {
		return this.events.find(({type}) => type === 'ready')!['id'] as string;
	}

	get isRunning(): boolean {
		return this.#child.exitCode === null && this.#child.signalCode === null;
	}

	/** The first event from `start` on that matches; fails after 30 s, or when the process ends first. */
	waitFor(matches: (event: JsonEvent) => boolean, what: string, start = 0, limitMs = waitMs): Promise<JsonEvent> {
		return new Promise((resolve, reject) => {
			let next = start;
			const end = (): void => {
				clearTimeout(timer);
				this.#waiting.delete(look);
			};

			const look = (): void => {
				for (; next < this.events.length; next++) {
					const event = this.events[next]!;
					if (!matches(event)) continue;
					end();
					return resolve(event);
				}

				if (this.isRunning) return;
				end();
				reject(new Error(`Node ${this.port} ended while waiting for ${what}: ${this.stderr}`));
			};

			const timer = setTimeout(() => {
				end();
				reject(
					new Error(
						`Node ${this.port}: no ${what} within ${limitMs} ms; last events: ${this.events
							.slice(-5)
							.map(event => JSON.stringify(event))
							.join('\n')} ${this.stderr}`,
					),
				);
			}, limitMs);
			this.#waiting.add(look);
			look();
		});
	}

	async kill(signal: NodeJS.Signals): Promise<void> {
		this.#child.kill(signal);
		await this.exited;
	}

	/** Sends a signal, for example SIGSTOP and SIGCONT. */
	signal(signal: NodeJS.Signals): void {
		this.#child.kill(signal);
	}
}

/** Resolves with the first snapshot that matches. @throws after 30 s */
export async function untilSeen(client: Broker, matches: (snapshot: Snapshot) => boolean, what: string): Promise<void> {
	const {promise, resolve, reject} = Promise.withResolvers<void>();
	const timer = setTimeout(() => reject(new Error(`No ${what} within ${waitMs} ms`)), waitMs);
	using _watch = client.watch(snapshot => {
		if (matches(snapshot)) resolve();
	});
	await promise.finally(() => clearTimeout(timer));
}

export class Cluster implements AsyncDisposable {
	readonly folder: string;
	readonly name: string;
	readonly nodes: NodeProcess[] = [];
	/** The built command line that the next node runs. */
	cli: string;
	readonly secret: Buffer;
	readonly #options: ClusterOptions;

	constructor(options: ClusterOptions) {
		this.#options = options;
		this.cli = options.cli;
		const {prefix = {folder: 'dapss', cluster: 'bench'}} = options;
		this.name = `${prefix.cluster}-${randomBytes(4).toString('hex')}`;
		this.folder = mkdtempSync(join(tmpdir(), `${prefix.folder}-`));
		this.secret = Buffer.from(randomBytes(32).toString('base64url'));
		writeFileSync(this.secretFile, `${this.secret.toString()}\n`, {mode: 0o600});
		chmodSync(this.secretFile, 0o600);
		openIdentity(this.identityFile);
		writeFileSync(
			join(this.folder, 'config.json'),
			JSON.stringify({discovery: {enabled: false}, ...options.settings}),
		);
	}

	get secretFile(): string {
		return join(this.folder, 'secret');
	}

	/** The identity of the user who runs the nodes. */
	get identityFile(): string {
		return identityPath(this.env, this.name);
	}

	/**
	Files of the nodes and commands outside their data folders stay in the folder of the cluster. Tests give another
	folder for identities, so that other programs that they start are of the same user.
	*/
	get env(): Readonly<Record<string, string>> {
		return {
			XDG_CONFIG_HOME: process.env['CLUSTER_CONFIG_HOME'] ?? join(this.folder, 'config'),
			XDG_STATE_HOME: join(this.folder, 'state'),
			XDG_RUNTIME_DIR: '',
		};
	}

	/** Flags that let a command of the command line reach this cluster. */
	get clientFlags(): string[] {
		return ['--cluster', this.name, '--secret-file', this.secretFile, '--config', join(this.folder, 'config.json')];
	}

	/** Start one node. It joins through the first node, unless it is the first or has data. */
	start(port: number, flags: readonly string[] = []): NodeProcess {
		const first = this.nodes[0];
		return this.startAlone(port, [
			...(first && first.port !== port ? ['--bootstrap', String(first.port)] : []),
			...flags,
		]);
	}

	/** Start one node without a bootstrap address. @param data name of its folder inside the cluster's */
	startAlone(port: number, flags: readonly string[] = [], data = String(port)): NodeProcess {
		const {topics = [], messages = false, flags: common = [], node: program} = this.#options;
		const command = [
			this.cli,
			'--headless',
			'-o',
			'jsonl',
			'--port',
			String(port),
			...this.clientFlags,
			'--data',
			join(this.folder, data),
			...(topics.length > 0 ? ['--topics', topics.join(',')] : []),
			...common,
			...flags,
		];
		const node = new NodeProcess(port, command, messages, program, this.env);
		const index = this.nodes.findIndex(other => other.port === port);
		if (index === -1) this.nodes.push(node);
		else this.nodes[index] = node;
		return node;
	}

	/** Start `count` nodes and wait until all are members, see a leader and, up to five, vote. */
	async startAll(count: number): Promise<void> {
		const ports = await freePorts(count);
		const voters = Math.min(5, count % 2 === 0 ? count - 1 : count);
		for (const port of ports) {
			const node = this.start(port);
			await node.waitFor(({type}) => type === 'ready', 'ready');
		}

		await Promise.all(
			this.nodes.map(node =>
				node.waitFor(
					event => event.type === 'voters' && (event['voters'] as unknown[]).length >= voters,
					`${voters} voters`,
				),
			),
		);
		await Promise.all((this.#options.topics ?? []).map(topic => this.subscribed(topic)));
	}

	/**
	Waits until every node knows that every node is subscribed. A node that joins after a subscription has no event for
	it.
	*/
	async subscribed(topic: string): Promise<void> {
		await Promise.all(
			this.nodes.map(async node => {
				await using client = await this.client(node);
				await untilSeen(
					client,
					({topics}) =>
						this.nodes.every(({id}) =>
							topics.find(({name}) => name === topic)?.subscribers.includes(id as NodeId),
						),
					`subscriptions of all to ${topic} at ${node.port}`,
				);
			}),
		);
	}

	client(node: NodeProcess = this.nodes[0]!): Promise<Broker> {
		return this.clientOf(node.port);
	}

	/** A client of the node of this cluster that listens there. */
	clientOf(port: number): Promise<Broker> {
		return connect(this.#connectOptions([port]));
	}

	/** A client that connects again whenever its node is lost: to one of these. */
	followerOf(ports: readonly number[]): Promise<FollowedBroker> {
		return follow({...this.#connectOptions(ports), timeoutMs: followMs});
	}

	#connectOptions(ports: readonly number[]): ConnectOptions {
		return {
			servers: ports.map(port => `127.0.0.1:${port}`),
			secret: this.secret,
			identityFile: this.identityFile,
			cluster: this.name,
			timeoutMs: waitMs,
			enableNodeAuth: true,
			enableMessageSigning: true,
			enableEncryption: true,
		};
	}

	/** The leader in the newest `leader` event of a running node. */
	leader(): NodeProcess | undefined {
		const named = this.nodes
			.filter(node => node.isRunning)
			.flatMap(node =>
				node.events.filter(event => event.type === 'leader' && typeof event['leader'] === 'string'),
			)
			.toSorted((a, b) => Number(b['term']) - Number(a['term']))[0];
		return this.nodes.find(node => node.isRunning && node.id === named?.['leader']);
	}

	/** Ends all processes at once, without waiting for their end. */
	kill(): void {
		for (const node of this.nodes) node.signal('SIGKILL');
	}

	async [Symbol.asyncDispose](): Promise<void> {
		await Promise.all(this.nodes.filter(node => node.isRunning).map(node => node.kill('SIGKILL')));
		rmSync(this.folder, {recursive: true, force: true});
	}
}
