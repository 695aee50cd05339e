/**
The state machine that Raft feeds: what all nodes agree on. Members and where they are, who subscribes to which topic since
when, which ids were removed, and the sessions of those who ask. Pure: the same entries in the same order give the same bytes on
every node (`save`), and a snapshot is those bytes.
*/
import {decode, encode} from '../codec.ts';
import type {NodeId, Topic} from '../message.ts';
import {decodeContext, decodeEnvelope, type Command, type Envelope} from './command.ts';
import {Sessions, type Result, type SessionState} from './sessions.ts';

export type AgreedMember = {readonly id: NodeId; readonly address: string};
export type AgreedTopic = {
	readonly name: Topic;
	/** Subscriber → the Lamport time above which it wants batches. */
	readonly subscribers: ReadonlyMap<NodeId, number>;
};
/** What an entry changed, for whoever watches. */
export type TopicsEvent =
	| {readonly type: 'founded'; readonly clusterId: string}
	| {readonly type: 'added' | 'removed' | 'moved'; readonly node: NodeId; readonly address: string}
	| {readonly type: 'subscribed' | 'unsubscribed'; readonly topic: Topic; readonly node: NodeId};
export type Applied = {readonly envelope: Envelope | undefined; readonly result: Result; readonly events: readonly TopicsEvent[]};
export type Bounds = {readonly topicsMax: number; readonly membersMax: number};

const removedMax = 4096;
const done: Result = {ok: true};
const noSubscribers: ReadonlyMap<NodeId, number> = new Map();

export class Topics {
	#clusterId = '';
	#applied = 0;
	readonly #members = new Map<NodeId, string>();
	readonly #removed = new Map<NodeId, number>();
	readonly #topics = new Map<Topic, Map<NodeId, number>>();
	readonly #sessions = new Sessions();
	readonly #bounds: Bounds;

	constructor(bounds: Bounds) {
		this.#bounds = bounds;
	}

	get clusterId(): string {
		return this.#clusterId;
	}

	/** Index of the last entry that was applied. */
	get applied(): number {
		return this.#applied;
	}

	members(): readonly AgreedMember[] {
		return [...this.#members].map(([id, address]) => ({id, address})).toSorted((a, b) => (a.id < b.id ? -1 : 1));
	}

	address(node: NodeId): string | undefined {
		return this.#members.get(node);
	}

	isRemoved(node: NodeId): boolean {
		return this.#removed.has(node);
	}

	removed(): readonly NodeId[] {
		return [...this.#removed.keys()];
	}

	topics(): readonly AgreedTopic[] {
		return [...this.#topics].map(([name, subscribers]) => ({name, subscribers}));
	}

	subscribers(topic: Topic): ReadonlyMap<NodeId, number> {
		return this.#topics.get(topic) ?? noSubscribers;
	}

	/** The latest Lamport time that anybody subscribes from: what is stamped before it, by one who knows of that, would not be wanted. */
	get latestSince(): number {
		let latest = 0;
		for (const subscribers of this.#topics.values()) for (const since of subscribers.values()) latest = Math.max(latest, since);
		return latest;
	}

	/** What the command was answered, if it was applied. */
	answered(envelope: Envelope): Result | undefined {
		return this.#sessions.answered(envelope);
	}

	/** Apply a command entry. Bytes that are no command change nothing, alike on every node. */
	apply(index: number, data: Uint8Array): Applied {
		this.#applied = index;
		const envelope = decodeEnvelope(data);
		if (!envelope) return {envelope, result: {ok: false, reason: 'Expected a command, got other bytes'}, events: []};
		const before = this.#sessions.answered(envelope);
		if (before) return {envelope, result: before, events: []};
		const events: TopicsEvent[] = [];
		const result = this.#execute(envelope.command, events);
		this.#sessions.record(envelope, result);
		return {envelope, result, events};
	}

	/** Apply a configuration entry: the members are those that the configuration names. */
	applyConfiguration(index: number, nodes: readonly NodeId[], context: Uint8Array): readonly TopicsEvent[] {
		this.#applied = index;
		const events: TopicsEvent[] = [];
		const {clusterId, node, address} = decodeContext(context);
		if (clusterId !== undefined && this.#clusterId === '') {
			this.#clusterId = clusterId;
			events.push({type: 'founded', clusterId});
		}

		const kept = new Set(nodes);
		for (const [id, at] of this.#members) {
			if (kept.has(id)) continue;
			this.#remove(id, index);
			events.push({type: 'removed', node: id, address: at});
		}

		for (const id of nodes) {
			const at = id === node && address !== undefined ? address : undefined;
			if (this.#members.has(id)) {
				if (at !== undefined && at !== this.#members.get(id)) {
					this.#members.set(id, at);
					events.push({type: 'moved', node: id, address: at});
				}

				continue;
			}

			this.#members.set(id, at ?? '');
			events.push({type: 'added', node: id, address: at ?? ''});
		}

		return events;
	}

	/** An entry that carries nothing (a leader's no-op). */
	applyNothing(index: number): void {
		this.#applied = index;
	}

	/** Unsafe recovery: from `index` on a cluster of its own, of this node alone. Those who go are not remembered as removed: they are of another cluster. */
	refound(index: number, clusterId: string, node: NodeId): void {
		this.#applied = index;
		this.#clusterId = clusterId;
		for (const id of this.#members.keys()) if (id !== node) this.#forget(id);
	}

	save(): Uint8Array {
		return encode({
			version: 1,
			applied: this.#applied,
			clusterId: this.#clusterId,
			members: sorted(this.#members),
			removed: [...this.#removed],
			topics: sorted(this.#topics).map(([name, subscribers]) => [name, sorted(subscribers)]),
			sessions: this.#sessions.save(),
		});
	}

	/** Become what `save` gave. @throws when the bytes are not such a state: the snapshot was checked before, so this is a mistake of ours. */
	load(bytes: Uint8Array): void {
		const state = decode(bytes) as SavedState | undefined;
		if (state?.version !== 1) throw new Error(`Expected a saved state of version 1, got ${String(state?.version)}`);
		this.#applied = state.applied;
		this.#clusterId = state.clusterId;
		refill(this.#members, state.members);
		refill(this.#removed, state.removed);
		refill(this.#topics, state.topics.map(([name, subscribers]) => [name, new Map(subscribers)] as const));
		this.#sessions.load(state.sessions);
	}

	#execute(command: Command, events: TopicsEvent[]): Result {
		if (!this.#members.has(command.node)) return {ok: false, reason: `Expected a member, got ${command.node}`};
		switch (command.type) {
			case 'subscribe': return this.#subscribe(command, events);
			case 'unsubscribe': {
				const subscribers = this.#topics.get(command.topic);
				if (!subscribers?.delete(command.node)) return done;
				if (subscribers.size === 0) this.#topics.delete(command.topic);
				events.push({type: 'unsubscribed', topic: command.topic, node: command.node});
				return done;
			}

			case 'address': {
				if (this.#members.get(command.node) === command.address) return done;
				this.#members.set(command.node, command.address);
				events.push({type: 'moved', node: command.node, address: command.address});
				return done;
			}

			default: return command satisfies never;
		}
	}

	#subscribe({topic, node, since}: Extract<Command, {type: 'subscribe'}>, events: TopicsEvent[]): Result {
		let subscribers = this.#topics.get(topic);
		if (!subscribers) {
			if (this.#topics.size >= this.#bounds.topicsMax) return {ok: false, reason: `Expected at most ${this.#bounds.topicsMax} topics, got one more: ${topic}`};
			subscribers = new Map();
			this.#topics.set(topic, subscribers);
		}

		if (subscribers.has(node)) return done;
		subscribers.set(node, since);
		events.push({type: 'subscribed', topic, node});
		return done;
	}

	#remove(node: NodeId, index: number): void {
		this.#forget(node);
		this.#removed.set(node, index);
		for (const oldest of this.#removed.keys()) {
			if (this.#removed.size <= removedMax) break;
			this.#removed.delete(oldest);
		}
	}

	#forget(node: NodeId): void {
		this.#members.delete(node);
		this.#sessions.forget(node);
		for (const [topic, subscribers] of this.#topics) {
			if (subscribers.delete(node) && subscribers.size === 0) this.#topics.delete(topic);
		}
	}

	/** How many more members the bound allows. */
	get room(): number {
		return this.#bounds.membersMax - this.#members.size;
	}
}



type SavedState = {
	readonly version: number;
	readonly applied: number;
	readonly clusterId: string;
	readonly members: ReadonlyArray<readonly [NodeId, string]>;
	readonly removed: ReadonlyArray<readonly [NodeId, number]>;
	readonly topics: ReadonlyArray<readonly [Topic, ReadonlyArray<readonly [NodeId, number]>]>;
	readonly sessions: readonly SessionState[];
};

function sorted<Key extends string, Value>(map: ReadonlyMap<Key, Value>): Array<readonly [Key, Value]> {
	return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function refill<Key, Value>(map: Map<Key, Value>, entries: ReadonlyArray<readonly [Key, Value]>): void {
	map.clear();
	for (const [key, value] of entries) map.set(key, value);
}
