/**
The table of keys. Hints, the `?` help and the dispatcher use it, and preferences can change it. An action has one or
more keys in one context; a key has one action per context.
*/
import type {Key} from 'ink';

/** The context of a key: `panes` while neither a prompt nor an overlay is open, `any` everywhere. */
export type KeyContext = 'any' | 'panes' | 'overlay' | 'prompt' | 'confirm';
export type KeySection = 'Move' | 'Look' | 'Time' | 'Do' | 'Console' | 'Prompt';

type Row = {
	readonly context: KeyContext;
	readonly section: KeySection;
	readonly keys: readonly string[];
	readonly help: string;
	readonly hint?: string;
};

const table = {
	'focus-next': {context: 'panes', section: 'Move', keys: ['tab'], help: 'next pane', hint: 'pane'},
	'focus-previous': {context: 'panes', section: 'Move', keys: ['shift+tab'], help: 'previous pane'},
	'focus-peers': {context: 'panes', section: 'Move', keys: ['1'], help: 'Peers'},
	'focus-raft': {context: 'panes', section: 'Move', keys: ['2'], help: 'Raft'},
	'focus-topics': {context: 'panes', section: 'Move', keys: ['3'], help: 'Topics'},
	'focus-messages': {context: 'panes', section: 'Move', keys: ['4'], help: 'Messages'},
	'focus-partition': {context: 'panes', section: 'Move', keys: ['5'], help: 'Partition'},
	'focus-events': {context: 'panes', section: 'Move', keys: ['6'], help: 'Events'},
	up: {context: 'panes', section: 'Move', keys: ['up', 'k'], help: 'row up'},
	down: {context: 'panes', section: 'Move', keys: ['down', 'j'], help: 'row down'},
	'page-up': {context: 'panes', section: 'Move', keys: ['pageup', 'ctrl+b'], help: 'page up'},
	'page-down': {context: 'panes', section: 'Move', keys: ['pagedown', 'ctrl+f'], help: 'page down'},
	first: {context: 'panes', section: 'Move', keys: ['g', 'home'], help: 'first row; of the past its start'},
	last: {
		context: 'panes',
		section: 'Move',
		keys: ['G', 'end'],
		help: 'last row; follows new messages. Of the past its end',
	},
	inspect: {context: 'panes', section: 'Look', keys: ['enter'], help: 'details of the selected row', hint: 'inspect'},
	compare: {context: 'panes', section: 'Look', keys: ['d'], help: 'compare the selected peer with this node'},
	zoom: {
		context: 'panes',
		section: 'Look',
		keys: ['z'],
		help: 'maximize the pane, and back',
		hint: 'zoom',
	},
	filter: {
		context: 'panes',
		section: 'Look',
		keys: ['/'],
		help: 'filter: text, /pattern/, or ! for other rows',
		hint: 'filter',
	},
	pause: {
		context: 'panes',
		section: 'Look',
		keys: ['space'],
		help: 'pause the messages; new ones are counted. In a replay: play and pause',
		hint: 'pause',
	},
	clear: {
		context: 'panes',
		section: 'Look',
		keys: ['escape'],
		help: 'remove the filter, the zoom, or the summary of an incident',
	},
	'situation-fold': {
		context: 'panes',
		section: 'Look',
		keys: ['0'],
		help: 'fold the situation away, or show it again',
	},
	'situation-down': {context: 'panes', section: 'Look', keys: ['J'], help: 'situation: line down'},
	'situation-up': {context: 'panes', section: 'Look', keys: ['K'], help: 'situation: line up'},
	'time-back': {context: 'panes', section: 'Time', keys: ['['], help: 'one step back in time'},
	'time-forward': {context: 'panes', section: 'Time', keys: [']'], help: 'one step forward; at the end the present'},
	'time-previous': {
		context: 'panes',
		section: 'Time',
		keys: ['{'],
		help: 'back to the last change of the leader or of a partition',
	},
	'time-next': {context: 'panes', section: 'Time', keys: ['}'], help: 'forward to the next one'},
	'time-slower': {context: 'panes', section: 'Time', keys: ['<'], help: 'replay slower'},
	'time-faster': {context: 'panes', section: 'Time', keys: ['>'], help: 'replay faster'},
	subscribe: {context: 'panes', section: 'Do', keys: ['s'], help: 'subscribe to a topic', hint: 'subscribe'},
	unsubscribe: {context: 'panes', section: 'Do', keys: ['u'], help: 'unsubscribe'},
	publish: {context: 'panes', section: 'Do', keys: ['p'], help: 'publish a message', hint: 'publish'},
	attach: {context: 'panes', section: 'Do', keys: ['a'], help: 'attach to the selected peer, if this is attached'},
	command: {
		context: 'panes',
		section: 'Do',
		keys: [':'],
		help: 'enter a command, as on the command line',
		hint: 'command',
	},
	mouse: {context: 'panes', section: 'Console', keys: ['m'], help: 'the mouse for the console, or to select text'},
	help: {context: 'panes', section: 'Console', keys: ['?'], help: 'this help', hint: 'help'},
	quit: {
		context: 'panes',
		section: 'Console',
		keys: ['q'],
		help: 'stop the node, or leave the cluster; asks first',
		hint: 'quit',
	},
	interrupt: {context: 'any', section: 'Console', keys: ['ctrl+c'], help: 'quit at once'},
	suspend: {
		context: 'any',
		section: 'Console',
		keys: ['ctrl+z'],
		help: 'suspend the program, until `fg` in the shell; its own node pauses too',
	},
	'overlay-close': {
		context: 'overlay',
		section: 'Look',
		keys: ['escape', 'q', 'enter', '?'],
		help: 'close the window',
		hint: 'close',
	},
	'overlay-up': {context: 'overlay', section: 'Look', keys: ['up', 'k'], help: 'line up', hint: 'up'},
	'overlay-down': {context: 'overlay', section: 'Look', keys: ['down', 'j'], help: 'line down', hint: 'down'},
	'overlay-page-up': {context: 'overlay', section: 'Look', keys: ['pageup', 'ctrl+b'], help: 'page up'},
	'overlay-page-down': {
		context: 'overlay',
		section: 'Look',
		keys: ['pagedown', 'ctrl+f', 'space'],
		help: 'page down',
		hint: 'page',
	},
	'overlay-first': {context: 'overlay', section: 'Look', keys: ['g', 'home'], help: 'first line'},
	'overlay-last': {context: 'overlay', section: 'Look', keys: ['G', 'end'], help: 'last line'},
	'message-view': {
		context: 'overlay',
		section: 'Look',
		keys: ['v'],
		help: 'a message as JSON, text or bytes',
		hint: 'view',
	},
	'message-load': {context: 'overlay', section: 'Look', keys: ['l'], help: 'load the whole body of a message'},
	'message-copy': {
		context: 'overlay',
		section: 'Do',
		keys: ['y'],
		help: 'copy the body of a message, by the terminal (OSC 52)',
		hint: 'copy',
	},
	'message-save': {
		context: 'overlay',
		section: 'Do',
		keys: ['w'],
		help: 'write the body of a message to a new file',
		hint: 'write',
	},
	'message-publish': {
		context: 'overlay',
		section: 'Do',
		keys: ['P'],
		help: 'publish a message again, also to another topic',
		hint: 'again',
	},
	'prompt-cancel': {context: 'prompt', section: 'Prompt', keys: ['escape'], help: 'close the prompt', hint: 'cancel'},
	'prompt-older': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['up'],
		help: 'older line of the history',
		hint: 'older',
	},
	'prompt-newer': {context: 'prompt', section: 'Prompt', keys: ['down'], help: 'newer line'},
	'prompt-complete': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['tab'],
		help: 'complete a command, a topic or a node; list what is possible',
		hint: 'complete',
	},
	'edit-left': {context: 'prompt', section: 'Prompt', keys: ['left', 'ctrl+b'], help: 'one character left'},
	'edit-right': {context: 'prompt', section: 'Prompt', keys: ['right', 'ctrl+f'], help: 'one character right'},
	'edit-word-left': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['alt+b', 'ctrl+left', 'alt+left'],
		help: 'one word left',
	},
	'edit-word-right': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['alt+f', 'ctrl+right', 'alt+right'],
		help: 'one word right',
	},
	'edit-start': {context: 'prompt', section: 'Prompt', keys: ['home', 'ctrl+a'], help: 'start of the line'},
	'edit-end': {context: 'prompt', section: 'Prompt', keys: ['end', 'ctrl+e'], help: 'end of the line'},
	'edit-delete-left': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['backspace', 'ctrl+h'],
		help: 'remove the character before the cursor',
	},
	'edit-delete-right': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['delete', 'ctrl+d'],
		help: 'remove the character at the cursor',
	},
	'edit-delete-word-left': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['ctrl+w', 'alt+backspace'],
		help: 'remove the word before the cursor',
	},
	'edit-delete-word-right': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['alt+d'],
		help: 'remove the word after the cursor',
	},
	'edit-delete-start': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['ctrl+u'],
		help: 'remove everything before the cursor',
		hint: 'clear',
	},
	'edit-delete-end': {
		context: 'prompt',
		section: 'Prompt',
		keys: ['ctrl+k'],
		help: 'remove everything after the cursor',
	},
	'confirm-yes': {
		context: 'confirm',
		section: 'Console',
		keys: ['s', 'y', 'enter', 'q'],
		help: 'stop the node; it stays a member',
		hint: 'stop',
	},
	'confirm-leave': {
		context: 'confirm',
		section: 'Console',
		keys: ['l'],
		help: 'leave the cluster, then stop',
		hint: 'leave',
	},
	'confirm-no': {context: 'confirm', section: 'Console', keys: ['n', 'escape'], help: 'no, stay', hint: 'stay'},
} as const satisfies Readonly<Record<string, Row>>;

export type Action = keyof typeof table;
export const actions = Object.keys(table) as readonly Action[];
export const sections: readonly KeySection[] = ['Move', 'Look', 'Time', 'Do', 'Console', 'Prompt'];

export type Binding = Row & {readonly action: Action};
export type Keymap = {
	readonly bindings: readonly Binding[];
	/** Key preferences that were refused, with the reason, for people. */
	readonly problems: readonly string[];
	find(context: KeyContext, key: string): Action | undefined;
};

/** Keys as preferences name them: `{"publish": "P", "quit": ["Q", "ctrl+q"]}`. */
export type KeyOverrides = Readonly<Record<string, string | readonly string[]>>;

/**
The table with the user's changes. A change that would give a key two actions in one context is refused and reported.
*/
export function buildKeymap(overrides: KeyOverrides = {}): Keymap {
	const problems: string[] = [];
	let bindings = actions.map((action): Binding => ({action, ...(table[action] as Row)}));
	for (const [name, wanted] of Object.entries(overrides)) {
		const at = bindings.findIndex(binding => binding.action === name);
		if (at === -1) {
			problems.push(`Expected the name of an action in the key map, got \`${name}\``);
			continue;
		}

		const keys = (typeof wanted === 'string' ? [wanted] : wanted).map(key => normalKey(key));
		const changed = bindings.with(at, {...bindings[at]!, keys});
		const clash = conflicts(changed)[0];
		if (keys.length === 0) problems.push(`Expected at least one key for \`${name}\``);
		else if (clash) problems.push(`Key \`${clash.key}\` cannot be both \`${clash.actions.join('` and `')}\``);
		else bindings = changed;
	}

	const index = new Map<string, Action>();
	for (const {action, context, keys} of bindings) for (const key of keys) index.set(`${context} ${key}`, action);
	return {bindings, problems, find: (context, key) => index.get(`any ${key}`) ?? index.get(`${context} ${key}`)};
}

/** Keys with two actions in one context. */
export function conflicts(
	bindings: readonly Binding[],
): ReadonlyArray<{readonly key: string; readonly actions: readonly Action[]}> {
	const found: Array<{key: string; actions: Action[]}> = [];
	for (const [at, one] of bindings.entries()) {
		for (const other of bindings.slice(at + 1)) {
			if (one.context !== other.context && one.context !== 'any' && other.context !== 'any') continue;
			for (const key of one.keys)
				if (other.keys.includes(key)) found.push({key, actions: [one.action, other.action]});
		}
	}

	return found;
}

function normalKey(key: string): string {
	const aliases: Readonly<Record<string, string>> = {' ': 'space', esc: 'escape', return: 'enter'};
	return aliases[key] ?? (key.length === 1 ? key : key.toLowerCase());
}

/** The names of the keys in one event of Ink: several when they were typed faster than read, one for a special key. */
export function keyNames(input: string, key: Partial<Key>): readonly string[] {
	const special = specialKey(key);
	if (special === 'tab') return [key.shift ? 'shift+tab' : 'tab'];
	if (special) return [key.ctrl ? `ctrl+${special}` : key.meta && special !== 'escape' ? `alt+${special}` : special];
	if (key.ctrl && input) return [`ctrl+${input === ' ' ? 'space' : input.toLowerCase()}`];
	if (key.meta && input) return [`alt+${input}`];
	return [...input].map(character => characterKey(character));
}

function specialKey(key: Partial<Key>): string | undefined {
	if (key.upArrow) return 'up';
	if (key.downArrow) return 'down';
	if (key.leftArrow) return 'left';
	if (key.rightArrow) return 'right';
	if (key.pageUp) return 'pageup';
	if (key.pageDown) return 'pagedown';
	if (key.home) return 'home';
	if (key.end) return 'end';
	if (key.return) return 'enter';
	if (key.escape) return 'escape';
	if (key.tab) return 'tab';
	if (key.backspace) return 'backspace';
	if (key.delete) return 'delete';
	return undefined;
}

function characterKey(character: string): string {
	if (character === ' ') return 'space';
	if (character === '\r' || character === '\n') return 'enter';
	if (character === '\t') return 'tab';
	// Several keys in one read come as one text.
	return character < ' ' ? `ctrl+${String.fromCharCode(character.charCodeAt(0) + 96)}` : character;
}

const keySigns: Readonly<Record<string, string>> = {
	up: '↑',
	down: '↓',
	left: '←',
	right: '→',
	enter: 'Enter',
	escape: 'Esc',
	tab: 'Tab',
	'shift+tab': 'Shift-Tab',
	space: 'Space',
	pageup: 'PgUp',
	pagedown: 'PgDn',
	home: 'Home',
	end: 'End',
	backspace: 'Backspace',
	delete: 'Delete',
};

/** A key as people write it: `Ctrl-C`, `↑`. */
export function keySign(key: string): string {
	return (
		keySigns[key] ??
		key
			.replace(/^ctrl\+(.*)$/, (_, rest: string) => `Ctrl-${keySigns[rest] ?? rest.toUpperCase()}`)
			.replace(/^alt\+(.*)$/, (_, rest: string) => `Alt-${keySigns[rest] ?? rest}`)
	);
}

/** The hints of a context: key and word. */
export function hintsOf(
	keymap: Keymap,
	context: KeyContext,
): ReadonlyArray<{readonly action: Action; readonly key: string; readonly word: string}> {
	return keymap.bindings
		.filter(binding => binding.context === context && binding.hint !== undefined)
		.map(binding => ({action: binding.action, key: keySign(binding.keys[0]!), word: binding.hint!}));
}
