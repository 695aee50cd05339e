/**
What joins the simulated machines: connections as TCP keeps them (up on both ends, or half open after a cut or a power failure until
a frame finds nobody), and datagrams. Frames travel as bytes. Over `strict` links they are never lost within a connection, as over TCP;
otherwise the network may do with each frame what it likes, which no real link would.
*/
import type {NodeId} from '../../../core/message.ts';
import type {Datagrams, Links, LinkState, Spoken} from '../../../core/ports.ts';
import {Network, type LinkOptions} from '../network.ts';
import type {SeededRandom} from '../random.ts';
import type {Schedule} from '../schedule.ts';

/** A machine as the network sees it. */
export type Station = {
	readonly id: NodeId;
	readonly address: string;
	/** The newest version of the protocol that its program speaks, and the one that a peer has to speak at least, as its cluster agreed. */
	readonly protocol: number;
	readonly protocolMin: number;
	/** Its process runs. */
	readonly isUp: boolean;
	/** Carries it out in the process, unless that has ended meanwhile; waits while the process is paused. */
	run(work: () => void): void;
	onFrame(from: NodeId, frame: Buffer): void;
	onDatagram(from: NodeId, bytes: Buffer): void;
	onLink(peer: NodeId, change: 'up' | 'down' | 'refused' | 'removed'): void;
	onStranger(peer: NodeId, address: string): void;
};

const outQueueBytes = 16 * 1024 * 1024;
const headBytes = 4;
/** What any healed link carries in no time. */
const backlogBytes = 16 * 1024;
const up: LinkState = {state: 'up', why: ''};
const connecting: LinkState = {state: 'connecting', why: 'dialling'};

export class Fabric {
	readonly frames: Network;
	readonly datagrams: Network;
	readonly #schedule: Schedule;
	readonly #random: SeededRandom;
	/** Of its own, so that a call that is made at once leaves the other draws as they are. */
	readonly #redialRandom: SeededRandom;
	readonly #stations = new Map<string, Station>();
	/** The connection that an end holds: `from>to` → its number. */
	readonly #ends = new Map<string, number>();
	/** Calls a peer from each process whose connection has closed, as a link does at once. */
	readonly #redials = new Map<NodeId, (peer: NodeId) => void>();
	/** Whom each process takes for a member. */
	readonly #members = new Map<NodeId, (peer: NodeId) => 'member' | 'removed' | 'stranger'>();
	/** What each process was told of the programs of its peers. */
	readonly #spoken = new Map<NodeId, Map<NodeId, Spoken>>();
	readonly #cut = new Set<string>();
	/** The last cut was healed. */
	readonly #healedMs = new Map<string, number>();
	/** The last clog ends. */
	readonly #flowsMs = new Map<string, number>();
	#connections = 0;
	halfOpen = 0;

	constructor({seed, schedule, random, link, loss}: {readonly seed: number | string; readonly schedule: Schedule; readonly random: SeededRandom; readonly link: Partial<LinkOptions>; readonly loss: readonly [number, number]}) {
		this.#schedule = schedule;
		this.#random = random;
		this.#redialRandom = random.child('redial');
		this.frames = new Network({seed, schedule, link, deliver: (from, to, bytes) => this.#arrived(from as NodeId, to as NodeId, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))});
		this.datagrams = new Network({
			seed: `${seed}/datagrams`, schedule, link: {...link, loss, ordered: false},
			deliver: (from, to, bytes) => this.#stations.get(to)?.run(() => this.#stations.get(to)!.onDatagram(from as NodeId, Buffer.from(bytes))),
		});
	}

	add(station: Station): void {
		this.#stations.set(station.id, station);
	}

	at(address: string): Station | undefined {
		return [...this.#stations.values()].findLast(station => station.address === address && station.isUp);
	}

	cut(from: string, to: string): void {
		this.frames.cut(from, to);
		this.datagrams.cut(from, to);
		this.#cut.add(from).add(to);
	}

	/** Frames from the one to the other wait for a while. */
	clog(from: string, to: string, forMs: number): void {
		this.frames.clog(from, to, forMs);
		for (const id of [from, to]) this.#flowsMs.set(id, Math.max(this.#flowsMs.get(id) ?? 0, this.#schedule.nowMs + forMs));
	}

	heal(): void {
		this.frames.heal();
		this.datagrams.heal();
		for (const id of this.#cut) this.#healedMs.set(id, this.#schedule.nowMs);
		this.#cut.clear();
	}

	/** Connections with a backlog that a slow link would carry for long are lost, as when whoever waits for them gives up. */
	giveUpBacklogs(): void {
		for (const key of this.#ends.keys()) {
			const [from, to] = key.split('>') as [NodeId, NodeId];
			if (this.frames.queuedBytes(from, to) < backlogBytes) continue;
			this.frames.forget(from, to);
			this.#down(from, to);
			this.#down(to, from);
		}

		// A process that has ended leaves what it had sent to a slow link; a new connection does not wait behind that.
		for (const from of this.#stations.keys()) for (const to of this.#stations.keys()) if (!this.#ends.has(`${from}>${to}`) && from !== to) this.frames.forget(from, to);
	}

	isCut(a: string, b: string): boolean {
		return this.frames.isCut(a, b) || this.frames.isCut(b, a);
	}

	/** Since no cut has touched it. */
	uncutMs(id: string): number {
		return this.#cut.has(id) ? 0 : this.#schedule.nowMs - (this.#healedMs.get(id) ?? 0);
	}

	/** Since no link of it was cut or clogged. */
	peaceMs(id: string): number {
		return Math.max(0, Math.min(this.uncutMs(id), this.#schedule.nowMs - (this.#flowsMs.get(id) ?? 0)));
	}

	/** The process is gone. Where the operating system lives on, the others are told. */
	ended(id: NodeId, isTold: boolean): void {
		this.#members.delete(id);
		this.#spoken.delete(id);
		this.#redials.delete(id);
		for (const key of this.#ends.keys()) {
			const [from, to] = key.split('>') as [NodeId, NodeId];
			if (from === id) this.#ends.delete(key);
			else if (to === id && isTold && !this.isCut(from, to)) this.#later(() => this.#down(from, to));
			else if (to === id) this.halfOpen++;
		}
	}

	/** The links and datagrams of a process, from its start to its end. */
	linksOf(station: Station): {readonly links: Links; readonly datagrams: Datagrams; readonly dial: () => void} {
		const {id} = station;
		let peers: ReadonlyMap<NodeId, string> = new Map();
		let removed = new Set<NodeId>();
		const stats = {sentBytes: 0, receivedBytes: 0};
		const close = (peer: NodeId): void => {
			const number = this.#ends.get(`${id}>${peer}`);
			if (number === undefined) return;
			this.#ends.delete(`${id}>${peer}`);
			station.run(() => station.onLink(peer, 'down'));
			if (!this.isCut(id, peer)) this.#later(() => this.#ends.get(`${peer}>${id}`) === number && this.#down(peer, id));
			redial(peer);
		};

		this.#spoken.set(id, new Map());
		const redial = (peer: NodeId): void => {
			if (peers.has(peer) && !removed.has(peer)) this.#dial(station, peer, this.#redialRandom);
		};

		this.#redials.set(id, redial);
		this.#members.set(id, peer => (removed.has(peer) ? 'removed' : peers.has(peer) ? 'member' : 'stranger'));
		return {
			links: {
				setPeers: next => {
					for (const peer of peers.keys()) if (!next.has(peer)) close(peer);
					peers = next;
				},
				setRemoved: ids => {
					removed = new Set(ids);
					for (const peer of ids) close(peer);
				},
				send: (to, pieces) => {
					const number = this.#ends.get(`${id}>${to}`);
					if (number === undefined || this.frames.queuedBytes(id, to) > outQueueBytes) return false;
					const head = Buffer.alloc(headBytes);
					head.writeUInt32BE(number);
					const frame = Buffer.concat([head, ...pieces]);
					stats.sentBytes += frame.length;
					this.frames.send(id, to, frame);
					return true;
				},
				queuedBytes: to => this.frames.queuedBytes(id, to),
				state: peer => (this.#ends.has(`${id}>${peer}`) ? up : connecting),
				address: peer => (this.#ends.has(`${id}>${peer}`) ? this.#stations.get(peer)?.address : undefined),
				speaks: peer => this.#spoken.get(id)?.get(peer),
				drop: close,
				hint: peer => this.#dial(station, peer),
				stats,
				refusals: new Map(),
			},
			datagrams: {
				send: (address, bytes, to) => {
					const target = to ?? this.at(address)?.id;
					if (target !== undefined) this.datagrams.send(id, target, bytes);
				},
			},
			dial: () => {
				for (const peer of peers.keys()) if (!removed.has(peer) && !this.#ends.has(`${id}>${peer}`)) this.#dial(station, peer);
			},
		};
	}

	#dial(station: Station, peer: NodeId, random = this.#random): void {
		const {id} = station;
		this.#later(() => {
			const other = this.#stations.get(peer);
			if (!other || !station.isUp || this.isCut(id, peer) || this.#ends.has(`${id}>${peer}`)) return;
			if (!other.isUp) return station.run(() => station.onLink(peer, 'refused'));
			const standing = this.#members.get(peer)?.(id);
			if (standing === 'removed') return station.run(() => station.onLink(peer, 'removed'));
			if (standing === 'stranger') other.run(() => other.onStranger(id, station.address));
			if (standing !== 'member' || isTooOld(station, other) || isTooOld(other, station)) return;
			const number = ++this.#connections;
			// The other end may hold a connection from before: it learns now that it is gone.
			if (this.#ends.has(`${peer}>${id}`)) this.#down(peer, id);
			this.#ends.set(`${id}>${peer}`, number);
			this.#ends.set(`${peer}>${id}`, number);
			const spoken = {protocol: Math.min(station.protocol, other.protocol), version: 'sim'};
			this.#spoken.get(id)?.set(peer, spoken);
			this.#spoken.get(peer)?.set(id, spoken);
			station.run(() => station.onLink(peer, 'up'));
			other.run(() => other.onLink(id, 'up'));
		}, random);
	}

	#arrived(from: NodeId, to: NodeId, bytes: Buffer): void {
		const number = bytes.readUInt32BE();
		if (this.#ends.get(`${to}>${from}`) !== number) {
			if (!this.isCut(from, to)) this.#later(() => this.#ends.get(`${from}>${to}`) === number && this.#down(from, to));
			return;
		}

		const station = this.#stations.get(to);
		station?.run(() => station.onFrame(from, bytes.subarray(headBytes)));
	}

	#down(id: NodeId, peer: NodeId): void {
		if (!this.#ends.delete(`${id}>${peer}`)) return;
		const station = this.#stations.get(id);
		station?.run(() => station.onLink(peer, 'down'));
		this.#redials.get(id)?.(peer);
	}

	#later(work: () => void, random = this.#random): void {
		this.#schedule.after(random.between(1, 10), work);
	}
}

/** The handshake refuses a node that speaks less than the cluster of the other side has agreed on. */
function isTooOld(station: Station, other: Station): boolean {
	return station.protocol < other.protocolMin;
}
