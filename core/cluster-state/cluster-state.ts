/**
The replicated state machine that Raft applies: members and their addresses, subscriptions with their start times,
removed ids, and client sessions. It is deterministic: the same entries in the same order give the same bytes on every
node (`save`), and a snapshot is those bytes.

Nodes of earlier versions apply the same log. So names and claims, which they do not know, change nothing before all
members have agreed on protocol 2, and until then the saved bytes are those of version 1 (etcd does this with its
cluster version). The same holds for the settings and the deletion of topics (protocol and version 3), and for the
access of identities and the keys of the cluster (protocol and version 4).
*/
import type {IdentityKey} from '../access.ts';
import {encode} from '../codec.ts';
import {NewerVersionError} from '../errors.ts';
import {incarnationMax, type NodeId, type Topic} from '../message.ts';
import {nameKey} from '../node-name.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {AccessList, type AccessEvent} from './access-list.ts';
import {decodeContext, decodeEnvelope, type Command, type Envelope} from './command.ts';
import {KeyList, type KeyEvent} from './key-list.ts';
import {deletedMax, newerState, parseSavedState, removedMax} from './saved-state.ts';
import {Sessions, type Result} from './sessions.ts';

export type AgreedMember = {readonly id: NodeId; readonly address: string};
export type AgreedTopic = {
	readonly name: Topic;
	/** By subscriber: the Lamport time above which it wants batches. */
	readonly subscribers: ReadonlyMap<NodeId, number>;
	/** Settings of a created topic; `undefined` for a topic that exists only through its subscribers. */
	readonly settings: TopicSettings | undefined;
};
/** Changes that an applied entry made, for observers. */
export type ClusterStateEvent =
	| {readonly type: 'founded'; readonly clusterId: string}
	| {readonly type: 'added' | 'removed' | 'moved'; readonly node: NodeId; readonly address: string}
	| {readonly type: 'named'; readonly node: NodeId; readonly name: string; readonly was?: string}
	| {readonly type: 'protocol'; readonly protocol: number}
	| {readonly type: 'subscribed' | 'unsubscribed'; readonly topic: Topic; readonly node: NodeId}
	| {readonly type: 'created'; readonly topic: Topic; readonly node: NodeId; readonly settings: TopicSettings}
	| {readonly type: 'topic-deleted'; readonly topic: Topic; readonly node: NodeId}
	/** `node` proposed the change; `by` is the identity that asked it to. */
	| ((AccessEvent | KeyEvent) & {readonly node: NodeId; readonly by: IdentityKey | undefined});
export type Applied = {
	readonly envelope: Envelope | undefined;
	readonly result: Result;
	readonly events: readonly ClusterStateEvent[];
};
/** The process that uses the identity of a node, as agreed. */
export type AgreedInstance = {readonly incarnation: number; readonly instance: string};
export type Bounds = {readonly topicsMax: number; readonly membersMax: number};

/** Names and claims exist from this agreed protocol on. */
export const namesProtocol = 2;
/** Topics are created and deleted from this agreed protocol on. */
export const topicsProtocol = 3;
/** Identities have roles, and batches signatures of their origins, from this agreed protocol on. */
export const accessProtocol = 4;
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
	/** By topic: messages stamped up to this Lamport time are deleted. The latest deletion comes last. */
	readonly #deleted = new Map<Topic, number>();
	/** Increases with every deletion. */
	deletionsSeen = 0;
	readonly access = new AccessList();
	/**
	The members at the time when protocol 4 was agreed, each with the incarnation of its process: up to that one, its
	batches may have a MAC instead of a signature. `undefined` in a cluster that was founded with protocol 4.
	*/
	#lastMacs: Map<NodeId, number> | undefined;
	readonly keys = new KeyList();
	readonly #sessions = new Sessions();
	readonly #bounds: Bounds;

	constructor(bounds: Bounds) {
		this.#bounds = bounds;
	}

	get clusterId(): string {
		return this.#clusterId;
	}

	/** Index of the last applied entry. */
	get applied(): number {
		return this.#applied;
	}

	/** The agreed version of the protocol, which all members support. */
	get protocol(): number {
		return this.#protocol;
	}

	/** The agreed, unique name of the node; empty when it has none. */
	name(node: NodeId): string {
		return this.#names.get(node) ?? '';
	}

	/** The member with this name, ignoring case. */
	nodeNamed(name: string): NodeId | undefined {
		const key = nameKey(name);
		for (const [node, used] of this.#names) if (nameKey(used) === key) return node;
		return undefined;
	}

	/** The process that uses the identity of the node; `undefined` before its claim is agreed. */
	instance(node: NodeId): AgreedInstance | undefined {
		return this.#instances.get(node);
	}

	/**
	Whether batches of this incarnation of the origin may have a MAC of the cluster instead of a signature, because they
	may be older than protocol 4. So may those of an origin that was removed: it is not known when.
	*/
	hasMacs(origin: NodeId, incarnation: number): boolean {
		if (this.#protocol < accessProtocol) return true;
		if (!this.#lastMacs) return false;
		const last = this.#lastMacs.get(origin);
		return last === undefined ? !this.#members.has(origin) : incarnation <= last;
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

	/** Settings of a created topic. */
	settings(topic: Topic): TopicSettings | undefined {
		return this.#created.get(topic);
	}

	/** Deleted topics, each with the Lamport time up to which its messages are deleted. */
	deletions(): ReadonlyMap<Topic, number> {
		return this.#deleted;
	}

	subscribers(topic: Topic): ReadonlyMap<NodeId, number> {
		return this.#topics.get(topic) ?? noSubscribers;
	}

	/** Highest subscription or deletion time. New stamps must exceed it, or subscribers filter them out. */
	get latestSince(): number {
		let latest = Math.max(0, ...this.#deleted.values());
		for (const subscribers of this.#topics.values())
			for (const since of subscribers.values()) latest = Math.max(latest, since);
		return latest;
	}

	/** The result of the command, if it was applied before. */
	answered(envelope: Envelope): Result | undefined {
		return this.#sessions.answered(envelope);
	}

	/** Applies a command entry. Bytes that are no command change nothing, on every node alike. */
	apply(index: number, data: Uint8Array): Applied {
		this.#applied = index;
		const envelope = decodeEnvelope(data);
		if (!envelope)
			return {envelope, result: {ok: false, reason: 'Expected a command, got other bytes'}, events: []};
		// Earlier versions do not know these commands, so not even the session may record them.
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

		// A session belongs to the process whose claim was agreed; a process that asks for the identity must not touch
		// it.
		const hasSession = envelope.command.type !== 'claim';
		const before = hasSession ? this.#sessions.answered(envelope) : undefined;
		if (before) return {envelope, result: before, events: []};
		const events: ClusterStateEvent[] = [];
		const result = this.#execute(envelope.command, events);
		if (hasSession) this.#sessions.record(envelope, result);
		return {envelope, result, events};
	}

	/** Applies a configuration entry, which lists the members. */
	applyConfiguration(index: number, nodes: readonly NodeId[], context: Uint8Array): readonly ClusterStateEvent[] {
		this.#applied = index;
		const events: ClusterStateEvent[] = [];
		const added = decodeContext(context);
		const {clusterId, protocol, operator, token, successor, node, address} = added;
		if (clusterId !== undefined && this.#clusterId === '') {
			this.#clusterId = clusterId;
			events.push({type: 'founded', clusterId});
			if (protocol !== undefined) this.#raise(protocol, events);
			if (operator !== undefined && this.#protocol >= accessProtocol) this.access.found(operator);
		}

		const kept = new Set(nodes);
		for (const [id, at] of this.#members) {
			if (kept.has(id)) continue;
			this.#remove(id, index);
			events.push({type: 'removed', node: id, address: at});
			if (successor !== undefined && this.#protocol >= accessProtocol) this.access.admissions.admit(successor);
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
			if (this.#protocol >= accessProtocol) this.access.admissions.joined(id, id === node ? token : undefined);
			events.push({type: 'added', node: id, address: at ?? ''});
		}

		if (node !== undefined && this.#protocol >= namesProtocol && this.#members.has(node)) {
			const {name, incarnation, instance} = added;
			// A taken name is left out: the node becomes a member and asks for another name.
			if (name !== undefined) this.#rename(node, name, events);
			if (incarnation !== undefined && instance !== undefined) this.#claim({node, incarnation, instance});
		}

		return events;
	}

	/** Applies an entry without content (a leader's no-op). */
	applyNothing(index: number): void {
		this.#applied = index;
	}

	/**
	Unsafe recovery: from `index` on, this node is a cluster of its own. The other members are not recorded as removed,
	because they belong to another cluster.
	*/
	forceNewCluster(index: number, clusterId: string, node: NodeId): void {
		this.#applied = index;
		this.#clusterId = clusterId;
		for (const id of this.#members.keys()) if (id !== node) this.#forget(id);
	}

	save(): Uint8Array {
		const isFirst = this.#protocol < namesProtocol;
		const hasTopics = this.#protocol >= topicsProtocol;
		const hasAccess = this.#protocol >= accessProtocol;
		return encode({
			version: isFirst ? 1 : hasAccess ? 4 : hasTopics ? 3 : 2,
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
			...(hasAccess && {access: this.access.save()}),
			...(this.#lastMacs && {lastMacs: sorted(this.#lastMacs)}),
			...(this.keys.keys.length > 0 && {keys: this.keys.save()}),
		});
	}

	/**
	Replaces the state by saved bytes.
	@throws {NewerVersionError} when a later version saved them
	@throws when the bytes are no saved state; snapshots are checked before, so that is a programming error
	*/
	load(bytes: Uint8Array): void {
		const newer = newerState(bytes);
		if (newer !== undefined) throw new NewerVersionError('The agreed state of the cluster', newer);
		const state = parseSavedState(bytes);
		if ('problem' in state) throw new Error(state.problem);
		this.#applied = state.applied;
		this.#clusterId = state.clusterId;
		this.#protocol = state.protocol;
		replaceEntries(this.#names, state.names);
		replaceEntries(
			this.#instances,
			state.instances.map(([node, incarnation, instance]) => [node, {incarnation, instance}] as const),
		);
		replaceEntries(this.#members, state.members);
		replaceEntries(this.#removed, state.removed);
		replaceEntries(
			this.#topics,
			state.topics.map(([name, subscribers]) => [name, new Map(subscribers)] as const),
		);
		replaceEntries(this.#created, state.created);
		replaceEntries(this.#deleted, state.deleted);
		this.deletionsSeen++;
		this.access.load(state.access);
		this.#lastMacs = state.lastMacs && new Map(state.lastMacs);
		this.keys.load(state.keys);
		this.#sessions.load(state.sessions);
	}

	#execute(command: Command, events: ClusterStateEvent[]): Result {
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
			case 'access':
				return this.#changeAccess(command, events);
			case 'keys':
				return this.#changeKeys(command, events);
			default:
				return command satisfies never;
		}
	}

	#raise(protocol: number, events: ClusterStateEvent[]): void {
		if (protocol <= this.#protocol) return;
		if (this.#protocol < accessProtocol && protocol >= accessProtocol && this.#members.size > 0)
			this.#lastMacs = new Map(
				[...this.#members.keys()].map(id => [id, this.#instances.get(id)?.incarnation ?? incarnationMax]),
			);
		this.#protocol = protocol;
		events.push({type: 'protocol', protocol});
	}

	#rename(node: NodeId, name: string, events: ClusterStateEvent[]): Result {
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
	A later start of a node supersedes an earlier one. Of two processes of the same start, the first keeps the identity.
	*/
	#claim({node, incarnation, instance}: {readonly node: NodeId} & AgreedInstance): Result {
		const current = this.#instances.get(node);
		if (current && current.instance !== instance && current.incarnation >= incarnation) {
			return {
				ok: false,
				reason:
					`node ${node} is used by another instance (incarnation ${current.incarnation}, ` +
					`instance ${current.instance})`,
			};
		}

		this.#instances.set(node, {incarnation: Math.max(incarnation, current?.incarnation ?? 0), instance});
		// A cluster that went from protocol 1 to 4 agrees on incarnations only after that.
		if (this.#lastMacs?.get(node) === incarnationMax) this.#lastMacs.set(node, incarnation);
		return done;
	}

	#subscribe({topic, node, since}: Extract<Command, {type: 'subscribe'}>, events: ClusterStateEvent[]): Result {
		let subscribers = this.#topics.get(topic);
		if (!subscribers) {
			const refusal = this.#refusal(topic);
			if (refusal) return refusal;
			subscribers = new Map();
			this.#topics.set(topic, subscribers);
		}

		if (subscribers.has(node)) return done;
		// Deleted messages are not wanted, so a peer that still has them offers them in vain.
		subscribers.set(node, Math.max(since, this.#deleted.get(topic) ?? 0));
		events.push({type: 'subscribed', topic, node});
		return done;
	}

	#create({topic, node, settings, update}: Extract<Command, {type: 'create'}>, events: ClusterStateEvent[]): Result {
		const present = this.#created.get(topic);
		if (present && isSame(present, settings)) return done;
		if (present && !update) return {ok: false, reason: `the topic ${topic} exists with other settings`};
		const refusal = this.#refusal(topic);
		if (refusal) return refusal;
		this.#created.set(topic, settings);
		events.push({type: 'created', topic, node, settings});
		return done;
	}

	#delete({topic, node, until, force}: Extract<Command, {type: 'delete'}>, events: ClusterStateEvent[]): Result {
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

	/** Whether the author is an operator is decided here, because the node that was asked may know an earlier state. */
	#changeAccess(command: Extract<Command, {type: 'access'}>, events: ClusterStateEvent[]): Result {
		const {node, by, change} = command;
		const changes: AccessEvent[] = [];
		const result = this.#refusalOfAuthor(command) ?? this.access.apply(change, changes);
		events.push(...changes.map(event => ({...event, node, by})));
		return result;
	}

	#changeKeys(command: Extract<Command, {type: 'keys'}>, events: ClusterStateEvent[]): Result {
		const {node, by, atMs, change} = command;
		const changes: KeyEvent[] = [];
		const result = this.#refusalOfAuthor(command) ?? this.keys.apply(change, atMs, changes);
		events.push(...changes.map(event => ({...event, node, by})));
		return result;
	}

	#refusalOfAuthor({by, isOwner}: Extract<Command, {type: 'access' | 'keys'}>): Result | undefined {
		if (!isOwner && this.access.of(by).role !== 'operator')
			return {ok: false, reason: `the identity ${by ?? 'of the caller'} is no operator`};
		return undefined;
	}

	/** The refusal of a new topic at the limit; `undefined` when the topic exists or there is room. */
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

	/** Members that may still be added. */
	get room(): number {
		return this.#bounds.membersMax - this.#members.size;
	}
}

/** The protocol that introduced a command. */
function protocolOf({type}: Command): number {
	if (type === 'access') return accessProtocol;
	if (type === 'keys') return accessProtocol;
	if (type === 'create' || type === 'delete') return topicsProtocol;
	return type === 'name' || type === 'claim' ? namesProtocol : 1;
}

/** Whether both retain the same. */
export function isSame(one: TopicSettings, other: TopicSettings): boolean {
	return one.retainAgeS === other.retainAgeS && one.retainBytes === other.retainBytes;
}

function sorted<Key extends string, Value>(map: ReadonlyMap<Key, Value>): Array<readonly [Key, Value]> {
	return [...map].toSorted(([a], [b]) => (a < b ? -1 : 1));
}

function replaceEntries<Key, Value>(map: Map<Key, Value>, entries: ReadonlyArray<readonly [Key, Value]>): void {
	map.clear();
	for (const [key, value] of entries) map.set(key, value);
}
