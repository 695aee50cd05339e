/**
Maps an action of the key map, or a line of the prompt, to effects: changes of the console's state, and commands to the
node. Every decision that needs both the snapshot and the state is here. The functions are pure, so they are tested
without a terminal.
*/
import type {Role} from '../core/access.ts';
import {labelsOf} from '../core/observe/node-label.ts';
import {printable} from '../core/observe/printable.ts';
import {leaveCost} from '../core/observe/stop-cost.ts';
import type {MessageSnapshot, Snapshot} from '../core/snapshot.ts';
import type {Action} from './input/keymap.ts';
import type {Edit} from './input/line-editor.ts';
import {quoteWord, topicsOf, wordsOf} from './input/line.ts';
import {complete, completeTopic, parseLine} from './input/prompt-commands.ts';
import {actionRefusal, maySay, roleRefusal} from './input/roles.ts';
import type {PaneId} from './layout.ts';
import type {ConsoleCommand} from './source/source.ts';
import type {Move, TimeView} from './source/timeline.ts';
import {
	indexOfSelected,
	isListPane,
	type BodyView,
	type ConsoleAction,
	type ConsoleState,
	type PromptKind,
} from './state/state.ts';
import {bestView, formattedJson, textOf} from './view/inspector.ts';
import {completing} from './view/offered.ts';
import {isCut, keysOf, listEvents, listMessages, shownFeed} from './view/lists.ts';
import {count} from './view/words.ts';

/** The result of a key or a line. */
export type Effect =
	| {readonly type: 'change'; readonly action: ConsoleAction}
	| {readonly type: 'run'; readonly command: ConsoleCommand}
	/** Examine the machine. The overlay for the result is open already. */
	| {readonly type: 'examine'}
	/** Give the terminal back, and stop until the shell continues the program. */
	| {readonly type: 'suspend'}
	/** Take presses of the mouse, or leave them to the terminal again. */
	| {readonly type: 'mouse'}
	/** Read the whole body; perform the next action after it, if there is one. */
	| {readonly type: 'load'; readonly message: MessageSnapshot; readonly next: Action | undefined}
	/** Ask the terminal to copy the text. */
	| {readonly type: 'copy'; readonly text: string}
	| {readonly type: 'save'; readonly path: string; readonly body: Uint8Array}
	/** Move in time. */
	| {readonly type: 'travel'; readonly move: Move}
	| {readonly type: 'exit'; readonly how: 'quit' | 'interrupted'};

export type Situation = {
	readonly snapshot: Snapshot | undefined;
	readonly isReadonly: boolean;
	/** Of this console at its node; `undefined` when the node has not said it. */
	readonly role?: Role | undefined;
	/** The console is attached to a node of another process: quitting ends the console only. */
	readonly isRemote: boolean;
	/** The connection to the node is lost. */
	readonly isLost: boolean;
	/** A snapshot of the past is shown: of a recording, or of the last minutes. */
	readonly past?: TimeView['mode'] | undefined;
	/** Rows of a page in the focused pane, or lines of the overlay. */
	readonly page: number;
	/** Number of lines of the overlay. */
	readonly overlayLines: number;
	/** The key came together with others: the user has not seen what it answers. It confirms nothing. */
	readonly isBlind?: boolean;
	readonly incident: Incident;
};

/** The situation on the screen. */
export type Incident = {
	/** Keys of the present problems; empty while nothing is wrong. */
	readonly keys: readonly string[];
	readonly isOpen: boolean;
	/** The panel leaves no room for the focused pane. */
	readonly hidesFocus: boolean;
	/** Lines of the panel that are above or below the visible ones. */
	readonly hiddenLines: number;
	/** End of the incident whose summary is shown. */
	readonly pastMs: number | undefined;
};

const change = (action: ConsoleAction): readonly Effect[] => [{type: 'change', action}];
const warn = (text: string): readonly Effect[] => change({type: 'notice', notice: {tone: 'warning', text}});
const nothing: readonly Effect[] = [];
const travel = (by: Move): readonly Effect[] => [{type: 'travel', move: by}];

const pastRefusals: Readonly<Record<TimeView['mode'], string>> = {
	replay: 'This is a recording: there is no cluster that could be changed',
	past: 'The past cannot be changed: G returns to the present',
};
export const readonlyRefusal = 'This console is read-only: it changes nothing and publishes nothing';

const noFilterText = (pane: PaneId): string => `Nothing to filter here: ${pane} is not a list`;
const elsewhereRefusal =
	"Attached: `dapss-tui doctor` examines the machine that it runs on, so run it on the node's machine";
const ownNodeRefusal =
	'This console stays with its node; `dapss-tui attach` in another terminal shows any node, and switches';
const detachedRefusal =
	'Attached: q ends this console only. To make the node leave, run `dapss-tui leave --server ADDRESS`';

const blindRefusal = 'The name came together with its Enter, as pasted text does. Press Enter to carry it out, or Esc';

const oneTopicText = 'Expected one topic; put a name with spaces or commas in quotes: "my topic"';
const goneText = 'The selected row is gone from the list: ↑ or ↓ selects another, and Esc the newest';

type Handler = (state: ConsoleState, situation: Situation) => readonly Effect[];

const changing = (action: ConsoleAction): Handler => {
	const effects = change(action);
	return () => effects;
};
const moving =
	(rows: (page: number) => number): Handler =>
	(state, situation) =>
		move(state, situation, rows(situation.page));
const scrolling =
	(lines: (page: number) => number): Handler =>
	(state, situation) =>
		scroll(state, situation, lines(situation.page));

const editing = (edit: Edit): Handler => changing({type: 'edit', edit});
/** A user who goes to a pane wants to see it, so a panel that hides it is folded away. */
const focusing =
	(action: ConsoleAction): Handler =>
	(_, {incident}) => [
		...change(action),
		...(incident.hidesFocus ? change({type: 'situation-fold', keys: incident.keys}) : nothing),
	];
const scrollingSituation =
	(by: number): Handler =>
	({situation: {scroll: at}}, {incident: {hiddenLines}}) =>
		change({type: 'situation-scroll', to: Math.min(Math.max(at + by, 0), hiddenLines)});

const handlers: Readonly<Record<Action, Handler>> = {
	'focus-next': focusing({type: 'focus-by', by: 1}),
	'focus-previous': focusing({type: 'focus-by', by: -1}),
	'focus-peers': focusing({type: 'focus', pane: 'peers'}),
	'focus-raft': focusing({type: 'focus', pane: 'raft'}),
	'focus-topics': focusing({type: 'focus', pane: 'topics'}),
	'focus-messages': focusing({type: 'focus', pane: 'messages'}),
	'focus-partition': focusing({type: 'focus', pane: 'partition'}),
	'focus-events': focusing({type: 'focus', pane: 'events'}),
	up: moving(() => -1),
	down: moving(() => 1),
	'page-up': moving(page => -page),
	'page-down': moving(page => page),
	first: (state, situation) => (situation.past ? travel('start') : moveTo(state, situation, 'first')),
	last: (state, situation) => [...(situation.past ? travel('end') : nothing), ...moveTo(state, situation, 'last')],
	inspect,
	compare,
	zoom: changing({type: 'zoom'}),
	filter: ({focus, lists}) =>
		isListPane(focus)
			? change({type: 'prompt', kind: 'filter', draft: lists[focus].filter})
			: warn(noFilterText(focus)),
	pause: (_, {snapshot, past}) =>
		past === 'replay'
			? travel('play')
			: snapshot
				? change({type: 'pause', feed: snapshot.feed, delivered: snapshot.counters.delivered})
				: nothing,
	clear,
	'situation-fold': (_, {incident: {keys}}) =>
		keys.length > 0
			? change({type: 'situation-fold', keys})
			: warn('Nothing is wrong: there is no situation to show'),
	'situation-down': scrollingSituation(1),
	'situation-up': scrollingSituation(-1),
	subscribe: (state, situation) => openPrompt('subscribe', state, situation),
	unsubscribe: (state, situation) => openPrompt('unsubscribe', state, situation),
	publish: (state, situation) => openPrompt('publish-topic', state, situation),
	attach: attachToPeer,
	command: changing({type: 'prompt', kind: 'command'}),
	help: changing({type: 'overlay', overlay: {type: 'help', scroll: 0}}),
	'time-back': () => travel('back'),
	'time-forward': () => travel('forward'),
	'time-previous': () => travel('previous'),
	'time-next': () => travel('next'),
	'time-slower': () => travel('slower'),
	'time-faster': () => travel('faster'),
	quit: (_, {past}) =>
		past === 'replay'
			? [{type: 'exit', how: 'quit'}]
			: // The question says what a stop costs now.
				[...(past ? travel('end') : nothing), ...change({type: 'ask-quit'})],
	interrupt: () => [{type: 'exit', how: 'interrupted'}],
	'overlay-close': changing({type: 'overlay-close'}),
	'overlay-up': scrolling(() => -1),
	'overlay-down': scrolling(() => 1),
	'overlay-page-up': scrolling(page => -page),
	'overlay-page-down': scrolling(page => page),
	'overlay-first': scrolling(() => Number.NEGATIVE_INFINITY),
	'overlay-last': scrolling(() => Number.POSITIVE_INFINITY),
	'prompt-cancel': changing({type: 'prompt-cancel'}),
	'prompt-older': changing({type: 'history', by: 1}),
	'prompt-newer': changing({type: 'history', by: -1}),
	'prompt-complete': completePrompt,
	'edit-left': editing({type: 'move', to: 'left'}),
	'edit-right': editing({type: 'move', to: 'right'}),
	'edit-word-left': editing({type: 'move', to: 'word-left'}),
	'edit-word-right': editing({type: 'move', to: 'word-right'}),
	'edit-start': editing({type: 'move', to: 'start'}),
	'edit-end': editing({type: 'move', to: 'end'}),
	'edit-delete-left': editing({type: 'delete', to: 'left'}),
	'edit-delete-right': editing({type: 'delete', to: 'right'}),
	'edit-delete-word-left': editing({type: 'delete', to: 'word-left'}),
	'edit-delete-word-right': editing({type: 'delete', to: 'word-right'}),
	'edit-delete-start': editing({type: 'delete', to: 'start'}),
	'edit-delete-end': editing({type: 'delete', to: 'end'}),
	suspend: () => [{type: 'suspend'}],
	mouse: () => [{type: 'mouse'}],
	'message-view': viewBody,
	'message-load': state => withBody(undefined, state, () => nothing),
	'message-copy': state => withBody('message-copy', state, copyBody),
	'message-save': state =>
		withBody('message-save', state, (message, body) =>
			change({type: 'prompt', kind: 'save', draft: fileNameFor(message), body}),
		),
	'message-publish': (state, situation) =>
		situation.isReadonly
			? warn(readonlyRefusal)
			: withBody('message-publish', state, ({topic}, body) =>
					change({
						type: 'prompt',
						kind: 'publish-again',
						draft: printable(topic) === topic ? quoteWord(topic) : '',
						body,
					}),
				),
	'confirm-yes': () => [{type: 'exit', how: 'quit'}],
	'confirm-leave': (_, situation) => leave(situation),
	'confirm-no': changing({type: 'stay'}),
};

/** The effects of one action of the key map. */
export function act(action: Action, state: ConsoleState, situation: Situation): readonly Effect[] {
	const refusal = actionRefusal(situation.role, action);
	if (refusal !== undefined) return warn(refusal);
	return handlers[action](state, situation);
}

/** Esc removes one thing at a time: what the user added, then the summary of the last incident, then the panel. */
function clear({notice, zoom, focus, lists}: ConsoleState, {incident}: Situation): readonly Effect[] {
	const isFiltered = isListPane(focus) && lists[focus].filter !== '';
	if (notice || zoom || isFiltered) return change({type: 'clear'});
	if (incident.pastMs !== undefined) return change({type: 'situation-dismiss', endedAtMs: incident.pastMs});
	return incident.isOpen ? change({type: 'situation-fold', keys: incident.keys}) : change({type: 'clear'});
}

/** The node leaves the cluster. The overlay that asked for it says what that costs. */
function leave(situation: Situation): readonly Effect[] {
	const {snapshot, isRemote, isLost} = situation;
	if (isRemote || isLost) return change({type: 'stay'});
	if (!snapshot) return warn('The node has sent no snapshot yet, so its cluster is unknown');
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
			if (topics.length > 1) return warn(oneTopicText);
			return topics.length === 0
				? done
				: [...done, ...change({type: 'prompt', kind: 'publish-text', topic: topics[0]!})];
		}

		case 'publish-again': {
			const topics = topicsIn(line);
			if ('problem' in topics) return warn(topics.problem);
			if (topics.length !== 1) return topics.length === 0 ? done : warn(oneTopicText);
			return [...done, ...run({type: 'publish', topic: topics[0]!, body: prompt.body!}, situation)];
		}

		case 'save':
			return line.trim() === '' ? done : [...done, {type: 'save', path: line.trim(), body: prompt.body!}];
		case 'publish-text':
			return [...done, ...run({type: 'publish', topic: prompt.topic, body: line}, situation)];
		case 'confirm': {
			const {question} = prompt;
			// Text that is pasted as keys must not destroy anything.
			if (situation.isBlind) return warn(blindRefusal);
			return question !== undefined && line.trim() === question.name
				? [...done, ...run(question.command, situation)]
				: [...done, ...warn(`Nothing was done: \`${line.trim()}\` is not \`${question?.name ?? ''}\``)];
		}

		case 'command':
			return [...done, ...command(line, state, situation)];
		default: {
			const unknown: never = prompt.kind;
			return unknown;
		}
	}
}

function command(line: string, state: ConsoleState, situation: Situation): readonly Effect[] {
	const request = parseLine(line, {members: situation.snapshot?.members ?? []});
	switch (request.type) {
		case 'run':
			return run(request.command, situation);
		case 'confirm':
			return situation.isReadonly ? warn(readonlyRefusal) : change({type: 'confirm', question: request});
		case 'focus':
			return focusing({type: 'focus', pane: request.pane})(state, situation);
		case 'report':
			return [
				...change({type: 'overlay', overlay: {type: 'report', report: request.report, scroll: 0}}),
				// The snapshot may be out of date, so a quorum confirms it.
				...(request.report === 'check' ? [{type: 'run', command: {type: 'confirm'}} as const] : nothing),
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
				? change({type: 'filter', pane: state.focus, text: request.text})
				: warn(noFilterText(state.focus));
		case 'pause':
			return act('pause', state, situation);
		case 'zoom':
			return change({type: 'zoom'});
		case 'nothing':
			return nothing;
		case 'problem':
			return warn(request.text);
		default: {
			const unknown: never = request;
			return unknown;
		}
	}
}

/** Commands that change nothing but the view. */
const looking: ReadonlySet<ConsoleCommand['type']> = new Set(['confirm', 'access-list', 'attach', 'context']);

function run(wanted: ConsoleCommand, {isReadonly, isRemote, past, role}: Situation): readonly Effect[] {
	if (past) return warn(pastRefusals[past]);
	if ((wanted.type === 'attach' || wanted.type === 'context') && !isRemote) return warn(ownNodeRefusal);
	if (isReadonly && !looking.has(wanted.type)) return warn(readonlyRefusal);
	const refusal = roleRefusal(role, wanted.type);
	return refusal === undefined ? [{type: 'run', command: wanted}] : warn(refusal);
}

/** The console goes to the node of the selected row. */
function attachToPeer(state: ConsoleState, situation: Situation): readonly Effect[] {
	const {snapshot, isRemote} = situation;
	if (!isRemote) return warn(ownNodeRefusal);
	if (!snapshot || state.focus !== 'peers') return warn('Select a node in the list of peers first: 1, then a');
	const keys = keysOf('peers', snapshot, state);
	const key = keys[indexOfSelected(keys, state.lists.peers.selected, 'peers')];
	const member = snapshot.members.find(({id}) => id === key);
	if (!member) return nothing;
	return member.self
		? warn('This console shows that node already')
		: run({type: 'attach', server: member.address}, situation);
}

function openPrompt(kind: PromptKind, state: ConsoleState, situation: Situation): readonly Effect[] {
	if (situation.past) return warn(pastRefusals[situation.past]);
	if (situation.isReadonly) return warn(readonlyRefusal);
	const topic = topicAtHand(state, situation.snapshot);
	// A name with unprintable characters must not get into the prompt, which shows text as it is typed.
	return change({
		type: 'prompt',
		kind,
		draft: topic !== undefined && printable(topic) === topic ? quoteWord(topic) : '',
	});
}

/** The topic of the selected row in the list of topics or messages. */
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

/** Topics of a prompt, with the quotes and separators of the `:` line. */
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
	if (isListPane(focus)) {
		const {selected} = state.lists[focus];
		if (selected !== undefined && !keysOf(focus, snapshot, state).includes(selected)) return warn(goneText);
	}

	if (focus === 'raft') return change({type: 'overlay', overlay: {type: 'report', report: 'leader', scroll: 0}});
	if (focus === 'partition') return change({type: 'zoom'});
	if (focus === 'events') {
		const {rows, keys} = listEvents(snapshot.events, state.lists.events.filter);
		const event = rows[indexOfSelected(keys, state.lists.events.selected, 'events')];
		return event ? change({type: 'overlay', overlay: {type: 'event', event, scroll: 0}}) : nothing;
	}

	if (focus === 'messages') {
		const message = selectedMessage(state, snapshot);
		if (!message) return nothing;
		const body = isCut(message) ? undefined : message.preview;
		return change({type: 'overlay', overlay: {type: 'message', message, body, view: undefined, scroll: 0}});
	}

	const keys = keysOf(focus, snapshot, state);
	const key = keys[indexOfSelected(keys, state.lists[focus].selected, focus)];
	return key === undefined
		? nothing
		: change({type: 'overlay', overlay: {type: focus === 'peers' ? 'peer' : 'topic', key, scroll: 0}});
}

/** Compare the selected peer with this node. */
function compare(state: ConsoleState, {snapshot}: Situation): readonly Effect[] {
	if (!snapshot) return nothing;
	if (state.focus !== 'peers') return warn('Select a node in pane 1 (Peers) to compare it with this one');
	const keys = keysOf('peers', snapshot, state);
	const key = keys[indexOfSelected(keys, state.lists.peers.selected, 'peers')];
	if (key === undefined) return nothing;
	return key === snapshot.self
		? warn('This is the node of this console: select another one to compare')
		: change({type: 'overlay', overlay: {type: 'compare', key, scroll: 0}});
}

function completePrompt({prompt}: ConsoleState, {snapshot, role}: Situation): readonly Effect[] {
	if (!prompt || !completing.has(prompt.kind)) return nothing;
	const topics = (snapshot?.topics ?? []).map(topic => topic.name).filter(name => printable(name) === name);
	const {text, candidates} =
		prompt.kind === 'command'
			? complete(prompt.draft, topics, snapshot?.members ?? [], word => maySay(role, word))
			: completeTopic(prompt.draft, topics);
	if (text !== prompt.draft) return change({type: 'draft', text});
	const shown = candidates.length > 1 ? candidates.join('  ') : candidates.length === 1 ? '' : 'Nothing to complete';
	return shown === '' ? nothing : change({type: 'notice', notice: {tone: 'muted', text: shown}});
}

/** Performs the action with the whole body of the open message, which may have to be loaded before. */
function withBody(
	action: Action | undefined,
	{overlay}: ConsoleState,
	perform: (message: MessageSnapshot, body: Uint8Array) => readonly Effect[],
): readonly Effect[] {
	if (overlay?.type !== 'message') return nothing;
	const {message, body} = overlay;
	if (body instanceof Uint8Array) return perform(message, body);
	return body === 'loading' ? nothing : [{type: 'load', message, next: action}];
}

function viewBody({overlay}: ConsoleState): readonly Effect[] {
	if (overlay?.type !== 'message') return nothing;
	const body = overlay.body instanceof Uint8Array ? overlay.body : overlay.message.preview;
	const views: readonly BodyView[] =
		formattedJson(textOf(body) ?? '') === undefined ? ['text', 'hex'] : ['json', 'text', 'hex'];
	const at = views.indexOf(overlay.view ?? bestView(body));
	return change({type: 'body-view', view: views[(at + 1) % views.length]!});
}

/** Bytes that terminals and tmux accept in one copy: 100,000 characters of Base64. */
const copyMax = 74_994;

function copyBody(message: MessageSnapshot, body: Uint8Array): readonly Effect[] {
	if (body.length > copyMax)
		return warn(
			`Not copied: ${count(body.length)} B are more than the ${count(copyMax)} B that terminals copy; ` +
				'w writes them to a file',
		);
	const text = textOf(body);
	const copied = text ?? Array.from(body, byte => byte.toString(16).padStart(2, '0')).join('');
	if (copied.length > copyMax) return warn('Not copied: as hexadecimal digits it is too long; w writes it to a file');
	const what =
		text === undefined ? `${count(body.length)} B as hexadecimal digits` : `${count(body.length)} B of text`;
	return [
		{type: 'copy', text: copied},
		...change({
			type: 'notice',
			notice: {
				tone: 'good',
				text: `Sent to the clipboard of the terminal (OSC 52): ${what}, message #${count(message.seq)}`,
			},
		}),
	];
}

/** A name that every file system takes. */
function fileNameFor({topic, origin, seq}: MessageSnapshot): string {
	const name = topic.normalize('NFC').replaceAll(/[^\p{L}\p{N}._-]+/gu, '-');
	return `${name.replaceAll(/^[-.]+|[-.]+$/g, '').slice(0, 60) || 'message'}-${origin.slice(0, 8)}-${seq}.bin`;
}
