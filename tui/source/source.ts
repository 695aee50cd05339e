/**
What the console is given: a picture of a node, and a way to ask it for something. The caller implements it over a
worker thread or a TLS link (`clientSource.ts` does so for any `Broker`); tests over an object.
*/
import type {FaultCommand, TopicSettings} from '../../core/broker.ts';
import type {NodeId} from '../../core/message.ts';
import type {Snapshot} from '../../core/snapshot.ts';

export type SourceState = {
	/** The newest picture; `undefined` before the first. Parts that did not change keep their identity. */
	readonly snapshot: Snapshot | undefined;
	readonly connection: 'connecting' | 'connected' | 'lost';
	/** Why it is connecting or lost, or for a while, to which node it came back; for people, raw text. */
	readonly detail: string;
	/** Why it is lost, without what is done about it. */
	readonly why?: string;
};

export type ConsoleSource = {
	/** For `useSyncExternalStore`: the same reference until something changes. */
	getState(): SourceState;
	subscribe(onChange: () => void): () => void;
	/** Never rejects; `text` is one line for the status line, raw. */
	run(command: ConsoleCommand): Promise<CommandResult>;
};

/**
What was found of the machine that the console runs on, as `dapss-tui doctor -o json` says it; raw text. `problem`: it
could not be examined, and why.
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

export type CommandResult = {readonly ok: boolean; readonly text: string};

export type ConsoleCommand =
	| {readonly type: 'publish'; readonly topic: string; readonly body: string}
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
	/** Hand the lead over; by default to the voter that is furthest. */
	| {readonly type: 'transfer'; readonly to: NodeId | undefined}
	/** Take a member out for good. */
	| {readonly type: 'remove'; readonly node: NodeId}
	/** The node of this console leaves its cluster and stops. */
	| {readonly type: 'leave'}
	| {readonly type: 'fault'; readonly fault: FaultCommand};
