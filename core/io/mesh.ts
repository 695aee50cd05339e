/**
The links between nodes: one channel to each member, dialled by whoever comes first and kept by rule when both do. A link that breaks
is dialled again, after a wait that doubles up to a bound; a word from the peer elsewhere (`hint`) ends the wait.
*/
import {randomInt} from 'node:crypto';
import type {NodeId} from '../message.ts';
import type {Clock, Links, LinkState} from '../ports.ts';
import type {Channel, Hello, Listener, LocalHello, Refusal, Transport} from './channel.ts';
import type {Counters} from './counters.ts';
import type {Faults} from './faults.ts';
import {Link} from './link.ts';

export type MeshOptions = {
	readonly transport: Transport;
	readonly clock: Clock;
	readonly host: string;
	readonly port: number;
	readonly id: NodeId;
	readonly outQueueBytes: number;
	readonly hello: () => Omit<LocalHello, 'via'>;
	readonly refusals: Counters;
	readonly faults: Faults | undefined;
	readonly onFrame: (from: NodeId, frame: Buffer) => void;
	readonly onUp: (peer: NodeId) => void;
	readonly onDown: (peer: NodeId) => void;
	/** Its machine refused the connection: no process listens there. */
	readonly onRefused: (peer: NodeId) => void;
	readonly onClient: (channel: Channel) => void;
	readonly onJoin: (channel: Channel) => void;
	/** One line for people: why a link cannot be made. */
	readonly onProblem: (line: string) => void;
};
export type Mesh = Links & AsyncDisposable & {readonly listener: Listener};

const dialTimeoutMs = 1500;
const backoffMs = [100, 2000] as const;
/** Calls that began this close to one another crossed. */
const crossingMs = 1000;
const crossedMs = 2000;

export async function createMesh(options: MeshOptions): Promise<Mesh> {
	const mesh = new LinkMesh(options);
	await mesh.listen();
	return mesh;
}

class LinkMesh implements Mesh {
	readonly #options: MeshOptions;
	readonly #links = new Map<NodeId, Link>();
	#removed = new Set<NodeId>();
	#listener: Listener | undefined;
	/** Of channels that are closed. */
	#sentBytes = 0;
	#receivedBytes = 0;

	constructor(options: MeshOptions) {
		this.#options = options;
		if (options.faults) {
			options.faults.onHealed = peers => {
				for (const peer of peers) this.#links.get(peer)?.healed();
			};
		}
	}

	get listener(): Listener {
		return this.#listener!;
	}

	get refusals(): ReadonlyMap<string, number> {
		return this.#options.refusals.all;
	}

	get stats(): {readonly sentBytes: number; readonly receivedBytes: number} {
		let sentBytes = this.#sentBytes;
		let receivedBytes = this.#receivedBytes;
		for (const {channel} of this.#links.values()) {
			sentBytes += channel?.stats.sentBytes ?? 0;
			receivedBytes += channel?.stats.receivedBytes ?? 0;
		}

		return {sentBytes, receivedBytes};
	}

	async listen(): Promise<void> {
		const {transport, host, port, hello} = this.#options;
		this.#listener = await transport.listen({
			host, port,
			hello: () => ({...hello(), via: 'peer'}),
			admit: remote => this.#admit(remote),
			onChannel: channel => this.#onInbound(channel),
		});
	}

	setPeers(peers: ReadonlyMap<NodeId, string>): void {
		for (const [id, link] of this.#links) {
			if (peers.has(id)) continue;
			this.#links.delete(id);
			link.stop('no longer a member');
		}

		for (const [id, address] of peers) {
			const link = this.#links.get(id);
			if (link) link.setAddress(address);
			else this.#links.set(id, this.#createLink(id, address));
		}
	}

	setRemoved(ids: readonly NodeId[]): void {
		this.#removed = new Set(ids);
	}

	send(to: NodeId, pieces: readonly Uint8Array[]): boolean {
		return this.#links.get(to)?.send(pieces) ?? false;
	}

	queuedBytes(to: NodeId): number {
		return this.#links.get(to)?.queuedBytes ?? 0;
	}

	state(id: NodeId): LinkState {
		return this.#links.get(id)?.state ?? {state: 'down', why: 'not a member'};
	}

	drop(id: NodeId, why: string): void {
		this.#links.get(id)?.drop(why);
	}

	hint(id: NodeId): void {
		this.#links.get(id)?.hint();
	}

	async [Symbol.asyncDispose](): Promise<void> {
		for (const link of this.#links.values()) link.stop('the node is stopping');
		this.#links.clear();
		await this.#listener?.[Symbol.asyncDispose]();
	}

	#createLink(peer: NodeId, address: string): Link {
		const {transport, clock, id, outQueueBytes, faults, hello, onFrame, onUp, onDown, onRefused, onProblem} = this.#options;
		return new Link({
			peer, address, clock, random: {below: limit => randomInt(limit)}, backoffMs, dialTimeoutMs, outQueueBytes,
			...(faults ? {faults} : {}),
			preferOurs: id < peer,
			dial: (at, signal) => transport.dial(at, {hello: {...hello(), via: 'peer'}, timeoutMs: dialTimeoutMs, expect: peer, signal}),
			onFrame: frame => onFrame(peer, frame),
			onUp: () => onUp(peer),
			onDown: (_why, stats) => {
				this.#sentBytes += stats.sentBytes;
				this.#receivedBytes += stats.receivedBytes;
				onDown(peer);
			},
			onFailed(error, isNews) {
				const {code} = (error.cause ?? {}) as {readonly code?: unknown};
				if (code === 'ECONNREFUSED') onRefused(peer);
				else if (isNews && 'refusal' in error) onProblem(error.message);
			},
		});
	}

	#admit(remote: Hello): Refusal | 'silence' | undefined {
		const {id, faults, hello} = this.#options;
		if (remote.via === 'client') return undefined;
		if (remote.id === undefined) return {code: 'malformed', reason: 'only a client has no id'};
		if (remote.id === id) return {code: 'same-node', reason: 'this node, or a copy of its data folder'};
		if (this.#removed.has(remote.id)) return {code: 'removed', reason: `node ${remote.id} was removed from this cluster: start it with an empty data folder`};
		if (faults?.isCut(remote.id, 'in') || faults?.isCut(remote.id, 'out')) return 'silence';
		if (remote.via === 'join') return undefined;
		const {clusterId} = hello();
		if (clusterId !== '' && remote.clusterId !== '' && remote.clusterId !== clusterId) return {code: 'cluster', reason: `it belongs to another cluster of this name (${remote.clusterId.slice(0, 8)}, not ${clusterId.slice(0, 8)})`};
		const link = this.#links.get(remote.id);
		if (!link) return {code: 'not-a-member', reason: `node ${remote.id} is not a member, as far as this node knows`};
		return link.isCrossing(remote.incarnation, crossingMs, crossedMs) ? {code: 'duplicate', reason: 'both called at once, and the other call stays'} : undefined;
	}

	#onInbound(channel: Channel): void {
		const {remote} = channel;
		if (remote.via === 'client') return this.#options.onClient(channel);
		if (remote.via === 'join') return this.#options.onJoin(channel);
		const link = remote.id === undefined ? undefined : this.#links.get(remote.id);
		if (link) link.adopt(channel, false, crossedMs);
		else channel.close('not a member');
	}
}
