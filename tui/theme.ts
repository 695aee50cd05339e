/**
Tones: the meanings of colours. Panes use tones; only this file has colours. A word or a mark also shows every state, so
that nothing is lost without colour (`NO_COLOR`, https://no-color.org, and terminals without colours).
*/
import {createContext, useContext} from 'react';

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
	/** @default 'dark' */
	readonly name?: string;
	/** Replaces the style of single tones. */
	readonly tones?: Partial<Theme>;
};

/** Only weight, no colour. Bold distinguishes `alarm` from `selected`. */
const mono: Theme = {
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

export const themes: Readonly<Record<string, Theme>> = {
	// The 16 colours that the user's own palette defines: readable on any background that the user chose.
	dark: {
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
	light: {
		plain: {},
		muted: {color: 'gray'},
		good: {color: 'green'},
		warning: {color: 'magenta'},
		bad: {color: 'red', bold: true},
		accent: {color: 'blue'},
		alarm: {backgroundColor: 'red', color: 'whiteBright', bold: true},
		title: {bold: true},
		selected: {inverse: true},
	},
	mono,
};

/** The problems of the group `theme` in preferences, for people. The parts with a problem have no effect. */
export function themeProblems({
	name,
	tones: styles = {},
	...rest
}: Readonly<Record<string, unknown>>): readonly string[] {
	const unknown = Object.keys(rest).map(key => `Expected name or tones in theme, got \`${key}\``);
	const isTheme = name === undefined || (typeof name === 'string' && Object.hasOwn(themes, name));
	const wrongName = isTheme
		? []
		: [`Expected theme.name to be ${listed(Object.keys(themes))}, got \`${textOf(name)}\``];
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

/**
The theme of these preferences. `NO_COLOR` set to anything but the empty string wins over all.

@param environment usually `process.env`
*/
export function chooseTheme(
	preferences: ThemePreferences,
	environment: Readonly<Record<string, string | undefined>>,
): Theme {
	if (environment['NO_COLOR'] || environment['TERM'] === 'dumb') return mono;
	const theme = Object.hasOwn(themes, preferences.name ?? '') ? themes[preferences.name!]! : themes['dark']!;
	return {...theme, ...preferences.tones};
}

/** False for a theme that distinguishes by weight alone. */
export function hasColours({good}: Theme): boolean {
	return good.color !== undefined;
}

export const ThemeContext = createContext<Theme>(mono);

export function useTheme(): Theme {
	return useContext(ThemeContext);
}
