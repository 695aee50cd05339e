/**
Input of the terminal: keys become actions of the key map, or text in the prompt. One read of the terminal may hold
several keys, so each key is judged by the state after the key before. Keys that came together were typed blindly, or
pasted into a terminal that does not mark pastes: they answer no question, and confirm nothing.
*/
import {useInput, usePaste} from 'ink';
import {useEffect, useEffectEvent, useRef} from 'react';
import {act, submit, type Situation} from '../dispatch.ts';
import {keyNames, type KeyContext, type Keymap} from '../input/keymap.ts';
import type {MouseEvent} from '../input/read-parser.ts';
import type {TerminalInput} from '../input/terminal-input.ts';
import type {Layout} from '../layout.ts';
import {point} from '../mouse.ts';
import type {Guide} from '../source/guide.ts';
import type {ConsoleState} from '../state/state.ts';
import type {Effects} from './use-effects.ts';

type KeyboardInput = Omit<Effects, 'state'> & {
	readonly keymap: Keymap;
	readonly situation: Situation;
	readonly guide: Guide | undefined;
	readonly input: TerminalInput | undefined;
	readonly layout: Layout;
	/** Rows of the terminal above the layout. */
	readonly top: number;
};

export function contextOf({prompt, overlay, confirmsQuit}: ConsoleState): KeyContext {
	if (confirmsQuit) return 'confirm';
	return prompt ? 'prompt' : overlay ? 'overlay' : 'panes';
}

export function useKeyboard({
	keymap,
	situation,
	guide,
	input,
	layout,
	top,
	current,
	apply,
	isQuestionNew,
}: KeyboardInput): void {
	/** The state before the last Escape, while that may turn out to be the start of a longer sequence. */
	const beforeEscape = useRef<ConsoleState>(undefined);

	const press = (name: string): void => {
		const state = current();
		const context = contextOf(state);
		const isBlind = (input?.keysInRead ?? 1) > 1;
		if (context === 'confirm' && (isQuestionNew() || isBlind) && name !== 'ctrl+c') return;
		if (context === 'panes' && guide?.press(name)) return;
		beforeEscape.current = name === 'escape' ? state : undefined;
		const action = keymap.find(context, name);
		if (action) apply(act(action, state, situation));
		else if (context === 'prompt' && name === 'enter')
			apply(submit(state.prompt!.draft, state, {...situation, isBlind}));
		else if (context === 'confirm') apply([{type: 'change', action: {type: 'stay'}}]);
	};

	/** Text goes into the prompt as a whole, up to a key with an action. */
	const feed = (text: string): void => {
		let typed = '';
		const insert = (): void => {
			if (typed !== '') apply([{type: 'change', action: {type: 'edit', edit: {type: 'insert', text: typed}}}]);
			typed = '';
		};
		for (const character of text) {
			const [name = ''] = keyNames(character, {});
			const isText = contextOf(current()) === 'prompt' && !keymap.find('prompt', name) && name !== 'enter';
			if (isText) {
				typed += character;
				continue;
			}

			insert();
			press(name);
		}

		insert();
	};

	useInput((text, key) => {
		const names = keyNames(text, key);
		if (text !== '' && !key.ctrl && !key.meta) feed(text);
		else for (const name of names) press(name);
	});

	// Pasted text is never taken for keys: a line from elsewhere must not quit or publish.
	usePaste(text => {
		beforeEscape.current = undefined;
		apply([
			{
				type: 'change',
				action: current().prompt
					? {type: 'paste', text, cut: input?.pasteCut ?? 0}
					: {type: 'notice', notice: {tone: 'warning', text: pasteRefusal}},
			},
		]);
	});

	const onLate = (): void => {
		const before = beforeEscape.current;
		beforeEscape.current = undefined;
		if (before) apply([{type: 'change', action: {type: 'undo-escape', before}}]);
	};
	const onMouse = (event: MouseEvent): void =>
		apply(point({...event, row: event.row - top}, current(), situation, layout));
	useTerminalEvents(input, onLate, onMouse);
}

/** The events that Ink does not have. */
function useTerminalEvents(
	input: TerminalInput | undefined,
	onLate: () => void,
	onMouse: (event: MouseEvent) => void,
): void {
	const late = useEffectEvent(onLate);
	const mouse = useEffectEvent(onMouse);
	useEffect(() => {
		const handleLate = (): void => late();
		const handleMouse = (event: MouseEvent): void => mouse(event);
		input?.on('late', handleLate).on('mouse', handleMouse);
		return () => {
			input?.off('late', handleLate).off('mouse', handleMouse);
		};
	}, [input]);
}

const pasteRefusal = 'Pasted text is not used as keys: open a prompt first, with : or p';
