/**
A machine that runs a node of the product: the real `Node` with its Raft store, topic logs and segmented logs, over a
simulated disk, network and clock. It boots as `openBroker` does: it makes its incarnation durable, reads its logs back,
and then founds a cluster, continues in one, or joins one. The process may be killed, paused or lose power. The machine
may get a new disk, and then another id.
*/
import {dirname, join as joinPath} from 'node:path';
import {crc32c} from '@node-rs/crc32';
import {namesProtocol, topicsProtocol} from '../../../../core/cluster-state/cluster-state.ts';
import type {Config} from '../../../../core/config.ts';
import {RaftStore, type Blobs} from '../../../../core/control/raft-store.ts';
import {DapssError} from '../../../../core/errors.ts';
import {replaceFile, type Files} from '../../../../core/io/file-system.ts';
import {Reserve} from '../../../../core/io/files/reserve.ts';
import {FilePool} from '../../../../core/io/log/file-pool.ts';
import {openLog} from '../../../../core/io/log/log.ts';
import {Lamport} from '../../../../core/lamport.ts';
import type {Judgement, Process} from '../../../../core/membership/duplicate-processes.ts';
import {parseJoin} from '../../../../core/membership/joining.ts';
import type {NodeId, Topic} from '../../../../core/message.ts';
import {defaultName} from '../../../../core/node-name.ts';
import type {NodeOptions} from '../../../../core/node/node-options.ts';
import {Node} from '../../../../core/node/node.ts';
import type {Candidate, Clock, Entropy} from '../../../../core/ports.ts';
import type {RaftLimits} from '../../../../core/raft/leader.ts';
import {RetentionClock, type KeptTime} from '../../../../core/topic-log/retention.ts';
import {openTopicLog} from '../../../../core/topic-log/topic-log.ts';
import {protocolMax} from '../../../../core/version.ts';
import {encodeControl} from '../../../../core/wire/wire.ts';
import type {SeededRandom} from '../../random.ts';
import type {Schedule} from '../../schedule.ts';
import type {SimDisk} from '../disk.ts';
import {limitToProtocol1, limitToProtocol2} from '../earlier-releases.ts';
import type {Beacon, Fabric, Endpoint} from '../fabric.ts';
import {simReserve} from '../checks/full-disk-checks.ts';
import type {Hello, Refusal} from '../handshake.ts';
import {HeardBeacons, type DiscoveryMode} from '../discovery.ts';
import type {Observer} from '../observer/observer.ts';

export type HostOptions = {
	readonly id: NodeId;
	/** Names the machine. @default the id */
	readonly key?: string;
	/** The first address. The host may move. */
	readonly address: string;
	/** An unused address, for a host whose address was given to another host. */
	readonly freshAddress: () => string;
	readonly founds: boolean;
	/** How it finds others, and whether it founds a cluster when it finds none. @default 'none' */
	readonly mode?: DiscoveryMode;
	/** The number of hosts that start together. */
	readonly expect?: number;
	/** Former ids of the same machine, whose disks were lost. */
	readonly replaces: readonly NodeId[];
	/** Addresses to join through, unless the host was started with a list of its own. */
	readonly bootstrap: () => readonly string[];
	/** Its disk is a copy of another machine's disk. */
	readonly isCopy?: boolean;
	/** Whether it keeps a reserve for a full disk. @default false */
	readonly keepsReserve?: boolean;
	/** Which of the simulated secrets it holds. @default 0 */
	readonly secret?: number;
	readonly schedule: Schedule;
	readonly random: SeededRandom;
	readonly fabric: Fabric;
	readonly disk: SimDisk;
	readonly observer: Observer;
	readonly config: Config;
	readonly raftLimits: Partial<RaftLimits>;
	/** The newest protocol that its program speaks at first. A restart may run a newer program. */
	readonly protocol: number;
	/** How many thousandths its clock runs too fast, or too slow if negative. */
	readonly driftPerMille: number;
	readonly note: (text: string) => void;
	/** Called when its process has ended. */
	readonly onEnd?: (host: Host) => void;
};

type State = {
	readonly incarnation: number;
	readonly clusterId: string;
	readonly lamport: number;
	readonly topics: readonly Topic[];
	readonly members?: ReadonlyArray<readonly [NodeId, string]>;
};
export type ExitCause = 'killed' | 'power' | 'stopped' | 'storage' | 'damaged' | 'removed';

const folder = '/data';
const dialMs = 200;
const tickMs = 25;
const keepTimeMs = 60_000;

export class Host implements Endpoint {
	readonly id: NodeId;
	readonly key: string;
	readonly options: HostOptions;
	/** Where it is reachable. Changes only between starts. */
	address: string;
	/** A protocol that no other node speaks, which its program speaks for a while. */
	foreignProtocol: number | undefined;
	secret: number;
	/**
	The list that it is started with (`--bootstrap`); `undefined` for the list of the run. It may name hosts that moved,
	only some hosts, or itself.
	*/
	bootstrap: readonly string[] | undefined;
	/** The list of its first start. */
	formerList: readonly string[] = [];
	#announce = (): void => undefined;
	/** The announcement of the running process. */
	hello: () => Hello;
	/** The addresses of the members, from the log of the process that ended last. */
	#book: ReadonlyMap<NodeId, string> = new Map();
	node: Node | undefined;
	/** Whether its disk records the cluster. A host that loses power before is a new one. */
	hasJoined = false;
	/** Grows at every start and end of the process, which cancels the callbacks of earlier processes. */
	#generation = 0;
	isUp = false;
	isPaused = false;
	/** The newest protocol of the installed program. */
	protocol: number;
	/** Why the process ended. */
	exitCause: ExitCause | undefined;
	exitReason = '';
	/** Whether it must never start again: it was removed, or its disk was replaced. */
	isRetired = false;
	powerCuts = 0;
	/** Input that arrived during a pause and is still unread. */
	unread = 0;
	wallOffsetMs = 1_700_000_000_000;
	/** The content of a small file that the checks do not cover. */
	#keptTime: KeptTime | undefined;
	#bootMs = 0;
	/** When the process started or resumed. */
	#sinceMs = 0;
	/** When it became a member. */
	#memberMs = 0;
	#waiting: Array<() => void> = [];
	#late = new Set<() => void>();
	/** Beacons received by the running process. */
	#heard = new HeardBeacons();
	/** Callers that this process rejected as non-members while it had no leader: how often in a row, and when last. */
	#refused = new Map<NodeId, {times: number; atMs: number}>();

	constructor(options: HostOptions) {
		this.id = options.id;
		this.key = options.key ?? options.id;
		this.address = options.address;
		this.secret = options.secret ?? 0;
		this.options = options;
		this.protocol = options.protocol;
		this.hello = () => ({
			id: this.id,
			address: this.address,
			clusterId: '',
			incarnation: 0,
			instance: '',
			protocols: [1, this.protocol],
			version: 'sim',
		});
		options.fabric.add(this);
	}

	boot(): void {
		if (this.isUp || this.isRetired) return;
		const {disk, schedule, note, random, fabric, freshAddress} = this.options;
		if (fabric.at(this.address) !== this) this.moveTo(freshAddress());
		if (this.#generation === 0) this.formerList = this.options.bootstrap();
		const generation = ++this.#generation;
		if (generation > 1 && random.child(`upgrade/${generation}`).chance(1, 2)) this.protocol = protocolMax;
		note(`boot ${this.key} ${this.protocol}`);
		this.isUp = true;
		this.exitCause = undefined;
		this.#bootMs = schedule.nowMs;
		this.#sinceMs = schedule.nowMs;
		disk.attach(work => this.#runIn(generation, work));
		this.options.observer.fullDisks.booted(this);
		void this.#assemble(generation, random.child(`life/${generation}`)).catch((error: unknown) => {
			if (generation === this.#generation)
				this.#end(
					(error as {code?: string}).code === 'storage' ? 'damaged' : 'stopped',
					(error as Error).message,
				);
		});
	}

	get isCopy(): boolean {
		return this.options.isCopy ?? false;
	}

	/**
	The list for its next start: a joining host gets the present addresses, a member those of its first start, unless it
	was given another list since.
	*/
	get seekList(): readonly string[] {
		return this.bootstrap ?? this.formerList;
	}

	/** The addresses of the members by its log, including its own once it is a member. */
	get addressBook(): ReadonlyMap<NodeId, string> {
		return this.node
			? new Map(this.node.control.state.members().map(({id, address}) => [id, address]))
			: this.#book;
	}

	/** A machine without power does not refuse connections: nothing answers. */
	get isOn(): boolean {
		return this.isUp || this.exitCause !== 'power';
	}

	/** Change its address, from its next start on. Returns false while its process runs. */
	moveTo(address: string): boolean {
		if (this.isUp) return false;
		this.address = address;
		this.options.fabric.relocate(this);
		this.options.note(`move ${this.key} to ${address}`);
		return true;
	}

	/** How long it has run as a member, without a pause and without a cut. */
	get ranMs(): number {
		const {fabric, schedule} = this.options;
		return this.node?.phase === 'running' && !this.isPaused
			? Math.min(schedule.nowMs - this.#sinceMs, fabric.uncutMs(this.key))
			: 0;
	}

	/** When the newest process started, or was last resumed. */
	get sinceMs(): number {
		return this.#sinceMs;
	}

	/** How long the process has run without a pause. */
	get awakeMs(): number {
		return this.isUp && !this.isPaused ? this.options.schedule.nowMs - this.#sinceMs : 0;
	}

	/** The same as `ranMs`, counted only while it is a member and its links are not clogged. */
	get undisturbedMs(): number {
		const {fabric, schedule} = this.options;
		return Math.min(this.ranMs, schedule.nowMs - this.#memberMs, fabric.undisturbedMs(this.key));
	}

	/** Install the newest program, unless the process runs. */
	upgrade(): void {
		if (!this.isUp) this.protocol = protocolMax;
	}

	kill(): void {
		if (!this.isUp) return;
		this.#end('killed', 'kill -9');
		this.options.disk.kill();
	}

	powerCut(): void {
		this.powerCuts++;
		if (this.isUp) this.#end('power', 'power cut');
		this.options.disk.powerCut();
	}

	/** SIGTERM. */
	stop(): void {
		void this.node?.stop('restart');
	}

	pause(forMs: number): void {
		if (!this.isUp || this.isPaused) return;
		this.isPaused = true;
		this.options.note(`pause ${this.key}`);
		const generation = this.#generation;
		this.options.schedule.after(forMs, () => {
			if (generation === this.#generation) this.resume();
		});
	}

	resume(): void {
		if (!this.isPaused) return;
		this.isPaused = false;
		this.#sinceMs = this.options.schedule.nowMs;
		const waiting = this.#waiting.splice(0).map(work => (): void => {
			this.unread--;
			work();
		});
		this.unread = waiting.length;
		const late = [...this.#late];
		this.#late.clear();
		// After a pause, timers may run before the waiting input or after it.
		const order = this.options.random.chance(1, 2) ? [...late, ...waiting] : [...waiting, ...late];
		for (const work of order) work();
	}

	run(work: () => void): void {
		this.#runIn(this.#generation, work);
	}

	/**
	A client sends a request. While the process is paused, the request waits in a separate socket, which the process may
	read before those of its peers.
	*/
	ask(work: () => void): void {
		const generation = this.#generation;
		if (this.isPaused) this.#waiting.unshift(() => this.#runIn(generation, work));
		else work();
	}

	onFrame(from: NodeId, frame: Buffer): void {
		this.options.note(`${from}>${this.key} ${frame.length}`);
		this.node?.onFrame(from, frame);
	}

	onDatagram(from: NodeId, bytes: Buffer): void {
		this.options.note(`${from}~${this.key} ${bytes.length}`);
		this.node?.onDatagram(from, bytes);
	}

	onBeacon(beacon: Beacon): void {
		this.options.note(`${beacon.id}*${this.key} ${beacon.phase}`);
		const {node} = this;
		if (beacon.id === this.id) {
			if (beacon.address !== this.address)
				node?.identity.conflicts.duplicate(this.id, this.address, beacon.address);
			return;
		}

		this.#heard.hear(beacon, this.options.schedule.nowMs - this.#bootMs);
		if (beacon.phase === 'seeking' && node?.phase === 'running') this.#announce();
		if (node?.phase === 'running' && beacon.phase === 'member' && beacon.clusterId !== node.clusterId)
			node.identity.conflicts.foreign(beacon.clusterId, beacon.address);
	}

	onLink(peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void {
		this.#refused.delete(peer);
		this.options.observer.leaderCauses.linked(this.key, peer, change);
		this.node?.onLink(peer, change);
	}

	judge(peer: NodeId, caller: Process, linked: Process | undefined): Judgement {
		return (
			this.node?.identity.duplicates.judge(peer, caller, linked) ??
			(linked ? {type: 'wait', reason: 'the node is starting'} : {type: 'take'})
		);
	}

	onDuplicate(_peer: NodeId, refusal: Refusal): void {
		this.node?.identity.onRefused(refusal);
	}

	onUnknownPeer(peer: NodeId, address: string): void {
		const {
			node,
			options: {
				schedule: {nowMs},
				observer,
			},
		} = this;
		node?.onUnknownPeer(peer, address);
		if (node?.phase !== 'running' || node.control.raft.status().leader !== undefined) {
			this.#refused.delete(peer);
			return;
		}

		const before = this.#refused.get(peer);
		if (before?.atMs === nowMs) return; // These calls arrived during a pause.
		const times = (before?.times ?? 0) + 1;
		this.#refused.set(peer, {times, atMs: nowMs});
		observer.membership.refused(this, peer, times);
	}

	#runIn(generation: number, work: () => void): void {
		if (generation !== this.#generation || !this.isUp) return;
		if (this.isPaused) this.#waiting.push(() => this.#runIn(generation, work));
		else work();
	}

	#end(cause: ExitCause, reason: string): void {
		const {fabric, note, observer} = this.options;
		note(`end ${this.key} ${cause}`);
		this.#generation++;
		this.isUp = false;
		this.isPaused = false;
		this.#waiting = [];
		this.#refused.clear();
		this.unread = 0;
		this.#late.clear();
		this.exitCause = cause;
		this.exitReason = reason;
		this.#book = this.addressBook;
		this.node = undefined;
		observer.ended(this, cause);
		fabric.ended(this.key, cause !== 'power');
		this.options.onEnd?.(this);
	}

	async #assemble(generation: number, random: SeededRandom): Promise<void> {
		const {
			id,
			address,
			options: {disk, config, fabric, observer, founds, raftLimits, replaces, mode = 'none', expect = 0},
		} = this;
		const current: {node?: Node} = {};
		const heard = new HeardBeacons();
		this.#heard = heard;
		const clock = this.#clock(generation);
		const entropy: Entropy = {
			below: limit => random.below(limit),
			bytes: count => Buffer.from(Array.from({length: count}, () => random.below(256))),
		};
		const {protocol} = this;
		const drawn = random.child('instance');
		const instance = Array.from({length: 16}, () => drawn.below(16).toString(16)).join('');
		const name = {text: defaultName('host', Number(address.split(':')[1])), isChosen: false};
		const files = new FilePool(disk, {
			openMax: random.child('files').pick([4, 16, 64]),
			clock,
			onShort: () => current.node?.journal.bound('open-files'),
		});
		await files.makeFolder(folder);
		const room = this.options.keepsReserve
			? observer.reserve(
					this,
					new Reserve({
						files,
						folder,
						freeBytes: async () => disk.freeBytes,
						freeFiles: async () => Infinity,
						sizes: simReserve,
						report: text => observer.fullDisks.said(this, text),
					}),
				)
			: undefined;
		await room?.maintain();
		const state = readState(disk);
		const incarnation = state.incarnation + 1;
		const lamport = new Lamport(state.lamport, config.gossip.lamportJumpMax);
		lamport.nextCeiling();
		const save = (rest: Omit<State, 'incarnation'>): Promise<void> =>
			replaceFile(files, folder, 'node.json', Buffer.from(JSON.stringify({...rest, incarnation})));
		const {incarnation: _former, ...kept} = state;
		await save({...kept, lamport: lamport.ceiling});
		lamport.persisted(lamport.ceiling);
		const logOptions = {
			segmentBytes: config.storage.segmentBytes,
			writeDeadlineMs: config.storage.writeDeadlineMs,
			files,
			clock,
			entropy,
		};
		const log = await openLog({folder: joinPath(folder, 'raft'), ...logOptions});
		if (log.damaged.length > 0) throw Object.assign(new Error('The Raft log is damaged'), {code: 'storage'});
		const store = await RaftStore.open(observer.raft.log(this, log), blobsOn(files, disk));
		const knownTopics = [
			...new Set(
				disk
					.paths()
					.filter(path => path.startsWith(`${folder}/topics/`))
					.map(path => dirname(path).slice(`${folder}/topics/`.length)),
			),
		].map(part => decodeURIComponent(part) as Topic);
		const uptimeMs = (): number => this.options.schedule.nowMs;
		const retentionClock = new RetentionClock(
			this.#keptTime,
			{wallMs: clock.wallMs(), uptimeMs: uptimeMs()},
			config.storage.retainAgeS * 1000,
			() => clock.monotonicMs(),
		);
		const keepTime = (): void => {
			this.#keptTime = retentionClock.kept(uptimeMs());
		};

		keepTime();
		clock.every(keepTimeMs, keepTime);
		const clusterId = (): string => current.node?.clusterId ?? state.clusterId;
		this.hello = () => ({
			id,
			address,
			clusterId: clusterId(),
			incarnation,
			version: 'sim',
			instance: protocol < namesProtocol ? '' : instance,
			protocols:
				this.foreignProtocol === undefined
					? [current.node?.control.state.protocol ?? 1, protocol]
					: [this.foreignProtocol, this.foreignProtocol],
		});
		const endpoint = this.#endpoint(generation);
		const {links, datagrams, dial} = fabric.linksOf(endpoint);
		const announce = (): void => {
			if (mode !== 'none')
				fabric.announce(this.key, {
					id,
					incarnation,
					instance,
					address,
					clusterId: clusterId(),
					phase: current.node?.phase === 'running' ? 'member' : 'seeking',
				});
		};

		this.#announce = announce;
		announce();
		clock.every(config.discovery.intervalMs, announce);
		const isFresh = store.isEmpty && state.clusterId === '';
		const seeds = mode === 'list' || mode === 'list-with-self' ? this.options.bootstrap() : [];
		const foundings: Readonly<Record<DiscoveryMode, NodeOptions['founding']>> = {
			none: founds ? {seeds: [], expect: 0, seekMs: 0} : undefined,
			discovery: {seeds, expect: 0, seekMs: config.discovery.seekMs},
			list: {seeds, expect: 0, seekMs: 0},
			'list-with-self': {seeds, expect: 0, seekMs: 0},
			expect: {seeds, expect, seekMs: config.discovery.seekMs},
		};
		const candidates = async (): Promise<readonly Candidate[]> => {
			if (mode === 'none' && founds && state.clusterId === '') return [];
			if (current.node?.phase !== 'running') announce();
			// A joining host gets the present addresses, a member those of its start.
			const list = clusterId() === '' ? this.options.bootstrap() : this.seekList;
			const former = (state.members ?? []).filter(([other]) => other !== id).map(([, at]) => at);
			return heard.candidates([list, former], {
				clusterId: clusterId(),
				nowMs: this.options.schedule.nowMs - this.#bootMs,
				intervalMs: config.discovery.intervalMs,
			});
		};

		const node = new Node({
			founding: isFresh ? foundings[mode] : undefined,
			resignations: replaces.map(former => ({
				id: former,
				publicKey: new Uint8Array(32),
				signature: new Uint8Array(64),
			})),
			id,
			incarnation,
			lamport,
			config,
			address,
			instance,
			name,
			version: 'sim',
			protocolMax: protocol,
			clusterId: state.clusterId,
			topics: state.topics,
			raftLimits,
			io: {
				clock,
				entropy,
				datagrams,
				knownTopics,
				room,
				save: async rest => {
					await save(rest);
					this.hasJoined ||= rest.clusterId !== '';
				},
				isGenuine: () => true,
				peers: {candidates, ask: (at, frame) => this.#ask(generation, endpoint, at, frame)},
				faults: undefined,
				sign: undefined,
				verify: () => 'ok',
				links: observer.links.wrap(this, links),
				raftStore: observer.raft.store(this, store),
				retentionMs: () => retentionClock.nowMs,
				noteAge: ageMs => void (retentionClock.note(ageMs) && keepTime()),
				removeTopic: async topic => {
					const at = `${folder}/topics/${encodeURIComponent(topic)}`;
					const names = await files.list(at);
					for (const part of [
						names.filter(file => file === 'synced'),
						names.filter(file => file !== 'synced'),
					]) {
						for (const file of part) await files.unlink(`${at}/${file}`);
						await files.syncFolder(at);
					}

					await files.removeFolder(at);
				},
				openTopic: async (topic, onHeader) => {
					const topicLog = await openLog({
						folder: `${folder}/topics/${encodeURIComponent(topic)}`,
						...logOptions,
					});
					return observer.topicLogs.opened(
						this,
						topic,
						await openTopicLog(
							topicLog,
							observer.topicLogs.onHeader(this, topic, onHeader),
							this.id,
							() => retentionClock.nowMs,
						),
						topicLog.damaged.length > 0,
					);
				},
			},
		});
		if (protocol < namesProtocol) limitToProtocol1(node.control.state);
		else if (protocol < topicsProtocol) limitToProtocol2(node.control.state);
		current.node = node;
		observer.booted(this, node, store);
		void node.closed.then(reason => {
			if (generation === this.#generation)
				this.#end(/removed/.test(reason) ? 'removed' : reason === 'restart' ? 'stopped' : 'storage', reason);
		});
		await node.start();
		observer.started(this, node);
		this.node = node;
		clock.every(dialMs, dial);
		if (node.control.isMember) return node.run(node.control.state.clusterId || state.clusterId);
		node.onPhase = () => {
			if (node.phase === 'running') this.#memberMs = this.options.schedule.nowMs;
		};

		void node.bootstrap();
	}

	/** Send one join request over a connection of its own. */
	#ask(
		generation: number,
		endpoint: Endpoint,
		at: string,
		frame: Buffer,
	): Promise<{readonly id: NodeId; readonly frame: Buffer}> {
		const {fabric, schedule, random} = this.options;
		return new Promise((resolve, reject) => {
			const later = (work: () => void): void => schedule.after(random.between(1, 20), work);
			const fail = (error = new Error('unreachable')): void =>
				schedule.after(500, () => this.#runIn(generation, () => reject(error)));
			later(() => {
				const found = fabric.ask(endpoint, at);
				if (found && 'code' in found)
					return fail(
						new DapssError(found.code === 'not-authenticated' ? found.code : 'refused', found.reason, {
							cause: {code: found.code},
						}),
					);
				const other = found?.endpoint as Host | undefined;
				if (!other?.node) return fail();
				const request = parseJoin(frame)!;
				const {node} = other;
				// Facts from the hello of the connection.
				const {
					incarnation,
					instance,
					protocols: [, newest],
					version,
				} = endpoint.hello();
				const facts = {
					protocol: Math.min(newest, this.protocol, other.protocol),
					version,
					incarnation,
					instance,
				};
				other.run(
					() =>
						void node.onJoin({...request, facts}).then(answer =>
							later(() => {
								if (fabric.isCut(this.key, other.key)) fail();
								else
									this.#runIn(generation, () =>
										resolve({id: other.id, frame: encodeControl('joined', answer)}),
									);
							}),
						),
				);
				schedule.after(5000, () => this.#runIn(generation, () => reject(new Error('no answer'))));
			});
		});
	}

	/** The endpoint of one process. It receives nothing that is meant for another process of the machine. */
	#endpoint(generation: number): Endpoint {
		const host = this; // oxlint-disable-line typescript/no-this-alias, unicorn/no-this-assignment -- a view of this host
		return {
			id: this.id,
			key: this.key,
			address: this.address,
			secret: this.secret,
			isOn: true,
			hello: this.hello,
			get isUp() {
				return host.isUp && host.#generation === generation;
			},
			run: work => this.#runIn(generation, work),
			onFrame: (from, frame) => this.onFrame(from, frame),
			onDatagram: (from, bytes) => this.onDatagram(from, bytes),
			onBeacon: beacon => this.onBeacon(beacon),
			onLink: (peer, change) => this.onLink(peer, change),
			onUnknownPeer: (peer, at) => this.onUnknownPeer(peer, at),
			judge: (peer, caller, linked) => this.judge(peer, caller, linked),
			onDuplicate: (peer, refusal) => this.onDuplicate(peer, refusal),
		};
	}

	#clock(generation: number): Clock {
		const {schedule, driftPerMille} = this.options;
		const scaled = (ms: number): number => Math.max(0, Math.round((ms * 1000) / (1000 + driftPerMille)));
		const now = (): number => ((schedule.nowMs - this.#bootMs) * (1000 + driftPerMille)) / 1000;
		const isOver = (): boolean => generation !== this.#generation || !this.isUp;
		return {
			monotonicMs: now,
			wallMs: () => Math.floor(this.wallOffsetMs + now()),
			every: (intervalMs, run) => {
				let isDisposed = false;
				const fire = (): void => {
					if (!isDisposed && !isOver()) run();
				};

				const beat = (): void =>
					schedule.after(scaled(intervalMs), () => {
						if (isDisposed || isOver()) return;
						beat();
						if (this.isPaused)
							this.#late.add(fire); // Missed beats are merged into one.
						else fire();
					});
				beat();
				return {[Symbol.dispose]: () => void (isDisposed = true)};
			},
			after: (delayMs, run) => {
				let isDisposed = false;
				const fire = (): void => {
					if (!isDisposed && !isOver()) run();
				};

				schedule.after(scaled(delayMs), () => {
					if (this.isPaused && !isOver()) this.#late.add(fire);
					else fire();
				});
				return {[Symbol.dispose]: () => void (isDisposed = true)};
			},
			soon: run => schedule.after(0, () => this.#runIn(generation, run)),
		};
	}
}

function readState(disk: SimDisk): State {
	const bytes = disk.content(joinPath(folder, 'node.json'));
	if (!bytes) return {incarnation: 0, clusterId: '', lamport: 0, topics: []};
	try {
		return JSON.parse(bytes.toString()) as State;
	} catch {
		throw Object.assign(new Error('node.json is damaged'), {code: 'storage'});
	}
}

function blobsOn(files: Files, disk: SimDisk): Blobs {
	return {
		async write(name, bytes) {
			const checksum = Buffer.alloc(4);
			checksum.writeUInt32BE(crc32c(bytes));
			await replaceFile(files, folder, name, Buffer.concat([checksum, bytes]));
		},
		async read(name) {
			const bytes = disk.content(joinPath(folder, name));
			if (!bytes) return undefined;
			const body = bytes.subarray(4);
			if (bytes.length < 4 || bytes.readUInt32BE(0) !== crc32c(body))
				throw Object.assign(new Error(`The file ${name} is damaged`), {code: 'storage'});
			return Buffer.from(body);
		},
		list: () => files.list(folder),
		unlink: name => files.unlink(joinPath(folder, name)),
	};
}

export const simTickMs = tickMs;
