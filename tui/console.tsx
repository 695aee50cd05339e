/**
The console: keys in, panes out. It holds the reducer's state, hands each pane its slice, and passes wishes on to the
source; it decides nothing about the cluster.
*/
import {Box, useInput, usePaste, useWindowSize} from 'ink';
import {useEffect, useMemo, useRef, useState, useSyncExternalStore, type ReactNode} from 'react';
import {printable} from '../core/observe/printable.ts';
import {act, submit, type Effect, type Situation} from './dispatch.ts';
import {keyNames, type KeyContext, type Keymap} from './input/keymap.ts';
import {layOut, type Layout} from './layout.ts';
import {Alerts, Header, hintSpans, TooSmall} from './panes/bars.tsx';
import {Overlay, overlayText} from './panes/overlay.tsx';
import {Pane} from './panes/pane.tsx';
import type {ConsoleSource, Examination} from './source/source.ts';
import {initialState, reduce, typed, type ConsoleState} from './state/state.ts';
import {ThemeContext, type Theme} from './theme.ts';
import {alertsOf} from './view/alerts.ts';
import {paneNames} from './view/heads.ts';
import {quitLines, quitQuestion} from './view/quit.ts';
import {Boundary} from './widgets/boundary.tsx';
import {frameColumns, frameRows} from './widgets/frame.tsx';
import {Line} from './widgets/lines.tsx';
import {Prompt} from './widgets/prompt.tsx';

export type ConsoleProps = {
	readonly source: ConsoleSource;
	readonly title: string;
	readonly isReadonly: boolean;
	readonly isRemote: boolean;
	readonly keymap: Keymap;
	readonly theme: Theme;
	/** Examine the machine for `:doctor`; never rejects. */
	readonly examine?: (() => Promise<Examination>) | undefined;
	readonly onExit: (how: 'quit' | 'interrupted' | 'left') => void;
};

export function contextOf({prompt, overlay, confirmsQuit}: ConsoleState): KeyContext {
	if (confirmsQuit) return 'confirm';
	return prompt ? 'prompt' : overlay ? 'overlay' : 'panes';
}

export function Console({
	source,
	title,
	isReadonly,
	isRemote,
	keymap,
	theme,
	examine,
	onExit,
}: ConsoleProps): ReactNode {
	const shown = useSyncExternalStore(source.subscribe, source.getState);
	const {columns, rows} = useWindowSize();
	const [state, setState] = useState<ConsoleState>(() => ({
		...initialState,
		notice: keymap.problems[0] === undefined ? undefined : {tone: 'warning', text: keymap.problems[0]},
	}));
	// Several keys may come in one event, each on the state that the one before left.
	const current = useRef(state);
	const lostMs = useLostMs(shown.connection === 'lost');
	const {snapshot} = shown;
	const alerts = alertsOf(shown, lostMs);
	const layout = layOut({columns, rows, focus: state.focus, zoom: state.zoom, alerts: alerts.length});
	const text =
		state.overlay && layout.type === 'panes'
			? overlayText(state.overlay, snapshot, keymap, layout.body.width)
			: undefined;

	const situation: Situation = {
		snapshot,
		isReadonly,
		isRemote,
		isLost: shown.connection === 'lost',
		page: pageOf(layout, state),
		overlayLines: text?.lines.length ?? 0,
	};
	const apply = (effects: readonly Effect[]): void => {
		const wasAsking = current.current.confirmsQuit;
		for (const effect of effects) {
			if (effect.type === 'exit') onExit(effect.how);
			else if (effect.type === 'change') current.current = reduce(current.current, effect.action);
			else if (effect.type === 'examine') lookAtMachine();
			else run(effect.command);
		}

		if (!wasAsking && current.current.confirmsQuit) {
			isAsking.current = true;
			setImmediate(() => {
				isAsking.current = false;
			});
		}

		setState(current.current);
	};

	const run = (command: Extract<Effect, {type: 'run'}>['command']): void => {
		apply([{type: 'change', action: {type: 'notice', notice: {tone: 'muted', text: `${command.type}…`}}}]);
		void (async () => {
			const result = await source.run(command);
			if (command.type === 'leave' && result.ok) return onExit('left');
			apply([
				{
					type: 'change',
					action: {type: 'notice', notice: {tone: result.ok ? 'good' : 'bad', text: result.text}},
				},
			]);
		})();
	};

	// One at a time: a window that is closed and opened again waits for the same.
	const isExamining = useRef(false);
	const lookAtMachine = (): void => {
		if (isExamining.current) return;
		isExamining.current = true;
		void (async () => {
			const examination = (await examine?.()) ?? {
				problem: 'this console has nothing to examine it with; run `dapss-tui doctor`',
			};
			isExamining.current = false;
			apply([{type: 'change', action: {type: 'examined', examination}}]);
		})();
	};

	// A question is answered by a later read: what was typed or pasted before it was seen is no answer.
	const isAsking = useRef(false);
	const press = (name: string, character: string | undefined): void => {
		const context = contextOf(current.current);
		if (context === 'confirm' && isAsking.current && name !== 'ctrl+c') return;
		const action = keymap.find(context, name);
		if (action) apply(act(action, current.current, situation));
		else if (context === 'prompt' && name === 'enter')
			apply(submit(current.current.prompt?.draft ?? '', current.current, situation));
		else if (context === 'prompt' && character !== undefined)
			apply([
				{
					type: 'change',
					action: {type: 'draft', text: (current.current.prompt?.draft ?? '') + character, moved: true},
				},
			]);
		else if (context === 'confirm') apply([{type: 'change', action: {type: 'stay'}}]);
	};

	const feed = (input: string): void => {
		for (const character of input) press(keyNames(character, {})[0]!, character);
	};

	// The text input takes every letter for text, also those typed with Ctrl or Alt.
	const swallows = useRef(false);
	useInput((input, key) => {
		const names = keyNames(input, key);
		const isText = !(key.ctrl || key.meta) && names.length > 0 && input !== '';
		const isPrompt = contextOf(current.current) === 'prompt';
		swallows.current = isPrompt && (key.ctrl || key.meta);
		if (!isPrompt) {
			if (isText) feed(input);
			else for (const name of names) press(name, undefined);
			return;
		}

		const [name = ''] = names;
		if (!isText && name !== 'enter' && name !== 'backspace' && name !== 'left' && name !== 'right')
			press(name, undefined);
	});
	usePaste(pasted => {
		// What is pasted is text, never keys: a line from elsewhere must not quit or publish.
		const {prompt} = current.current;
		if (prompt) apply([{type: 'change', action: {type: 'draft', text: prompt.draft + typed(pasted), moved: true}}]);
		else
			apply([
				{
					type: 'change',
					action: {
						type: 'notice',
						notice: {
							tone: 'warning',
							text: 'Pasted text is not taken for keys: open a prompt first, with : or p',
						},
					},
				},
			]);
	});

	const onChange = (next: string): void => {
		const {prompt} = current.current;
		if (!prompt) return;
		const end = next.search(/[\r\n]/);
		if (swallows.current) apply([{type: 'change', action: {type: 'draft', text: prompt.draft, moved: true}}]);
		else if (end === -1) apply([{type: 'change', action: {type: 'draft', text: next}}]);
		else {
			// Enter came in one piece with the text before it, and maybe with keys behind it.
			apply([{type: 'change', action: {type: 'draft', text: next.slice(0, end)}}]);
			feed(next.slice(end));
		}
	};

	const greyed = useMemo(() => grey(theme), [theme]);
	if (layout.type === 'too-small')
		return (
			<ThemeContext value={theme}>
				<TooSmall columns={columns} rows={rows} />
			</ThemeContext>
		);
	const {header, alerts: alertBox, body, prompt: promptBox, hints} = layout;
	const context = contextOf(state);
	const quit =
		state.confirmsQuit && !isRemote && shown.connection !== 'lost' && snapshot
			? quitLines(snapshot, keymap, body.width - frameColumns)
			: undefined;
	const hintLine =
		context === 'confirm' ? [] : hintSpans(keymap, context, isReadonly, state.paused !== undefined, columns);
	return (
		<ThemeContext value={theme}>
			<Box flexDirection="column" width={columns} height={rows}>
				<Header
					width={header.width}
					snapshot={snapshot}
					title={title}
					connection={shown.connection}
					isReadonly={isReadonly}
					isRemote={isRemote}
				/>
				{alertBox.height > 0 ? (
					<Alerts alerts={alerts} width={alertBox.width} height={alertBox.height} />
				) : null}
				<ThemeContext value={shown.connection === 'lost' ? greyed : theme}>
					<Box flexDirection="column" width={body.width} height={body.height}>
						<Boundary name="This window" width={body.width} height={body.height} attempt={state.overlay}>
							{quit && snapshot ? (
								<Overlay text={{title: 'Quit', lines: quit}} scroll={0} box={body} />
							) : state.overlay && text ? (
								<Overlay text={text} scroll={state.overlay.scroll} box={body} />
							) : snapshot ? (
								layout.rows.map(places => (
									<Box key={places[0]!.pane} height={places[0]!.height}>
										{places.map(place => (
											<Boundary
												key={place.pane}
												name={paneNames[place.pane]}
												width={place.width}
												height={place.height}
												attempt={Math.floor(snapshot.atMs / 2000)}
											>
												<Pane place={place} snapshot={snapshot} state={state} />
											</Boundary>
										))}
									</Box>
								))
							) : (
								<Line
									width={body.width}
									spans={[{text: ` ${printable(shown.detail)}`, tone: 'muted'}]}
								/>
							)}
						</Boundary>
					</Box>
				</ThemeContext>
				<PromptRow
					state={state}
					width={promptBox.width}
					isRemote={isRemote}
					isLost={shown.connection === 'lost'}
					keymap={keymap}
					hints={hints.height === 0 ? hintLine : []}
					onChange={onChange}
					onSubmit={line => apply(submit(line, current.current, situation))}
				/>
				{hints.height > 0 ? <Line spans={hintLine} width={hints.width} /> : null}
			</Box>
		</ThemeContext>
	);
}

type PromptRowProps = {
	readonly state: ConsoleState;
	readonly width: number;
	readonly isRemote: boolean;
	readonly isLost: boolean;
	readonly keymap: Keymap;
	readonly hints: Parameters<typeof Line>[0]['spans'];
	readonly onChange: (text: string) => void;
	readonly onSubmit: (text: string) => void;
};

function PromptRow({
	state: {prompt, confirmsQuit, notice, focus},
	width,
	isRemote,
	isLost,
	keymap,
	hints,
	onChange,
	onSubmit,
}: PromptRowProps): ReactNode {
	if (prompt)
		return (
			<Prompt
				prompt={prompt}
				filtered={paneNames[focus].slice(2).toLowerCase()}
				width={width}
				onChange={onChange}
				onSubmit={onSubmit}
			/>
		);
	if (confirmsQuit)
		return (
			<Line
				width={width}
				spans={quitQuestion(keymap, isRemote ? (isLost ? 'unreached' : 'attached') : isLost ? 'lost' : 'own')}
			/>
		);
	if (notice) return <Line width={width} spans={[{text: ` ${printable(notice.text)}`, tone: notice.tone}]} />;
	return <Line width={width} spans={hints} />;
}

/** Rows that a page key moves by. */
function pageOf(layout: Layout, {overlay, focus}: ConsoleState): number {
	if (layout.type !== 'panes') return 1;
	const place = overlay ? layout.body : layout.rows.flat().find(({pane}) => pane === focus);
	return Math.max(1, (place?.height ?? 3) - frameRows - (overlay ? 0 : 1));
}

/** A picture that is out of date is all grey: nobody takes it for now. */
function grey(theme: Theme): Theme {
	const {muted} = theme;
	return {...theme, plain: muted, good: muted, warning: muted, bad: muted, accent: muted, title: muted};
}

/** For how long the picture has been out of date; the only clock in the console, because a lost node sends no time. */
function useLostMs(isLost: boolean): number {
	const [lostMs, setLostMs] = useState(0);
	useEffect(() => {
		if (!isLost) return undefined;
		const start = performance.now();
		const timer = setInterval(() => setLostMs(performance.now() - start), 1000);
		return () => {
			clearInterval(timer);
			setLostMs(0);
		};
	}, [isLost]);
	return isLost ? lostMs : 0;
}
