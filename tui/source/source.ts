/**
The interface between the console and a node: snapshots and commands. `client-source.ts` implements it for any `Broker`,
tests with an object.
*/
import type {AccessChange, Role} from '../../core/access.ts';
import type {FaultCommand, TopicSettings} from '../../core/broker.ts';
import type {NodeId} from '../../core/message.ts';
import type {MessageSnapshot, Snapshot} from '../../core/snapshot.ts';
import type {Move, TimeView} from './timeline.ts';

export type SourceState = {
	/** The newest snapshot; `undefined` before the first. Unchanged parts keep their identity. */
	readonly snapshot: Snapshot | undefined;
	readonly connection: 'connecting' | 'connected' | 'lost';
	/** The reason for `connecting` or `lost`; after a reconnect, for a while, the new node. Raw text for people. */
	readonly detail: string;
	/** The role of this console at its node; absent until the node says it, and from an older node. */
	readonly role?: Role | undefined;
	/** The reason for `lost`, without the next attempt. */
	readonly why?: string;
	/** Set while the snapshot is one of the past. */
	readonly time?: TimeView;
	/** Of a console that is attached to a node of another process. */
	readonly attachment?: Attachment;
};

/** A named cluster in the preferences. `colour` is one of Ink. */
export type NamedContext = {readonly name: string; readonly colour: string | undefined};

/** The cluster of an attached console, and its way to a node. */
export type Attachment = {
	readonly context: NamedContext | undefined;
	/** The name of the node that was chosen, while another one is shown in its place; raw text. */
	readonly insteadOf: string | undefined;
};

export type ConsoleSource = {
	/** For `useSyncExternalStore`: the same object until something changes. */
	getState(): SourceState;
	subscribe(onChange: () => void): () => void;
	/** Never rejects. `text` is one raw line for the status line. */
	run(command: ConsoleCommand): Promise<CommandResult>;
	/** The whole body of a message, from the log of the node; absent where there is none. Never rejects. */
	read?(message: MessageSnapshot): Promise<ReadBody>;
	/** Move in time; absent when only the present can be shown. */
	travel?(move: Move): void;
};

/**
The result of `dapss-tui doctor -o json` for the machine of the console; raw text. `problem`: the reason why it could
not be examined.
*/
export type Examination =
	| {readonly summary: string; readonly checks: readonly ExaminedCheck[]; readonly left: readonly string[]}
	| {readonly problem: string};
export type ExaminedCheck = {
	readonly code: string;
	readonly level: 'ok' | 'warning' | 'problem';
	readonly reason: string | null;
	readonly found: string;
	readonly remedy: string | null;
};

/** `offset`: the place of the message in the log of the node. The problem is raw text for people. */
export type ReadBody = {readonly body: Uint8Array; readonly offset: number} | {readonly problem: string};

/** `lines`: an answer that needs more than the status line. */
export type CommandResult = {readonly ok: boolean; readonly text: string; readonly lines?: readonly string[]};

export type ConsoleCommand =
	| {readonly type: 'publish'; readonly topic: string; readonly body: string | Uint8Array}
	| {readonly type: 'subscribe'; readonly topics: readonly string[]}
	| {readonly type: 'unsubscribe'; readonly topics: readonly string[]}
	| {
			readonly type: 'create-topic';
			readonly topic: string;
			readonly settings: TopicSettings;
			readonly update: boolean;
	  }
	| {readonly type: 'delete-topic'; readonly topic: string; readonly force: boolean}
	/** Ask a quorum whether this node sees the latest agreed state. */
	| {readonly type: 'confirm'}
	/** Transfer leadership; by default to the voter with the longest log. */
	| {readonly type: 'transfer'; readonly to: NodeId | undefined}
	/** Remove a member permanently. */
	| {readonly type: 'remove'; readonly node: NodeId}
	/** Identities and their roles. */
	| {readonly type: 'access-list'}
	| {readonly type: 'access-change'; readonly change: AccessChange}
	/** `name`: of the identity, or its first digits. */
	| {readonly type: 'access-revoke'; readonly name: string}
	/** Show another node, or another cluster: that of a context. For attached consoles. */
	| {readonly type: 'attach'; readonly server: string}
	| {readonly type: 'context'; readonly name: string}
	/** The node of this console leaves its cluster and stops. */
	| {readonly type: 'leave'}
	| {readonly type: 'fault'; readonly fault: FaultCommand};
