/**
The cluster of a demo, and what the steps of its scenarios do with it. Each promise has a bound; a promise that is not
kept throws `BrokenPromise`.
*/
import {systemClock} from '../../core/io/clock.ts';
import type {NodeId, Snapshot} from '../../core/index.ts';
import {Cluster, freePorts, untilSeen, type JsonEvent, type NodeProcess} from '../nodes/cluster.ts';
import {folderPrefix, holdFolder, removeFolder} from './leftovers.ts';
import {topic, Traffic} from './traffic.ts';

/** How long a promise may take, milliseconds. A machine with other work to do needs more than an idle one. */
export const bounds = {detected: 15_000, leader: 15_000, repaired: 30_000, delivered: 30_000, member: 30_000} as const;
/** Faults of the demo end by themselves after this time, milliseconds. */
const faultMs = 600_000;

/** A promise of the product that the demo saw broken. */
export class BrokenPromise extends Error {
	override readonly name = 'BrokenPromise';
}

export class Stage implements AsyncDisposable {
	readonly cluster: Cluster;
	readonly traffic = new Traffic();
	readonly #nodes = new Map<string, NodeProcess>();
	readonly #base: readonly string[];
	readonly #hold: Disposable;
	readonly #removeFolder: () => void;
	/** Leaders by term, of nodes that have been replaced since. */
	readonly #leaders = new Map<number, Set<string>>();
	#made = 0;
	/** Messages that `settle` has checked. */
	checked = 0;

	private constructor(cluster: Cluster, hold: Disposable, count: number) {
		this.cluster = cluster;
		this.#hold = hold;
		this.#base = Array.from({length: count}, (_, index) => `n${index + 1}`);
		// A second Ctrl-C ends the process without waiting for anything.
		this.#removeFolder = () => removeFolder(cluster.folder);
		process.once('exit', this.#removeFolder);
	}

	/** Starts the nodes and their traffic. @param cli the built command line */
	static async open(cli: string, count: number, signal: AbortSignal): Promise<Stage> {
		const cluster = new Cluster({
			cli,
			prefix: {folder: folderPrefix, cluster: 'demo'},
			topics: [topic],
			flags: ['--faults'],
		});
		const stage = new Stage(cluster, await holdFolder(cluster.folder), count);
		const stop = (): void => cluster.kill();
		signal.addEventListener('abort', stop, {once: true});
		try {
			signal.throwIfAborted();
			const ports = await freePorts(count);
			for (const [index, name] of stage.#base.entries()) await stage.#start(name, ports[index]!);
			await stage.#untilComplete(stage.#base);
			await Promise.all(stage.#base.map(name => stage.#addTraffic(name)));
			return stage;
		} catch (error) {
			await stage[Symbol.asyncDispose]();
			throw error;
		}
	}

	get names(): readonly string[] {
		return [...this.#nodes.keys()];
	}

	/** The processes, for those who look at them from outside. */
	get processes(): ReadonlyArray<{readonly name: string; readonly port: number; readonly pid: number}> {
		return [...this.#nodes].map(([name, {port, pid}]) => ({name, port, pid}));
	}

	get ports(): readonly number[] {
		return [...this.#nodes.values()].map(({port}) => port);
	}

	port(name: string): number {
		return this.#node(name).port;
	}

	/** The node that the others call their leader. */
	leader(): string {
		const leader = this.cluster.leader();
		const name = this.names.find(each => this.#node(each) === leader);
		if (name === undefined) throw new BrokenPromise('there is a leader while a quorum is there');
		return name;
	}

	/** A node that does not lead; the last one, which no console is attached to at first. */
	follower(): string {
		const leader = this.leader();
		return this.names.findLast(name => name !== leader)!;
	}

	/** A member of the first hour that does not lead, other than the last one. */
	crashable(): string {
		const leader = this.leader();
		return this.#base.findLast((name, index) => name !== leader && index < this.#base.length - 1)!;
	}

	/** Nodes whose process runs. */
	up(): readonly string[] {
		return this.names.filter(name => this.#node(name).isRunning);
	}

	/** Nodes whose process has ended. */
	down(): readonly string[] {
		return this.names.filter(name => !this.#node(name).isRunning);
	}

	/** Cuts these nodes off from all others, both ways. @returns milliseconds until every node has reported it */
	async cut(far: readonly string[]): Promise<number> {
		const start = this.#marks();
		const startMs = Date.now();
		await Promise.all(
			this.names.map(name => {
				const isFar = far.includes(name);
				const peers = this.names.filter(other => far.includes(other) !== isFar).map(other => this.#id(other));
				return this.traffic.broker(name).fault({type: 'cut', direction: 'both', forMs: faultMs, peers});
			}),
		);
		const reports = await this.#each(
			'every node reports a partition',
			bounds.detected,
			start,
			event => event.type === 'partition' && event['state'] === 'detected',
		);
		return slowest(reports, startMs);
	}

	/** Ends all faults. @returns milliseconds until every node has reported that it is repaired, and its messages */
	async heal(): Promise<{readonly tookMs: number; readonly arrived: ReadonlyMap<string, number>}> {
		const start = this.#marks();
		const startMs = Date.now();
		await this.endFaults();
		const reports = await this.#each(
			'every node is repaired after the heal',
			bounds.repaired,
			start,
			event => event.type === 'partition' && event['state'] === 'repaired',
		);
		return {
			tookMs: slowest(reports, startMs),
			arrived: new Map(this.names.map((name, at) => [name, Number(reports[at]!['messages'] ?? 0)])),
		};
	}

	async endFaults(): Promise<void> {
		await Promise.all(this.names.map(name => this.traffic.broker(name).fault({type: 'heal'})));
	}

	/** Ends the process at once, as `kill -9` does. */
	async crash(name: string): Promise<void> {
		await this.#node(name).kill('SIGKILL');
	}

	/** Stops the node on purpose, as an operator does. */
	async stop(name: string): Promise<void> {
		await this.#node(name).kill('SIGTERM');
	}

	/** Kills the leader. @returns its successor, and milliseconds until all other nodes know it */
	async crashLeader(): Promise<{readonly was: string; readonly now: string; readonly tookMs: number}> {
		const was = this.leader();
		const others = this.names.filter(name => name !== was);
		const start = new Map(others.map(name => [name, this.#node(name).events.length]));
		const {id} = this.#node(was);
		const startMs = Date.now();
		await this.crash(was);
		const reports = await this.#each(
			'the others elect a new leader',
			bounds.leader,
			start,
			event => event.type === 'leader' && typeof event['leader'] === 'string' && event['leader'] !== id,
		);
		return {was, now: this.leader(), tookMs: slowest(reports, startMs)};
	}

	/** Starts a node again, on its data. @returns milliseconds until it has a leader */
	async start(name: string): Promise<number> {
		const startMs = performance.now();
		this.#keepLeaders(this.#node(name));
		await this.#start(name, this.#node(name).port);
		await this.#within(
			`${name} has a leader after its restart`,
			bounds.member,
			this.#node(name).waitFor(isLed, 'leader', 0, bounds.member),
		);
		return performance.now() - startMs;
	}

	/** A new node joins. @returns its name, and milliseconds until it is a member and reads */
	async join(): Promise<{readonly name: string; readonly tookMs: number}> {
		const startMs = performance.now();
		const name = `n${this.#base.length + ++this.#made}`;
		const [port] = await freePorts(1);
		await this.#start(name, port!);
		await this.#within(
			`${name} becomes a member`,
			bounds.member,
			this.#node(name).waitFor(({type}) => type === 'admitted', 'admission', 0, bounds.member),
		);
		await this.#addTraffic(name);
		return {name, tookMs: performance.now() - startMs};
	}

	/** A node leaves for good; before, the others get everything that it acknowledged. */
	async leave(name: string): Promise<void> {
		await this.traffic.pause(name);
		await this.delivered(name);
		const node = this.#node(name);
		const leaving = this.traffic.broker(name).leave();
		await this.#within(`${name} leaves the cluster`, bounds.member, leaving);
		await node.exited;
		await this.traffic.remove(name);
		this.#keepLeaders(node);
		this.#nodes.delete(name);
		this.cluster.nodes.splice(this.cluster.nodes.indexOf(node), 1);
	}

	/** The error of a change that the cluster must agree on, at this node; `undefined` when it was agreed. */
	async refusal(name: string): Promise<string | undefined> {
		return this.traffic
			.broker(name)
			.subscribeNode('alarms')
			.then(
				() => undefined,
				(error: Error) => error.message,
			);
	}

	/** Resolves when each of these publishers has this many more acknowledged messages. */
	async published(names: readonly string[], count: number): Promise<void> {
		const before = new Map(names.map(name => [name, this.traffic.ledger.acknowledgedBy(name)]));
		const isDone = await this.traffic.until(
			ledger => names.every(name => ledger.acknowledgedBy(name) >= before.get(name)! + count),
			bounds.delivered,
		);
		if (!isDone) throw new BrokenPromise(`publishing works on ${listText(names)}`);
	}

	/** Every reader has everything that this publisher acknowledged, or that all did. */
	async delivered(publisher?: string): Promise<void> {
		const isDone = await this.traffic.until(
			ledger =>
				ledger.readers.every(
					reader =>
						ledger.received(reader, publisher) ===
						(publisher === undefined ? ledger.acknowledged : ledger.acknowledgedBy(publisher)),
				),
			bounds.delivered,
		);
		if (isDone) return;
		const missing = this.traffic.ledger
			.shortfalls()
			.map(({reader, missing: count}) => `the reader of ${reader} lacks ${count}`);
		throw new BrokenPromise(
			`every acknowledged message is delivered within ${bounds.delivered / 1000} s: ${missing.join(', ')}`,
		);
	}

	/**
	Stops the traffic and checks the account: each acknowledged message exactly once at each reader, and one leader for
	each term. Then the traffic continues with a new account.
	@returns the number of messages and of readers
	*/
	async settle(): Promise<{readonly messages: number; readonly readers: number}> {
		const {ledger} = this.traffic;
		await this.traffic.pause();
		await this.delivered();
		const twice = ledger.shortfalls().map(({reader, twice: count}) => `${count} at the reader of ${reader}`);
		if (twice.length > 0) throw new BrokenPromise(`no message is delivered twice: ${twice.join(', ')} came again`);
		const shared = [...this.#leadersByTerm()].find(([, leaders]) => leaders.size > 1);
		if (shared) throw new BrokenPromise(`a term has one leader: term ${shared[0]} had ${shared[1].size}`);
		const counts = {messages: ledger.acknowledged, readers: ledger.readers.length};
		this.checked += counts.messages;
		this.traffic.restart();
		this.traffic.resume();
		return counts;
	}

	/** Back to the start of a scenario: no faults, the first nodes running, later ones gone. */
	async reset(): Promise<void> {
		for (const name of this.names) if (!this.#node(name).isRunning) await this.start(name);
		await this.endFaults();
		this.traffic.resume();
		for (const name of this.names.filter(each => !this.#base.includes(each))) await this.leave(name);
		await this.#untilComplete(this.names);
		await this.traffic.pause();
		await this.delivered();
		this.traffic.restart();
		this.traffic.resume();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		// The nodes first: a client of a node that ends has nothing to wait for.
		const [ended] = await Promise.allSettled([
			this.cluster[Symbol.asyncDispose](),
			this.traffic[Symbol.asyncDispose](),
		]);
		this.#hold[Symbol.dispose]();
		this.#removeFolder();
		process.off('exit', this.#removeFolder);
		if (ended.status === 'rejected') throw ended.reason;
	}

	async #start(name: string, port: number): Promise<void> {
		const node = this.cluster.start(port, ['--name', name]);
		this.#nodes.set(name, node);
		await node.waitFor(({type}) => type === 'ready', 'ready');
	}

	async #addTraffic(name: string): Promise<void> {
		await this.traffic.add(name, () => this.cluster.followerOf([this.port(name)]));
	}

	/** Every node sees every node alive, subscribed, under one leader. */
	async #untilComplete(names: readonly string[]): Promise<void> {
		const ids = names.map(name => this.#id(name));
		const voters = Math.min(5, ids.length % 2 === 0 ? ids.length - 1 : ids.length);
		const isComplete = ({raft, members, topics}: Snapshot): boolean =>
			raft.quorum === 'held' &&
			raft.voters.length >= voters &&
			ids.every(id =>
				members.some(member => member.id === id && member.state === 'alive' && member.name !== ''),
			) &&
			ids.every(id => topics.some(each => each.name === topic && each.subscribers.includes(id)));
		await Promise.all(
			names.map(async name => {
				await using client = await this.cluster.client(this.#node(name));
				await untilSeen(client, isComplete, `complete cluster at ${name}`);
			}),
		);
	}

	/** The first matching event of each node after its mark. */
	#each(
		promise: string,
		limitMs: number,
		marks: ReadonlyMap<string, number>,
		matches: (event: JsonEvent) => boolean,
	): Promise<readonly JsonEvent[]> {
		const waits = [...marks].map(([name, start]) => this.#node(name).waitFor(matches, promise, start, limitMs));
		return this.#within(promise, limitMs, Promise.all(waits));
	}

	async #within<Value>(promise: string, limitMs: number, work: Promise<Value>): Promise<Value> {
		const late = Promise.withResolvers<never>();
		using _timer = systemClock.after(limitMs + 1000, () => late.reject(new Error('it took longer')));
		try {
			return await Promise.race([work, late.promise]);
		} catch (error) {
			throw new BrokenPromise(`${promise} within ${limitMs / 1000} s`, {cause: error});
		}
	}

	#marks(): ReadonlyMap<string, number> {
		return new Map(this.names.map(name => [name, this.#node(name).events.length]));
	}

	#leadersByTerm(): ReadonlyMap<number, ReadonlySet<string>> {
		for (const node of this.#nodes.values()) this.#keepLeaders(node);
		return this.#leaders;
	}

	/** Remembers the leaders in the events of a process, which go with it. */
	#keepLeaders({events}: NodeProcess): void {
		for (const {type, term, leader} of events) {
			if (type !== 'leader' || typeof leader !== 'string') continue;
			const leaders = this.#leaders.get(Number(term)) ?? new Set();
			this.#leaders.set(Number(term), leaders.add(leader));
		}
	}

	#node(name: string): NodeProcess {
		return this.#nodes.get(name)!;
	}

	#id(name: string): NodeId {
		return this.#node(name).id as NodeId;
	}
}

function isLed({type, leader}: JsonEvent): boolean {
	return type === 'leader' && typeof leader === 'string';
}

function slowest(events: readonly JsonEvent[], sinceMs: number): number {
	return Math.max(0, ...events.map(({at}) => at - sinceMs));
}

/** `n1`, `n1 and n2`, `n1, n2 and n3`. */
export function listText(names: readonly string[]): string {
	return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)!}`;
}
