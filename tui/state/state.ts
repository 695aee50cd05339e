/**
The console's own state: focus, selection, filter, pause, the draft in the prompt and the overlay. One pure reducer. The
snapshot of the node is not part of it, so an action carries the parts of the snapshot that it needs (the keys of the
rows, the topic of the selected row).
*/
import type {RecordedEvent} from '../../core/events.ts';
import type {MessageSnapshot} from '../../core/snapshot.ts';
import {edited, lineOf, type Edit, type EditedLine} from '../input/line-editor.ts';
import {draftMax, fullText, pasted, typed} from '../input/prompt-text.ts';
import type {Question, Report} from '../input/prompt-request.ts';
import {paneIds, type PaneId} from '../layout.ts';
import type {Examination} from '../source/source.ts';
import type {Tone} from '../theme.ts';

/** Panes with rows to select and filter. */
export type ListPane = 'peers' | 'topics' | 'messages' | 'events';
export type ListState = {
	/** Key of the selected row. `undefined` selects the newest message or event, or the first peer or topic. */
	readonly selected: string | undefined;
	readonly filter: string;
};

export type PromptKind =
	| 'command'
	| 'filter'
	| 'subscribe'
	| 'unsubscribe'
	| 'publish-topic'
	| 'publish-text'
	| 'confirm'
	/** The topic for a message that is published again. */
	| 'publish-again'
	/** The name of a file for a body. */
	| 'save';
export type Prompt = {
	readonly kind: PromptKind;
	readonly draft: string;
	/** Code units of the draft before the cursor. */
	readonly cursor: number;
	/** The draft is a proposal that nobody has edited: typing replaces it. */
	readonly isProposal: boolean;
	/** publish-text: the topic of the message. */
	readonly topic: string;
	/** publish-again, save: the body. */
	readonly body?: Uint8Array | undefined;
	/** confirm: what the typed name confirms. */
	readonly question?: Question | undefined;
	/** Position in the history, counted from its end; 0 is the draft. */
	readonly back: number;
	/** The draft before the history was entered; for a filter, its former text. */
	readonly kept: string;
};

/** A message with as much of its body as is known. */
export type InspectedMessage = {
	readonly message: MessageSnapshot;
	/** `undefined`: only the preview is known. */
	readonly body: Uint8Array | 'loading' | {readonly problem: string} | undefined;
	/** `undefined`: the view that shows most. */
	readonly view: BodyView | undefined;
};
export type BodyView = 'json' | 'text' | 'hex';

export type Overlay =
	| {readonly type: 'help'; readonly scroll: number}
	| {readonly type: 'report'; readonly report: Report; readonly scroll: number}
	/** Raw text. */
	| {readonly type: 'lines'; readonly title: string; readonly lines: readonly string[]; readonly scroll: number}
	/** `examination`: `undefined` while the machine is examined. */
	| {readonly type: 'doctor'; readonly examination: Examination | undefined; readonly scroll: number}
	| (InspectedMessage & {readonly type: 'message'; readonly scroll: number})
	| {readonly type: 'event'; readonly event: RecordedEvent; readonly scroll: number}
	| {readonly type: 'peer' | 'topic' | 'compare'; readonly key: string; readonly scroll: number};

export type Notice = {readonly tone: Tone; readonly text: string};

export type ConsoleState = {
	readonly focus: PaneId;
	readonly zoom: boolean;
	readonly lists: Readonly<Record<ListPane, ListState>>;
	/** The feed and the counter of deliveries at the time of the pause. */
	readonly paused: {readonly feed: readonly MessageSnapshot[]; readonly delivered: number} | undefined;
	readonly prompt: Prompt | undefined;
	readonly history: readonly string[];
	readonly overlay: Overlay | undefined;
	readonly confirmsQuit: boolean;
	readonly notice: Notice | undefined;
	readonly situation: {
		/** Keys of the problems that the user folded away. */
		readonly folded: readonly string[];
		/** End of the last incident whose summary the user removed. */
		readonly dismissedMs: number;
		/** First row that is shown. */
		readonly scroll: number;
	};
};

export type ConsoleAction =
	| {readonly type: 'focus'; readonly pane: PaneId}
	| {readonly type: 'focus-by'; readonly by: 1 | -1}
	| {readonly type: 'move'; readonly pane: ListPane; readonly by: number; readonly keys: readonly string[]}
	| {
			readonly type: 'move-to';
			readonly pane: ListPane;
			readonly end: 'first' | 'last';
			readonly keys: readonly string[];
	  }
	| {readonly type: 'select'; readonly pane: ListPane; readonly key: string; readonly keys: readonly string[]}
	| {readonly type: 'zoom'}
	| {readonly type: 'pause'; readonly feed: readonly MessageSnapshot[]; readonly delivered: number}
	| {readonly type: 'clear'}
	| {
			readonly type: 'prompt';
			readonly kind: PromptKind;
			readonly draft?: string;
			readonly topic?: string;
			readonly body?: Uint8Array;
	  }
	/** A dangerous command: its consequences, and a prompt for the name. */
	| {readonly type: 'confirm'; readonly question: Question}
	| {readonly type: 'edit'; readonly edit: Edit}
	/** `cut`: characters that were lost before. */
	| {readonly type: 'paste'; readonly text: string; readonly cut: number}
	/** Replaces the whole draft. */
	| {readonly type: 'draft'; readonly text: string}
	| {readonly type: 'history'; readonly by: 1 | -1}
	| {readonly type: 'prompt-cancel'}
	/** The last Escape was the start of a longer sequence: what it closed is open again. */
	| {readonly type: 'undo-escape'; readonly before: ConsoleState}
	/** The line was accepted; the prompt closes. */
	| {readonly type: 'prompt-done'}
	| {readonly type: 'filter'; readonly pane: ListPane; readonly text: string}
	| {readonly type: 'overlay'; readonly overlay: Overlay}
	| {readonly type: 'scroll'; readonly to: number}
	/** Shown if the overlay for it is still open. */
	| {readonly type: 'examined'; readonly examination: Examination}
	/** Of the open message, if it is still that one. */
	| {readonly type: 'body'; readonly message: MessageSnapshot; readonly body: InspectedMessage['body']}
	| {readonly type: 'body-view'; readonly view: BodyView}
	| {readonly type: 'overlay-close'}
	| {readonly type: 'ask-quit'}
	| {readonly type: 'stay'}
	| {readonly type: 'notice'; readonly notice: Notice}
	/** The notice has been shown for long enough. */
	| {readonly type: 'notice-expired'; readonly notice: Notice}
	/** Fold the situation with these problems away, or show it again. */
	| {readonly type: 'situation-fold'; readonly keys: readonly string[]}
	| {readonly type: 'situation-scroll'; readonly to: number}
	/** Remove the summary of the incident that ended then. */
	| {readonly type: 'situation-dismiss'; readonly endedAtMs: number};

type ActionOf<Type> = Extract<ConsoleAction, {readonly type: Type}>;

/** Lines that the history keeps. */
const historyMax = 100;

export const initialState: ConsoleState = {
	focus: 'messages',
	zoom: false,
	lists: {
		peers: {selected: undefined, filter: ''},
		topics: {selected: undefined, filter: ''},
		messages: {selected: undefined, filter: ''},
		events: {selected: undefined, filter: ''},
	},
	paused: undefined,
	prompt: undefined,
	history: [],
	overlay: undefined,
	confirmsQuit: false,
	notice: undefined,
	situation: {folded: [], dismissedMs: 0, scroll: 0},
};

export function isListPane(pane: PaneId): pane is ListPane {
	return pane !== 'raft' && pane !== 'partition';
}

/** The newest row of the list is its last, so following the list means selecting its end. */
export function followsEnd(pane: ListPane): boolean {
	return pane === 'messages';
}

/** The state after one action. */
export function reduce(state: ConsoleState, action: ConsoleAction): ConsoleState {
	switch (action.type) {
		case 'focus':
			return {...state, focus: action.pane, notice: undefined};
		case 'focus-by': {
			const pane = paneIds[(paneIds.indexOf(state.focus) + action.by + paneIds.length) % paneIds.length]!;
			return {...state, focus: pane, notice: undefined};
		}

		case 'move':
			return select(state, action.pane, movedKey(state.lists[action.pane].selected, action));
		case 'move-to':
			return select(state, action.pane, endKey(action));
		case 'select':
			return select(state, action.pane, followed(action.pane, action.keys, action.keys.indexOf(action.key)));
		case 'zoom':
			return {...state, zoom: !state.zoom};
		case 'pause':
			return {
				...state,
				paused: state.paused ? undefined : {feed: action.feed, delivered: action.delivered},
				notice: undefined,
			};
		case 'clear':
			return cleared(state);
		case 'prompt':
		case 'edit':
		case 'paste':
		case 'confirm':
		case 'draft':
		case 'history':
		case 'prompt-cancel':
		case 'undo-escape':
		case 'prompt-done':
			return reducePrompt(state, action);
		case 'filter':
			return filtered(state, action.pane, action.text);
		case 'overlay':
			return {...state, overlay: action.overlay, prompt: undefined, notice: undefined};
		case 'scroll':
			return state.overlay ? {...state, overlay: {...state.overlay, scroll: Math.max(0, action.to)}} : state;
		case 'examined':
			return state.overlay?.type === 'doctor'
				? {...state, overlay: {...state.overlay, examination: action.examination}}
				: state;
		case 'body':
		case 'body-view':
			return inspected(state, action);
		case 'overlay-close':
			return {...state, overlay: undefined};
		case 'ask-quit':
			return {...state, confirmsQuit: true, overlay: undefined, prompt: undefined, notice: undefined};
		case 'stay':
			return {...state, confirmsQuit: false};
		case 'notice':
			return {...state, notice: action.notice};
		case 'notice-expired':
			return state.notice === action.notice ? {...state, notice: undefined} : state;
		case 'situation-fold':
			return situationFolded(state, action.keys);
		case 'situation-scroll':
			return {...state, situation: {...state.situation, scroll: Math.max(0, action.to)}};
		case 'situation-dismiss':
			return {...state, situation: {...state.situation, dismissedMs: action.endedAtMs}};
		default: {
			const unknown: never = action;
			return unknown;
		}
	}
}

/** A problem that is not folded away shows the panel, so a new one unfolds it. */
function situationFolded(state: ConsoleState, keys: readonly string[]): ConsoleState {
	const isFolded = keys.every(key => state.situation.folded.includes(key));
	return {...state, situation: {...state.situation, folded: isFolded ? [] : keys, scroll: 0}};
}

type PromptAction = ActionOf<
	'prompt' | 'edit' | 'paste' | 'confirm' | 'draft' | 'history' | 'prompt-cancel' | 'undo-escape' | 'prompt-done'
>;

function reducePrompt(state: ConsoleState, action: PromptAction): ConsoleState {
	switch (action.type) {
		case 'prompt':
			return prompted(state, action);
		case 'edit':
			return editedDraft(state, action.edit);
		case 'paste':
			return pastedDraft(state, action);
		case 'confirm':
			return confirming(state, action.question);
		case 'draft':
			return drafted(state, lineOf(action.text));
		case 'history':
			return recalled(state, action.by);
		case 'prompt-cancel':
			return promptCancelled(state);
		case 'undo-escape':
			return reopened(state, action.before);
		case 'prompt-done':
			return promptDone(state);
		default:
			return action satisfies never;
	}
}

function inspected(state: ConsoleState, action: ActionOf<'body'> | ActionOf<'body-view'>): ConsoleState {
	const {overlay} = state;
	if (overlay?.type !== 'message') return state;
	if (action.type === 'body-view') return {...state, overlay: {...overlay, view: action.view, scroll: 0}};
	return overlay.message === action.message ? {...state, overlay: {...overlay, body: action.body}} : state;
}

function confirming(state: ConsoleState, question: Question): ConsoleState {
	const {title, lines} = question;
	const asked = prompted(state, {type: 'prompt', kind: 'confirm'});
	return {...asked, prompt: {...asked.prompt!, question}, overlay: {type: 'lines', title, lines, scroll: 0}};
}

/** What Escape closed or removed is back; the rest is as it is now. */
function reopened(state: ConsoleState, before: ConsoleState): ConsoleState {
	const {prompt, overlay, confirmsQuit, lists, zoom, notice} = before;
	return {...state, prompt, overlay, confirmsQuit, lists, zoom, notice};
}

function prompted(state: ConsoleState, {kind, draft = '', topic = '', body}: ActionOf<'prompt'>): ConsoleState {
	return {
		...state,
		notice: undefined,
		overlay: undefined,
		confirmsQuit: false,
		prompt: {
			kind,
			draft,
			cursor: draft.length,
			isProposal: draft !== '' && kind !== 'filter',
			topic,
			body,
			back: 0,
			kept: draft,
		},
	};
}

function promptCancelled(state: ConsoleState): ConsoleState {
	const {prompt, focus} = state;
	const restored = prompt?.kind === 'filter' && isListPane(focus) ? filtered(state, focus, prompt.kept) : state;
	return {...restored, prompt: undefined, ...(prompt?.kind === 'confirm' ? {overlay: undefined} : {})};
}

function promptDone(state: ConsoleState): ConsoleState {
	const {prompt, history} = state;
	const line = prompt?.kind === 'command' ? prompt.draft.trim() : '';
	const isNew = line !== '' && history.at(-1) !== line;
	return {
		...state,
		prompt: undefined,
		...(prompt?.kind === 'confirm' ? {overlay: undefined} : {}),
		history: isNew ? [...history, line].slice(-historyMax) : history,
	};
}

function select(state: ConsoleState, pane: ListPane, selected: string | undefined): ConsoleState {
	return {...state, notice: undefined, lists: {...state.lists, [pane]: {...state.lists[pane], selected}}};
}

/** A move to the newest end clears the selection, so that the list follows again. */
function movedKey(selected: string | undefined, {pane, by, keys}: ActionOf<'move'>): string | undefined {
	if (keys.length === 0) return undefined;
	const at = indexOfSelected(keys, selected, pane);
	// A row that is gone was at the old end of the list.
	const from = at === -1 && pane === 'events' ? keys.length : at;
	const to = Math.min(Math.max(from + by, 0), keys.length - 1);
	return followed(pane, keys, to);
}

function followed(pane: ListPane, keys: readonly string[], index: number): string | undefined {
	const newest = followsEnd(pane) ? keys.length - 1 : 0;
	return index === newest ? undefined : keys[index];
}

function endKey({pane, end, keys}: ActionOf<'move-to'>): string | undefined {
	if ((end === 'last') === followsEnd(pane)) return undefined;
	return end === 'last' ? keys.at(-1) : keys[0];
}

/** Index of the selected row; -1 if the list has it no more. */
export function indexOfSelected(keys: readonly string[], selected: string | undefined, pane: ListPane): number {
	if (selected === undefined) return followsEnd(pane) ? keys.length - 1 : 0;
	return keys.indexOf(selected);
}

/** Index of the first of `height` visible rows, so that the selected row is as near the middle as possible. */
export function windowStart(count: number, selected: number, height: number): number {
	return Math.max(0, Math.min(selected - Math.floor(height / 2), count - height));
}

function cleared(state: ConsoleState): ConsoleState {
	if (state.notice) return {...state, notice: undefined};
	if (isListPane(state.focus) && state.lists[state.focus].filter !== '') return filtered(state, state.focus, '');
	if (state.zoom) return {...state, zoom: false};
	return isListPane(state.focus) ? select(state, state.focus, undefined) : state;
}

function filtered(state: ConsoleState, pane: ListPane, filter: string): ConsoleState {
	return {...state, lists: {...state.lists, [pane]: {selected: undefined, filter}}};
}

function editedDraft(state: ConsoleState, edit: Edit): ConsoleState {
	const {prompt} = state;
	if (!prompt) return state;
	if (edit.type === 'move') return drafted(state, edited(lineIn(prompt), edit));
	if (edit.type === 'delete')
		return drafted(state, prompt.isProposal ? lineOf('') : edited(lineIn(prompt), edit, draftMax));
	const text = typed(edit.text);
	const line = edited(prompt.isProposal ? lineOf('') : lineIn(prompt), {type: 'insert', text}, draftMax);
	const next = drafted(state, line);
	return line.text.length < prompt.draft.length + text.length && !prompt.isProposal ? noticed(next, fullText) : next;
}

function pastedDraft(state: ConsoleState, {text, cut}: ActionOf<'paste'>): ConsoleState {
	const {prompt} = state;
	if (!prompt) return state;
	const line = prompt.isProposal ? lineOf('') : lineIn(prompt);
	const {text: kept, said} = pasted(text, cut, draftMax - line.text.length);
	const next = drafted(state, edited(line, {type: 'insert', text: kept}, draftMax));
	return said === '' ? next : noticed(next, said);
}

function lineIn({draft, cursor}: Prompt): EditedLine {
	return {text: draft, cursor};
}

function noticed(state: ConsoleState, text: string): ConsoleState {
	return {...state, notice: {tone: 'warning', text}};
}

function drafted(state: ConsoleState, {text, cursor}: EditedLine): ConsoleState {
	const {prompt, focus} = state;
	if (!prompt) return state;
	const next = {
		...state,
		notice: undefined,
		prompt: {...prompt, draft: text, cursor, isProposal: false, back: text === prompt.draft ? prompt.back : 0},
	};
	// A filter applies while it is typed.
	return prompt.kind === 'filter' && isListPane(focus) && text !== prompt.draft ? filtered(next, focus, text) : next;
}

function recalled(state: ConsoleState, by: 1 | -1): ConsoleState {
	const {prompt, history} = state;
	if (prompt?.kind !== 'command') return state;
	const back = Math.min(Math.max(prompt.back + by, 0), history.length);
	if (back === prompt.back) return state;
	const kept = prompt.back === 0 ? prompt.draft : prompt.kept;
	const draft = back === 0 ? kept : history.at(-back)!;
	return {...state, notice: undefined, prompt: {...prompt, back, kept, draft, cursor: draft.length}};
}
