/**
The state machine that Raft feeds: what all nodes agree on. Members and where they are, who subscribes to which topic
since when, which ids were removed, and the sessions of those who ask. Pure: the same entries in the same order give the
same bytes on every node (`save`), and a snapshot is those bytes.

Nodes of earlier versions apply the same log. So names and claims, which they do not know, change nothing before all
members have agreed on protocol 2, and until then the saved bytes are those of version 1 (as etcd does with its cluster
version). The same holds for the settings and the deletion of topics, protocol 3 and version 3.
*/
import {decode, encode} from '../codec.ts';
import {NewerVersionError} from '../errors.ts';
import type {NodeId, Topic} from '../message.ts';
import {nameKey} from '../node-name.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {decodeContext, decodeEnvelope, type Command, type Envelope} from './command.ts';
import {Sessions, type Result, type SessionState} from './sessions.ts';

export type AgreedMember = {readonly id: NodeId; readonly address: string};
export type AgreedTopic = {
	readonly name: Topic;
	/** Subscriber → the Lamport time above which it wants batches. */
	readonly subscribers: ReadonlyMap<NodeId, number>;
	/** Of a topic that was created; `undefined` of one that is there because somebody subscribes. */
	readonly settings: TopicSettings | undefined;
};
/** What an entry changed, for whoever watches. */
export type TopicsEvent =
	| {readonly type: 'founded'; readonly clusterId: string}
	| {readonly type: 'added' | 'removed' | 'moved'; readonly node: NodeId; readonly address: string}
	| {readonly type: 'named'; readonly node: NodeId; readonly name: string; readonly was?: string}
	| {readonly type: 'protocol'; readonly protocol: number}
	| {readonly type: 'subscribed' | 'unsubscribed'; readonly topic: Topic; readonly node: NodeId}
	| {readonly type: 'created'; readonly topic: Topic; readonly node: NodeId; readonly settings: TopicSettings}
	| {readonly type: 'topic-deleted'; readonly topic: Topic; readonly node: NodeId};
export type Applied = {
	readonly envelope: Envelope | undefined;
	readonly result: Result;
	readonly events: readonly TopicsEvent[];
};
/** The process that uses the identity of a node, by agreement. */
export type AgreedInstance = {readonly incarnation: number; readonly instance: string};
export type Bounds = {readonly topicsMax: number; readonly membersMax: number};

/** The newest version of the saved state that this program reads. */
export const stateVersionMax = 3;
/** From this agreed protocol on there are names and claims. */
export const namesProtocol = 2;
/** From this one on topics are created and deleted. */
export const topicsProtocol = 3;
const removedMax = 4096;
/**
Deletions that are remembered. What the oldest deleted comes back when a node returns that was away since before it.
*/
const deletedMax = 4096;
const done: Result = {ok: true};
const noSubscribers: ReadonlyMap<NodeId, number> = new Map();

export class ClusterState {
	#clusterId = '';
	#applied = 0;
	#protocol = 1;
	readonly #members = new Map<NodeId, string>();
	readonly #names = new Map<NodeId, string>();
	readonly #instances = new Map<NodeId, AgreedInstance>();
	readonly #removed = new Map<NodeId, number>();
	readonly #topics = new Map<Topic, Map<NodeId, number>>();
	readonly #created = new Map<Topic, TopicSettings>();
	/** The Lamport time up to which everything of the topic is deleted; the latest deletion last. */
	readonly #deleted = new Map<Topic, number>();
	/** Changes with every deletion that becomes known. */
	deletionsSeen = 0;
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

	/** The version of the protocol that all members speak, by agreement. */
	get protocol(): number {
		return this.#protocol;
	}

	/** Agreed and unique; empty when it has none. */
	name(node: NodeId): string {
		return this.#names.get(node) ?? '';
	}

	/** The member of this name, whatever its case. */
	nodeNamed(name: string): NodeId | undefined {
		const key = nameKey(name);
		for (const [node, taken] of this.#names) if (nameKey(taken) === key) return node;
		return undefined;
	}

	/** Which process uses the identity of the node; `undefined` before it has said so. */
	instance(node: NodeId): AgreedInstance | undefined {
		return this.#instances.get(node);
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
		return [...new Set([...this.#topics.keys(), ...this.#created.keys()])].map(name => ({
			name,
			subscribers: this.subscribers(name),
			settings: this.#created.get(name),
		}));
	}

	/** Of a topic that was created. */
	settings(topic: Topic): TopicSettings | undefined {
		return this.#created.get(topic);
	}

	/** Topics that were deleted, with the Lamport time up to which their messages are. */
	deletions(): ReadonlyMap<Topic, number> {
		return this.#deleted;
	}

	subscribers(topic: Topic): ReadonlyMap<NodeId, number> {
		return this.#topics.get(topic) ?? noSubscribers;
	}

	/**
	The latest Lamport time that anybody subscribes from, or up to which a topic is deleted: what is stamped before it,
	by one who knows of that, would not be wanted.
	*/
	get latestSince(): number {
		let latest = Math.max(0, ...this.#deleted.values());
		for (const subscribers of this.#topics.values())
			for (const since of subscribers.values()) latest = Math.max(latest, since);
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
		if (!envelope)
			return {envelope, result: {ok: false, reason: 'Expected a command, got other bytes'}, events: []};
		// An earlier version does not know these commands: not even the session may remember them.
		const needed = protocolOf(envelope.command);
		if (this.#protocol < needed)
			return {
				envelope,
				result: {
					ok: false,
					reason: `Expected a command of protocol ${this.#protocol}, got one of protocol ${needed}`,
				},
				events: [],
			};

		// The session belongs to the process that holds the claim: one that only asks for it must not touch it.
		const hasSession = envelope.command.type !== 'claim';
		const before = hasSession ? this.#sessions.answered(envelope) : undefined;
		if (before) return {envelope, result: before, events: []};
		const events: TopicsEvent[] = [];
		const result = this.#execute(envelope.command, events);
		if (hasSession) this.#sessions.record(envelope, result);
		return {envelope, result, events};
	}

	/** Apply a configuration entry: the members are those that the configuration names. */
	applyConfiguration(index: number, nodes: readonly NodeId[], context: Uint8Array): readonly TopicsEvent[] {
		this.#applied = index;
		const events: TopicsEvent[] = [];
		const added = decodeContext(context);
		const {clusterId, protocol, node, address} = added;
		if (clusterId !== undefined && this.#clusterId === '') {
			this.#clusterId = clusterId;
			events.push({type: 'founded', clusterId});
			if (protocol !== undefined) this.#raise(protocol, events);
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

		if (node !== undefined && this.#protocol >= namesProtocol && this.#members.has(node)) {
			const {name, incarnation, instance} = added;
			// A name that is taken is left out: the node is a member nonetheless, and asks for another one.
			if (name !== undefined) this.#rename(node, name, events);
			if (incarnation !== undefined && instance !== undefined) this.#claim({node, incarnation, instance});
		}

		return events;
	}

	/** An entry that carries nothing (a leader's no-op). */
	applyNothing(index: number): void {
		this.#applied = index;
	}

	/**
	Unsafe recovery: from `index` on a cluster of its own, of this node alone. Those who go are not remembered as
	removed: they are of another cluster.
	*/
	refound(index: number, clusterId: string, node: NodeId): void {
		this.#applied = index;
		this.#clusterId = clusterId;
		for (const id of this.#members.keys()) if (id !== node) this.#forget(id);
	}

	save(): Uint8Array {
		const isFirst = this.#protocol < namesProtocol;
		const hasTopics = this.#protocol >= topicsProtocol;
		return encode({
			version: isFirst ? 1 : hasTopics ? 3 : 2,
			applied: this.#applied,
			clusterId: this.#clusterId,
			members: sorted(this.#members),
			removed: [...this.#removed],
			topics: sorted(this.#topics).map(([name, subscribers]) => [name, sorted(subscribers)]),
			sessions: this.#sessions.save(),
			...(isFirst
				? {}
				: {
						protocol: this.#protocol,
						names: sorted(this.#names),
						instances: sorted(this.#instances).map(([node, {incarnation, instance}]) => [
							node,
							incarnation,
							instance,
						]),
					}),
			...(hasTopics && {created: sorted(this.#created), deleted: [...this.#deleted]}),
		});
	}

	/**
	Become what `save` gave.
	@throws {NewerVersionError}
	@throws when the bytes are no state at all: the snapshot was checked before, so this is a mistake of ours

	*/
	load(bytes: Uint8Array): void {
		expectKnownState(bytes);
		const state = decode(bytes) as SavedState;
		this.#applied = state.applied;
		this.#clusterId = state.clusterId;
		this.#protocol = state.protocol ?? 1;
		refill(this.#names, state.names ?? []);
		refill(
			this.#instances,
			(state.instances ?? []).map(([node, incarnation, instance]) => [node, {incarnation, instance}] as const),
		);
		refill(this.#members, state.members);
		refill(this.#removed, state.removed);
		refill(
			this.#topics,
			state.topics.map(([name, subscribers]) => [name, new Map(subscribers)] as const),
		);
		refill(this.#created, state.created ?? []);
		refill(this.#deleted, state.deleted ?? []);
		this.deletionsSeen++;
		this.#sessions.load(state.sessions);
	}

	#execute(command: Command, events: TopicsEvent[]): Result {
		if (!this.#members.has(command.node)) return {ok: false, reason: `Expected a member, got ${command.node}`};
		switch (command.type) {
			case 'subscribe':
				return this.#subscribe(command, events);
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

			case 'protocol': {
				this.#raise(command.protocol, events);
				return done;
			}

			case 'name':
				return this.#rename(command.node, command.name, events);
			case 'claim':
				return this.#claim(command);
			case 'create':
				return this.#create(command, events);
			case 'delete':
				return this.#delete(command, events);
			default:
				return command satisfies never;
		}
	}

	#raise(protocol: number, events: TopicsEvent[]): void {
		if (protocol <= this.#protocol) return;
		this.#protocol = protocol;
		events.push({type: 'protocol', protocol});
	}

	#rename(node: NodeId, name: string, events: TopicsEvent[]): Result {
		const holder = this.nodeNamed(name);
		if (holder !== undefined && holder !== node)
			return {ok: false, reason: `the name ${name} belongs to node ${holder}`};
		const was = this.#names.get(node);
		if (was === name) return done;
		this.#names.set(node, name);
		events.push({type: 'named', node, name, ...(was === undefined ? {} : {was})});
		return done;
	}

	/**
	A later start of a node supersedes an earlier one. Of two processes of one start the first one keeps the identity.
	*/
	#claim({node, incarnation, instance}: {readonly node: NodeId} & AgreedInstance): Result {
		const current = this.#instances.get(node);
		if (current && current.instance !== instance && current.incarnation >= incarnation) {
			return {
				ok: false,
				reason: `node ${node} is used by another instance (incarnation ${current.incarnation}, instance ${current.instance})`,
			};
		}

		this.#instances.set(node, {incarnation: Math.max(incarnation, current?.incarnation ?? 0), instance});
		return done;
	}

	#subscribe({topic, node, since}: Extract<Command, {type: 'subscribe'}>, events: TopicsEvent[]): Result {
		let subscribers = this.#topics.get(topic);
		if (!subscribers) {
			const refusal = this.#refusal(topic);
			if (refusal) return refusal;
			subscribers = new Map();
			this.#topics.set(topic, subscribers);
		}

		if (subscribers.has(node)) return done;
		// What was deleted is wanted by nobody, so whoever still has it offers it in vain.
		subscribers.set(node, Math.max(since, this.#deleted.get(topic) ?? 0));
		events.push({type: 'subscribed', topic, node});
		return done;
	}

	#create({topic, node, settings, update}: Extract<Command, {type: 'create'}>, events: TopicsEvent[]): Result {
		const present = this.#created.get(topic);
		if (present && isSame(present, settings)) return done;
		if (present && !update) return {ok: false, reason: `the topic ${topic} exists with other settings`};
		const refusal = this.#refusal(topic);
		if (refusal) return refusal;
		this.#created.set(topic, settings);
		events.push({type: 'created', topic, node, settings});
		return done;
	}

	#delete({topic, node, until, force}: Extract<Command, {type: 'delete'}>, events: TopicsEvent[]): Result {
		const subscribers = this.#topics.get(topic);
		if (subscribers && !force)
			return {
				ok: false,
				reason: `the topic ${topic} has subscribers: ${[...subscribers.keys()].toSorted().join(', ')}`,
			};
		this.#topics.delete(topic);
		this.#created.delete(topic);
		const latest = Math.max(until, this.#deleted.get(topic) ?? 0);
		this.#deleted.delete(topic);
		this.#deleted.set(topic, latest);
		this.deletionsSeen++;
		for (const oldest of this.#deleted.keys()) {
			if (this.#deleted.size <= deletedMax) break;
			this.#deleted.delete(oldest);
		}

		for (const subscriber of subscribers?.keys() ?? [])
			events.push({type: 'unsubscribed', topic, node: subscriber});
		events.push({type: 'topic-deleted', topic, node});
		return done;
	}

	/** Why there cannot be one topic more; `undefined` when it is there, or has room. */
	#refusal(topic: Topic): Result | undefined {
		if (this.#topics.has(topic) || this.#created.has(topic)) return undefined;
		const {topicsMax} = this.#bounds;
		const others = [...this.#created.keys()].filter(name => !this.#topics.has(name)).length;
		return this.#topics.size + others >= topicsMax
			? {ok: false, reason: `Expected at most ${topicsMax} topics, got one more: ${topic}`}
			: undefined;
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
		this.#names.delete(node);
		this.#instances.delete(node);
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

/**
Whether the bytes are a saved state that this program reads.
@throws {NewerVersionError}
@throws when they are none
*/
export function expectKnownState(bytes: Uint8Array): void {
	const newer = newerState(bytes);
	if (newer !== undefined) throw new NewerVersionError('The agreed state of the cluster', newer);
	const {version} = Object(decode(bytes)) as {readonly version?: unknown};
	if (version !== 1 && version !== 2 && version !== stateVersionMax)
		throw new Error(`Expected a saved state of version 1 to ${stateVersionMax}, got ${String(version)}`);
}

/** What is newer about a saved state than this program; `undefined` when nothing is. */
export function newerState(bytes: Uint8Array): string | undefined {
	const {version} = Object(decode(bytes)) as {readonly version?: unknown};
	return typeof version === 'number' && version > stateVersionMax
		? `format ${version}, this program reads up to ${stateVersionMax}`
		: undefined;
}

type SavedState = {
	readonly version: number;
	readonly applied: number;
	readonly clusterId: string;
	readonly members: ReadonlyArray<readonly [NodeId, string]>;
	readonly removed: ReadonlyArray<readonly [NodeId, number]>;
	readonly topics: ReadonlyArray<readonly [Topic, ReadonlyArray<readonly [NodeId, number]>]>;
	readonly sessions: readonly SessionState[];
	/** Since version 2. */
	readonly protocol?: number;
	readonly names?: ReadonlyArray<readonly [NodeId, string]>;
	readonly instances?: ReadonlyArray<readonly [NodeId, number, string]>;
	/** Since version 3. */
	readonly created?: ReadonlyArray<readonly [Topic, TopicSettings]>;
	readonly deleted?: ReadonlyArray<readonly [Topic, number]>;
};

/** The protocol from which on a command is known to all. */
function protocolOf({type}: Command): number {
	if (type === 'create' || type === 'delete') return topicsProtocol;
	return type === 'name' || type === 'claim' ? namesProtocol : 1;
}

/** Whether they keep the same. */
export function isSame(one: TopicSettings, other: TopicSettings): boolean {
	return one.retainAgeS === other.retainAgeS && one.retainBytes === other.retainBytes;
}

function sorted<Key extends string, Value>(map: ReadonlyMap<Key, Value>): Array<readonly [Key, Value]> {
	return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function refill<Key, Value>(map: Map<Key, Value>, entries: ReadonlyArray<readonly [Key, Value]>): void {
	map.clear();
	for (const [key, value] of entries) map.set(key, value);
}
