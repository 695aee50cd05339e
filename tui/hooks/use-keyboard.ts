/**
Input of the terminal: keys become actions of the key map, and text goes into the prompt. One read of the terminal may
hold several keys, so each key is judged by the state after the key before.
*/
import {useInput, usePaste} from 'ink';
import {useRef} from 'react';
import {act, submit, type Situation} from '../dispatch.ts';
import {keyNames, type KeyContext, type Keymap} from '../input/keymap.ts';
import type {Guide} from '../source/guide.ts';
import {typed, type ConsoleState} from '../state/state.ts';
import type {Effects} from './use-effects.ts';

type KeyboardInput = Omit<Effects, 'state'> & {
	readonly keymap: Keymap;
	readonly situation: Situation;
	readonly guide: Guide | undefined;
};

/** Handlers of the prompt's text input. */
export type PromptHandlers = {
	readonly onChange: (text: string) => void;
	readonly onSubmit: (text: string) => void;
};

export function contextOf({prompt, overlay, confirmsQuit}: ConsoleState): KeyContext {
	if (confirmsQuit) return 'confirm';
	return prompt ? 'prompt' : overlay ? 'overlay' : 'panes';
}

export function useKeyboard({keymap, situation, guide, current, apply, isQuestionNew}: KeyboardInput): PromptHandlers {
	const draft = (text: string, moved = true): void => apply([{type: 'change', action: {type: 'draft', text, moved}}]);
	const enter = (line: string): void => apply(submit(line, current(), situation));

	const press = (name: string, character: string | undefined): void => {
		const context = contextOf(current());
		if (context === 'confirm' && isQuestionNew() && name !== 'ctrl+c') return;
		if (context === 'panes' && guide?.press(name)) return;
		const text = current().prompt?.draft ?? '';
		const action = keymap.find(context, name);
		if (action) apply(act(action, current(), situation));
		else if (context === 'prompt' && name === 'enter') enter(text);
		else if (context === 'prompt' && character !== undefined) draft(text + character);
		else if (context === 'confirm') apply([{type: 'change', action: {type: 'stay'}}]);
	};

	const feed = (input: string): void => {
		for (const character of input) press(keyNames(character, {})[0]!, character);
	};

	// The text input takes a letter for text even with Ctrl or Alt; `onChange` then restores the draft.
	const isShortcut = useRef(false);
	useInput((input, key) => {
		const names = keyNames(input, key);
		const isText = !(key.ctrl || key.meta) && names.length > 0 && input !== '';
		const isPrompt = contextOf(current()) === 'prompt';
		isShortcut.current = isPrompt && (key.ctrl || key.meta);
		if (isPrompt) {
			const [name = ''] = names;
			if (!isText && !textInputKeys.has(name)) press(name, undefined);
		} else if (isText) feed(input);
		else for (const name of names) press(name, undefined);
	});

	// Pasted text is never taken for keys: a line from elsewhere must not quit or publish.
	usePaste(pasted => {
		const {prompt} = current();
		if (prompt) draft(prompt.draft + typed(pasted));
		else apply([{type: 'change', action: {type: 'notice', notice: {tone: 'warning', text: pasteRefusal}}}]);
	});

	const onChange = (next: string): void => {
		const {prompt} = current();
		if (!prompt) return;
		const end = next.search(/[\r\n]/);
		if (isShortcut.current) draft(prompt.draft);
		else if (end === -1) draft(next, false);
		else {
			// One read held text, then Enter, and maybe more keys.
			draft(next.slice(0, end), false);
			feed(next.slice(end));
		}
	};

	return {onChange, onSubmit: enter};
}

const pasteRefusal = 'Pasted text is not used as keys: open a prompt first, with : or p';

/** Keys that the text input handles itself. */
const textInputKeys: ReadonlySet<string> = new Set(['', 'enter', 'backspace', 'left', 'right']);
