/**
The console: it draws the snapshot of a node and passes commands to the node. It makes no decision about the cluster.
*/
import {Box, useWindowSize} from 'ink';
import {useMemo, useSyncExternalStore, type ReactNode} from 'react';
import {printable} from '../core/observe/printable.ts';
import type {Snapshot} from '../core/snapshot.ts';
import {act, type Situation} from './dispatch.ts';
import {useEffects} from './hooks/use-effects.ts';
import {useExpiry} from './hooks/use-expiry.ts';
import {contextOf, useKeyboard} from './hooks/use-keyboard.ts';
import {useLostMs} from './hooks/use-lost-ms.ts';
import {useSuspend} from './hooks/use-suspend.ts';
import {keySign, type Action, type Keymap} from './input/keymap.ts';
import type {ConsoleTerminal} from './input/terminal.ts';
import {layOut, type Layout} from './layout.ts';
import {GuideLines, guideRows} from './panes/guide.tsx';
import {Header, hintSpans, TooSmall} from './panes/bars.tsx';
import {Overlay, overlayText, type OverlayText} from './panes/overlay.tsx';
import {Pane} from './panes/pane.tsx';
import {SituationBars, SituationPanel} from './panes/situation.tsx';
import type {Guide} from './source/guide.ts';
import type {ConsoleSource, Examination, SourceState} from './source/source.ts';
import {initialState, type ConsoleState} from './state/state.ts';
import {ThemeContext, type Theme} from './theme.ts';
import {paneNames} from './view/pane-titles.ts';
import {quitLines, quitQuestion} from './view/quit.ts';
import {shownSituation, situationLength, situationRows, type Shown, type SituationKeys} from './view/situation.ts';
import {timeTitle} from './view/time.ts';
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
	/** Problems of the preferences, for people; without those of the key map. */
	readonly problems?: readonly string[] | undefined;
	/** Examine the machine for `:doctor`; never rejects. */
	readonly examine?: (() => Promise<Examination>) | undefined;
	/** Explains the cluster above the panes. */
	readonly guide?: Guide | undefined;
	readonly onExit: (how: 'quit' | 'interrupted' | 'left') => void;
	/** The terminal beside what Ink does with it. */
	readonly terminal?: ConsoleTerminal | undefined;
	/** Instead of the size of the terminal. */
	readonly size?: {readonly columns: number; readonly rows: number} | undefined;
	/** Writes a new file. @returns its path, or throws */
	readonly save?: ((path: string, body: Uint8Array) => Promise<string>) | undefined;
};

type PanesLayout = Extract<Layout, {readonly type: 'panes'}>;

export function Console(props: ConsoleProps): ReactNode {
	const {source, title, isReadonly, isRemote, keymap, theme, problems, guide, terminal, size} = props;
	const shown = useSyncExternalStore(source.subscribe, source.getState);
	const window = useWindowSize();
	const {columns, rows: height} = size ?? window;
	const guideHeight = guide ? guideRows(height) : 0;
	const onSuspend = useSuspend(terminal, isRemote ? suspendedText : suspendedNodeText);
	const {state, ...effects} = useEffects({
		...props,
		initial: withProblem([...(problems ?? []), ...keymap.problems]),
		onSuspend,
		onLoaded: action => effects.apply(act(action, effects.current(), situation)),
	});
	const isLost = shown.connection === 'lost';
	const lostMs = useLostMs(isLost);
	const {snapshot} = shown;
	const keys = useMemo(() => situationKeys(keymap), [keymap]);
	const incident = incidentOf(shown, state, {width: columns, lostMs, keys});
	const layout = layOut({
		columns,
		rows: height - guideHeight,
		focus: state.focus,
		zoom: state.zoom,
		bars: incident.bars.length,
		situation: incident.panel ? situationRows(incident.panel, columns) : 0,
	});
	useExpiry(state.notice, snapshot?.atMs, effects.apply);
	const text =
		state.overlay && layout.type === 'panes'
			? overlayText(state.overlay, snapshot, keymap, layout.body.width)
			: undefined;
	const situation: Situation = {
		snapshot,
		isReadonly,
		role: shown.role,
		isRemote,
		isLost,
		past: shown.time?.mode,
		page: pageOf(layout, state),
		overlayLines: text?.lines.length ?? 0,
		incident: placedIncident(layout, incident),
	};
	useKeyboard({keymap, situation, guide, input: terminal?.input, layout, top: guideHeight, ...effects});
	return (
		<ThemeContext value={theme}>
			{guide && layout.type === 'panes' ? (
				<GuideLines guide={guide} width={columns} height={guideHeight} />
			) : null}
			{layout.type === 'too-small' ? (
				<TooSmall columns={columns} rows={height - guideHeight} />
			) : (
				<Screen
					layout={layout}
					shown={shown}
					state={state}
					incident={incident}
					situationKeys={keys}
					text={text}
					title={title}
					isReadonly={isReadonly}
					isRemote={isRemote}
					isDemo={guide !== undefined}
					top={guideHeight}
					keymap={keymap}
					theme={theme}
				/>
			)}
		</ThemeContext>
	);
}

const suspendedText = 'dapss-tui is suspended; `fg` continues it';
const suspendedNodeText =
	'dapss-tui is suspended, and its node pauses with it: the others find it unreachable until `fg` continues it';

function withProblem([problem, ...more]: readonly string[]): ConsoleState {
	if (problem === undefined) return initialState;
	const text = more.length === 0 ? problem : `${problem} (and ${more.length} more: \`:doctor\`)`;
	return {...initialState, notice: {tone: 'warning', text}};
}

type ScreenProps = Pick<ConsoleProps, 'title' | 'isReadonly' | 'isRemote' | 'keymap' | 'theme'> & {
	readonly layout: PanesLayout;
	readonly shown: SourceState;
	readonly state: ConsoleState;
	readonly incident: Shown;
	readonly situationKeys: SituationKeys;
	/** The text of the open overlay. */
	readonly text: OverlayText | undefined;
	/** The nodes end with the console. */
	readonly isDemo: boolean;
	/** Rows of the terminal above this screen. */
	readonly top: number;
};

function Screen(props: ScreenProps): ReactNode {
	const {layout, shown, state, incident, title, isReadonly, isRemote, keymap, theme, top} = props;
	const {header, bars, prompt, hints} = layout;
	const isLost = shown.connection === 'lost';
	const outdated = useMemo(() => outdatedTheme(theme), [theme]);
	const context = contextOf(state);
	const hintLine =
		context === 'confirm'
			? []
			: hintSpans(
					keymap,
					context,
					state,
					{isReadonly: isReadonly || shown.time !== undefined, role: shown.role},
					header.width,
				);
	// An open prompt takes the row of the notice.
	const noticeBelow =
		state.prompt && state.notice && hints.height > 0
			? [{text: ` ${printable(state.notice.text)}`, tone: state.notice.tone}]
			: undefined;
	return (
		<Box flexDirection="column" width={header.width} height={hints.y + hints.height}>
			<Header
				width={header.width}
				snapshot={shown.snapshot}
				title={shown.time ? timeTitle(shown.time) : title}
				connection={shown.connection}
				isReadonly={isReadonly}
				isRemote={isRemote}
				attachment={shown.attachment}
			/>
			<SituationBars bars={incident.bars} box={bars} />
			<ThemeContext value={isLost ? outdated : theme}>
				<Body {...props} />
			</ThemeContext>
			<PromptRow
				state={state}
				width={prompt.width}
				isRemote={isRemote}
				isDemo={props.isDemo}
				isLost={isLost}
				keymap={keymap}
				hints={hints.height === 0 ? hintLine : []}
				row={top + prompt.y}
				hasNotice={noticeBelow === undefined}
			/>
			{hints.height > 0 ? <Line spans={noticeBelow ?? hintLine} width={hints.width} /> : null}
		</Box>
	);
}

/** The part between the bars and the prompt: the situation and the panes, or an overlay. */
function Body({
	layout: {body, rows, situation},
	shown,
	state,
	incident,
	situationKeys: keys,
	text,
	isRemote,
	keymap,
}: ScreenProps): ReactNode {
	const {snapshot, connection, detail} = shown;
	const asksToStop = state.confirmsQuit && !isRemote && connection !== 'lost';
	const content = (): ReactNode => {
		if (asksToStop && snapshot) {
			const lines = quitLines(snapshot, keymap, body.width - frameColumns);
			return <Overlay text={{title: 'Quit', lines}} scroll={0} box={body} />;
		}

		if (state.overlay && text) return <Overlay text={text} scroll={state.overlay.scroll} box={body} />;
		if (snapshot)
			return (
				<>
					{incident.panel ? (
						<SituationPanel
							situation={incident.panel}
							box={situation}
							scroll={state.situation.scroll}
							keys={keys}
						/>
					) : null}
					<Panes rows={rows} snapshot={snapshot} state={state} isLost={connection === 'lost'} />
				</>
			);
		return <Line width={body.width} spans={[{text: ` ${printable(detail)}`, tone: 'muted'}]} />;
	};

	return (
		<Box flexDirection="column" width={body.width} height={body.height}>
			<Boundary name="This window" width={body.width} height={body.height} attempt={state.overlay}>
				{content()}
			</Boundary>
		</Box>
	);
}

/** Milliseconds after which a pane that failed is drawn again. */
const retryMs = 2000;

function Panes({
	rows,
	snapshot,
	state,
	isLost,
}: {
	readonly rows: PanesLayout['rows'];
	readonly snapshot: Snapshot;
	readonly state: ConsoleState;
	readonly isLost: boolean;
}): ReactNode {
	return rows.map(places => (
		<Box key={places[0]!.pane} height={places[0]!.height}>
			{places.map(place => (
				<Boundary
					key={place.pane}
					name={paneNames[place.pane]}
					width={place.width}
					height={place.height}
					attempt={Math.floor(snapshot.atMs / retryMs)}
				>
					<Pane place={place} snapshot={snapshot} state={state} isLost={isLost} />
				</Boundary>
			))}
		</Box>
	));
}

type PromptRowProps = {
	readonly state: ConsoleState;
	readonly width: number;
	readonly isRemote: boolean;
	readonly isDemo: boolean;
	readonly isLost: boolean;
	readonly keymap: Keymap;
	readonly hints: Parameters<typeof Line>[0]['spans'];
	readonly row: number;
	/** The notice is shown in this row. */
	readonly hasNotice: boolean;
};

function PromptRow({
	state: {prompt, confirmsQuit, notice, focus},
	width,
	isRemote,
	isDemo,
	isLost,
	keymap,
	hints,
	row,
	hasNotice,
}: PromptRowProps): ReactNode {
	if (prompt)
		return (
			<Prompt
				prompt={prompt}
				filtered={paneNames[focus].slice(2).toLowerCase()}
				width={width}
				row={row}
				notice={hasNotice ? notice : undefined}
			/>
		);
	if (confirmsQuit)
		return (
			<Line
				width={width}
				spans={quitQuestion(
					keymap,
					isDemo ? 'demo' : isRemote ? (isLost ? 'unreached' : 'attached') : isLost ? 'lost' : 'own',
				)}
			/>
		);
	if (notice) return <Line width={width} spans={[{text: ` ${printable(notice.text)}`, tone: notice.tone}]} />;
	return <Line width={width} spans={hints} />;
}

/** Rows of a page key. */
function pageOf(layout: Layout, {overlay, focus}: ConsoleState): number {
	if (layout.type !== 'panes') return 1;
	const place = overlay ? layout.body : layout.rows.flat().find(({pane}) => pane === focus);
	return Math.max(1, (place?.height ?? 3) - frameRows - (overlay ? 0 : 1));
}

/** The situation is drawn outside of the panes, so a fault in it must not end the console. */
function incidentOf(...input: Parameters<typeof shownSituation>): Shown {
	try {
		return shownSituation(...input);
	} catch (error) {
		const why = printable(error instanceof Error ? error.message : String(error));
		const text = ` ! The situation cannot be drawn: ${why}`;
		return {bars: [[{text, tone: 'bad'}]], panel: undefined, keys: [], pastMs: undefined};
	}
}

function situationKeys(keymap: Keymap): SituationKeys {
	const sign = (action: Action): string =>
		keySign(keymap.bindings.find(binding => binding.action === action)?.keys[0] ?? '');
	return {
		fold: sign('situation-fold'),
		down: sign('situation-down'),
		up: sign('situation-up'),
		dismiss: sign('clear'),
	};
}

/** What the keys need to know of the situation on the screen. */
function placedIncident(layout: Layout, incident: Shown): Situation['incident'] {
	return {
		keys: incident.keys,
		isOpen: incident.panel !== undefined,
		hidesFocus: layout.type === 'panes' && layout.hidesFocus,
		hiddenLines: hiddenLinesOf(layout, incident),
		pastMs: incident.pastMs,
	};
}

/** Lines of the situation that do not fit into its rows. */
function hiddenLinesOf(layout: Layout, {panel}: Shown): number {
	if (layout.type !== 'panes' || !panel) return 0;
	const {width, height} = layout.situation;
	return Math.max(0, situationLength(panel, width, height) - (height - 1));
}

/** An outdated snapshot is drawn in grey, so that nobody takes it for the present state. */
function outdatedTheme(theme: Theme): Theme {
	const {muted} = theme;
	return {...theme, plain: muted, good: muted, warning: muted, bad: muted, accent: muted, title: muted};
}
