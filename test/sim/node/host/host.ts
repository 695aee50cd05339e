/**
A simulated machine that runs a node of the product: the real `Node` with its Raft store, topic logs and segmented logs,
over a simulated disk, network and clock. Its process may be killed, paused or lose power, and is started again. The
machine may get a new disk, and then another id.
*/
import type {KeyId} from '../../../../core/cluster-keys.ts';
import type {Config} from '../../../../core/config.ts';
import type {Judgement, Process} from '../../../../core/membership/duplicate-processes.ts';
import type {NodeId} from '../../../../core/message.ts';
import type {NodeIo} from '../../../../core/node/node-options.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {RaftLimits} from '../../../../core/raft/leader.ts';
import type {KeptTime} from '../../../../core/topic-log/retention.ts';
import {protocolMax} from '../../../../core/version.ts';
import type {Identity} from '../../../../core/wire/seal.ts';
import type {SeededRandom} from '../../random.ts';
import type {Schedule} from '../../schedule.ts';
import type {DiscoveryMode} from '../discovery.ts';
import type {SimDisk} from '../disk.ts';
import type {Beacon, Endpoint, Fabric} from '../fabric.ts';
import type {Hello, Refusal} from '../handshake.ts';
import type {Observer} from '../observer/observer.ts';
import {simSecret} from '../key-operator.ts';
import {HostProcess} from './host-process.ts';

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
	/** The secret in the file of its user. @default that of the founder */
	readonly secret?: Uint8Array;
	/** Whether its node may write that file. @default true */
	readonly writesSecret?: boolean;
	readonly schedule: Schedule;
	readonly random: SeededRandom;
	readonly fabric: Fabric;
	readonly disk: SimDisk;
	readonly observer: Observer;
	readonly config: Config;
	readonly raftLimits: Partial<RaftLimits>;
	/** The user who runs the host, if it has an identity. */
	readonly owner: Identity | undefined;
	/** The newest protocol that its program speaks at first. A restart may run a newer program. */
	readonly protocol: number;
	/** How many thousandths its clock runs too fast, or too slow if negative. */
	readonly driftPerMille: number;
	readonly note: (text: string) => void;
	/** Wraps the ports of its processes to the network. @default as they are */
	readonly wire?: ((ports: Pick<NodeIo, 'links' | 'datagrams'>) => Pick<NodeIo, 'links' | 'datagrams'>) | undefined;
	/** Called when its process has ended. */
	readonly onEnd?: (host: Host) => void;
};

/**
Why a process ended. `stopped`: after SIGTERM, or its start failed. `damaged`: its start found damaged files. `storage`:
the node stopped by itself, for example after a disk error.
*/
export type ExitCause = 'killed' | 'power' | 'stopped' | 'storage' | 'damaged' | 'removed';

export class Host implements Endpoint {
	readonly id: NodeId;
	readonly key: string;
	readonly options: HostOptions;
	/** Where it is reachable. Changes only between starts. */
	address: string;
	/** A protocol that no other node speaks, which its program speaks for a while. */
	foreignProtocol: number | undefined;
	/** The secret in the file of its user. */
	secret: Uint8Array;
	/** Somebody started it with a foreign secret. */
	hasForeignSecret = false;
	/**
	The list that it is started with (`--bootstrap`); `undefined` for the list of the run. It may name hosts that moved,
	only some hosts, or itself.
	*/
	bootstrap: readonly string[] | undefined;
	/** The list of its first start. */
	formerList: readonly string[] = [];
	/** The node of the running process, once it has read its logs back. */
	node: Node | undefined;
	/** Whether its disk records the cluster. A host that loses power before is a new one. */
	hasJoined = false;
	/** The newest protocol of the installed program. */
	protocol: number;
	/** Why the last process ended, and the message with which it ended. */
	exitCause: ExitCause | undefined;
	exitReason = '';
	/** Whether the process was asked to stop (SIGTERM). */
	isStopRequested = false;
	/** Whether it must never start again: it was removed, or its disk was replaced. */
	isRetired = false;
	powerCuts = 0;
	wallOffsetMs = 1_700_000_000_000;
	/** The content of a small file that the checks do not cover. */
	keptTime: KeptTime | undefined;
	#process: HostProcess | undefined;
	/** Starts and ends of processes. */
	#changes = 0;
	/** The addresses of the members, from the log of the process that ended last. */
	#lastAddressBook: ReadonlyMap<NodeId, string> = new Map();
	/** When the process started or resumed. */
	#sinceMs = 0;
	/** When it became a member. */
	#memberMs = 0;
	/** Callers that this process rejected as non-members while it had no leader: how often in a row, and when last. */
	#refused = new Map<NodeId, {times: number; atMs: number}>();

	constructor(options: HostOptions) {
		this.id = options.id;
		this.key = options.key ?? options.id;
		this.address = options.address;
		this.secret = options.secret ?? simSecret(0);
		this.options = options;
		this.protocol = options.protocol;
		options.fabric.add(this);
	}

	/** The keys that its process accepts. */
	get keys(): readonly KeyId[] {
		return this.#process?.keys ?? [];
	}

	get isUp(): boolean {
		return this.#process !== undefined;
	}

	get isPaused(): boolean {
		return this.#process?.loop.isPaused ?? false;
	}

	/** Input that arrived during a pause and is still unread. */
	get unread(): number {
		return this.#process?.loop.unread ?? 0;
	}

	/** Start a process, unless one runs or the host is retired. */
	boot(): void {
		if (this.isUp || this.isRetired) return;
		const {disk, schedule, note, random, fabric, freshAddress, observer} = this.options;
		if (fabric.at(this.address) !== this) this.moveTo(freshAddress());
		if (this.#changes === 0) this.formerList = this.options.bootstrap();
		const start = ++this.#changes;
		if (start > 1 && random.child(`upgrade/${start}`).chance(1, 2)) this.protocol = protocolMax;
		note(`boot ${this.key} ${this.protocol}`);
		const process = new HostProcess(this, random.child(`life/${start}`));
		this.#process = process;
		this.exitCause = undefined;
		this.isStopRequested = false;
		this.#sinceMs = schedule.nowMs;
		disk.attach(work => process.run(work));
		observer.fullDisks.booted(this);
		process.start().catch((error: unknown) => {
			const {code, message} = error as Error & {readonly code?: string};
			if (this.#process === process) this.#end(code === 'storage' ? 'damaged' : 'stopped', message);
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
			: this.#lastAddressBook;
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
		if (!this.node) return;
		this.isStopRequested = true;
		void this.node.stop('restart');
	}

	pause(forMs: number): void {
		const process = this.#process;
		if (!process || process.loop.isPaused) return;
		process.loop.isPaused = true;
		this.options.note(`pause ${this.key}`);
		this.options.schedule.after(forMs, () => {
			if (process === this.#process) this.resume();
		});
	}

	resume(): void {
		if (!this.#process?.loop.isPaused) return;
		this.#sinceMs = this.options.schedule.nowMs;
		this.#process.loop.resume(this.options.random.chance(1, 2));
	}

	run(work: () => void): void {
		this.#process?.run(work);
	}

	/**
	A client sends a request. While the process is paused, the request waits in a separate socket, which the process may
	read before those of its peers.
	*/
	ask(work: () => void): void {
		if (this.#process?.loop.isPaused) this.#process.loop.runFirst(work);
		else work();
	}

	hello(): Hello {
		if (this.#process) return this.#process.hello();
		const {id, address, protocol} = this;
		return {
			id,
			address,
			clusterId: '',
			incarnation: 0,
			instance: '',
			protocols: [1, protocol],
			version: 'sim',
		};
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

		this.#process?.heard.hear(beacon, this.options.schedule.nowMs - this.#process.startMs);
		if (beacon.phase === 'seeking' && node?.phase === 'running') this.#process?.announce();
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

	/** The node of the process has become a member. */
	joined(): void {
		this.#memberMs = this.options.schedule.nowMs;
	}

	/** The node of the process has stopped by itself, for this reason. */
	stopped(process: HostProcess, reason: string): void {
		if (process !== this.#process) return;
		this.#end(/removed/.test(reason) ? 'removed' : reason === 'restart' ? 'stopped' : 'storage', reason);
	}

	#end(cause: ExitCause, reason: string): void {
		const {fabric, note, observer} = this.options;
		note(`end ${this.key} ${cause}`);
		this.#lastAddressBook = this.addressBook;
		this.#changes++;
		this.#process?.loop.end();
		this.#process = undefined;
		this.node = undefined;
		this.#refused.clear();
		this.exitCause = cause;
		this.exitReason = reason;
		observer.ended(this, cause);
		fabric.ended(this.key, cause !== 'power');
		this.options.onEnd?.(this);
	}
}

/** The duration of a tick of the node, in milliseconds. As in `core/node/node.ts`. */
export const simTickMs = 25;
