/**
What differs between Linux, macOS and Windows, in one place: where things are kept, what files and folders can do, which
commands help, which signals there are. Everything is a function of a `Machine`, so that a test can ask about each
platform on any other; `here` is the one that this runs on.

Windows shows the same owner and mode for every file, so they say nothing there: a file is as private as the folder that
it lies in, and the folder of a user's profile is closed to other users.
*/
import {homedir, userInfo} from 'node:os';
import {posix, win32, type PlatformPath} from 'node:path';

export type Env = Readonly<Record<string, string | undefined>>;
export type Machine = {
	readonly platform: NodeJS.Platform;
	readonly env: Env;
	/** This user's own folder, absolute. */
	readonly home: string;
	/** The number of this user; `undefined` where users have none. */
	readonly uid: number | undefined;
};
/** Absolute folders of this program. `runtime`: of what ends with the processes; the others outlive them. */
export type Places = {
	readonly config: string;
	readonly data: string;
	readonly state: string;
	readonly cache: string;
	readonly runtime: string;
};

/** The machine that this runs on. @param env @default the one of the process */
export function here(env: Env = process.env): Machine {
	return {platform: process.platform, env, home: homeOf(), uid: process.getuid?.()};
}

/** The root where there is none: the users of some containers have neither `HOME` nor an entry with the system. */
function homeOf(): string {
	for (const ask of [homedir, () => userInfo().homedir]) {
		try {
			const home = ask();
			if (pathsOf(process).isAbsolute(home)) return home;
		} catch {
			// The system does not know this user.
		}
	}

	return '/';
}

/** Asked once: a simulated node asks nothing. */
const thisMachine = here();

/** The rules for paths of that platform. */
function pathsOf({platform}: Pick<Machine, 'platform'>): PlatformPath {
	return platform === 'win32' ? win32 : posix;
}

const name = 'dapss';

/**
Where this user's things are kept. `XDG_*` variables decide where they are set. Else Linux follows the XDG base
directory specification, and macOS and Windows have the folders that the package `env-paths` names there. (It reads the
process alone, so it cannot be asked about another machine.)

@param exists A version for macOS kept everything where Linux does. What is there stays in use.
*/
export function placesOf(machine: Machine, exists: (path: string) => boolean): Places {
	const {platform, env} = machine;
	const {join, isAbsolute} = pathsOf(machine);
	const absolute = (variable: string): string | undefined => {
		const given = env[variable];
		// The specification: a relative path is to be ignored.
		return given !== undefined && isAbsolute(given) ? given : undefined;
	};

	const home = platform === 'win32' ? machine.home : (absolute('HOME') ?? machine.home);

	const place = (variable: string, xdg: readonly string[], own?: string): string => {
		const given = absolute(variable);
		if (given !== undefined) return join(given, name);
		const standard = join(home, ...xdg, name);
		return own === undefined || (platform === 'darwin' && exists(standard) && !exists(own)) ? standard : own;
	};

	const config = ['.config'];
	const data = ['.local', 'share'];
	const state = ['.local', 'state'];
	const cache = ['.cache'];
	let places: Omit<Places, 'runtime'>;
	if (platform === 'win32') {
		const local = absolute('LOCALAPPDATA') ?? join(home, 'AppData', 'Local');
		places = {
			config: place(
				'XDG_CONFIG_HOME',
				config,
				join(absolute('APPDATA') ?? join(home, 'AppData', 'Roaming'), name, 'Config'),
			),
			data: place('XDG_DATA_HOME', data, join(local, name, 'Data')),
			state: place('XDG_STATE_HOME', state, join(local, name, 'State')),
			cache: place('XDG_CACHE_HOME', cache, join(local, name, 'Cache')),
		};
	} else if (platform === 'darwin') {
		const library = join(home, 'Library');
		places = {
			config: place('XDG_CONFIG_HOME', config, join(library, 'Preferences', name)),
			data: place('XDG_DATA_HOME', data, join(library, 'Application Support', name)),
			// Beside the data of clusters, whose names cannot begin with a dot.
			state: place('XDG_STATE_HOME', state, join(library, 'Application Support', name, '.state')),
			cache: place('XDG_CACHE_HOME', cache, join(library, 'Caches', name)),
		};
	} else
		places = {
			config: place('XDG_CONFIG_HOME', config),
			data: place('XDG_DATA_HOME', data),
			state: place('XDG_STATE_HOME', state),
			cache: place('XDG_CACHE_HOME', cache),
		};

	const runtime = absolute('XDG_RUNTIME_DIR');
	return {...places, runtime: runtime === undefined ? join(places.state, 'run') : join(runtime, name)};
}

/** Names that stand for a device in every folder of Windows, whatever follows behind a dot. */
const reserved = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[\d¹²³])(?=\.|$)/i;

/**
A name of `[\w.-]` as the name of a file or folder. On Windows the names of devices, and dots at the end, which it would
leave out, are written as `%` and two digits; no such name has a `%` of its own, so no two get the same one.
*/
export function fileName(text: string, {platform}: Pick<Machine, 'platform'> = thisMachine): string {
	if (platform !== 'win32') return text;
	const coded = (letters: string): string =>
		letters.replaceAll(/./g, letter => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
	return text.replace(reserved, word => coded(word[0]!) + word.slice(1)).replace(/\.+$/, coded);
}

/**
The users whose files are trusted, by number: this one and root. `undefined` where owners and modes of files say
nothing.
*/
export function trustedOwners({platform, uid} = thisMachine): readonly number[] | undefined {
	return platform === 'win32' || uid === undefined ? undefined : [uid, 0];
}

/**
Whether anything but its place keeps other users from a file. False on Windows outside of the user's profile, where it
is open to whom its folder is open to.

@param path absolute
*/
export function isGuarded(path: string, machine: Machine = thisMachine): boolean {
	if (machine.platform !== 'win32') return true;
	const {env, home} = machine;
	const {relative, isAbsolute} = win32;
	return [home, env['USERPROFILE'], env['APPDATA'], env['LOCALAPPDATA']].some(folder => {
		if (folder === undefined || folder === '') return false;
		const way = relative(folder, path);
		return way !== '' && !isAbsolute(way) && !/^\.\.(?:\\|$)/.test(way);
	});
}

/**
The names of a folder last once they are there: NTFS writes them into its own journal, and Windows cannot sync a folder.
*/
export function syncsFolders({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform !== 'win32';
}

/**
Whether a change of a name failed because somebody has the file open for a moment, and may do next time: on Windows a
virus scanner or an indexer keeps others from a file while it reads it, and a name that was removed stays until the last
who has it open closes it.
*/
export function isPassing(error: unknown, {platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return platform === 'win32' && (code === 'EPERM' || code === 'EACCES' || code === 'EBUSY' || code === 'ENOTEMPTY');
}

/** Files that a process may open where the system tells no bound; `undefined` when it is to be asked. */
export function openFilesMax({platform}: Pick<Machine, 'platform'> = thisMachine): number | undefined {
	// Of the C library, for files; sockets do not count.
	return platform === 'win32' ? 8192 : undefined;
}

/** A socket can be bound to a multicast group, so that it hears nothing else. */
export function bindsToGroups({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform !== 'win32';
}

/**
Whether an error of listening says that somebody has the port: on Windows one who wants it for himself, or the system
(`netsh int ipv4 show excludedportrange`), shows as a missing right.
*/
export function isPortTaken(error: unknown, {platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return code === 'EADDRINUSE' || (platform === 'win32' && code === 'EACCES');
}

/** Lines of text that programs write end in `\r\n`. */
export function endsLinesWithReturn({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform === 'win32';
}

/** What stands behind the `%` of a link-local address. */
export function zoneOf(
	networkInterface: {readonly name: string; readonly scopeid: number},
	{platform}: Pick<Machine, 'platform'> = thisMachine,
): string {
	return platform === 'win32' ? String(networkInterface.scopeid) : networkInterface.name;
}

/** The writing end of a pipe can be opened once more under `/proc`, to notice that its reader is gone. */
export function reopensPipes({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform === 'linux';
}

/**
Signals that end a program, with the one that each counts as. Windows has Ctrl-C (SIGINT), Ctrl-Break, the only one of
both that a program can send to another, and the end of its window or session (SIGHUP); there SIGTERM ends a process at
once, so nothing is told of it.
*/
export function endingSignals({platform}: Pick<Machine, 'platform'> = thisMachine): ReadonlyMap<
	string,
	'SIGINT' | 'SIGTERM' | 'SIGHUP'
> {
	const signals = new Map<string, 'SIGINT' | 'SIGTERM' | 'SIGHUP'>([
		['SIGINT', 'SIGINT'],
		['SIGTERM', 'SIGTERM'],
		['SIGHUP', 'SIGHUP'],
	]);
	if (platform === 'win32') signals.set('SIGBREAK', 'SIGINT');
	return signals;
}

/** What a person types, or does, on this platform. */
export const advice = {
	/** Against missing rights. */
	rights: ({platform}: Pick<Machine, 'platform'> = thisMachine): string =>
		platform === 'win32'
			? 'Give the user that runs the node the right to read and write it (icacls), and close other programs that have it open'
			: 'Give the user that runs the node the right to read and write it (chown, chmod)',

	/** Close a file to others. */
	closeFile: (path: string, {platform, env} = thisMachine): string =>
		platform === 'win32'
			? `icacls "${path}" /inheritance:r /grant:r "${env['USERNAME'] ?? '%USERNAME%'}:F"`
			: `chmod 600 ${path}`,

	/** Close a folder to others. */
	closeFolder: (path: string, {platform, env} = thisMachine): string =>
		platform === 'win32'
			? `icacls "${path}" /inheritance:r /grant:r "${env['USERNAME'] ?? '%USERNAME%'}:(OI)(CI)F"`
			: `chmod 700 ${path}`,

	/** Have a file of another user. Where owners say nothing, nobody asks. */
	takeFile: (path: string, uid: number): string => `as root, chown ${uid} ${path} && chmod 600 ${path}`,

	/** Have a folder of another user, with all that is in it. */
	takeFolder: (path: string, uid: number): string => `as root, chown -R ${uid} ${path}`,

	/** Have a folder where this user may make none. */
	makeFolder: (path: string, uid: number): string =>
		`as root, mkdir -p ${path} && chown ${uid} ${path} && chmod 700 ${path}`,

	/** A copy that is closed to others. */
	copyFile: (path: string): string => `(umask 077; cp ${path} COPY)`,

	/** Remove whatever lies there. */
	remove: (path: string, {platform}: Pick<Machine, 'platform'> = thisMachine): string =>
		platform === 'win32' ? `del "${path}" (a folder: rmdir /s "${path}")` : `rm -r ${path}`,

	/** Make a file with a good secret in it. */
	writeSecret: (path: string, {platform}: Pick<Machine, 'platform'> = thisMachine): string =>
		platform === 'win32'
			? `node -e "require('fs').writeFileSync(process.argv[1], require('crypto').randomBytes(32).toString('base64'))" "${path}"`
			: `(umask 077; openssl rand -base64 32 > ${path})`,
};
