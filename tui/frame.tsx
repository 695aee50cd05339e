/**
One frame of the console as text, with control sequences, as a picture (SVG) or as JSON; for documents, tests and chats.
The size of the screen is given, so no terminal is needed.
*/
import {stripVTControlCharacters} from 'node:util';
import {renderToString} from 'ink';
import {Console} from './console.tsx';
import {buildKeymap} from './input/keymap.ts';
import type {ConsoleSource} from './source/source.ts';
import {chooseTheme, type ThemePreferences} from './theme.ts';
import {svgOf} from './view/svg.ts';

export const frameFormats = ['text', 'ansi', 'svg', 'json'] as const;
export type FrameFormat = (typeof frameFormats)[number];
export type FrameOptions = {
	readonly source: ConsoleSource;
	readonly format: FrameFormat;
	readonly columns: number;
	readonly rows: number;
	readonly theme?: ThemePreferences | undefined;
	/** @default that of the process */
	readonly environment?: Readonly<Record<string, string | undefined>>;
};

/** The frame, without a line end after it. Colours need a process whose output may have them (`FORCE_COLOR`). */
export function frameOf({source, format, columns, rows, theme = {}, environment = process.env}: FrameOptions): string {
	const drawn = renderToString(
		<Console
			source={source}
			title="dapss-tui"
			isReadonly
			isRemote
			keymap={buildKeymap()}
			theme={chooseTheme(theme, environment)}
			onExit={() => {}}
			size={{columns, rows}}
		/>,
		{columns},
	);
	const plain = stripVTControlCharacters(drawn);
	switch (format) {
		case 'text':
			return plain
				.split('\n')
				.map(line => line.trimEnd())
				.join('\n');
		case 'ansi':
			return drawn;
		case 'svg':
			return svgOf(drawn, columns, rows);
		case 'json':
			return JSON.stringify({columns, rows, lines: plain.split('\n')});
		default:
			return format satisfies never;
	}
}
