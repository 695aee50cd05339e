/**
The interfaces to the outside that machines do not have. `core/io` has the real implementations. Each port also has an
in-memory implementation for tests, and one contract suite runs on both.
*/

import type {AgreedKey, KeyChange, KeyId, KeyUse, WrongKey} from './cluster-keys.ts';
import type {NodeId} from './message.ts';

export type Clock = {
	/** Never goes back; for ages and timeouts. */
	monotonicMs(): number;
	/** For people; never compared. */
	wallMs(): number;
	/** Calls `run` about every `intervalMs` until disposed; does not keep the process alive. */
	every(intervalMs: number, run: () => void): Disposable;
	/** Calls `run` once, `delayMs` from now, unless disposed before; does not keep the process alive. */
	after(delayMs: number, run: () => void): Disposable;
	/** Calls `run` in the next turn of the event loop, after the input that has arrived by now was read. */
	soon(run: () => void): void;
};

export type Entropy = {
	bytes(count: number): Uint8Array;
	/** Uniform integer in [0, limit). */
	below(limit: number): number;
};

export type LogRecord = {
	/** Byte offset of the record since the log began. It grows along the log and survives restarts and retention. */
	readonly position: number;
	readonly bytes: Uint8Array;
};

export type Appended = {
	/** Where each record starts. */
	readonly positions: readonly number[];
	/** The records are with the operating system: they survive the process, but not a crash of the machine. */
	readonly written: Promise<void>;
	/** The records are on the disk (fdatasync). Never resolves before `written`. */
	readonly synced: Promise<void>;
};

export type LogSegment = {readonly first: number; readonly end: number};

/**
An append-only log of records. Any storage error stops the log for good: pending and later operations reject. (A disk
that failed one fsync may report success for the next, although the data are lost.)
*/
export type Log = AsyncDisposable & {
	/** Position of the oldest record, and the position after the newest. Equal when empty. */
	readonly first: number;
	readonly end: number;
	/** Oldest first; the last segment is the one that is written. */
	segments(): readonly LogSegment[];
	/** Appends keep their order. Those that arrive during a write or an fsync share the next one (group commit). */
	append(records: readonly Uint8Array[], options?: {readonly sync?: boolean}): Appended;
	/**
	Reads records from `from` on (a returned position, or `first`), up to about `bytesMax` bytes but at least one;
	`next` is the position to continue from. Reads only written records.
	*/
	read(from: number, bytesMax: number): Promise<{readonly records: readonly LogRecord[]; readonly next: number}>;
	/** Closes the segment being written, so that retention can delete it later. */
	roll(): Promise<void>;
	/** Deletes every closed segment that ends at or before `position`. */
	dropBefore(position: number): Promise<void>;
	/** Resolves with the first storage error; stays pending without one. */
	readonly failed: Promise<Error>;
};

/**
The state of the link to a peer. `code`: of the last failed dial, a refusal code or a system error (`ETIMEDOUT`); absent
while the link is up.
*/
export type LinkState = {readonly state: 'up' | 'connecting' | 'down'; readonly why: string; readonly code?: string};
/**
Whether this node can dial the peer at its advertised address. `untried`: not since the peer opened the link itself.
`code`: the error, as in `LinkState`.
*/
export type Called = {readonly state: 'works' | 'untried'} | {readonly state: 'failed'; readonly code: string};
/** The key of this node, and the check of what other nodes signed. */
export type Signer = {
	/** The raw Ed25519 key, 32 bytes. The id of the node is its hash. */
	readonly publicKey: Uint8Array;
	sign(bytes: Uint8Array): Uint8Array;
	/** Whether the node signed the bytes with this key, and the key is its own. */
	isSignedBy(node: NodeId, publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean;
};
/** Versions that a peer announced. */
export type Spoken = {readonly protocol: number; readonly version: string};

/**
Links to the other members: one authenticated, ordered connection each. Frames to a peer without a link are dropped, and
`send` reports that.
*/
export type Links = {
	/** Keeps a link to each of these peers, and closes the others. */
	setPeers(peers: ReadonlyMap<NodeId, string>): void;
	/** Refuses these ids from now on. */
	setRemoved(ids: readonly NodeId[]): void;
	/** Sends one frame, given in pieces. False when there is no link or its queue is full. */
	send(to: NodeId, pieces: readonly Uint8Array[]): boolean;
	queuedBytes(to: NodeId): number;
	state(peer: NodeId): LinkState;
	/** The address in the peer's newest hello on a link; `undefined` when there was none. */
	address(peer: NodeId): string | undefined;
	called(peer: NodeId): Called;
	/** Updates `called` by a separate dial when the peer opened the link; at a bounded rate. */
	tryCall(peer: NodeId): void;
	/**
	The newest protocol version that both sides support, and the version of the peer's program, as last announced;
	`undefined` before the first link.
	*/
	speaks(peer: NodeId): Spoken | undefined;
	/** Closes the connection to a silent peer, whose data will not arrive soon, and dials again. */
	drop(peer: NodeId, why: string): void;
	/** The peer was heard elsewhere: dial now instead of after the back-off. */
	hint(peer: NodeId): void;
	readonly stats: {readonly sentBytes: number; readonly receivedBytes: number};
	/** Refused frames and connections by reason, and bounds that were hit. */
	readonly refusals: ReadonlyMap<string, number>;
};

/** Small packets that may get lost. */
export type Datagrams = {
	/** `to`: the peer, for fault injection. */
	send(address: string, bytes: Uint8Array, to?: NodeId): void;
};

/**
`isMember`: a member of a cluster of this name was seen there recently. `isReported`: a beacon that cannot prove that it
is no replay says so.
*/
export type Candidate = {readonly address: string; readonly isMember: boolean; readonly isReported?: boolean};

/** Finds nodes to which there is no link yet. */
export type PeerFinder = {
	/** Known addresses of possible nodes of the cluster: the seed list, this user's nodes on this machine, beacons. */
	candidates(): Promise<readonly Candidate[]>;
	/**
	Sends one encoded `join` frame over a separate connection. The returned `id` of the answering node is authenticated.
	@throws as a dial does
	*/
	ask(address: string, frame: Buffer): Promise<{readonly id: NodeId | undefined; readonly frame: Buffer}>;
};

/** The keys of the cluster in this process. */
export type OwnKeys = {
	/**
	Takes over the agreed keys.
	@param applied the index of the last applied entry
	@param last the index of the last entry in the log
	*/
	agreed(keys: readonly AgreedKey[], applied: number, last: number): void;
	/** Called about once a second. */
	tick(): void;
	use(): KeyUse;
	/** The key of a secret. */
	keyOf(secret: Uint8Array): KeyId;
	/** The change that adds a key with this secret. @throws `refused` when no key protects the cluster */
	addition(secret: Uint8Array): KeyChange;
	/** For a snapshot. Does not read the secret file. */
	view(): {
		readonly active: KeyId;
		readonly valid: readonly KeyId[];
		readonly file: KeyUse['file'];
		/** The path of the secret file; empty without one. */
		readonly secretFile: string;
		/** Wrong keys of the last ten minutes. */
		readonly wrong: readonly WrongKey[];
	};
};

/** The file that holds the secret of this process. */
export type SecretFile = {
	readonly path: string;
	/** `undefined` when it cannot be read. */
	read(): Uint8Array | undefined;
	/**
	Replaces the secret if the file still holds the former one.
	@throws when the file is not this user's to change
	*/
	replace(former: Uint8Array, next: Uint8Array): Promise<void>;
};
