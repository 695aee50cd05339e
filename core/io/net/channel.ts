/**
What a node asks of a network: authenticated, ordered connections that carry frames. `tls.ts` makes them over TCP (TLS
1.3, or plain on loopback for experiments), `memory.ts` within a process; one contract suite runs on all.
*/
import type {Config} from '../../config.ts';
import type {NodeId} from '../../message.ts';
import type {Identity, Keys} from '../../wire/seal.ts';
import type {Budget, Counters} from './counters.ts';
import type {Names} from './host-names.ts';

export type Role = 'node' | 'client';
export type Via = 'peer' | 'join' | 'client';

/** What each side says of itself first. A node's `id` is proved by a signature; the rest is its word. */
export type Hello = {
	readonly role: Role;
	/** `undefined` for a client. */
	readonly id: NodeId | undefined;
	/** Where it can be reached, `host:port`; empty for a client. */
	readonly address: string;
	readonly cluster: string;
	/** Empty when it is not a member yet. */
	readonly clusterId: string;
	readonly incarnation: number;
	/**
	Drawn anew by each process, 16 hexadecimal digits: tells two processes of one id apart. Empty for a client, or a
	node of protocol 1.
	*/
	readonly instance: string;
	/** Name that the node has or asks for; empty for a client. */
	readonly name: string;
	/** Of `auth,sign,encrypt` those that are on, in this order. */
	readonly flags: string;
	/** Version of the program, for people. */
	readonly version: string;
	/** Of a local hello: the newest version of the protocol that this node speaks. Of a remote one: what both speak. */
	readonly protocol: number;
	/** What the connection is for. */
	readonly via: Via;
};

/** Why a connection did not come about. `reason` is a line for people, from the reader's point of view. */
export type Refusal = {
	readonly code: RefusalCode;
	readonly reason: string;
	/**
	With `same-node`: of the process that the cluster has agreed on. A process of a later incarnation knows more than
	who refuses it.
	*/
	readonly incarnation?: number | undefined;
	/** Who refuses knew that this call would come: it is counted and no event. Not sent. */
	readonly isExpected?: boolean;
};
export type RefusalCode =
	/** `itself`: this very process answers at that address. `same-node`: another process with this node's identity. */
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
	| 'older-incarnation'
	| 'busy';

/** A refusal as it is told: who, where, and which side refused. `reason` is a line for people. */
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
	/**
	One frame, in pieces. What is sent within one turn of the event loop leaves in one write. Large pieces are not
	copied: they must not change afterwards. False, and counted, when the channel is closed or too much waits to leave.

	*/
	send(pieces: readonly Uint8Array[]): boolean;
	/** Bytes taken by `send` that the operating system has not taken yet. */
	readonly queuedBytes: number;
	/** The largest frame that it sends or takes. */
	readonly frameBytesMax: number;
	/**
	Bytes of a long stream that may be queued now, so that a quarter of the queue is left for answers. 0 for none:
	`onDrain` is called once there is room.

	*/
	room(): number;
	/** Called when, after a `send` was refused for its queue or there was no `room`, half of the queue has left. */
	onDrain: () => void;
	/** Frames wait until this is set, so none is missed. Payloads stay valid. */
	onFrame: (payload: Buffer) => void;
	/** Called once, whichever side closed, never within `close`. */
	onClose: (why: string) => void;
	/** Send what is queued, tell the peer why, close. */
	close(why: string): void;
	/** Close at once: for a peer that is silent. */
	destroy(why: string): void;
	pause(): void;
	resume(): void;
	readonly stats: {readonly receivedBytes: number; readonly sentBytes: number};
};

export type Listener = AsyncDisposable & {
	readonly port: number;
	/** Connections that are open, and those that have not authenticated yet. */
	readonly connections: number;
	readonly unauthenticated: number;
};

export type ListenOptions = {
	readonly host: string;
	readonly port: number;
	/** What this side says of itself, at this moment. */
	readonly hello: () => LocalHello;
	/**
	A last word on a peer: a refusal, or `undefined` to let it in if it proves to be who it says. `silence` answers
	nothing, as a cut would.
	*/
	readonly admit: (remote: Hello) => Refusal | 'silence' | undefined;
	readonly onChannel: (channel: Channel) => void;
};

export type DialOptions = {
	readonly hello: LocalHello;
	/** From the first packet to the open channel. */
	readonly timeoutMs: number;
	/** Refuse any other node at that address. */
	readonly expect?: NodeId | undefined;
	readonly signal?: AbortSignal;
};

/** What the transport does not know by itself. */
export type LocalHello = Pick<Hello, 'address' | 'clusterId' | 'incarnation' | 'instance' | 'name' | 'via'> & {
	/**
	The protocol that the cluster has agreed on: a node that speaks only earlier ones is refused. A client is not.
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

/** What all connections of a process share. */
export type TransportOptions = {
	readonly cluster: string;
	readonly keys: Keys;
	/** `undefined` for a client. */
	readonly identity: Identity | undefined;
	readonly flags: Flags;
	readonly limits: Config['limits'];
	readonly version: string;
	/** The oldest and the newest version of the protocol that this side speaks. @default those of this program */
	readonly protocols?: readonly [number, number];
	readonly refusals: Counters;
	/** Bytes waiting to leave over all channels (`limits.outQueueTotalBytes`). */
	readonly budget: Budget;
	/** What host names stand for; datagrams use the same. */
	readonly names: Names;
	/** A peer was refused; the same about the same peer is not repeated, and no more than a few are told at a time. */
	readonly onRefusal?: (refused: RefusedPeer) => void;
};

export function flagsOf(config: Pick<Config, 'enableNodeAuth' | 'enableMessageSigning' | 'enableEncryption'>): Flags {
	return {auth: config.enableNodeAuth, sign: config.enableMessageSigning, encrypt: config.enableEncryption};
}

export function flagsText(flags: Flags): string {
	return (['auth', 'sign', 'encrypt'] as const).filter(name => flags[name]).join(',');
}
