/**
A console source over any `Broker`: a node in this process, in a worker thread, or behind a link. Pictures come in as
fast as the node sends them and go on to React at most every 100 ms; what the console asks for becomes a call, and its
end one clear line. Where the broker connects again by itself, its losses and returns are shown.
*/
import type {Broker, FollowedBroker, LinkNews} from '../core/broker.ts';
import type {Topic} from '../core/message.ts';
import {labelsOf, type Label} from '../core/observe/node-label.ts';
import {messagesText, topicText} from '../core/observe/topic-text.ts';
import type {Snapshot} from '../core/snapshot.ts';
import {shareSnapshot} from './source/share.ts';
import type {CommandResult, ConsoleCommand, ConsoleSource, SourceState} from './source/source.ts';
import {duration} from './view/words.ts';

/** Between two pictures that React is given, milliseconds. */
const publishMs = 100;
/** A node sends a picture about ten times a second; after this long without one the last is out of date. */
const silentMs = 3000;
/** For so long it is said which node came after one that was lost. */
const returnedMs = 15_000;

export type ClientSource = ConsoleSource & Disposable;

/**
Watch a broker. Dispose it to stop watching; the broker itself stays open.

@param clock replaced by tests
*/
export function createSource(
	broker: Broker & Partial<Pick<FollowedBroker, 'onLink'>>,
	clock: {readonly nowMs: () => number} = {nowMs: () => performance.now()},
): ClientSource {
	const listeners = new Set<() => void>();
	let state: SourceState = {
		snapshot: undefined,
		connection: 'connecting',
		detail: 'waiting for the first picture of the node',
	};
	let newest: Snapshot | undefined;
	let timer: NodeJS.Timeout | undefined;
	let heardMs = clock.nowMs();
	let publishedMs = Number.NEGATIVE_INFINITY;
	let isClosed = false;
	let returned = {text: '', untilMs: 0};

	const change = (next: SourceState): void => {
		state = next;
		for (const listener of listeners) listener();
	};

	const publish = (): void => {
		timer = undefined;
		if (!newest || isClosed) return;
		publishedMs = clock.nowMs();
		const snapshot = shareSnapshot(state.snapshot, newest);
		newest = undefined;
		change({snapshot, connection: 'connected', detail: publishedMs < returned.untilMs ? returned.text : ''});
	};

	const watching = broker.watch(snapshot => {
		newest = snapshot;
		heardMs = clock.nowMs();
		if (timer !== undefined) return;
		// The first of a burst is shown at once, the others share the next turn.
		const waitMs = publishedMs + publishMs - heardMs;
		if (waitMs <= 0) publish();
		else timer = setTimeout(publish, waitMs);
	});
	const watchdog = setInterval(() => {
		if (isClosed || state.connection !== 'connected' || clock.nowMs() - heardMs < silentMs) return;
		const why = `no word from the node for ${silentMs / 1000} s`;
		change({...state, connection: 'lost', detail: `${why}, still trying`, why});
	}, 1000);
	watchdog.unref();

	const link = broker.onLink?.(news => {
		if (isClosed) return;
		// A picture of the node that was lost is not shown as if it were there.
		newest = undefined;
		clearTimeout(timer);
		timer = undefined;
		heardMs = clock.nowMs();
		if (news.state === 'connected')
			returned = {text: `Attached to ${news.server} now`, untilMs: heardMs + returnedMs};
		change({
			...state,
			connection: 'lost',
			detail: linkWords(news),
			why: news.state === 'lost' ? whyLost(news) : '',
		});
	});

	void (async () => {
		const reason = await broker.closed;
		if (isClosed) return;
		isClosed = true;
		clearInterval(watchdog);
		change({...state, connection: 'lost', detail: reason, why: reason});
	})();

	return {
		getState: () => state,
		subscribe(onChange) {
			listeners.add(onChange);
			return () => listeners.delete(onChange);
		},
		async run(command) {
			try {
				return {ok: true, text: await carryOut(broker, command, labelsOf(state.snapshot?.members ?? []))};
			} catch (error) {
				return {ok: false, text: refusal(command, error)};
			}
		},
		[Symbol.dispose]() {
			isClosed = true;
			clearTimeout(timer);
			clearInterval(watchdog);
			link?.[Symbol.dispose]();
			watching[Symbol.dispose]();
			listeners.clear();
		},
	};
}

/** With the server, which is named once. */
function whyLost({server, why}: Extract<LinkNews, {state: 'lost'}>): string {
	return why.includes(server) ? why : `${server}: ${why}`;
}

function linkWords(news: LinkNews): string {
	return news.state === 'connected'
		? `connected to ${news.server}, waiting for its picture`
		: `trying again in ${duration(news.retryMs)} · ${whyLost(news)}`;
}

async function carryOut(broker: Broker, command: ConsoleCommand, label: Label): Promise<string> {
	switch (command.type) {
		case 'publish': {
			const body = new TextEncoder().encode(command.body);
			const published = await broker.publish(command.topic as Topic, [body]); // The node judges the name.
			return `Published to ${topicText(command.topic)}: #${published.firstSeq}, ${body.length} B, stored on ${label(published.origin)}`;
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
			const change = await broker.createTopic(command.topic as Topic, command.settings, {update: command.update});
			return `The topic ${topicText(command.topic)} ${change === 'unchanged' ? 'exists already, with these settings' : `is ${change}`}`;
		}

		case 'delete-topic': {
			const {messages, missing} = await broker.deleteTopic(command.topic as Topic, {force: command.force});
			return `The topic ${topicText(command.topic)} is deleted, with ${messagesText(messages)}${missing.length === 0 ? '' : `; not confirmed yet by ${missing.map(id => label(id)).join(', ')}`}`;
		}

		case 'confirm': {
			return `A quorum confirms: this node sees the latest agreed state (commit ${await broker.readIndex()})`;
		}

		case 'transfer': {
			const leader = await broker.transferLeadership(command.to);
			return leader === undefined ? 'The lead was handed over' : `${label(leader)} leads now`;
		}

		case 'remove': {
			await broker.removeMember(command.node);
			return `${label(command.node)} is no member any more`;
		}

		case 'leave': {
			await broker.leave();
			return 'This node has left its cluster and stops';
		}

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

/** What did not happen, why, and what would help. */
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
