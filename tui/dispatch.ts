/**
From an action of the key map, or a line of the prompt, to what the console does: changes of its own state, and wishes
to the node. Everything that needs both the picture and the state is here; it is a function of them and is tested
without a terminal.
*/
import {labelsOf} from '../core/observe/node-label.ts';
import {printable} from '../core/observe/printable.ts';
import {leaveCost} from '../core/observe/stop-cost.ts';
import type {Snapshot} from '../core/snapshot.ts';
import type {Action} from './input/keymap.ts';
import {quoteWord, topicsOf, wordsOf} from './input/line.ts';
import {complete, completeTopic, parseLine} from './input/prompt-commands.ts';
import type {ConsoleCommand} from './source/source.ts';
import {indexOfSelected, isListPane, type ConsoleAction, type ConsoleState, type PromptKind} from './state/state.ts';
import {keysOf, listMessages, shownFeed} from './view/lists.ts';

/** What a key or a line came to. */
export type Effect =
	| {readonly type: 'change'; readonly action: ConsoleAction}
	| {readonly type: 'run'; readonly command: ConsoleCommand}
	/** Examine the machine; the window for it is open. */
	| {readonly type: 'examine'}
	| {readonly type: 'exit'; readonly how: 'quit' | 'interrupted'};

export type Situation = {
	readonly snapshot: Snapshot | undefined;
	readonly isReadonly: boolean;
	/** Attached to a node that runs elsewhere: quitting ends the console only. */
	readonly isRemote: boolean;
	/** There is no node any more that could stop or leave. */
	readonly isLost: boolean;
	/** Rows of a page in the focused pane, or lines of the overlay. */
	readonly page: number;
	/** Lines of the overlay in all. */
	readonly overlayLines: number;
};

const change = (action: ConsoleAction): readonly Effect[] => [{type: 'change', action}];
const warn = (text: string): readonly Effect[] => change({type: 'notice', notice: {tone: 'warning', text}});
const nothing: readonly Effect[] = [];

export const readonlyRefusal = 'Read-only console: it looks, but changes and publishes nothing';

const elsewhereRefusal = "Attached: `dapss-tui doctor` examines the machine that it runs on, so run it on the node's";
const detachedRefusal = 'Attached: leave by `dapss-tui leave --server ADDRESS`; q ends this console only';

export function act(action: Action, state: ConsoleState, situation: Situation): readonly Effect[] {
	switch (action) {
		case 'focus-next':
			return change({type: 'focus-by', by: 1});
		case 'focus-previous':
			return change({type: 'focus-by', by: -1});
		case 'focus-peers':
			return change({type: 'focus', pane: 'peers'});
		case 'focus-raft':
			return change({type: 'focus', pane: 'raft'});
		case 'focus-topics':
			return change({type: 'focus', pane: 'topics'});
		case 'focus-messages':
			return change({type: 'focus', pane: 'messages'});
		case 'focus-partition':
			return change({type: 'focus', pane: 'partition'});
		case 'focus-events':
			return change({type: 'focus', pane: 'events'});
		case 'up':
			return move(state, situation, -1);
		case 'down':
			return move(state, situation, 1);
		case 'page-up':
			return move(state, situation, -situation.page);
		case 'page-down':
			return move(state, situation, situation.page);
		case 'first':
			return moveTo(state, situation, 'first');
		case 'last':
			return moveTo(state, situation, 'last');
		case 'inspect':
			return inspect(state, situation);
		case 'zoom':
			return change({type: 'zoom'});
		case 'filter':
			return isListPane(state.focus)
				? change({type: 'prompt', kind: 'filter', draft: state.lists[state.focus].filter})
				: warn(`Nothing to filter here: ${state.focus} is no list`);
		case 'pause':
			return situation.snapshot
				? change({
						type: 'pause',
						feed: situation.snapshot.feed,
						delivered: situation.snapshot.counters.delivered,
					})
				: nothing;
		case 'clear':
			return change({type: 'clear'});
		case 'subscribe':
			return openPrompt('subscribe', state, situation);
		case 'unsubscribe':
			return openPrompt('unsubscribe', state, situation);
		case 'publish':
			return openPrompt('publish-topic', state, situation);
		case 'command':
			return change({type: 'prompt', kind: 'command'});
		case 'help':
			return change({type: 'overlay', overlay: {type: 'help', scroll: 0}});
		case 'quit':
			return change({type: 'ask-quit'});
		case 'interrupt':
			return [{type: 'exit', how: 'interrupted'}];
		case 'overlay-close':
			return change({type: 'overlay-close'});
		case 'overlay-up':
			return scroll(state, situation, -1);
		case 'overlay-down':
			return scroll(state, situation, 1);
		case 'overlay-page-up':
			return scroll(state, situation, -situation.page);
		case 'overlay-page-down':
			return scroll(state, situation, situation.page);
		case 'overlay-first':
			return scroll(state, situation, Number.NEGATIVE_INFINITY);
		case 'overlay-last':
			return scroll(state, situation, Number.POSITIVE_INFINITY);
		case 'prompt-cancel':
			return change({type: 'prompt-cancel'});
		case 'prompt-older':
			return change({type: 'history', by: 1});
		case 'prompt-newer':
			return change({type: 'history', by: -1});
		case 'prompt-complete':
			return completePrompt(state, situation);
		case 'confirm-yes':
			return [{type: 'exit', how: 'quit'}];
		case 'confirm-leave':
			return leave(situation);
		case 'confirm-no':
			return change({type: 'stay'});
		default: {
			const unknown: never = action;
			return unknown;
		}
	}
}

/** Asked for in the window that says what it costs. */
function leave(situation: Situation): readonly Effect[] {
	const {snapshot, isRemote, isLost} = situation;
	if (isRemote || isLost) return change({type: 'stay'});
	if (!snapshot) return warn('There is no picture of the node yet: nothing is known of its cluster');
	const {isPossible, text} = leaveCost(snapshot);
	return isPossible
		? [...change({type: 'stay'}), ...run({type: 'leave'}, situation)]
		: [...change({type: 'stay'}), ...warn(text)];
}

/** Enter in the prompt. */
export function submit(line: string, state: ConsoleState, situation: Situation): readonly Effect[] {
	const {prompt, focus} = state;
	if (!prompt) return nothing;
	const done = change({type: 'prompt-done'});
	switch (prompt.kind) {
		case 'filter':
			return [...(isListPane(focus) ? change({type: 'filter', pane: focus, text: line}) : nothing), ...done];
		case 'subscribe':
		case 'unsubscribe': {
			const topics = topicsIn(line);
			if ('problem' in topics) return warn(topics.problem);
			return [...done, ...(topics.length === 0 ? nothing : run({type: prompt.kind, topics}, situation))];
		}

		case 'publish-topic': {
			const topics = topicsIn(line);
			if ('problem' in topics) return warn(topics.problem);
			if (topics.length > 1)
				return warn('Expected one topic; quotes hold a name with spaces or commas together: "my topic"');
			return topics.length === 0
				? done
				: [...done, ...change({type: 'prompt', kind: 'publish-text', topic: topics[0]!})];
		}

		case 'publish-text':
			return [...done, ...run({type: 'publish', topic: prompt.topic, body: line}, situation)];
		case 'command':
			return [...done, ...command(line, state, situation)];
		default: {
			const unknown: never = prompt.kind;
			return unknown;
		}
	}
}

function command(line: string, state: ConsoleState, situation: Situation): readonly Effect[] {
	const wish = parseLine(line, {members: situation.snapshot?.members ?? []});
	switch (wish.type) {
		case 'run':
			return run(wish.command, situation);
		case 'focus':
			return change({type: 'focus', pane: wish.pane});
		case 'report':
			return [
				...change({type: 'overlay', overlay: {type: 'report', report: wish.report, scroll: 0}}),
				// The picture may be old; a quorum's word is not.
				...(wish.report === 'check' ? [{type: 'run', command: {type: 'confirm'}} as const] : nothing),
			];
		case 'help':
			return change({type: 'overlay', overlay: {type: 'help', scroll: 0}});
		case 'doctor':
			return situation.isRemote
				? warn(elsewhereRefusal)
				: [
						...change({type: 'overlay', overlay: {type: 'doctor', examination: undefined, scroll: 0}}),
						{type: 'examine'},
					];
		case 'quit':
			return situation.isRemote || situation.isLost ? [{type: 'exit', how: 'quit'}] : change({type: 'ask-quit'});
		case 'leave':
			return situation.isRemote ? warn(detachedRefusal) : change({type: 'ask-quit'});
		case 'filter':
			return isListPane(state.focus)
				? change({type: 'filter', pane: state.focus, text: wish.text})
				: warn(`Nothing to filter here: ${state.focus} is no list`);
		case 'pause':
			return act('pause', state, situation);
		case 'zoom':
			return change({type: 'zoom'});
		case 'nothing':
			return nothing;
		case 'problem':
			return warn(wish.text);
		default: {
			const unknown: never = wish;
			return unknown;
		}
	}
}

function run(wanted: ConsoleCommand, {isReadonly}: Situation): readonly Effect[] {
	return isReadonly && wanted.type !== 'confirm' ? warn(readonlyRefusal) : [{type: 'run', command: wanted}];
}

function openPrompt(kind: PromptKind, state: ConsoleState, situation: Situation): readonly Effect[] {
	if (situation.isReadonly) return warn(readonlyRefusal);
	const topic = topicAtHand(state, situation.snapshot);
	// A name that does not show as it is must not get into a line that is shown as it is typed.
	return change({
		type: 'prompt',
		kind,
		draft: topic !== undefined && printable(topic) === topic ? quoteWord(topic) : '',
	});
}

/** The topic under the cursor, in the topics or of the message that is looked at. */
export function topicAtHand(state: ConsoleState, snapshot: Snapshot | undefined): string | undefined {
	if (!snapshot) return undefined;
	if (state.focus === 'topics') {
		const keys = keysOf('topics', snapshot, state);
		return keys[indexOfSelected(keys, state.lists.topics.selected, 'topics')];
	}

	if (state.focus !== 'messages' || state.lists.messages.selected === undefined) return undefined;
	return selectedMessage(state, snapshot)?.topic;
}

function selectedMessage(state: ConsoleState, snapshot: Snapshot): Snapshot['feed'][number] | undefined {
	const {rows, keys} = listMessages(
		shownFeed(snapshot, state),
		state.lists.messages.filter,
		labelsOf(snapshot.members),
	);
	return rows[indexOfSelected(keys, state.lists.messages.selected, 'messages')];
}

/** Topics of a prompt: the words of the `:` line, in its quotes. */
function topicsIn(line: string): readonly string[] | {readonly problem: string} {
	const parsed = wordsOf(line);
	return 'problem' in parsed ? parsed : topicsOf(parsed.words);
}

function move(state: ConsoleState, {snapshot}: Situation, by: number): readonly Effect[] {
	if (!snapshot || !isListPane(state.focus)) return nothing;
	return change({type: 'move', pane: state.focus, by, keys: keysOf(state.focus, snapshot, state)});
}

function moveTo(state: ConsoleState, {snapshot}: Situation, end: 'first' | 'last'): readonly Effect[] {
	if (!snapshot || !isListPane(state.focus)) return nothing;
	return change({type: 'move-to', pane: state.focus, end, keys: keysOf(state.focus, snapshot, state)});
}

function scroll(state: ConsoleState, {page, overlayLines}: Situation, by: number): readonly Effect[] {
	const last = Math.max(0, overlayLines - page);
	return change({type: 'scroll', to: Math.min(Math.max((state.overlay?.scroll ?? 0) + by, 0), last)});
}

function inspect(state: ConsoleState, {snapshot}: Situation): readonly Effect[] {
	if (!snapshot) return nothing;
	const {focus} = state;
	if (focus === 'raft') return change({type: 'overlay', overlay: {type: 'report', report: 'leader', scroll: 0}});
	if (focus === 'partition') return change({type: 'zoom'});
	if (focus === 'events') return nothing; // A line says all there is.
	if (focus === 'messages') {
		const message = selectedMessage(state, snapshot);
		return message ? change({type: 'overlay', overlay: {type: 'message', message, scroll: 0}}) : nothing;
	}

	const keys = keysOf(focus, snapshot, state);
	const key = keys[indexOfSelected(keys, state.lists[focus].selected, focus)];
	return key === undefined
		? nothing
		: change({type: 'overlay', overlay: {type: focus === 'peers' ? 'peer' : 'topic', key, scroll: 0}});
}

function completePrompt({prompt}: ConsoleState, {snapshot}: Situation): readonly Effect[] {
	if (!prompt || prompt.kind === 'filter' || prompt.kind === 'publish-text') return nothing;
	const topics = (snapshot?.topics ?? []).map(topic => topic.name).filter(name => printable(name) === name);
	const text =
		prompt.kind === 'command'
			? complete(prompt.draft, topics, snapshot?.members ?? [])
			: completeTopic(prompt.draft, topics);
	return text === prompt.draft ? nothing : change({type: 'draft', text, moved: true});
}
