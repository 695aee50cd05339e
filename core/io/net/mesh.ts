/**
The links between nodes: one channel to each member, kept up by `link.ts`. Both ends call; when two calls cross, both
sides keep the call of the lower id. Joining nodes and clients connect to the same port, and are handed on. The mesh
does not interpret frames.
*/
import {identityKeyOf} from '../../access.ts';
import {parseAddress} from '../../address.ts';
import {errorMessage} from '../../errors.ts';
import {keyConnectionsMax, type KeyConnection, type KeyId} from '../../cluster-keys.ts';
import type {Random} from '../../machine.ts';
import type {Judgement, Process} from '../../membership/duplicate-processes.ts';
import type {NodeId} from '../../message.ts';
import type {Called, Clock, Links, LinkState, Spoken} from '../../ports.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import type {Keys} from '../../wire/seal.ts';
import {systemClock, systemEntropy} from '../clock.ts';
import type {Channel, Hello, Listener, LocalHello, Refusal, RefusedPeer, Transport} from './channel.ts';
import type {Counters} from './counters.ts';
import type {Faults} from './faults.ts';
import {Link} from './link.ts';
import {RefusedError} from './opening.ts';

export type MeshOptions = {
	readonly transport: Transport;
	readonly id: NodeId;
	/** The keys of the transport. */
	readonly keys: KeySet<Pick<Keys, 'id'>>;
	readonly host: string;
	/** 0: the system chooses the port. */
	readonly port: number;
	/** The present hello of this node. */
	readonly hello: () => Omit<LocalHello, 'via'>;
	readonly refusals: Counters;
	readonly faults: Faults | undefined;
	readonly onFrame: (from: NodeId, frame: Buffer) => void;
	readonly onUp: (peer: NodeId, hello: Hello) => void;
	readonly onDown: (peer: NodeId, why: string) => void;
	/** Nothing listens at the peer's address: its process has ended. */
	readonly onRefused: (peer: NodeId) => void;
	/** The peer reports that this node was removed from the cluster. */
	readonly onRemoved: (peer: NodeId) => void;
	/**
	Decides about a caller with the id of a peer that is linked to another process of that id.
	@default a process with a later incarnation replaces the linked one
	*/
	readonly judge?: (peer: NodeId, caller: Process, linked: Process | undefined) => Judgement;
	/** The peer reports that another process has this node's identity, and is the agreed one. */
	readonly onDuplicate?: (peer: NodeId, refusal: Refusal) => void;
	/** A peer that claims to be of this cluster was refused, because this node does not know it as a member. */
	readonly onUnknownPeer: (peer: NodeId, address: string) => void;
	readonly onClient: (channel: Channel) => void;
	/** Clients are to call again in a moment. @default never */
	readonly isStarting?: () => boolean;
	/** The refusal of a client. Its identity is not proved yet. @default no refusal */
	readonly admitClient?: (remote: Hello) => Refusal | undefined;
	/** A node wants to become a member. */
	readonly onJoin: (channel: Channel) => void;
	/** A peer cannot be linked, for a reason that does not pass by itself. */
	readonly onRefusal?: (refused: RefusedPeer) => void;
	/** The first and the longest wait between two calls, in milliseconds. @default [100, 2000] */
	readonly backoffMs?: readonly [number, number];
	/** @default 2000 */
	readonly dialTimeoutMs?: number;
	/** Bound on frames delayed by an injected fault, in bytes for each peer. @default 16777216 */
	readonly outQueueBytes?: number;
	readonly clock?: Clock;
	readonly random?: Random;
};

export type Mesh = Links &
	AsyncDisposable & {
		readonly listener: Listener;
		instance(peer: NodeId): string | undefined;
		datagramKey(peer: NodeId): Uint8Array | undefined;
		states(): ReadonlyMap<NodeId, LinkState>;
		/** Uses the present keys: closes connections under keys that are not valid, and renews own links. */
		rekey(): void;
		/** Connections under another key than the active one; as many as a report holds. */
		keyConnections(): readonly KeyConnection[];
	};

/** How long a client keeps its connection after its key was removed, in milliseconds. */
const clientCloseMs = 300;

/** Listens, and returns the mesh without links. */
/** @throws `port-in-use`, `failure` */
export async function createMesh(options: MeshOptions): Promise<Mesh> {
	const mesh = new LinkMesh(options);
	await mesh.listen();
	return mesh;
}

/**
Refusals that pass by themselves: the peer has not applied the latest configuration yet, its own call is on the way, or
it must first find out which other process has this id.
*/
const transientCodes: ReadonlySet<string> = new Set(['duplicate', 'not-a-member', 'busy']);

class LinkMesh implements Mesh {
	readonly #options: MeshOptions;
	readonly #links = new Map<NodeId, Link>();
	/** Versions of peers that are or were linked; bounded by the number of links. */
	readonly #spoken = new Map<NodeId, Spoken>();
	/** The datagram keys of peers that are or were linked; bounded as `#spoken`. */
	readonly #datagramKeys = new Map<NodeId, Uint8Array>();
	/** Channels of clients and joining nodes, to be closed when the node stops. */
	readonly #otherChannels = new Set<Channel>();
	/** Those of them that are about to be closed, because their key was removed. */
	readonly #closing = new WeakSet<Channel>();
	readonly #closedStats = {sentBytes: 0, receivedBytes: 0};
	#removed: ReadonlySet<NodeId> = new Set();
	/** The incarnation of each removed peer when it was last linked. */
	#lastIncarnations: ReadonlyMap<NodeId, number> = new Map();
	#listener: Listener | undefined;
	#isClosed = false;

	constructor(options: MeshOptions) {
		this.#options = options;
		if (options.faults) {
			options.faults.onHealed = peers => {
				for (const peer of peers) this.#links.get(peer)?.healed();
			};
		}
	}

	async listen(): Promise<void> {
		const {transport, host, port, hello} = this.#options;
		this.#listener = await transport.listen({
			host,
			port,
			hello: () => ({...hello(), via: 'peer'}),
			admit: remote => this.#admit(remote),
			onChannel: channel => this.#onChannel(channel),
			memberHosts: () => [...this.#links.values()].flatMap(({address}) => parseAddress(address)?.host ?? []),
		});
	}

	get listener(): Listener {
		return this.#listener!;
	}

	get refusals(): ReadonlyMap<string, number> {
		return this.#options.refusals.all;
	}

	get stats(): Links['stats'] {
		let {sentBytes, receivedBytes} = this.#closedStats;
		for (const {channel} of this.#links.values()) {
			sentBytes += channel?.stats.sentBytes ?? 0;
			receivedBytes += channel?.stats.receivedBytes ?? 0;
		}

		return {sentBytes, receivedBytes};
	}

	setPeers(peers: ReadonlyMap<NodeId, string>): void {
		for (const id of this.#links.keys()) if (!peers.has(id)) this.#forget(id, 'no longer a member');
		for (const [id, address] of peers) {
			if (id === this.#options.id || this.#removed.has(id) || this.#isClosed) continue;
			const link = this.#links.get(id);
			if (link) link.setAddress(address);
			else this.#links.set(id, this.#createLink(id, address));
		}
	}

	setRemoved(ids: readonly NodeId[]): void {
		this.#removed = new Set(ids);
		this.#lastIncarnations = new Map(
			ids.flatMap(id => {
				const incarnation = this.#links.get(id)?.channel?.remote.incarnation ?? this.#lastIncarnations.get(id);
				return incarnation === undefined ? [] : [[id, incarnation] as const];
			}),
		);
		for (const id of ids) this.#forget(id, 'removed from the cluster');
	}

	send(to: NodeId, pieces: readonly Uint8Array[]): boolean {
		return this.#links.get(to)?.send(pieces) ?? false;
	}

	queuedBytes(to: NodeId): number {
		return this.#links.get(to)?.queuedBytes ?? 0;
	}

	state(peer: NodeId): LinkState {
		return (
			this.#links.get(peer)?.state ?? {
				state: 'down',
				why: this.#removed.has(peer) ? 'removed from the cluster' : 'not a member',
			}
		);
	}

	/**
	The instance of the process that the peer is linked to; `undefined` without a link, or for a node of protocol 1.
	*/
	instance(peer: NodeId): string | undefined {
		return this.#links.get(peer)?.channel?.remote.instance || undefined;
	}

	/** The datagram key of the process that the peer was linked to last; `undefined` for one that has none. */
	datagramKey(peer: NodeId): Uint8Array | undefined {
		return this.#datagramKeys.get(peer);
	}

	called(peer: NodeId): Called {
		return this.#links.get(peer)?.called ?? {state: 'untried'};
	}

	tryCall(peer: NodeId): void {
		this.#links.get(peer)?.tryCall();
	}

	address(peer: NodeId): string | undefined {
		return this.#links.get(peer)?.heardAddress;
	}

	states(): ReadonlyMap<NodeId, LinkState> {
		return new Map([...this.#links].map(([id, link]) => [id, link.state]));
	}

	speaks(peer: NodeId): Spoken | undefined {
		return this.#spoken.get(peer);
	}

	drop(peer: NodeId, why: string): void {
		this.#links.get(peer)?.drop(why);
	}

	hint(peer: NodeId): void {
		this.#links.get(peer)?.hint();
	}

	rekey(): void {
		const {active, valid} = this.#options.keys;
		const isValid = (key: KeyId): boolean => valid.some(({id}) => id === key);
		for (const link of this.#links.values()) {
			if (link.channel && !isValid(link.channel.key)) link.channel.close(removedText(link.channel.key));
			else link.renew(key => key === active.id);
		}

		for (const channel of this.#otherChannels) {
			if (isValid(channel.key) || this.#closing.has(channel)) continue;
			this.#closing.add(channel);
			// The answer to the request that removed the key comes first.
			(this.#options.clock ?? systemClock).after(clientCloseMs, () => channel.close(removedText(channel.key)));
		}
	}

	keyConnections(): readonly KeyConnection[] {
		const {active} = this.#options.keys;
		return [
			...[...this.#links].flatMap(([id, {channel}]): KeyConnection[] =>
				channel && channel.key !== active.id ? [{key: channel.key, kind: 'node', who: id}] : [],
			),
			...[...this.#otherChannels]
				.filter(({key}) => key !== active.id)
				.map(({key, remote, remoteAddress}): KeyConnection => ({
					key,
					kind: remote.id === undefined ? 'client' : 'node',
					who: remote.id ?? (remote.clientKey ? identityKeyOf(remote.clientKey) : remoteAddress),
				})),
		].slice(0, keyConnectionsMax);
	}

	async [Symbol.asyncDispose](): Promise<void> {
		this.#isClosed = true;
		for (const id of this.#links.keys()) this.#forget(id, 'the node is stopping');
		for (const channel of this.#otherChannels) channel.close('the node is stopping');
		await this.#listener?.[Symbol.asyncDispose]();
	}

	#createLink(peer: NodeId, address: string): Link {
		const {
			id,
			transport,
			hello,
			onFrame,
			onUp,
			onDown,
			clock = systemClock,
			random = systemEntropy,
			faults,
			backoffMs = [100, 2000],
			dialTimeoutMs = 2000,
			outQueueBytes = 16_777_216,
		} = this.#options;
		return new Link({
			peer,
			address,
			clock,
			random,
			faults,
			backoffMs,
			dialTimeoutMs,
			delayedBytesMax: outQueueBytes,
			preferOurs: id < peer,
			dial: (to, signal) =>
				transport.dial(to, {hello: {...hello(), via: 'peer'}, timeoutMs: dialTimeoutMs, expect: peer, signal}),
			// As a joining node: a second call as a peer would replace the link.
			tryCall: (to, signal) =>
				transport.dial(to, {hello: {...hello(), via: 'join'}, timeoutMs: dialTimeoutMs, expect: peer, signal}),
			onFrame: frame => onFrame(peer, frame),
			onUp: remote => {
				this.#spoken.set(peer, {protocol: remote.protocol, version: remote.version});
				if (remote.datagramKey) this.#datagramKeys.set(peer, remote.datagramKey);
				else this.#datagramKeys.delete(peer);
				onUp(peer, remote);
			},
			onDown: (why, {sentBytes, receivedBytes}) => {
				this.#closedStats.sentBytes += sentBytes;
				this.#closedStats.receivedBytes += receivedBytes;
				onDown(peer, why);
			},
			onFailed: (error, isNews) => this.#onFailed(peer, error, isNews),
		});
	}

	#onFailed(peer: NodeId, error: Error, isNews: boolean): void {
		const {refusals, onRefusal, onRefused, onRemoved} = this.#options;
		if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'ECONNREFUSED') return onRefused(peer);
		if (!(error instanceof RefusedError)) return;
		const {code} = error.refusal;
		refusals.add(`call-${code}`);
		if (code === 'removed') onRemoved(peer);
		if (code === 'same-node') this.#options.onDuplicate?.(peer, error.refusal);
		if (isNews && !transientCodes.has(code))
			onRefusal?.({
				id: peer,
				address: this.#links.get(peer)?.address ?? '',
				code,
				reason: errorMessage(error),
				by: error.by,
			});
	}

	#admit(remote: Hello): Refusal | 'silence' | undefined {
		const {id, via, role, incarnation} = remote;
		const {faults, hello} = this.#options;
		if (via === 'client')
			return this.#options.isStarting?.()
				? {code: 'busy', reason: 'the node is starting'}
				: this.#options.admitClient?.(remote);
		if (id === undefined || role === 'client') return {code: 'not-a-member', reason: 'a client cannot be a member'};
		if (faults?.isCut(id, 'in') || faults?.isCut(id, 'out')) return 'silence';
		const {clusterId} = hello();
		// Checked first: the membership of another cluster does not concern this node.
		if (via !== 'join' && clusterId !== '' && remote.clusterId !== '' && clusterId !== remote.clusterId)
			return {
				code: 'cluster',
				reason:
					`node ${id} belongs to another cluster of this name (${remote.clusterId.slice(0, 8)}, ` +
					`not ${clusterId.slice(0, 8)})`,
			};
		// This refusal informs a node that left that it is no longer a member, so it is expected. If the node returns
		// with a later incarnation, an operator should know.
		if (this.#removed.has(id))
			return {
				code: 'removed',
				reason: `node ${id} was removed from the cluster: start it with an empty data folder`,
				isExpected: this.#lastIncarnations.get(id) === incarnation,
			};
		if (via === 'join') return undefined;
		const link = this.#links.get(id);
		if (!link && clusterId !== '' && remote.clusterId === clusterId)
			this.#options.onUnknownPeer(id, remote.address);
		if (!link) return {code: 'not-a-member', reason: `node ${id} is not a member, as far as this node knows`};
		const isLinked = link.channel !== undefined;
		const judged = this.#judge(link, remote);
		if (judged && (isLinked || judged.type !== 'take')) return judgementAsRefusal(judged);
		if (link.channel && incarnation < link.channel.remote.incarnation)
			return {
				code: 'older-incarnation',
				reason:
					`node ${id} is linked with a later incarnation (${link.channel.remote.incarnation}): ` +
					'does a second process use a copy of its data?',
			};
		return link.isCrossing(incarnation)
			? {code: 'duplicate', reason: 'both called at once, and the other call stays'}
			: undefined;
	}

	/** `undefined` when the caller is the linked process, or a version that sends no instance. */
	#judge({channel}: Link, remote: Hello): Judgement | undefined {
		const {judge} = this.#options;
		const linked = channel?.remote;
		if (
			!judge ||
			remote.id === undefined ||
			remote.instance === '' ||
			linked?.instance === '' ||
			linked?.instance === remote.instance
		)
			return undefined;
		return judge(remote.id, remote, linked);
	}

	#onChannel(channel: Channel): void {
		const {via, id} = channel.remote;
		if (this.#isClosed) return channel.close('the node is stopping');
		if (via === 'peer') {
			const link = id === undefined ? undefined : this.#links.get(id);
			if (link) link.adopt(channel, false);
			else channel.close('not a member');
			return;
		}

		this.#otherChannels.add(channel);
		if (via === 'join') this.#options.onJoin(channel);
		else this.#options.onClient(channel);
		// The new owner has set its own `onClose` by now: keep it.
		const {onClose} = channel;
		channel.onClose = why => {
			this.#otherChannels.delete(channel);
			onClose(why);
		};
	}

	#forget(id: NodeId, why: string): void {
		const link = this.#links.get(id);
		if (!link) return;
		this.#links.delete(id);
		this.#spoken.delete(id);
		this.#datagramKeys.delete(id);
		link.stop(why);
	}
}

function removedText(key: KeyId): string {
	return `the key ${key} was removed from the cluster: connect with the present secret`;
}

function judgementAsRefusal(judged: Judgement): Refusal | undefined {
	if (judged.type === 'take') return undefined;
	return judged.type === 'wait'
		? {code: 'busy', reason: judged.reason}
		: {code: 'same-node', reason: judged.reason, incarnation: judged.incarnation};
}
