/**
The network between simulated machines: TCP-like connections (open at both ends, or half open after a cut or a power
failure until a frame finds no receiver), datagrams, and beacons to all. Everything is sent to an address. The process
at that address proves its identity (`handshake.ts`), or there is none. A running machine without a process refuses
connections; an address without a machine does not answer. Frames travel as bytes. `ordered` links lose no frame within
a connection, as TCP does; other links may lose, repeat and reorder frames, which no real connection would.

Each machine has a key of its own, because two machines may hold copies of one disk and use one node id.
*/
import type {Judgement, Process as LinkedProcess} from '../../../core/membership/duplicate-processes.ts';
import type {NodeId} from '../../../core/message.ts';
import type {KeyId} from '../../../core/cluster-keys.ts';
import type {KeyedNetwork} from '../../../core/node/key-keeper.ts';
import type {Datagrams, Links, LinkState} from '../../../core/ports.ts';
import {Network, type LinkOptions} from '../network.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';
import {commonKey, commonProtocol, mismatch, refusal, type Hello, type Listening, type Refusal} from './handshake.ts';

/** What a searching host announces to all that hear it. It is a hint and proves nothing. */
export type Beacon = {
	readonly id: NodeId;
	readonly incarnation: number;
	readonly instance: string;
	readonly clusterId: string;
	readonly address: string;
	readonly phase: 'member' | 'seeking';
};

/** A machine, and the process that runs on it. */
export type Endpoint = {
	/** Names the machine. It is the node id unless the disk was copied. */
	readonly key: string;
	readonly id: NodeId;
	readonly address: string;
	/** Whether the machine has power. Without a process, a machine with power refuses connections. */
	readonly isOn: boolean;
	/** Whether its process runs. */
	readonly isUp: boolean;
	/** The ids of the keys that its process accepts, the one that it uses first. */
	readonly keys: readonly string[];
	hello(): Hello;
	/** Runs the work in the process, unless the process has ended; waits while it is paused. */
	run(work: () => void): void;
	onFrame(from: NodeId, frame: Buffer): void;
	onDatagram(from: NodeId, bytes: Buffer): void;
	onBeacon(beacon: Beacon): void;
	onLink(peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void;
	onUnknownPeer(peer: NodeId, address: string): void;
	/** Decides about a process that calls under a peer's id. `linked`: another process that is linked as this peer. */
	judge(peer: NodeId, caller: LinkedProcess, linked: LinkedProcess | undefined): Judgement;
	/** The peer reports that another process with this node's id is the confirmed one. */
	onDuplicate(peer: NodeId, refusal: Refusal): void;
};

/** One end of a connection: its number, the peer, and the key that both proved. */
type End = {readonly number: number; readonly peer: NodeId; readonly key: string};

/** A process as other processes see it. */
type Process = Listening & {
	readonly endpoint: Endpoint;
	/** By peer: the machine at the other end of the connection. */
	readonly links: Map<NodeId, string>;
	readonly hellos: Map<NodeId, Hello>;
	/** Why there is no connection, by peer. */
	readonly problems: Map<NodeId, string>;
	readonly refusals: Map<string, number>;
	/** Calls the peer at once, as a link does when its connection closes. */
	redial(peer: NodeId): void;
};

/** The peers of a process, as its node has set them. */
type Peers = {addresses: ReadonlyMap<NodeId, string>; removed: ReadonlySet<NodeId>};

type Called =
	{readonly type: 'silent'} | {readonly type: 'refused'} | {readonly type: 'there'; readonly process: Process};

const outQueueBytes = 16 * 1024 * 1024;
const headBytes = 4;
/** Any healed link carries this much at once. */
const backlogBytes = 16 * 1024;
const up: LinkState = {state: 'up', why: ''};
const connecting: LinkState = {state: 'connecting', why: 'dialling'};

export class Fabric {
	readonly frames: Network;
	readonly datagrams: Network;
	readonly beacons: Network;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	/** A separate stream, so that an immediate redial leaves all other draws unchanged. */
	readonly #redialRandom: SeededRandom;
	readonly #endpoints = new Map<string, Endpoint>();
	/** Address → the machine that has it now. */
	readonly #holders = new Map<string, string>();
	readonly #processes = new Map<string, Process>();
	/** `from>to` of machines → the connection that the end `from` holds. */
	readonly #ends = new Map<string, End>();
	readonly #cut = new Set<string>();
	/** When the last cut of a machine was healed. */
	readonly #healedMs = new Map<string, number>();
	/** When the last clog of a machine ends. */
	readonly #flowsMs = new Map<string, number>();
	#connections = 0;
	halfOpen = 0;
	/** Calls refused in the handshake, by reason. */
	readonly refused = new Map<string, number>();
	/** Datagrams to an address without a machine, and datagrams under another key. */
	readonly lostDatagrams = {unknownAddress: 0, otherSecret: 0};

	constructor({
		seed,
		schedule,
		random,
		link,
		loss,
	}: {
		readonly seed: number | string;
		readonly schedule: Schedule;
		readonly random: SeededRandom;
		readonly link: Partial<LinkOptions>;
		readonly loss: readonly [number, number];
	}) {
		this.#schedule = schedule;
		this.#random = random;
		this.#redialRandom = random.child('redial');
		this.frames = new Network({
			seed,
			schedule,
			link,
			deliver: (from, to, bytes) =>
				this.#arrived(from, to, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)),
		});
		this.datagrams = new Network({
			seed: `${seed}/datagrams`,
			schedule,
			link: {...link, loss, ordered: false},
			deliver: (from, to, bytes) =>
				this.#sealed(
					from,
					to,
					(endpoint, id) => this.#isLinkedProcess(from, to) && endpoint.onDatagram(id, Buffer.from(bytes)),
				),
		});
		this.beacons = new Network({
			seed: `${seed}/beacons`,
			schedule,
			link: {...link, loss, ordered: false, bytesPerMs: 0},
			deliver: (from, to, bytes) =>
				this.#sealed(
					from,
					to,
					endpoint => endpoint.onBeacon(JSON.parse(Buffer.from(bytes).toString()) as Beacon),
					true,
				),
		});
	}

	/** Add a machine at its address. */
	add(endpoint: Endpoint): void {
		this.#endpoints.set(endpoint.key, endpoint);
		this.relocate(endpoint);
	}

	/** Move the machine to the address that it now has. A former holder of the address is no longer reachable there. */
	relocate(endpoint: Endpoint): void {
		for (const [address, key] of this.#holders) if (key === endpoint.key) this.#holders.delete(address);
		this.#holders.set(endpoint.address, endpoint.key);
	}

	/** The machine that has this address. */
	at(address: string): Endpoint | undefined {
		const key = this.#holders.get(address);
		return key === undefined ? undefined : this.#endpoints.get(key);
	}

	cut(from: string, to: string): void {
		this.blockTcp(from, to);
		this.blockUdp(from, to);
	}

	/** Block frames in one direction, which makes a connection unusable. */
	blockTcp(from: string, to: string): void {
		this.frames.cut(from, to);
		this.#cut.add(from).add(to);
	}

	blockUdp(from: string, to: string): void {
		this.datagrams.cut(from, to);
		this.beacons.cut(from, to);
		this.#cut.add(from).add(to);
	}

	/** Hold frames in one direction back for a while. */
	clog(from: string, to: string, forMs: number): void {
		this.frames.clog(from, to, forMs);
		for (const id of [from, to])
			this.#flowsMs.set(id, Math.max(this.#flowsMs.get(id) ?? 0, this.#schedule.nowMs + forMs));
	}

	heal(): void {
		for (const network of [this.frames, this.datagrams, this.beacons]) network.heal();
		for (const id of this.#cut) this.#healedMs.set(id, this.#schedule.nowMs);
		this.#cut.clear();
	}

	/** Ends all faults of the network. */
	calm(): void {
		this.heal();
		for (const network of [this.frames, this.datagrams])
			network.set({
				loss: [0, 1],
				duplication: [0, 1],
				replay: [0, 1],
				delayMs: [1, 10],
				bytesPerMs: 0,
				ordered: true,
			});
	}

	/** Close connections whose backlog would block a slow link for long, as a sender that gives up does. */
	giveUpBacklogs(): void {
		for (const key of this.#ends.keys()) {
			const [from, to] = keysOf(key);
			if (this.frames.queuedBytes(from, to) < backlogBytes) continue;
			this.frames.forget(from, to);
			this.#down(from, to);
			this.#down(to, from);
		}

		// An ended process leaves frames on a slow link. A new connection must not wait for them.
		for (const from of this.#endpoints.keys())
			for (const to of this.#endpoints.keys())
				if (!this.#ends.has(`${from}>${to}`) && from !== to) this.frames.forget(from, to);
	}

	/** Whether no connection between these machines can be used. */
	isCut(a: string, b: string): boolean {
		return this.frames.isCut(a, b) || this.frames.isCut(b, a);
	}

	/** Whether a connection is open at both ends, and frames pass in both directions. */
	isLinked(a: string, b: string): boolean {
		const number = this.#ends.get(`${a}>${b}`)?.number;
		return number !== undefined && this.#ends.get(`${b}>${a}`)?.number === number && !this.isCut(a, b);
	}

	/** The time since a cut last affected the machine. */
	uncutMs(key: string): number {
		return this.#cut.has(key) ? 0 : this.#schedule.nowMs - (this.#healedMs.get(key) ?? 0);
	}

	/** The time since a link of the machine was last cut or clogged. */
	undisturbedMs(key: string): number {
		return Math.max(0, Math.min(this.uncutMs(key), this.#schedule.nowMs - (this.#flowsMs.get(key) ?? 0)));
	}

	/** The process has ended. If its operating system still runs, it closes the connections, so peers notice. */
	ended(key: string, isTold: boolean): void {
		this.#processes.delete(key);
		for (const end of this.#ends.keys()) {
			const [from, to] = keysOf(end);
			if (from === key) this.#ends.delete(end);
			else if (to === key && isTold && !this.isCut(from, to)) this.#later(() => this.#down(from, to));
			else if (to === key) this.halfOpen++;
		}
	}

	/** Send a beacon to all machines within reach. */
	announce(key: string, beacon: Beacon): void {
		const bytes = Buffer.from(JSON.stringify(beacon));
		for (const other of this.#endpoints.keys()) if (other !== key) this.beacons.send(key, other, bytes);
	}

	/**
	The endpoint that answers a join request of this process at the address; a refusal; or `undefined` if nobody answers.
	*/
	ask(endpoint: Endpoint, address: string): {readonly endpoint: Endpoint} | Refusal | undefined {
		const called = this.#call(endpoint, address);
		const caller = this.#processes.get(endpoint.key);
		if (called.type !== 'there' || !caller) return undefined;
		const wrong = mismatch(caller, called.process);
		if (wrong) this.#count(wrong, caller, called.process);
		return wrong ?? {endpoint: this.#endpoints.get(called.process.endpoint.key)!};
	}

	/** The links and datagrams of one process. */
	linksOf(endpoint: Endpoint): {
		readonly links: Links;
		readonly datagrams: Datagrams;
		readonly dial: () => void;
		readonly keyed: KeyedNetwork;
	} {
		const peers: Peers = {addresses: new Map(), removed: new Set()};
		const process = this.#processOf(endpoint, peers);
		this.#processes.set(endpoint.key, process);
		return {
			links: this.#portOf(process, peers),
			datagrams: {
				send: (address, bytes) => {
					const target = this.at(address);
					if (target) this.datagrams.send(endpoint.key, target.key, bytes);
					else this.lostDatagrams.unknownAddress++;
				},
			},
			keyed: {
				rekey: () => this.#rekey(process),
				keyConnections: () =>
					[...process.links].flatMap(([peer, other]) => {
						const key = this.#ends.get(`${endpoint.key}>${other}`)?.key;
						return key === undefined || key === endpoint.keys[0]
							? []
							: [{key: key as KeyId, kind: 'node' as const, who: peer}];
					}),
			},
			dial: () => {
				for (const [peer, address] of peers.addresses)
					if (!peers.removed.has(peer) && !process.links.has(peer))
						this.#dial(process, address, peer, this.#random);
			},
		};
	}

	#processOf(endpoint: Endpoint, peers: Peers): Process {
		const process: Process = {
			endpoint,
			get keys() {
				return endpoint.keys;
			},
			links: new Map(),
			hellos: new Map(),
			problems: new Map(),
			refusals: new Map(),
			get hello() {
				return endpoint.hello();
			},
			standing: peer => (peers.removed.has(peer) ? 'removed' : peers.addresses.has(peer) ? 'member' : 'unknown'),
			linked: peer => (process.links.has(peer) ? process.hellos.get(peer) : undefined),
			judge: (peer, caller, linked) => endpoint.judge(peer, caller, linked),
			redial: peer => {
				const address = peers.addresses.get(peer);
				if (address !== undefined && !peers.removed.has(peer))
					this.#dial(process, address, peer, this.#redialRandom);
			},
		};
		return process;
	}

	#portOf(process: Process, peers: Peers): Links {
		const {endpoint} = process;
		const {key} = endpoint;
		const stats = {sentBytes: 0, receivedBytes: 0};
		const close = (peer: NodeId): void => this.#close(process, peer);
		return {
			setPeers(next) {
				const former = peers.addresses;
				peers.addresses = next;
				for (const peer of former.keys()) {
					if (next.has(peer)) continue;
					close(peer);
					process.hellos.delete(peer);
					process.problems.delete(peer);
				}
			},
			setRemoved(ids) {
				peers.removed = new Set(ids);
				for (const peer of ids) close(peer);
			},
			send: (to, pieces) => {
				const other = process.links.get(to);
				const end = other === undefined ? undefined : this.#ends.get(`${key}>${other}`);
				if (other === undefined || !end || this.frames.queuedBytes(key, other) > outQueueBytes) return false;
				const head = Buffer.alloc(headBytes);
				head.writeUInt32BE(end.number);
				const frame = Buffer.concat([head, ...pieces]);
				stats.sentBytes += frame.length;
				this.frames.send(key, other, frame);
				return true;
			},
			queuedBytes: to => this.frames.queuedBytes(key, process.links.get(to) ?? to),
			state(peer) {
				if (process.links.has(peer)) return up;
				const why = process.problems.get(peer);
				return why === undefined ? connecting : {state: 'down', why};
			},
			drop: close,
			hint: peer => {
				const address = peers.addresses.get(peer);
				if (address !== undefined) this.#dial(process, address, peer, this.#random);
			},
			// Wrong addresses do not occur in this world: a linked peer can be called.
			called: peer => ({state: process.links.has(peer) ? 'works' : 'untried'}),
			tryCall: () => undefined,
			address: peer => process.hellos.get(peer)?.address,
			speaks(peer) {
				const hello = process.hellos.get(peer);
				const protocol = hello && commonProtocol(hello.protocols, endpoint.hello().protocols);
				return protocol === undefined ? undefined : {protocol, version: hello!.version};
			},
			stats,
			refusals: process.refusals,
		};
	}

	/**
	The process uses its present keys: it closes connections under keys that it does not accept any more, and those
	under a former key if the peer accepts the present one.
	*/
	#rekey(process: Process): void {
		const {endpoint, links} = process;
		const [active = ''] = endpoint.keys;
		for (const [peer, other] of links) {
			const key = this.#ends.get(`${endpoint.key}>${other}`)?.key ?? active;
			const isKnown = this.#endpoints.get(other)?.keys.includes(active) ?? false;
			if (!endpoint.keys.includes(key) || (key !== active && isKnown && this.isLinked(endpoint.key, other)))
				this.#close(process, peer);
		}
	}

	/** The process closes its connection with the peer. */
	#close(process: Process, peer: NodeId): void {
		const {endpoint, links} = process;
		const {key} = endpoint;
		const other = links.get(peer);
		const end = other === undefined ? undefined : this.#ends.get(`${key}>${other}`);
		if (other === undefined || !end) return;
		this.#ends.delete(`${key}>${other}`);
		links.delete(peer);
		endpoint.run(() => endpoint.onLink(peer, 'down'));
		if (!this.isCut(key, other))
			this.#later(() => this.#ends.get(`${other}>${key}`)?.number === end.number && this.#down(other, key));
		process.redial(peer);
	}

	/** What a call to an address finds. */
	#call(endpoint: Endpoint, address: string): Called {
		const other = this.at(address);
		if (!other || !other.isOn || this.isCut(endpoint.key, other.key)) return {type: 'silent'};
		const process = this.#processes.get(other.key);
		if (!other.isUp) return {type: 'refused'};
		return process ? {type: 'there', process} : {type: 'silent'}; // The process is starting and does not listen yet.
	}

	#dial(caller: Process, address: string, expected: NodeId, random: SeededRandom): void {
		const {endpoint} = caller;
		this.#later(() => {
			if (!endpoint.isUp || caller.links.has(expected)) return;
			const called = this.#call(endpoint, address);
			if (called.type === 'silent') {
				caller.problems.set(expected, 'no answer');
				return;
			}

			if (called.type === 'refused') {
				caller.problems.set(expected, 'connection refused');
				return endpoint.run(() => endpoint.onLink(expected, 'refused'));
			}

			const wrong = refusal(caller, called.process, expected);
			if (wrong) this.#onRefused(caller, called.process, wrong, expected);
			else this.#open(caller, called.process);
		}, random);
	}

	#onRefused(caller: Process, listener: Process, wrong: Refusal, expected: NodeId): void {
		const {endpoint} = caller;
		this.#count(wrong, caller, listener);
		caller.problems.set(expected, wrong.reason);
		if (wrong.code === 'removed') return endpoint.run(() => endpoint.onLink(expected, 'removed'));
		if (wrong.code === 'same-node') return endpoint.run(() => endpoint.onDuplicate(expected, wrong));
		if (wrong.code !== 'not-a-member' || wrong.by !== 'listener') return;
		const {id, address, clusterId} = caller.hello;
		if (clusterId !== '' && clusterId === listener.hello.clusterId)
			listener.endpoint.run(() => listener.endpoint.onUnknownPeer(id, address));
	}

	#open(caller: Process, listener: Process): void {
		const number = ++this.#connections;
		const key = commonKey(caller, listener)!;
		const pairs = [
			[caller, listener],
			[listener, caller],
		] as const;
		// An end may still hold an earlier connection with this machine, or with another machine of the same id. It
		// learns now that this connection is gone.
		for (const [one, other] of pairs) {
			const before = one.links.get(other.endpoint.id);
			if (before === undefined) continue;
			const former = this.#ends.get(`${one.endpoint.key}>${before}`)?.number;
			this.#down(one.endpoint.key, before, false);
			if (before !== other.endpoint.key && !this.isCut(one.endpoint.key, before))
				this.#later(
					() =>
						this.#ends.get(`${before}>${one.endpoint.key}`)?.number === former &&
						this.#down(before, one.endpoint.key),
				);
		}

		for (const [one, other] of pairs) {
			this.#ends.set(`${one.endpoint.key}>${other.endpoint.key}`, {number, peer: other.endpoint.id, key});
			one.links.set(other.endpoint.id, other.endpoint.key);
			one.hellos.set(other.endpoint.id, other.hello);
			one.problems.delete(other.endpoint.id);
		}

		for (const [one, other] of pairs) one.endpoint.run(() => one.endpoint.onLink(other.endpoint.id, 'up'));
	}

	/** Count a refusal at both sides, because both log it. */
	#count({code}: Refusal, caller: Process, listener: Process): void {
		this.refused.set(code, (this.refused.get(code) ?? 0) + 1);
		caller.refusals.set(`call-${code}`, (caller.refusals.get(`call-${code}`) ?? 0) + 1);
		if (code === 'not-authenticated' || code === 'protocol')
			listener.refusals.set(code, (listener.refusals.get(code) ?? 0) + 1);
	}

	#arrived(from: string, to: string, bytes: Buffer): void {
		const number = bytes.readUInt32BE();
		const end = this.#ends.get(`${to}>${from}`);
		if (end?.number !== number) {
			if (!this.isCut(from, to))
				this.#later(() => this.#ends.get(`${from}>${to}`)?.number === number && this.#down(from, to));
			return;
		}

		const endpoint = this.#endpoints.get(to);
		endpoint?.run(() => endpoint.onFrame(end.peer, bytes.subarray(headBytes)));
	}

	/**
	Deliver a message that is sealed under the key of its sender, or one under each of its keys. A process that does not
	accept it cannot open it.
	*/
	#sealed(from: string, to: string, take: (endpoint: Endpoint, id: NodeId) => void, usesAll = false): void {
		const [sender, endpoint] = [this.#endpoints.get(from), this.#endpoints.get(to)];
		if (!sender || !endpoint) return;
		const isOpen = usesAll
			? commonKey(sender, endpoint) !== undefined
			: endpoint.keys.includes(sender.keys[0] ?? '');
		if (isOpen) endpoint.run(() => take(endpoint, sender.id));
		else this.lostDatagrams.otherSecret++;
	}

	/** Whether the receiver accepts this process: it is not linked to another process of the same id. */
	#isLinkedProcess(from: string, to: string): boolean {
		const [sender, receiver] = [this.#processes.get(from), this.#processes.get(to)];
		const linked = sender && receiver?.linked(sender.endpoint.id);
		return (
			!linked ||
			linked.instance === '' ||
			sender.hello.instance === '' ||
			linked.instance === sender.hello.instance
		);
	}

	#down(key: string, other: string, redials = true): void {
		const end = this.#ends.get(`${key}>${other}`);
		if (!end) return;
		this.#ends.delete(`${key}>${other}`);
		const process = this.#processes.get(key);
		if (process?.links.get(end.peer) === other) process.links.delete(end.peer);
		const endpoint = this.#endpoints.get(key);
		endpoint?.run(() => endpoint.onLink(end.peer, 'down'));
		if (redials) process?.redial(end.peer);
	}

	#later(work: () => void, random = this.#random): void {
		this.#schedule.after(random.between(1, 10), work);
	}
}

function keysOf(end: string): readonly [string, string] {
	const at = end.indexOf('>');
	return [end.slice(0, at), end.slice(at + 1)];
}
