/**
Everything that a machine may not do for itself. `core/io` has the real sides; each port has an in-memory side for
tests, and one contract suite runs on both.
*/

import type {NodeId} from './message.ts';

export type Clock = {
	/** Never goes back; for ages and waits. */
	monotonicMs(): number;
	/** For people. Never compared. */
	wallMs(): number;
	/** Calls `run` about every `intervalMs` until disposed; does not keep the process alive. */
	every(intervalMs: number, run: () => void): Disposable;
	/** Calls `run` once, `delayMs` from now, unless disposed before; does not keep the process alive. */
	after(delayMs: number, run: () => void): Disposable;
	/** Calls `run` in the next turn of the event loop, after what has arrived by now was read. */
	soon(run: () => void): void;
};

export type Entropy = {
	bytes(count: number): Uint8Array;
	/** Uniform integer in [0, limit). */
	below(limit: number): number;
};

export type LogRecord = {
	/** Byte offset of the record since the log began; grows along the log, survives restarts and retention. */
	readonly position: number;
	readonly bytes: Uint8Array;
};

export type Appended = {
	/** Where each record starts. */
	readonly positions: readonly number[];
	/** The records are with the operating system: they outlive the process, not the machine. */
	readonly written: Promise<void>;
	/** The records are on the disk (fdatasync). Never resolves before `written`. */
	readonly synced: Promise<void>;
};

export type LogSegment = {readonly first: number; readonly end: number};

/**
An append-only log of records. Any storage error stops the log for good: what was pending rejects, and so does
everything after it (a disk that failed one fsync may "succeed" at the next, having lost the data).
*/
export type Log = AsyncDisposable & {
	/** Position of the oldest record that is kept, and the position after the newest. Equal when empty. */
	readonly first: number;
	readonly end: number;
	/** Oldest first; the last one is written to. */
	segments(): readonly LogSegment[];
	/** Order is kept. Appends that arrive during a write or an fsync share the next one (group commit). */
	append(records: readonly Uint8Array[], options?: {readonly sync?: boolean}): Appended;
	/**
	Records from `from` on (a position once returned, or `first`), up to about `bytesMax` bytes but at least one; `next`
	is where to go on. Reads only what is written.
	*/
	read(from: number, bytesMax: number): Promise<{readonly records: readonly LogRecord[]; readonly next: number}>;
	/** Close the segment being written, so that retention can take it later. */
	roll(): Promise<void>;
	/** Unlink every closed segment that ends at or before `position`. */
	dropBefore(position: number): Promise<void>;
	/** Resolves with the first storage error; never when there is none. */
	readonly failed: Promise<Error>;
};

/**
How the link to a peer stands. `code`: of the last call that failed, a refusal code or the system's (`ETIMEDOUT`); none
while the link is up.
*/
export type LinkState = {readonly state: 'up' | 'connecting' | 'down'; readonly why: string; readonly code?: string};
/**
Whether this node can call the peer where it says that it is reached. `untried`: not since the peer opened the link
itself. `code`: as of a link, why it failed.
*/
export type Called = {readonly state: 'works' | 'untried'} | {readonly state: 'failed'; readonly code: string};
/** What a peer said of its program. */
export type Spoken = {readonly protocol: number; readonly version: string};

/**
Links to the other members: one authenticated, ordered connection each. Frames to a peer without a link are lost, and
that is said.
*/
export type Links = {
	/** Keep a link to each of these; close the others. */
	setPeers(peers: ReadonlyMap<NodeId, string>): void;
	/** Refuse these ids from now on. */
	setRemoved(ids: readonly NodeId[]): void;
	/** One frame, in pieces. False when there is no link or its queue is full. */
	send(to: NodeId, pieces: readonly Uint8Array[]): boolean;
	queuedBytes(to: NodeId): number;
	state(peer: NodeId): LinkState;
	/** Where the peer is reached by its newest hello on a link; `undefined` when there was none. */
	address(peer: NodeId): string | undefined;
	called(peer: NodeId): Called;
	/** Find out `called` by a call beside the link, when the peer opened that; at a bounded pace. */
	tryCall(peer: NodeId): void;
	/**
	The newest version of the protocol that the peer and this node both speak, and the version of its program, as it
	said last; `undefined` before the first link.
	*/
	speaks(peer: NodeId): Spoken | undefined;
	/** The peer is silent: what the connection still holds will not arrive soon. Close it and dial anew. */
	drop(peer: NodeId, why: string): void;
	/** The peer was heard elsewhere: dial now instead of at the end of the back-off. */
	hint(peer: NodeId): void;
	readonly stats: {readonly sentBytes: number; readonly receivedBytes: number};
	/** Refused frames and connections by reason; bounds that were hit. */
	readonly refusals: ReadonlyMap<string, number>;
};

/** Small packets that may be lost. */
export type Datagrams = {
	/** `to` names the peer, for faults that are injected. */
	send(address: string, bytes: Uint8Array, to?: NodeId): void;
};

/** `isMember`: a node that is a member of a cluster of this name was seen there lately. */
export type Candidate = {readonly address: string; readonly isMember: boolean};

/** How a node finds others whose link it does not have yet. */
export type PeerFinder = {
	/**
	Where a node of the cluster may be, as far as is known now: the seed list, nodes of this user on this machine,
	beacons.
	*/
	candidates(): Promise<readonly Candidate[]>;
	/**
	One question, as an encoded `join` frame, over a connection of its own. `id` of the node that answers is proved.
	@throws as a dial does
	*/
	ask(address: string, frame: Buffer): Promise<{readonly id: NodeId | undefined; readonly frame: Buffer}>;
};
