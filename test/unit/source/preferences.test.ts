import {mkdirSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {existingPreferences} from '../../../source/settings/preferences.ts';
import {commandLine} from './support/command-line.ts';

const {home, dapss} = commandLine();
const path = join(home, '.config/dapss/preferences.json');
const put = (value: unknown): void => {
	mkdirSync(join(home, '.config/dapss'), {recursive: true});
	writeFileSync(path, JSON.stringify(value));
};

const doctorSettings = async (): Promise<unknown> => {
	const {out} = await dapss('doctor -o json --no-discovery');
	const {checks} = JSON.parse(out) as {readonly checks: ReadonlyArray<{readonly code: string}>};
	return checks.find(({code}) => code === 'settings');
};

test('without preferences none are read, and their folder is not made', () => {
	expect(existingPreferences({HOME: join(home, 'none')}, line => expect.unreachable(line))).toBeUndefined();
});

test('config shows the settings of the preferences, and their origin', async () => {
	put({console: {feed: 500}});
	const {code, out, err} = await dapss('config');
	expect([code, err]).toEqual([0, '']);
	expect(out).toMatch(/^console\.feed +500 +.*preferences\.json$/m);
	const {settings} = JSON.parse((await dapss('config -o json')).out) as {readonly settings: Record<string, unknown>};
	expect(settings['console.feed']).toEqual({value: 500, from: path});
	expect(await doctorSettings()).toMatchObject({level: 'ok'});
});

test.each([
	[{feed: 5_000_000}, 'Expected a whole number from 1 to 10000, got 5000000', 'console.feed'],
	[{fed: 5}, 'there is no such setting; did you mean console.feed?', 'console.fed'],
])('config and doctor refuse the setting %j, as a start with a console does', async (settings, problem, name) => {
	put({console: settings});
	const line = `${name} (${path}): ${problem}`;
	expect(await dapss('config')).toMatchObject({code: 2, out: '', err: `dapss-tui: ${line}\n`});
	expect(await doctorSettings()).toMatchObject({level: 'problem', reason: 'wrong', found: line});
});

test('parts that are ignored are reported by config and doctor', async () => {
	put({
		them: 1,
		keymap: {dance: 'd', quit: 5},
		theme: {
			name: 'pink',
			nam: 'dark',
			tones: {god: {}, good: {color: 5}, bad: {colour: 'red'}, muted: {bold: true}},
		},
	});
	const lines = [
		'Expected keymap, theme, console or contexts in the preferences, got `them`',
		'Expected a key or a list of keys for `quit`',
		'Expected name or tones in theme, got `nam`',
		'Expected theme.name to be auto, dark, light, contrast, 16 or none, got `pink`',
		'Expected the name of a tone in theme.tones ' +
			'(plain, muted, good, warning, bad, accent, alarm, title or selected), got `god`',
		'Expected a style such as {"color": "cyan", "bold": true} for the tone `good`',
		'Expected a style such as {"color": "cyan", "bold": true} for the tone `bad`',
		'Expected the name of an action in the key map, got `dance`',
	].map(line => `${path}: ${line}`);
	const {code, err} = await dapss('config');
	expect([code, err]).toEqual([0, lines.map(line => `Warning: ${line}\n`).join('')]);
	expect(await doctorSettings()).toMatchObject({level: 'warning', reason: 'left-out', found: lines.join('; ')});
});
