/**
A console source over any `Broker`: a node in this process, in a worker thread, or over a link. Snapshots arrive as fast
as the node sends them; React gets at most one every 100 ms. A command of the console becomes a call, and its result one
line of text. Where the broker reconnects by itself, the source shows that the connection is lost, and that it is back.
*/
import type {AccessChange, AccessReport} from '../core/access.ts';
import type {Broker, FollowedBroker, LinkNews, Subscription} from '../core/broker.ts';
import type {Topic} from '../core/message.ts';
import {labelsOf, type Label} from '../core/observe/node-label.ts';
import {messagesText, topicText} from '../core/observe/topic-text.ts';
import type {MessageSnapshot, Snapshot} from '../core/snapshot.ts';
import {shareSnapshot} from './source/share.ts';
import type {CommandResult, ConsoleCommand, ConsoleSource, ReadBody, SourceState} from './source/source.ts';
import {clockTime, duration} from './view/words.ts';

/** Between two snapshots that React gets, milliseconds. */
const publishMs = 100;
/** A node sends about ten snapshots a second; the last one is outdated after this long without another. */
const silentMs = 3000;
/** The name of the node that replaced a lost one is shown for this long. */
const returnedMs = 15_000;

export type ClientSource = ConsoleSource & Disposable;
/** Bytes of a body that the console loads. */
const bodyMax = 16 * 1024 ** 2;
/** Limits of a search for one message: milliseconds, and messages of others. */
const readMs = 5000;
const passedMax = 10_000;

type WatchedBroker = Broker & Partial<Pick<FollowedBroker, 'onLink'>>;
type Clock = {readonly nowMs: () => number; readonly wallMs: () => number};

const systemClock: Clock = {nowMs: () => performance.now(), wallMs: () => Date.now()};
/** Addresses that are named while a node is searched. */
const triesMax = 3;

/**
Watch a broker. Dispose the source to stop watching; the broker itself stays open.

@param tries the addresses that the broker tries when it is lost, in their order
@param clock replaced by tests
*/
export function createSource(
	broker: WatchedBroker,
	tries: () => readonly string[] = () => [],
	clock: Clock = systemClock,
): ClientSource {
	return new BrokerSource(broker, tries, clock);
}

class BrokerSource implements ClientSource {
	readonly #broker: WatchedBroker;
	readonly #tries: () => readonly string[];
	readonly #clock: Clock;
	readonly #listeners = new Set<() => void>();
	readonly #subscriptions: readonly Disposable[];
	readonly #watchdog: NodeJS.Timeout;
	#state: SourceState = {
		snapshot: undefined,
		connection: 'connecting',
		detail: 'waiting for the first snapshot of the node',
	};
	/** The newest snapshot that React has not got yet. */
	#newest: Snapshot | undefined;
	#timer: NodeJS.Timeout | undefined;
	#heardMs: number;
	#publishedMs = Number.NEGATIVE_INFINITY;
	#isClosed = false;
	/** The role was asked for at this node. Another node may have another answer. */
	#isRoleKnown = false;
	#returned = {text: '', untilMs: 0};
	/** When the connection was lost, by the wall clock. */
	#lostAtMs: number | undefined;

	constructor(broker: WatchedBroker, tries: () => readonly string[], clock: Clock) {
		this.#broker = broker;
		this.#tries = tries;
		this.#clock = clock;
		this.#heardMs = clock.nowMs();
		const link = broker.onLink?.(news => this.#onLink(news));
		this.#subscriptions = [broker.watch(snapshot => this.#onSnapshot(snapshot)), ...(link ? [link] : [])];
		this.#watchdog = setInterval(() => this.#checkSilence(), 1000).unref();
		void broker.closed.then(reason => this.#onClosed(reason));
	}

	// React calls these two without `this`.
	readonly getState = (): SourceState => this.#state;

	readonly subscribe = (onChange: () => void): (() => void) => {
		this.#listeners.add(onChange);
		return () => this.#listeners.delete(onChange);
	};

	async run(command: ConsoleCommand): Promise<CommandResult> {
		try {
			const label = labelsOf(this.#state.snapshot?.members ?? []);
			if (command.type === 'access-list')
				return {ok: true, text: 'Access', lines: accessLines(await this.#broker.access())};
			return {ok: true, text: await runCommand(this.#broker, command, label)};
		} catch (error) {
			return {ok: false, text: refusal(command, error)};
		}
	}

	async read(message: MessageSnapshot): Promise<ReadBody> {
		const topic = this.#state.snapshot?.topics.find(({name}) => name === message.topic);
		// A reader would subscribe the node.
		if (topic?.subscribed !== true) return {problem: 'the node is not subscribed to the topic any more'};
		if (message.size > bodyMax)
			return {problem: `more than ${bodyMax / 1024 ** 2} MiB; use \`dapss-tui subscribe\``};
		try {
			return await readMessage(this.#broker, message);
		} catch (error) {
			return {problem: error instanceof Error ? error.message : String(error)};
		}
	}

	[Symbol.dispose](): void {
		this.#isClosed = true;
		clearTimeout(this.#timer);
		clearInterval(this.#watchdog);
		for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
		this.#listeners.clear();
	}

	#onSnapshot(snapshot: Snapshot): void {
		this.#newest = snapshot;
		this.#heardMs = this.#clock.nowMs();
		if (this.#timer !== undefined) return;
		// The first of a burst is shown at once, the others share the next turn.
		const waitMs = this.#publishedMs + publishMs - this.#heardMs;
		if (waitMs <= 0) this.#publish();
		else this.#timer = setTimeout(() => this.#publish(), waitMs);
	}

	#publish(): void {
		this.#timer = undefined;
		if (!this.#newest || this.#isClosed) return;
		this.#publishedMs = this.#clock.nowMs();
		const snapshot = shareSnapshot(this.#state.snapshot, this.#newest);
		this.#newest = undefined;
		const {text, untilMs} = this.#returned;
		const {role} = this.#state;
		this.#change({
			snapshot,
			connection: 'connected',
			detail: this.#publishedMs < untilMs ? text : '',
			...(role === undefined ? {} : {role}),
		});
		if (this.#isRoleKnown) return;
		this.#isRoleKnown = true;
		void this.#askRole();
	}

	/** What the node would refuse is not offered. Without an answer the node decides at each command. */
	async #askRole(): Promise<void> {
		try {
			const {you} = await this.#broker.access();
			if (!this.#isClosed) this.#change({...this.#state, role: you.isOwner ? 'operator' : you.role});
		} catch {
			// A node of an earlier release does not know the question.
		}
	}

	#checkSilence(): void {
		if (this.#isClosed || this.#state.connection !== 'connected') return;
		if (this.#clock.nowMs() - this.#heardMs < silentMs) return;
		const why = `no snapshot from the node for ${silentMs / 1000} s`;
		this.#change({...this.#state, connection: 'lost', detail: `${why}, still trying`, why});
	}

	#onLink(news: LinkNews): void {
		if (this.#isClosed) return;
		// A snapshot of the lost node must not be shown as the present state.
		this.#newest = undefined;
		this.#isRoleKnown = false;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#heardMs = this.#clock.nowMs();
		if (news.state === 'connected')
			this.#returned = {text: `Attached to ${news.server} now`, untilMs: this.#heardMs + returnedMs};
		this.#change({
			...this.#state,
			connection: 'lost',
			detail: this.#linkWords(news),
			why: news.state === 'lost' ? whyLost(news) : '',
		});
	}

	/** What is tried, since when, and why the last attempt failed. */
	#linkWords(news: LinkNews): string {
		if (news.state === 'connected') {
			this.#lostAtMs = undefined;
			return `connected to ${news.server}, waiting for its snapshot`;
		}

		this.#lostAtMs ??= this.#clock.wallMs();
		const members = this.#state.snapshot?.members ?? [];
		const label = labelsOf(members);
		const tries = this.#tries().map(address => {
			const member = members.find(each => each.address === address);
			return member ? `${label(member.id)} (${address})` : address;
		});
		const more = tries.length > triesMax ? ` and ${tries.length - triesMax} more` : '';
		const tried = tries.length === 0 ? 'trying again' : `trying ${tries.slice(0, triesMax).join(', ')}${more}`;
		const since = clockTime(this.#lostAtMs).slice(0, 8);
		return `${tried} since ${since}, next in ${duration(news.retryMs)} · ${whyLost(news)}`;
	}

	#onClosed(reason: string): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		clearInterval(this.#watchdog);
		this.#change({...this.#state, connection: 'lost', detail: reason, why: reason});
	}

	#change(state: SourceState): void {
		this.#state = state;
		for (const listener of this.#listeners) listener();
	}
}

/** The reason, with the name of the server once. */
function whyLost({server, why}: Extract<LinkNews, {state: 'lost'}>): string {
	return why.includes(server) ? why : `${server}: ${why}`;
}

/** Reads from the position before the message, so that it is among the first that come. */
async function readMessage(broker: Broker, message: MessageSnapshot): Promise<ReadBody> {
	const {topic, origin, incarnation, seq, lamport} = message;
	await using subscription = broker.subscribe([topic], {
		from: 'beginning',
		isTracked: true,
		after: [{topic, since: Math.max(0, lamport - 1), streams: [[origin, incarnation, seq - 1]]}],
	});
	const {promise: late, resolve} = Promise.withResolvers<{readonly problem: string}>();
	const timer = setTimeout(resolve, readMs, {problem: `no answer within ${readMs / 1000} s`});
	try {
		return await Promise.race([searched(subscription, message), late]);
	} finally {
		clearTimeout(timer);
	}
}

async function searched(subscription: Subscription, {origin, incarnation, seq}: MessageSnapshot): Promise<ReadBody> {
	let passed = 0;
	for await (const deliveries of subscription) {
		const delivery = deliveries.find(
			one => one.origin === origin && one.incarnation === incarnation && one.seq >= seq,
		);
		// Numbers of a stream increase, so a later one means that this one is gone.
		if (delivery) {
			return delivery.seq === seq
				? {body: Uint8Array.from(delivery.body), offset: delivery.offset}
				: {problem: 'the node has deleted it from its log'};
		}

		passed += deliveries.length;
		if (passed > passedMax) break;
	}

	return {problem: 'the log of the node does not have it'};
}

/** @returns one line about the result */
async function runCommand(broker: Broker, command: ConsoleCommand, label: Label): Promise<string> {
	switch (command.type) {
		case 'publish': {
			const {body: given} = command;
			const body = typeof given === 'string' ? new TextEncoder().encode(given) : given;
			const published = await broker.publish(command.topic, [body]); // The node validates the name.
			return (
				`Published to ${topicText(command.topic)}: ` +
				`#${published.firstSeq}, ${body.length} B, stored on ${label(published.origin)}`
			);
		}

		case 'subscribe': {
			await Promise.all(command.topics.map(topic => broker.subscribeNode(topic as Topic)));
			return `Subscribed to ${command.topics.map(topic => topicText(topic)).join(', ')}`;
		}

		case 'unsubscribe': {
			await Promise.all(command.topics.map(topic => broker.unsubscribeNode(topic as Topic)));
			return `Unsubscribed from ${command.topics.map(topic => topicText(topic)).join(', ')}`;
		}

		case 'create-topic': {
			const change = await broker.createTopic(command.topic, command.settings, {update: command.update});
			return (
				`The topic ${topicText(command.topic)} ` +
				(change === 'unchanged' ? 'exists already, with these settings' : `is ${change}`)
			);
		}

		case 'delete-topic': {
			const {messages, missing} = await broker.deleteTopic(command.topic, {force: command.force});
			const unconfirmed =
				missing.length === 0 ? '' : `; not confirmed yet by ${missing.map(id => label(id)).join(', ')}`;
			return `The topic ${topicText(command.topic)} is deleted, with ${messagesText(messages)}${unconfirmed}`;
		}

		case 'confirm': {
			return `A quorum confirms: this node sees the latest agreed state (commit ${await broker.readIndex()})`;
		}

		case 'transfer': {
			const leader = await broker.transferLeadership(command.to);
			return leader === undefined ? 'Leadership was transferred' : `${label(leader)} leads now`;
		}

		case 'remove': {
			await broker.removeMember(command.node);
			return `${label(command.node)} is no longer a member`;
		}

		case 'leave': {
			await broker.leave();
			return 'This node has left its cluster and stops';
		}

		case 'access-change':
		case 'access-revoke':
			return changeAccess(broker, command);

		case 'access-list':
			return '';

		case 'attach':
		case 'context':
			throw new Error('this console stays with its node; `dapss-tui attach` shows any node');

		case 'fault': {
			await broker.fault(command.fault);
			return command.fault.type === 'heal'
				? 'All faults are healed'
				: `Fault is on: ${command.fault.type} for ${command.fault.forMs / 1000} s`;
		}

		default: {
			const unknown: never = command;
			return String(unknown);
		}
	}
}

async function changeAccess(
	broker: Broker,
	command: Extract<ConsoleCommand, {type: 'access-change' | 'access-revoke'}>,
): Promise<string> {
	if (command.type === 'access-change') {
		const {change} = command;
		await broker.changeAccess(change.type === 'grant' ? await withKeptTopics(broker, change) : change);
		return 'The access is changed; `:access list` shows it';
	}

	const {grants} = await broker.access();
	const found = grants.filter(({name, identity}) => isCalled(command.name, name, identity));
	if (found.length !== 1)
		throw new Error(`expected the name or the first 8 digits of one identity, ${found.length} fit`);
	await broker.changeAccess({type: 'revoke', identity: found[0]!.identity});
	return `The access of ${command.name} is revoked`;
}

/** A client keeps the patterns that it has: a new name must not widen its access. */
async function withKeptTopics(broker: Broker, change: Extract<AccessChange, {type: 'grant'}>): Promise<AccessChange> {
	if (change.role !== 'client' || change.topics.length > 0) return change;
	const {grants} = await broker.access();
	return {...change, topics: grants.find(({identity}) => identity === change.identity)?.topics ?? []};
}

/** A name of an identity, in any case, or enough of its digits. */
function isCalled(called: string, name: string, identity: string): boolean {
	return (
		(name !== '' && name.toLowerCase() === called.toLowerCase()) ||
		(called.length >= 8 && identity.startsWith(called))
	);
}

/** Identities with their roles, as lines for people. */
function accessLines({defaultRole, grants, admitted, tokens, you}: AccessReport): readonly string[] {
	return [
		...grants.map(({role, identity, name, topics}) => {
			const only = topics.length === 0 ? '' : `  ${topics.join(', ')}`;
			return `${role.padEnd(9)} ${identity.slice(0, 12)}  ${name}${only}`;
		}),
		'',
		`Everyone else who has the secret: ${defaultRole === 'none' ? 'no access' : `role ${defaultRole}`}`,
		...admitted.map(node => `Node ${node} may join`),
		...tokens.map(({hash, uses}) => `Join token ${hash.slice(0, 12)}: admits ${uses} more`),
		`You: ${you.identity?.slice(0, 12) ?? 'no identity'}, role ${you.role}` +
			(you.isOwner ? ' (you run this node)' : ''),
	];
}

/** The command that failed, the reason, and a hint. */
function refusal(command: ConsoleCommand, error: unknown): CommandResult['text'] {
	const what = command.type === 'confirm' ? 'Not confirmed' : `Could not ${command.type.replace('-', ' the ')}`;
	const why = error instanceof Error ? error.message : String(error);
	const code = error instanceof Error && 'code' in error ? error.code : undefined;
	const hint =
		code === 'no-quorum' && !/quorum/i.test(why)
			? ' (no majority of voters is reachable)'
			: code === 'no-leader' && !/leader/i.test(why)
				? ' (no leader is elected yet)'
				: '';
	return `${what}: ${why.replace(/[.\s]+$/, '')}${hint}`;
}
