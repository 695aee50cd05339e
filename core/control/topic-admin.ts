/**
Creates and deletes topics for an operator, through the log of the cluster.

A deletion takes what is stamped up to a Lamport time, on every node, whenever that hears of it. So that time must be
later than everything that was published before. The members that can be reached are asked for theirs. Of those that
cannot it is not known: the time is set ahead by more stamps than one of them gives in a long time. Who applies the
deletion stamps later than it, so what a node publishes that knows of the deletion stays.
*/
import type {DeletedTopic, TopicChange} from '../broker.ts';
import {isSame, topicsProtocol} from '../cluster-state/cluster-state.ts';
import {parseSettings, type Command} from '../cluster-state/command.ts';
import {retainAgeRange, retainBytesRange} from '../cluster-state/retention-bounds.ts';
import type {Data} from '../data/data.ts';
import {topicNamed} from '../data/topic-named.ts';
import {DapssError} from '../errors.ts';
import {lamportMax, type Lamport} from '../lamport.ts';
import {parseTopic, type NodeId, type Topic} from '../message.ts';
import {keptText} from '../observe/kept-words.ts';
import {topicText} from '../observe/topic-text.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {decodeControl} from '../wire/wire.ts';
import type {Control} from './control.ts';
import type {DesiredSubscriptions} from './desired-subscriptions.ts';

export type TopicAdminOptions = {
	readonly data: Data;
	readonly desired: DesiredSubscriptions;
	/** The state of the node, which names its own topics. */
	readonly stateWriter: {save(): Promise<void>};
	readonly self: NodeId;
	readonly control: Control;
	readonly lamport: Lamport;
	readonly lamportJumpMax: number;
	readonly nowMs: () => number;
	readonly isReachable: (node: NodeId) => boolean;
	/** Its name, or its id. */
	readonly label: (node: NodeId) => string;
	readonly propose: (command: Command) => Promise<void>;
	/** False when there is no link. */
	readonly send: (to: NodeId, kind: 'manage' | 'managed', packet: unknown) => boolean;
};

/** What a member says of a topic. `until`: the deletion of it that the member has applied, 0 for none. */
type Look = {readonly lamport: number; readonly messages: number; readonly until: number};
type Round = {
	readonly waiting: Set<NodeId>;
	readonly looks: Map<NodeId, Look>;
	readonly untilMs: number;
	readonly resolve: (looks: Map<NodeId, Look>) => void;
};

/** Stamps that a member which cannot be reached may have given since it was heard of last. */
const aheadMax = 2 ** 24;
/** For the members to answer, and for them to apply a deletion. */
const lookMs = 2000;
const appliedMs = 5000;
const roundsMax = 64;

export class TopicAdmin {
	readonly #options: TopicAdminOptions;
	readonly #rounds = new Map<number, Round>();
	#seq = 0;
	#ticked = Promise.withResolvers<void>();
	#isClosed = false;
	/** Of the round of questions about Lamport times that runs, and of the one after it. */
	#times: Promise<number> | undefined;
	#nextTimes: Promise<number> | undefined;
	#deletionsSeen = -1;

	constructor(options: TopicAdminOptions) {
		this.#options = options;
	}

	/**
	Resolves once it is agreed. With `update` the topic must exist: created, subscribed, or with messages.
	@throws `usage`, also for an `update` of a topic that no member that answers has, `refused` at a limit, while a
	member runs an older version, or when the topic has other settings; as `Control.propose`
	*/
	async create(name: Topic, settings: TopicSettings, update: boolean): Promise<TopicChange> {
		const {self, control, data, propose, label} = this.#options;
		const topic = topicNamed(name);
		expectSettings(settings);
		this.#expectProtocol();
		if (update && control.state.settings(topic) === undefined) {
			const {isKnown, away} = await this.#find(topic);
			if (!isKnown)
				throw new DapssError(
					'usage',
					`Expected a topic that exists, for --update, got ${JSON.stringify(topic)}: ${nobody(away)}${away.length === 0 ? '' : ` (away: ${away.map(node => label(node)).join(', ')})`}. Without --update it is created`,
				);
		}

		const before = control.state.settings(topic);
		if (before && !update && !isSame(before, settings))
			throw new DapssError(
				'refused',
				`The topic ${topicText(topic)} exists and keeps ${keepingText(before)}: to keep ${keepingText(settings)} instead, use --update${unnamedText(before, settings)}`,
			);
		using _slot = data.table.reserve([topic]);
		await propose({type: 'create', topic, node: self, settings, update});
		return before === undefined ? 'created' : isSame(before, settings) ? 'unchanged' : 'changed';
	}

	/**
	Resolves once it is agreed, and the members that can be reached have applied it.
	@throws `usage` for a topic that no member has, and without `force` also while members that are away may have it;
	`refused` with the subscribers; as `create`

	*/
	async delete(name: Topic, force: boolean): Promise<DeletedTopic> {
		const {self, control, data, lamport, lamportJumpMax, propose, label, nowMs} = this.#options;
		const {state: topics} = control;
		// A name that an earlier version took is left as it is.
		const topic =
			topics.settings(name) || topics.subscribers(name).size > 0 || data.topics.has(name)
				? name
				: topicNamed(name);
		this.#expectProtocol();
		const subscribers = [...topics.subscribers(topic).keys()].toSorted();
		if (subscribers.length > 0 && !force)
			throw new DapssError(
				'refused',
				`The topic ${topicText(topic)} has subscribers: ${subscribers.map(node => label(node)).join(', ')}. Let them unsubscribe, or delete it nonetheless with --force`,
			);
		const {looks, messages, isKnown, away} = await this.#find(topic);
		for (const look of looks.values()) lamport.witness(look.lamport);
		if (!isKnown && !(force && away.length > 0)) {
			const remedy =
				away.length === 0
					? ''
					: `. Away ${away.length === 1 ? 'is' : 'are'} ${away.map(node => label(node)).join(', ')}, which may have it: to delete it there too, use --force`;
			throw new DapssError(
				'usage',
				`Expected a topic of this cluster, got ${JSON.stringify(topic)}: ${nobody(away)}${remedy}`,
			);
		}

		const until = Math.min(lamportMax, lamport.now + Math.min(aheadMax, Math.floor(lamportJumpMax / 2)));
		await propose({type: 'delete', topic, node: self, until, force});
		const untilMs = nowMs() + appliedMs;
		for (;;) {
			const applied = await this.#look(topic);
			const missing = topics
				.members()
				.map(({id}) => id)
				.filter(id => id !== self && (applied.get(id)?.until ?? 0) < until);
			if (nowMs() >= untilMs || missing.every(id => !this.#options.isReachable(id))) return {messages, missing};
			await this.#ticked.promise;
			if (this.#isClosed) throw new DapssError('closed', 'The node is stopping');
		}
	}

	/**
	The agreed state changed. Of topics that were deleted the messages go, and what this node wanted of them for itself.
	True when it goes on to read one of them for somebody.
	*/
	agreed(): boolean {
		const {
			control: {state: topics},
			data,
			desired,
			stateWriter,
		} = this.#options;
		if (topics.deletionsSeen === this.#deletionsSeen) return false;
		this.#deletionsSeen = topics.deletionsSeen;
		const fresh = data.setDeletions(topics.deletions());
		if (fresh.filter(([topic, until]) => desired.deleted(topic, until)).length > 0)
			void stateWriter.save().catch(() => undefined);
		return fresh.some(([topic]) => desired.isWanted(topic));
	}

	/**
	The latest Lamport time of the members that can be reached. What they publish after they were asked is stamped later
	than they answered; a node that does not subscribe to a topic hears nothing of its stamps otherwise. Those who ask
	at the same time share a round of questions.

	*/
	latest(topic: Topic): Promise<number> {
		const {lamport, control} = this.#options;
		if (control.state.protocol < topicsProtocol) return Promise.resolve(lamport.now);
		this.#nextTimes ??= (this.#times ?? Promise.resolve(0)).then(() => {
			this.#times = this.#nextTimes;
			this.#nextTimes = undefined;
			return this.#askTimes(topic);
		});
		return this.#nextTimes;
	}

	async #askTimes(topic: Topic): Promise<number> {
		const {lamport} = this.#options;
		for (const look of (await this.#look(topic, false)).values()) lamport.witness(look.lamport);
		return lamport.now;
	}

	/** A member asks what is here of a topic. False when it is no such question. */
	onQuestion(from: NodeId, frame: Buffer): boolean {
		const {look, topic: name} = Object(decodeControl(frame)) as Record<string, unknown>;
		const topic = typeof name === 'string' ? parseTopic(name) : undefined;
		if (!isCount(look) || typeof topic !== 'string') return false;
		this.#options.send(from, 'managed', {look, ...this.#own(topic)});
		return true;
	}

	/** False when it is no such answer. */
	onAnswer(from: NodeId, frame: Buffer): boolean {
		const {look, lamport, messages, until} = Object(decodeControl(frame)) as Record<string, unknown>;
		if (!isCount(look) || !isCount(lamport) || !isCount(messages) || !isCount(until)) return false;
		const round = this.#rounds.get(look);
		if (round?.waiting.delete(from)) round.looks.set(from, {lamport, messages, until});
		this.#check();
		return true;
	}

	tick(): void {
		this.#check();
		this.#ticked.resolve();
		this.#ticked = Promise.withResolvers<void>();
	}

	close(): void {
		this.#isClosed = true;
		this.tick();
	}

	/**
	Whether the topic is there: created, subscribed, or with messages on a member that answers. `away`: members that did
	not answer.
	*/
	async #find(topic: Topic): Promise<{
		readonly looks: ReadonlyMap<NodeId, Look>;
		readonly messages: number;
		readonly isKnown: boolean;
		readonly away: readonly NodeId[];
	}> {
		const {
			self,
			control: {state: topics},
		} = this.#options;
		const looks = await this.#look(topic);
		if (this.#isClosed) throw new DapssError('closed', 'The node is stopping');
		const messages = Math.max(this.#own(topic).messages, ...[...looks.values()].map(look => look.messages));
		return {
			looks,
			messages,
			isKnown: messages > 0 || topics.settings(topic) !== undefined || topics.subscribers(topic).size > 0,
			away: topics
				.members()
				.map(({id}) => id)
				.filter(id => id !== self && !looks.has(id)),
		};
	}

	/** Ask the members that can be reached; those that do not answer in time, or are lost meanwhile, are left out. */
	async #look(topic: Topic, isBounded = true): Promise<Map<NodeId, Look>> {
		const {self, control, isReachable, send, nowMs} = this.#options;
		if (isBounded && this.#rounds.size >= roundsMax)
			throw new DapssError(
				'refused',
				`Expected at most ${roundsMax} deletions and updates of topics at a time, got one more`,
			);
		const look = ++this.#seq;
		const {promise, resolve} = Promise.withResolvers<Map<NodeId, Look>>();
		const asked = control.state
			.members()
			.map(({id}) => id)
			.filter(id => id !== self && isReachable(id) && send(id, 'manage', {look, topic}));
		this.#rounds.set(look, {waiting: new Set(asked), looks: new Map(), untilMs: nowMs() + lookMs, resolve});
		this.#check();
		return promise;
	}

	#check(): void {
		const {nowMs, isReachable} = this.#options;
		for (const [look, {waiting, looks, untilMs, resolve}] of this.#rounds) {
			if (!this.#isClosed && nowMs() < untilMs && [...waiting].some(id => isReachable(id))) continue;
			this.#rounds.delete(look);
			resolve(looks);
		}
	}

	#own(topic: Topic): Look {
		const {lamport, data, control} = this.#options;
		return {
			lamport: lamport.now,
			messages: data.topics.get(topic)?.messages ?? 0,
			until: control.state.deletions().get(topic) ?? 0,
		};
	}

	#expectProtocol(): void {
		const {protocol} = this.#options.control.state;
		if (protocol < topicsProtocol)
			throw new DapssError(
				'refused',
				`Topics are created and deleted once all members run a version that knows it (protocol ${topicsProtocol}); this cluster uses protocol ${protocol}. \`peers\` shows the version of each: upgrade those that are older`,
			);
	}
}

/** @throws `usage` */
function expectSettings(settings: TopicSettings): void {
	const {retainAgeS, retainBytes} = settings;
	if (retainAgeS !== undefined && !parseSettings({retainAgeS}))
		throw new DapssError(
			'usage',
			`Expected retainAgeS to be whole seconds, ${retainAgeRange}, got ${String(retainAgeS)}`,
		);
	if (retainBytes !== undefined && !parseSettings({retainBytes}))
		throw new DapssError(
			'usage',
			`Expected retainBytes to be whole bytes, ${retainBytesRange}, got ${String(retainBytes)}`,
		);
}

function nobody(away: readonly NodeId[]): string {
	return away.length === 0 ? 'no member has it' : 'no member that can be reached has it';
}

/** What settings keep, for people. */
function keepingText(settings: TopicSettings): string {
	return keptText(settings) || 'what each node keeps by its own configuration';
}

/** What is set now and will not be, when something else will. */
function unnamedText(before: TopicSettings, settings: TopicSettings): string {
	const flags = [
		...(before.retainAgeS === undefined || settings.retainAgeS !== undefined ? [] : ['--retain-age']),
		...(before.retainBytes === undefined || settings.retainBytes !== undefined ? [] : ['--retain-bytes']),
	];
	return flags.length === 0 || keptText(settings) === ''
		? ''
		: `; what is not named (${flags.join(', ')}) goes back to each node's own`;
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
