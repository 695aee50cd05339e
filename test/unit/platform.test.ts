/** The differences between platforms, tested for each platform on any. */
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {
	advice,
	bindsToGroups,
	controlsJobs,
	endingSignals,
	endsLinesWithReturn,
	fileName,
	here,
	isGuarded,
	isTransient,
	isPortTaken,
	openFilesMax,
	placesOf,
	reopensPipes,
	syncsFolders,
	trustedOwners,
	zoneOf,
	type Machine,
} from '../../core/platform.ts';

const linux: Machine = {platform: 'linux', env: {}, home: '/home-of/ann', uid: 1000};
const mac: Machine = {platform: 'darwin', env: {}, home: '/Users-of/ann', uid: 501};
const windows: Machine = {
	platform: 'win32',
	env: {
		APPDATA: String.raw`C:\Users\ann\AppData\Roaming`,
		LOCALAPPDATA: String.raw`C:\Users\ann\AppData\Local`,
		USERNAME: 'ann',
	},
	home: String.raw`C:\Users\ann`,
	uid: undefined,
};
const nothing = (): boolean => false;

describe('places', () => {
	test('on Linux follow the XDG base directory specification', () => {
		expect(placesOf(linux, nothing)).toEqual({
			config: '/home-of/ann/.config/dapss',
			data: '/home-of/ann/.local/share/dapss',
			state: '/home-of/ann/.local/state/dapss',
			cache: '/home-of/ann/.cache/dapss',
			runtime: '/home-of/ann/.local/state/dapss/run',
		});
		expect(placesOf({...linux, env: {HOME: '/elsewhere'}}, nothing).config).toBe('/elsewhere/.config/dapss');
	});

	test('on macOS are in the library folder', () => {
		expect(placesOf(mac, nothing)).toEqual({
			config: '/Users-of/ann/Library/Preferences/dapss',
			data: '/Users-of/ann/Library/Application Support/dapss',
			state: '/Users-of/ann/Library/Application Support/dapss/.state',
			cache: '/Users-of/ann/Library/Caches/dapss',
			runtime: '/Users-of/ann/Library/Application Support/dapss/.state/run',
		});
	});

	test('on macOS stay where an earlier version put them', () => {
		const there = new Set(['/Users-of/ann/.local/share/dapss']);
		expect(placesOf(mac, path => there.has(path))).toMatchObject({
			data: '/Users-of/ann/.local/share/dapss',
			config: '/Users-of/ann/Library/Preferences/dapss',
		});
		there.add('/Users-of/ann/Library/Application Support/dapss');
		expect(placesOf(mac, path => there.has(path)).data).toBe('/Users-of/ann/Library/Application Support/dapss');
	});

	test('on Windows are in the profile, with and without its variables', () => {
		const expected = {
			config: String.raw`C:\Users\ann\AppData\Roaming\dapss\Config`,
			data: String.raw`C:\Users\ann\AppData\Local\dapss\Data`,
			state: String.raw`C:\Users\ann\AppData\Local\dapss\State`,
			cache: String.raw`C:\Users\ann\AppData\Local\dapss\Cache`,
			runtime: String.raw`C:\Users\ann\AppData\Local\dapss\State\run`,
		};
		expect(placesOf(windows, nothing)).toEqual(expected);
		// Ported shells set HOME to a path that is not valid on Windows.
		expect(placesOf({...windows, env: {HOME: '/c/Users/ann'}}, nothing)).toEqual(expected);
		expect(placesOf({...windows, env: {LOCALAPPDATA: String.raw`D:\Local`}}, nothing).data).toBe(
			String.raw`D:\Local\dapss\Data`,
		);
	});

	test.each([
		['linux', linux, '/x', '/x/dapss'],
		['macOS', mac, '/x', '/x/dapss'],
		['Windows', windows, String.raw`D:\x`, String.raw`D:\x\dapss`],
	])('absolute XDG variables determine the folders on %s', (_name, machine, given, expected) => {
		const variables = ['XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR'];
		const withAll = (value: string): Machine => ({
			...machine,
			env: {...machine.env, ...Object.fromEntries(variables.map(variable => [variable, value]))},
		});
		expect(placesOf(withAll(given), nothing)).toEqual({
			config: expected,
			data: expected,
			state: expected,
			cache: expected,
			runtime: expected,
		});
		for (const relative of ['', 'x', './x'])
			expect(placesOf(withAll(relative), nothing)).toEqual(placesOf(machine, nothing));
	});
});

describe('names of files', () => {
	test('are unchanged on Linux and macOS', () => {
		for (const platform of ['linux', 'darwin'] as const)
			for (const name of ['con', 'nul.stats-0123456789abcdef', 'a.'])
				expect(fileName(name, {platform})).toBe(name);
	});

	test.each([
		['con', '%63on'],
		['nul.stats-0123456789abcdef', '%6Eul.stats-0123456789abcdef'],
		['COM1.x', '%43OM1.x'],
		['lpt9', '%6Cpt9'],
		['a.', 'a%2E'],
		['a..', 'a%2E%2E'],
		['aux.secret', '%61ux.secret'],
		['console', 'console'],
		['com', 'com'],
		['com10', 'com10'],
		['nul-stats', 'nul-stats'],
		['news-0123456789abcdef', 'news-0123456789abcdef'],
	])('name no device of Windows, and keep their dots: %s', (name, expected) => {
		expect(fileName(name, {platform: 'win32'})).toBe(expected);
	});

	test('of different clusters and topics differ on Windows', () => {
		const word = fc.stringMatching(/^(?:con|aux|nul|com1|[a-z0-9])[a-z0-9._-]{0,8}$/);
		fc.assert(
			fc.property(word, word, (a, b) => {
				const [nameA, nameB] = [a, b].map(name => fileName(name, {platform: 'win32'}));
				expect(nameA === nameB).toBe(a === b);
				expect(nameA).not.toMatch(/[<>:"/\\|?*]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i);
			}),
		);
	});
});

test('owners and modes of files are checked if the platform has them', () => {
	expect(trustedOwners(linux)).toEqual([1000, 0]);
	expect(trustedOwners(mac)).toEqual([501, 0]);
	expect(trustedOwners(windows)).toBeUndefined();
	// Wine: every file and every user has the id 0.
	expect(trustedOwners({...windows, uid: 0})).toBeUndefined();
});

test('on Windows a file in the profile is private, and one elsewhere may not be', () => {
	for (const path of [
		String.raw`C:\Users\ann\x`,
		String.raw`c:\users\ANN\AppData\Roaming\dapss\Config\lan.secret`,
		String.raw`C:\Users\ann\..x`,
	])
		expect(isGuarded(path, windows), path).toBe(true);
	for (const path of [
		String.raw`C:\Users\anna\x`,
		String.raw`D:\Users\ann\x`,
		String.raw`C:\Users`,
		String.raw`C:\Users\ann`,
		String.raw`C:\Users\ann\..\bob\x`,
		String.raw`\\server\share\x`,
	])
		expect(isGuarded(path, windows), path).toBe(false);
	expect(isGuarded('/srv/x', linux)).toBe(true);
});

test('each platform has its own rules for files and sockets', () => {
	expect([linux, mac, windows].map(machine => syncsFolders(machine))).toEqual([true, true, false]);
	expect([linux, mac, windows].map(machine => openFilesMax(machine))).toEqual([undefined, undefined, 8192]);
	expect([linux, mac, windows].map(machine => bindsToGroups(machine))).toEqual([true, true, false]);
	expect([linux, mac, windows].map(machine => endsLinesWithReturn(machine))).toEqual([false, false, true]);
	expect([linux, mac, windows].map(machine => controlsJobs(machine))).toEqual([true, true, false]);
	expect([linux, mac, windows].map(machine => reopensPipes(machine))).toEqual([true, false, false]);
	expect([linux, mac, windows].map(machine => zoneOf({name: 'en0', scopeid: 4}, machine))).toEqual([
		'en0',
		'en0',
		'4',
	]);
});

test('only on Windows may a failed rename succeed on retry', () => {
	for (const code of ['EPERM', 'EACCES', 'EBUSY', 'ENOTEMPTY'])
		expect(
			[linux, mac, windows].map(machine => isTransient({code}, machine)),
			code,
		).toEqual([false, false, true]);
	for (const error of [{code: 'ENOENT'}, {code: 'ENOSPC'}, new Error('no code'), undefined])
		expect(isTransient(error, windows)).toBe(false);
});

test('a port in exclusive use counts as taken, on Windows too', () => {
	expect([linux, mac, windows].map(machine => isPortTaken({code: 'EADDRINUSE'}, machine))).toEqual([
		true,
		true,
		true,
	]);
	// On other platforms it is a port below 1024.
	expect([linux, mac, windows].map(machine => isPortTaken({code: 'EACCES'}, machine))).toEqual([false, false, true]);
});

test('Ctrl-Break counts as Ctrl-C on Windows', () => {
	expect([...endingSignals(linux).keys()]).toEqual(['SIGINT', 'SIGTERM', 'SIGHUP']);
	expect(endingSignals(windows).get('SIGBREAK')).toBe('SIGINT');
});

test('advice names commands that the platform has', () => {
	const texts = (machine: Machine, path: string): string[] => [
		advice.rights(machine),
		advice.closeFile(path, machine),
		advice.closeFolder(path, machine),
		advice.remove(path, machine),
		advice.writeSecret(path, machine),
	];
	for (const text of texts(windows, String.raw`D:\a b\x`))
		expect(text).not.toMatch(/chmod|chown|umask|\brm\b|openssl/);
	expect(texts(windows, String.raw`D:\a b\x`)).toContain(
		String.raw`icacls "D:\a b\x" /inheritance:r /grant:r "ann:F"`,
	);
	for (const text of texts(linux, '/x')) expect(text).not.toMatch(/icacls|\bdel\b/);
	expect(advice.closeFile('/x', mac)).toBe('chmod 600 /x');
});

test('the description of this machine has the values of the system', () => {
	expect(here({A: '1'})).toMatchObject({platform: process.platform, env: {A: '1'}, uid: process.getuid?.()});
});
