/**
Tones: the meanings of colours. Panes use tones; only this file has colours. A word or a mark also shows every state, so
that nothing is lost without colour (`NO_COLOR`, https://no-color.org, and terminals without colours).
*/
import {createContext, useContext} from 'react';
import {backgroundIn, isDumb, type Background, type Environment} from './terminal-kind.ts';

export const tones = ['plain', 'muted', 'good', 'warning', 'bad', 'accent', 'alarm', 'title', 'selected'] as const;
export type Tone = (typeof tones)[number];

/** Properties of Ink's `<Text>`. */
export type TextStyle = {
	readonly color?: string;
	readonly backgroundColor?: string;
	readonly bold?: boolean;
	readonly dimColor?: boolean;
	readonly inverse?: boolean;
	readonly underline?: boolean;
};
const styleTypes = {
	color: 'string',
	backgroundColor: 'string',
	bold: 'boolean',
	dimColor: 'boolean',
	inverse: 'boolean',
	underline: 'boolean',
} as const satisfies Record<keyof TextStyle, string>;
export type Theme = Readonly<Record<Tone, TextStyle>>;

export type ThemePreferences = {
	/** One of `themeNames`. @default 'auto' */
	readonly name?: string;
	/** Replaces the style of single tones. */
	readonly tones?: Partial<Theme>;
};

/** Only weight, no colour. Bold distinguishes `alarm` from `selected`. */
const none: Theme = {
	plain: {},
	muted: {dimColor: true},
	good: {},
	warning: {bold: true},
	bad: {bold: true, underline: true},
	accent: {bold: true},
	alarm: {bold: true, inverse: true},
	title: {bold: true},
	selected: {inverse: true},
};

/**
`dark` and `light` have a contrast of at least 4.5 to 1 on such a background, `contrast` of 7 to 1 on both kinds, since
it sets the background of what it colours. They use the fixed part of the palette of 256 colours, which Ink passes on
as it is. `16` uses the colours that the user chose for the terminal.
*/
export const themes = {
	dark: {
		plain: {},
		muted: {color: 'ansi256(248)'},
		good: {color: 'ansi256(78)'},
		warning: {color: 'ansi256(221)'},
		bad: {color: 'ansi256(210)', bold: true},
		accent: {color: 'ansi256(81)'},
		alarm: {backgroundColor: 'ansi256(124)', color: 'ansi256(231)', bold: true},
		title: {bold: true},
		selected: {inverse: true},
	},
	light: {
		plain: {},
		muted: {color: 'ansi256(59)'},
		good: {color: 'ansi256(22)'},
		warning: {color: 'ansi256(94)'},
		bad: {color: 'ansi256(124)', bold: true},
		accent: {color: 'ansi256(24)'},
		alarm: {backgroundColor: 'ansi256(124)', color: 'ansi256(231)', bold: true},
		title: {bold: true},
		selected: {inverse: true},
	},
	contrast: {
		plain: {},
		muted: {},
		good: {bold: true},
		warning: {color: 'ansi256(16)', backgroundColor: 'ansi256(226)', bold: true},
		bad: {color: 'ansi256(231)', backgroundColor: 'ansi256(88)', bold: true},
		accent: {bold: true, underline: true},
		alarm: {color: 'ansi256(231)', backgroundColor: 'ansi256(88)', bold: true, underline: true},
		title: {bold: true},
		selected: {inverse: true, bold: true},
	},
	'16': {
		plain: {},
		muted: {color: 'gray'},
		good: {color: 'green'},
		warning: {color: 'yellow'},
		bad: {color: 'redBright', bold: true},
		accent: {color: 'cyan'},
		alarm: {backgroundColor: 'red', color: 'whiteBright', bold: true},
		title: {bold: true},
		selected: {inverse: true},
	},
	none,
} as const satisfies Readonly<Record<string, Theme>>;

/** The 16 colours of a terminal in pictures, its background and its text. */
export const picture = {
	paper: '#1e1e1e',
	ink: '#d4d4d4',
	palette: [
		...['#000000', '#cd3131', '#0dbc79', '#e5e510', '#2472c8', '#bc3fbc', '#11a8cd', '#e5e5e5'],
		...['#666666', '#f14c4c', '#23d18b', '#f5f543', '#3b8eea', '#d670d6', '#29b8db', '#ffffff'],
	],
} as const;

/** `auto` is `dark` or `light`, by the background of the terminal. */
export const themeNames = ['auto', ...(['dark', 'light', 'contrast', '16', 'none'] as const)] as const;
type ThemeName = (typeof themeNames)[number];

/** The problems of the group `theme` in preferences, for people. The parts with a problem have no effect. */
export function themeProblems({
	name,
	tones: styles = {},
	...rest
}: Readonly<Record<string, unknown>>): readonly string[] {
	const unknown = Object.keys(rest).map(key => `Expected name or tones in theme, got \`${key}\``);
	const wrongName =
		name === undefined || isThemeName(name)
			? []
			: [`Expected theme.name to be ${listed(themeNames)}, got \`${textOf(name)}\``];
	if (!isObject(styles)) return [...unknown, ...wrongName, `Expected theme.tones to be an object`];
	const wrongTones = Object.entries(styles).flatMap(([tone, style]) => {
		if (!(tones as readonly string[]).includes(tone))
			return [`Expected the name of a tone in theme.tones (${listed(tones)}), got \`${tone}\``];
		const isRight =
			isObject(style) &&
			Object.entries(style).every(
				([key, value]) => Object.hasOwn(styleTypes, key) && typeof value === styleTypes[key as keyof TextStyle],
			);
		return isRight ? [] : [`Expected a style such as {"color": "cyan", "bold": true} for the tone \`${tone}\``];
	});
	return [...unknown, ...wrongName, ...wrongTones];
}

function isObject(value: unknown): value is object {
	return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string {
	return typeof value === 'string' ? value : JSON.stringify(value);
}

function listed(names: readonly string[]): string {
	return `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}

function isThemeName(name: unknown): name is ThemeName {
	return (themeNames as readonly unknown[]).includes(name);
}

/**
The theme of these preferences. `NO_COLOR` set to anything but the empty string wins over all.

@param environment usually `process.env`
@param background as the terminal reported it; for `auto`
*/
export function chooseTheme(
	{name, tones: styles}: ThemePreferences,
	environment: Environment,
	background: Background = backgroundIn(environment) ?? 'dark',
): Theme {
	if (environment['NO_COLOR'] || isDumb(environment)) return none;
	const chosen = isThemeName(name) && name !== 'auto' ? name : background;
	return {...themes[chosen], ...styles};
}

/** Whether the theme depends on an answer of the terminal. */
export function dependsOnBackground({name}: ThemePreferences, environment: Environment): boolean {
	const isAuto = !isThemeName(name) || name === 'auto';
	return isAuto && !environment['NO_COLOR'] && !isDumb(environment) && backgroundIn(environment) === undefined;
}

/** False for a theme that distinguishes by weight alone. */
export function hasColours({good}: Theme): boolean {
	return good.color !== undefined;
}

export const ThemeContext = createContext<Theme>(none);

export function useTheme(): Theme {
	return useContext(ThemeContext);
}
