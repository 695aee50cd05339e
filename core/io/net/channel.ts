/**
The port of the network: authenticated, ordered connections that carry frames. `transport.ts` implements it over TCP
(with TLS 1.3, or in plain text on loopback for experiments), and `memory-network.ts` within a process. One contract
suite covers all of them.
*/
import type {Config} from '../../config.ts';
import type {Random} from '../../machine.ts';
import type {NodeId} from '../../message.ts';
import type {KeyId} from '../../cluster-keys.ts';
import type {KeySet} from '../../wire/key-ring.ts';
import type {Identity} from '../../wire/seal.ts';
import type {ConnectionQuota} from './connection-quotas.ts';
import type {Budget, Counters} from './counters.ts';
import type {FormerPeers} from './former-peers.ts';
import type {Names} from './host-names.ts';

export type Role = 'node' | 'client';
export type Via = 'peer' | 'join' | 'client';

/** The first message of each side. The `id` of a node is proved by a signature; the other fields are claims. */
export type Hello = {
	readonly role: Role;
	/** `undefined` for a client. */
	readonly id: NodeId | undefined;
	/** The advertised address, `host:port`; empty for a client. */
	readonly address: string;
	readonly cluster: string;
	/** Empty when the node is not a member yet. */
	readonly clusterId: string;
	readonly incarnation: number;
	/**
	Drawn at random by each process, 16 hexadecimal digits: distinguishes two processes of one id. Empty for a client,
	or for a node of protocol 1.
	*/
	readonly instance: string;
	/** The name that the node has or requests; empty for a client. */
	readonly name: string;
	/** The active ones of `auth,sign,encrypt`, in this order. */
	readonly flags: string;
	/** The version of the program. */
	readonly version: string;
	/**
	In a local hello: the newest protocol version that this node speaks. In a remote one: the version that both use.
	*/
	readonly protocol: number;
	/** The purpose of the connection. */
	readonly via: Via;
	/**
	The Ed25519 key of a client that has an identity, 32 bytes; in a remote hello it is proved by a signature. A client
	of an earlier release has none.
	*/
	readonly clientKey?: Uint8Array | undefined;
	/** The X25519 key of a node's process for datagrams, 32 bytes. A node before protocol 4 has none. */
	readonly datagramKey?: Uint8Array | undefined;
	/** A client that wants to change nothing: the node refuses changes. @default false */
	readonly isReadonly?: boolean | undefined;
};

/** Why a connection was refused. `reason` is a line from the reader's point of view. */
export type Refusal = {
	readonly code: RefusalCode;
	readonly reason: string;
	/**
	With `same-node`: the incarnation of the process that the cluster has agreed on. A process of a later incarnation
	knows better than the node that refuses it.
	*/
	readonly incarnation?: number | undefined;
	/** The refusing side expected this call: it is counted, but no event. Not sent. */
	readonly isExpected?: boolean;
};
export type RefusalCode =
	/**
	`itself`: this process answers at that address. `same-node`: another process with this node's identity answers.
	*/
	| 'malformed'
	| 'protocol'
	| 'cluster'
	| 'flags'
	| 'not-authenticated'
	| 'identity'
	| 'itself'
	| 'same-node'
	| 'removed'
	| 'not-a-member'
	| 'duplicate'
	/** The identity of the client has no role. Only nodes and clients of protocol 4 know this code. */
	| 'no-access'
	| 'older-incarnation'
	| 'limit'
	| 'busy';

/** A refusal as it is reported: the peer, its address, and the side that refused. */
export type RefusedPeer = {
	readonly id: NodeId | undefined;
	readonly address: string;
	readonly code: RefusalCode;
	readonly reason: string;
	readonly by: 'us' | 'peer';
};

export type Channel = {
	readonly remote: Hello;
	/** `host:port` of the other end of the socket. */
	readonly remoteAddress: string;
	/** The key of the cluster that both sides proved. */
	readonly key: KeyId;
	/**
	Sends one frame, given in pieces. Frames sent within one turn of the event loop leave in one write. Large pieces are
	not copied, so they must not change afterwards. Returns false, and counts that, when the channel is closed or its
	queue is full.
	*/
	send(pieces: readonly Uint8Array[]): boolean;
	/** Bytes accepted by `send` that the operating system has not accepted yet. */
	readonly queuedBytes: number;
	/** The largest frame that it sends or accepts. */
	readonly frameBytesMax: number;
	/**
	The bytes of a long stream that may be queued now; leaves a quarter of the queue for answers. When it is 0,
	`onDrain` is called once there is room.
	*/
	room(): number;
	/** Called when half of the queue has left, after a `send` was refused for its queue or there was no `room`. */
	onDrain: () => void;
	/** Frames wait until this is set, so none is missed. Payloads stay valid. */
	onFrame: (payload: Buffer) => void;
	/** Called once, whichever side closed; never within `close`. */
	onClose: (why: string) => void;
	/** Sends the queue and the reason, then closes. */
	close(why: string): void;
	/** Closes at once: for a silent peer. */
	destroy(why: string): void;
	pause(): void;
	resume(): void;
	readonly stats: {readonly receivedBytes: number; readonly sentBytes: number};
};

export type Listener = AsyncDisposable & {
	readonly port: number;
	/** The open connections, and those that have not authenticated yet. */
	readonly connections: number;
	readonly unauthenticated: number;
};

export type ListenOptions = {
	readonly host: string;
	readonly port: number;
	/** The present hello of this side. */
	readonly hello: () => LocalHello;
	/**
	The final decision on a peer: a refusal, or `undefined` to admit it if it proves its identity. `silence` sends no
	answer, as in a network cut.
	*/
	readonly admit: (remote: Hello) => Refusal | 'silence' | undefined;
	readonly onChannel: (channel: Channel) => void;
	/** Addresses and names of members, whose calls have room of their own. @default none */
	readonly memberHosts?: () => readonly string[];
};

export type DialOptions = {
	readonly hello: LocalHello;
	/** From the first packet to the open channel, in milliseconds. */
	readonly timeoutMs: number;
	/** Refuse any other node at that address. */
	readonly expect?: NodeId | undefined;
	readonly signal?: AbortSignal;
};

/** The fields of a hello that the transport does not know itself. */
export type LocalHello = Pick<
	Hello,
	'address' | 'clusterId' | 'incarnation' | 'instance' | 'name' | 'via' | 'isReadonly' | 'datagramKey'
> & {
	/**
	The protocol version that the cluster has agreed on: a node that speaks only earlier ones is refused. Clients are
	not.
	@default the oldest one that this program speaks
	*/
	readonly protocolMin?: number;
};

export type Transport = {
	/** @throws `port-in-use`, `failure` */
	listen(options: ListenOptions): Promise<Listener>;
	/**
	@throws `not-authenticated`: another secret. `unreachable`: refused or no answer; the cause keeps the system's code.
	`refused`: flags, cluster, removed, …; the cause is the `Refusal`.
	*/
	dial(address: string, options: DialOptions): Promise<Channel>;
};

export type Flags = {readonly auth: boolean; readonly sign: boolean; readonly encrypt: boolean};

/** The options that all connections of a process share. */
export type TransportOptions = {
	readonly cluster: string;
	/** They may change while the process runs. */
	readonly keys: KeySet;
	/** `undefined` for a client. */
	readonly identity: Identity | undefined;
	/** The identity of a client, if it has one. */
	readonly clientIdentity?: Identity | undefined;
	readonly flags: Flags;
	readonly limits: Config['limits'];
	readonly version: string;
	/** The oldest and the newest protocol version of this side. @default the versions of this program */
	readonly protocols?: readonly [number, number];
	readonly refusals: Counters;
	/** The budget of queued bytes over all channels (`limits.outQueueTotalBytes`). */
	readonly budget: Budget;
	/** Resolves host names; shared with datagrams. */
	readonly names: Names;
	/** Where peers of earlier versions answered. */
	readonly formerPeers: FormerPeers;
	/** Chooses which unauthenticated connection is dropped. @default that of the machine */
	readonly random?: Random;
	/** A peer was refused. Repetitions are not reported, and no more than a few refusals at a time. */
	readonly onRefusal?: (refused: RefusedPeer) => void;
	/** A caller showed a key that this side does not accept. */
	readonly onWrongKey?: (key: KeyId, address: string) => void;
	/** A client was refused because a quota of its connections is used up. `who`: as the quotas name it. */
	readonly onQuota?: (quota: ConnectionQuota, who: string) => void;
};

/** The security settings of a configuration. */
export function flagsOf(config: Pick<Config, 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption'>): Flags {
	return {auth: config.enableNodeAuth, sign: config.enableMessageSigning, encrypt: config.enableEncryption};
}

/** The active flags as they appear in a hello, such as `auth,sign,encrypt`. */
export function flagsText(flags: Flags): string {
	return (['auth', 'sign', 'encrypt'] as const).filter(name => flags[name]).join(',');
}
