/**
The console's state, and the one way to change it: effects are applied in order. Commands go to the node, and their
results come back as notices.
*/
import {useRef, useState} from 'react';
import type {Effect} from '../dispatch.ts';
import type {Action} from '../input/keymap.ts';
import type {ConsoleTerminal} from '../input/terminal.ts';
import type {ConsoleSource, Examination} from '../source/source.ts';
import {reduce, type ConsoleAction, type ConsoleState, type Notice} from '../state/state.ts';

import {commandFor} from '../view/inspector.ts';
import {count} from '../view/words.ts';

const mouseText = {
	on: 'The mouse focuses panes and selects rows; Shift or m lets the terminal select text',
	off: 'The mouse selects text in the terminal; m takes it back',
};

export type EffectsInput = {
	readonly source: ConsoleSource;
	readonly initial: ConsoleState;
	readonly examine?: (() => Promise<Examination>) | undefined;
	readonly onExit: (how: 'quit' | 'interrupted' | 'left') => void;
	readonly onSuspend: () => void;
	readonly terminal?: ConsoleTerminal | undefined;
	/** Writes a new file. @returns its path, or throws */
	readonly save?: ((path: string, body: Uint8Array) => Promise<string>) | undefined;
	/** Performs an action after its body is loaded. */
	readonly onLoaded: (action: Action) => void;
};

export type Effects = {
	/** The state that is drawn. */
	readonly state: ConsoleState;
	/** The state after the last effect. One event of the terminal may hold several keys, before React draws again. */
	readonly current: () => ConsoleState;
	readonly apply: (effects: readonly Effect[]) => void;
	/** True until the next read of the terminal after a question appeared. Earlier input is no answer to it. */
	readonly isQuestionNew: () => boolean;
};

export function useEffects({
	source,
	initial,
	examine,
	onExit,
	onSuspend,
	terminal,
	save,
	onLoaded,
}: EffectsInput): Effects {
	const [state, setState] = useState(initial);
	const current = useRef(state);
	const isQuestionNew = useRef(false);
	const isExamining = useRef(false);

	const change = (action: ConsoleAction): void => {
		const wasAsking = current.current.confirmsQuit;
		current.current = reduce(current.current, action);
		if (!wasAsking && current.current.confirmsQuit) {
			isQuestionNew.current = true;
			setImmediate(() => {
				isQuestionNew.current = false;
			});
		}

		setState(current.current);
	};

	const notify = (tone: Notice['tone'], text: string): void => change({type: 'notice', notice: {tone, text}});

	const run = async (command: Extract<Effect, {type: 'run'}>['command']): Promise<void> => {
		notify('muted', `${command.type}…`);
		const {ok, text, lines} = await source.run(command);
		if (lines) return change({type: 'overlay', overlay: {type: 'lines', title: text, lines, scroll: 0}});
		if (command.type === 'leave' && ok) onExit('left');
		else notify(ok ? 'good' : 'bad', text);
	};

	/** One examination at a time: an overlay that is closed and opened again waits for the same one. */
	const lookAtMachine = async (): Promise<void> => {
		if (isExamining.current) return;
		isExamining.current = true;
		const examination = (await examine?.()) ?? {
			problem: 'this console cannot examine the machine; run `dapss-tui doctor`',
		};
		isExamining.current = false;
		change({type: 'examined', examination});
	};

	const load = async ({message, next}: Extract<Effect, {type: 'load'}>): Promise<void> => {
		change({type: 'body', message, body: 'loading'});
		const read = (await source.read?.(message)) ?? {problem: 'a recording has the first part only'};
		change({type: 'body', message, body: 'body' in read ? read.body : read});
		if (!('body' in read)) return;
		notify('muted', `Loaded. The same at a shell: ${commandFor(message, read.offset)}`);
		if (next) onLoaded(next);
	};

	const apply = (effects: readonly Effect[]): void => {
		for (const effect of effects) {
			if (effect.type === 'exit') onExit(effect.how);
			else if (effect.type === 'change') change(effect.action);
			else if (effect.type === 'examine') void lookAtMachine();
			else if (effect.type === 'suspend') onSuspend();
			else if (effect.type === 'mouse') notify('muted', mouseText[terminal?.toggleMouse() ? 'on' : 'off']);
			else if (effect.type === 'copy') terminal?.copy(effect.text);
			else if (effect.type === 'load') void load(effect);
			else if (effect.type === 'save') void written(effect, save).then(([tone, text]) => notify(tone, text));
			else if (effect.type === 'travel') source.travel?.(effect.move);
			else void run(effect.command);
		}
	};

	return {state, current: () => current.current, apply, isQuestionNew: () => isQuestionNew.current};
}

/** Writes a file. @returns how that went, for people */
async function written(
	{path, body}: Extract<Effect, {type: 'save'}>,
	save: EffectsInput['save'],
): Promise<readonly [Notice['tone'], string]> {
	try {
		if (!save) throw new Error('this console writes no files');
		return ['good', `Wrote ${count(body.length)} B to ${await save(path, body)}`];
	} catch (error) {
		return ['bad', `Not written: ${error instanceof Error ? error.message : String(error)}`];
	}
}
