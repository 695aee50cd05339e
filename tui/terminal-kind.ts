/** What the terminal can show: by its environment, and by its answer about its background. Pure. */

export type Environment = Readonly<Record<string, string | undefined>>;
export type Background = 'dark' | 'light';

/** It cannot move its cursor, so it can show no console. */
export function isDumb(environment: Environment): boolean {
	return environment['TERM'] === 'dumb';
}

/**
Whether it shows ASCII only: its locale has another character set than UTF-8, or it is older than that. Without a locale
it is taken for a modern one, as in most containers.
*/
export function isAsciiOnly(environment: Environment): boolean {
	// The first that is set decides, as in POSIX.
	const locale = environment['LC_ALL'] || environment['LC_CTYPE'] || environment['LANG'] || '';
	return (locale !== '' && !/utf-?8/iu.test(locale)) || /^vt[1-4]\d\d/u.test(environment['TERM'] ?? '');
}

/** By `COLORFGBG`, which some terminals set: colours of the text and the background, `15;0`. */
export function backgroundIn(environment: Environment): Background | undefined {
	const colour = /;(\d+)$/u.exec(environment['COLORFGBG'] ?? '')?.[1];
	if (colour === undefined) return undefined;
	return Number(colour) === 7 || (Number(colour) > 8 && Number(colour) < 16) ? 'light' : 'dark';
}

/** Asks the terminal for its background colour (OSC 11). A terminal that does not know the question ignores it. */
export const backgroundQuery = '\u001B]11;?\u0007';

/** By the answer to the question: `11;rgb:ffff/ffff/ffff`. */
export function backgroundOfReply(reply: string): Background | undefined {
	const parts = /^11;rgba?:([\da-f]+)\/([\da-f]+)\/([\da-f]+)/iu.exec(reply)?.slice(1);
	if (!parts) return undefined;
	const [red = 0, green = 0, blue = 0] = parts.map(part => Number.parseInt(part, 16) / (16 ** part.length - 1));
	return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.5 ? 'light' : 'dark';
}
