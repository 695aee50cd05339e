/**
Creates and deletes topics for an operator, through the Raft log.

A deletion removes the messages that are stamped up to a Lamport time, on every node, whenever that node learns about
it. So this time must be later than all messages that were published before. Reachable members report their Lamport
time. For unreachable members a margin is added: more stamps than a node gives in a long time. A node that has applied
the deletion stamps later than it, so that its new messages stay.
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
import {keptText} from '../observe/retention-text.ts';
import {topicText} from '../observe/topic-text.ts';
import type {TopicSettings} from '../topic-settings.ts';
import {decodeControl} from '../wire/wire.ts';
import type {Control} from './control.ts';
import type {DesiredSubscriptions} from './desired-subscriptions.ts';

export type TopicAdminOptions = {
	readonly data: Data;
	readonly desired: DesiredSubscriptions;
	/** Writes the node's own topics to disk. */
	readonly stateWriter: {save(): Promise<void>};
	readonly self: NodeId;
	readonly control: Control;
	readonly lamport: Lamport;
	readonly lamportJumpMax: number;
	/** The time in which this process ran, for deadlines: an answer may have come during a pause. */
	readonly awakeMs: () => number;
	readonly isReachable: (node: NodeId) => boolean;
	/** The name of a node, or its id. */
	readonly label: (node: NodeId) => string;
	readonly propose: (command: Command) => Promise<void>;
	/** False when there is no link. */
	readonly send: (to: NodeId, kind: 'manage' | 'managed', packet: unknown) => boolean;
};

/** The report of a member about a topic. `until`: the last deletion that the member has applied, 0 for none. */
type Report = {readonly lamport: number; readonly messages: number; readonly until: number};
type Round = {
	readonly waiting: Set<NodeId>;
	readonly reports: Map<NodeId, Report>;
	readonly untilMs: number;
	readonly resolve: (reports: Map<NodeId, Report>) => void;
};

/** Stamps that an unreachable member may have given since it was last heard. */
const aheadMax = 2 ** 24;
/** Deadline for the reports of members, milliseconds. */
const reportMs = 2000;
/** Deadline for members to apply a deletion, milliseconds. */
const appliedMs = 5000;
const roundsMax = 64;

export class TopicAdmin {
	readonly #options: TopicAdminOptions;
	readonly #rounds = new Map<number, Round>();
	#seq = 0;
	#ticked = Promise.withResolvers<void>();
	#isClosed = false;
	/** The current round of questions about Lamport times, and the next one. */
	#times: Promise<number> | undefined;
	#nextTimes: Promise<number> | undefined;
	#deletionsSeen = -1;

	constructor(options: TopicAdminOptions) {
		this.#options = options;
	}

	/**
	Create a topic. Resolves once this is agreed. With `update` the topic must exist: created, subscribed, or with
	messages.
	@throws `usage`, also for an `update` of a topic that no reachable member has; `refused` at a limit, while a member
	runs an older version, or when the topic has other settings; and as `Control.propose`
	*/
	async create(name: Topic, settings: TopicSettings, update: boolean): Promise<TopicChange> {
		const {self, control, data, propose, label} = this.#options;
		const topic = topicNamed(name);
		expectSettings(settings);
		this.#expectProtocol();
		if (update && control.state.settings(topic) === undefined) {
			const {isKnown, away} = await this.#find(topic);
			const awayText = away.length === 0 ? '' : ` (away: ${away.map(node => label(node)).join(', ')})`;
			if (!isKnown)
				throw new DapssError(
					'usage',
					`Expected a topic that exists, for --update, got ${JSON.stringify(topic)}: ` +
						`${noMemberText(away)}${awayText}. ` +
						'Without --update it is created',
				);
		}

		const before = control.state.settings(topic);
		if (before && !update && !isSame(before, settings))
			throw new DapssError(
				'refused',
				`The topic ${topicText(topic)} exists and keeps ${keepingText(before)}: ` +
					`to keep ${keepingText(settings)} instead, use --update${unnamedText(before, settings)}`,
			);
		using _slot = data.table.reserve([topic]);
		await propose({type: 'create', topic, node: self, settings, update});
		return before === undefined ? 'created' : isSame(before, settings) ? 'unchanged' : 'changed';
	}

	/**
	Delete a topic. Resolves once this is agreed, and the reachable members have applied it.
	@throws `usage` for a topic that no member has, and without `force` also while unreachable members may have it;
	`refused` with the subscribers; and as `create`
	*/
	async delete(name: Topic, force: boolean): Promise<DeletedTopic> {
		const {self, control, data, lamport, lamportJumpMax, propose, label, awakeMs} = this.#options;
		const {state: topics} = control;
		// A name that an earlier version accepted stays valid.
		const topic =
			topics.settings(name) || topics.subscribers(name).size > 0 || data.topics.has(name)
				? name
				: topicNamed(name);
		this.#expectProtocol();
		const subscribers = [...topics.subscribers(topic).keys()].toSorted();
		if (subscribers.length > 0 && !force)
			throw new DapssError(
				'refused',
				`The topic ${topicText(topic)} has subscribers: ` +
					`${subscribers.map(node => label(node)).join(', ')}. ` +
					'Let them unsubscribe, or delete it nonetheless with --force',
			);
		const {reports, messages, isKnown, away} = await this.#find(topic);
		for (const [from, report] of reports) lamport.witness(report.lamport, from);
		if (!isKnown && !(force && away.length > 0)) {
			const remedy =
				away.length === 0
					? ''
					: `. Away ${away.length === 1 ? 'is' : 'are'} ${away.map(node => label(node)).join(', ')}, ` +
						'which may have it: to delete it there too, use --force';
			throw new DapssError(
				'usage',
				`Expected a topic of this cluster, got ${JSON.stringify(topic)}: ${noMemberText(away)}${remedy}`,
			);
		}

		const until = Math.min(lamportMax, lamport.now + Math.min(aheadMax, Math.floor(lamportJumpMax / 2)));
		await propose({type: 'delete', topic, node: self, until, force});
		const untilMs = awakeMs() + appliedMs;
		for (;;) {
			const applied = await this.#ask(topic);
			const missing = topics
				.members()
				.map(({id}) => id)
				.filter(id => id !== self && (applied.get(id)?.until ?? 0) < until);
			if (awakeMs() >= untilMs || missing.every(id => !this.#options.isReachable(id))) return {messages, missing};
			await this.#ticked.promise;
			if (this.#isClosed) throw new DapssError('closed', 'The node is stopping');
		}
	}

	/**
	The agreed state changed: remove the messages of deleted topics, and this node's own subscriptions to them. True
	when a reader of this node still reads a deleted topic.
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
	The latest Lamport time of the reachable members. Their later messages are stamped later than this. A node that does
	not subscribe to a topic learns about its stamps only this way. Callers at the same time share a round of questions.
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
		for (const [from, report] of await this.#ask(topic, false)) lamport.witness(report.lamport, from);
		return lamport.now;
	}

	/** Report about a topic to a member. False when the frame is no such question. */
	onQuestion(from: NodeId, frame: Buffer): boolean {
		const {look, topic: name} = Object(decodeControl(frame)) as Record<string, unknown>;
		const topic = typeof name === 'string' ? parseTopic(name) : undefined;
		if (!isCount(look) || typeof topic !== 'string') return false;
		this.#options.send(from, 'managed', {look, ...this.#own(topic)});
		return true;
	}

	/** Record the report of a member. False when the frame is no report. */
	onAnswer(from: NodeId, frame: Buffer): boolean {
		const {look, lamport, messages, until} = Object(decodeControl(frame)) as Record<string, unknown>;
		if (!isCount(look) || !isCount(lamport) || !isCount(messages) || !isCount(until)) return false;
		const round = this.#rounds.get(look);
		if (round?.waiting.delete(from)) round.reports.set(from, {lamport, messages, until});
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
	Whether the topic exists: created, subscribed, or with messages on a member that answers. `away`: members that did
	not answer.
	*/
	async #find(topic: Topic): Promise<{
		readonly reports: ReadonlyMap<NodeId, Report>;
		readonly messages: number;
		readonly isKnown: boolean;
		readonly away: readonly NodeId[];
	}> {
		const {
			self,
			control: {state: topics},
		} = this.#options;
		const reports = await this.#ask(topic);
		if (this.#isClosed) throw new DapssError('closed', 'The node is stopping');
		const messages = Math.max(this.#own(topic).messages, ...[...reports.values()].map(report => report.messages));
		return {
			reports,
			messages,
			isKnown: messages > 0 || topics.settings(topic) !== undefined || topics.subscribers(topic).size > 0,
			away: topics
				.members()
				.map(({id}) => id)
				.filter(id => id !== self && !reports.has(id)),
		};
	}

	/** Ask the reachable members. Members that do not answer in time, or become unreachable, are omitted. */
	async #ask(topic: Topic, isBounded = true): Promise<Map<NodeId, Report>> {
		const {self, control, isReachable, send, awakeMs} = this.#options;
		if (isBounded && this.#rounds.size >= roundsMax)
			throw new DapssError(
				'refused',
				`Expected at most ${roundsMax} deletions and updates of topics at a time, got one more`,
			);
		const look = ++this.#seq;
		const {promise, resolve} = Promise.withResolvers<Map<NodeId, Report>>();
		const asked = control.state
			.members()
			.map(({id}) => id)
			.filter(id => id !== self && isReachable(id) && send(id, 'manage', {look, topic}));
		this.#rounds.set(look, {waiting: new Set(asked), reports: new Map(), untilMs: awakeMs() + reportMs, resolve});
		this.#check();
		return promise;
	}

	#check(): void {
		const {awakeMs, isReachable} = this.#options;
		for (const [look, {waiting, reports, untilMs, resolve}] of this.#rounds) {
			if (!this.#isClosed && awakeMs() < untilMs && [...waiting].some(id => isReachable(id))) continue;
			this.#rounds.delete(look);
			resolve(reports);
		}
	}

	#own(topic: Topic): Report {
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
				'Topics can be created and deleted once all members run a version that supports it ' +
					`(protocol ${topicsProtocol}); this cluster uses protocol ${protocol}. ` +
					'`peers` shows the version of each member: upgrade the older ones',
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

function noMemberText(away: readonly NodeId[]): string {
	return away.length === 0 ? 'no member has it' : 'no member that can be reached has it';
}

/** The retention of settings, for people. */
function keepingText(settings: TopicSettings): string {
	return keptText(settings) || 'as configured on each node';
}

/** A note about settings that are set now and would be reset, when other settings are given. */
function unnamedText(before: TopicSettings, settings: TopicSettings): string {
	const flags = [
		...(before.retainAgeS === undefined || settings.retainAgeS !== undefined ? [] : ['--retain-age']),
		...(before.retainBytes === undefined || settings.retainBytes !== undefined ? [] : ['--retain-bytes']),
	];
	return flags.length === 0 || keptText(settings) === ''
		? ''
		: `; settings that are not named (${flags.join(', ')}) return to the configuration of each node`;
}

function isCount(value: unknown): value is number {
	return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
