/**
The differences between Linux, macOS and Windows: folders, file semantics, advice, signals. Each function takes a
`Machine`, so that a test can ask about any platform on any other; `here` is the machine of this process.

Windows reports the same owner and mode for every file, so these say nothing there. A file on Windows is as private as
its folder, and the folder of a user's profile is closed to other users.
*/
import {homedir, userInfo} from 'node:os';
import {posix, win32, type PlatformPath} from 'node:path';

export type Env = Readonly<Record<string, string | undefined>>;
export type Machine = {
	readonly platform: NodeJS.Platform;
	readonly env: Env;
	/** The home folder of this user, absolute. */
	readonly home: string;
	/** The user id; `undefined` on systems without one. */
	readonly uid: number | undefined;
};
/** Absolute folders of this program. `runtime` is for files that end with the processes; the others persist. */
export type Places = {
	readonly config: string;
	readonly data: string;
	readonly state: string;
	readonly cache: string;
	readonly runtime: string;
};

/** The machine of this process. @param env @default the environment of the process */
export function here(env: Env = process.env): Machine {
	return {platform: process.platform, env, home: homeOf(), uid: process.getuid?.()};
}

/** The home folder; the root when there is none, because users of some containers have neither `HOME` nor an entry. */
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

/** Computed once, so that simulated nodes make no system calls. */
const thisMachine = here();

/** The path rules of the platform. */
function pathsOf({platform}: Pick<Machine, 'platform'>): PlatformPath {
	return platform === 'win32' ? win32 : posix;
}

const name = 'dapss';

/**
The folders of this user. `XDG_*` variables take precedence where they are set. Otherwise Linux follows the XDG base
directory specification, and macOS and Windows use the folders of the package `env-paths`. (The package reads the
process alone, so it cannot be asked about another machine.)

@param exists An earlier version used the Linux folders on macOS. Those that exist stay in use.
*/
export function placesOf(machine: Machine, exists: (path: string) => boolean): Places {
	const {platform, env} = machine;
	const {join, isAbsolute} = pathsOf(machine);
	const absolute = (variable: string): string | undefined => {
		const given = env[variable];
		// The specification requires relative paths to be ignored.
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
			// Beside the data of the clusters, whose names cannot begin with a dot.
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

/** Names that mean a device in every folder of Windows, with any suffix after a dot. */
const reserved = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[\d¹²³])(?=\.|$)/i;

/**
A name of `[\w.-]` as a file name. On Windows, device names and trailing dots (which Windows drops) are written as `%`
and two hexadecimal digits. Such names contain no `%` themselves, so the result is unique.
*/
export function fileName(text: string, {platform}: Pick<Machine, 'platform'> = thisMachine): string {
	if (platform !== 'win32') return text;
	const coded = (letters: string): string =>
		letters.replaceAll(/./g, letter => `%${letter.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
	return text.replace(reserved, word => coded(word[0]!) + word.slice(1)).replace(/\.+$/, coded);
}

/** User ids whose files are trusted: this user and root. `undefined` where owners and modes say nothing. */
export function trustedOwners({platform, uid} = thisMachine): readonly number[] | undefined {
	return platform === 'win32' || uid === undefined ? undefined : [uid, 0];
}

/** `ownGid`: the group that only this user is in; `undefined` when there is none. */
export type OwnerIds = {readonly uid: number; readonly ownGid: number | undefined};

/**
This user, for checks of owners; `undefined` where owners and modes say nothing. A group is this user's own if it is the
primary one and has the number of the user, as systems with a group for each user make it.
*/
export function ownerIds({platform, uid} = thisMachine, gid = process.getgid?.()): OwnerIds | undefined {
	return platform === 'win32' || uid === undefined ? undefined : {uid, ownGid: gid === uid ? gid : undefined};
}

/**
Whether more than its folder protects a file from other users. False on Windows outside the user's profile, where a file
is open to every user that may open its folder.

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

/** Whether folders need an fsync for their entries to last. NTFS journals them, and Windows cannot sync a folder. */
export function syncsFolders({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform !== 'win32';
}

/**
Whether a rename or removal failed only for a moment, because another process has the file open. On Windows a virus
scanner or an indexer locks a file while it reads it, and a removed name stays until the last handle is closed.
*/
export function isTransient(error: unknown, {platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return platform === 'win32' && (code === 'EPERM' || code === 'EACCES' || code === 'EBUSY' || code === 'ENOTEMPTY');
}

/** The open file limit where the system does not report one; `undefined` where it can be asked. */
export function openFilesMax({platform}: Pick<Machine, 'platform'> = thisMachine): number | undefined {
	// The limit of the C library, for files; sockets do not count.
	return platform === 'win32' ? 8192 : undefined;
}

/** Whether a socket can be bound to a multicast group, so that it receives nothing else. */
export function bindsToGroups({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform !== 'win32';
}

/**
Whether a listen error means that the port is taken. On Windows a port in exclusive use, or reserved by the system
(`netsh int ipv4 show excludedportrange`), shows as a missing right.
*/
export function isPortTaken(error: unknown, {platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	const {code} = Object(error) as {readonly code?: unknown};
	return code === 'EADDRINUSE' || (platform === 'win32' && code === 'EACCES');
}

/** Whether a shell can stop a program and continue it (job control). */
export function controlsJobs({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform !== 'win32';
}

/** Whether lines of text end in `\r\n`. */
export function endsLinesWithReturn({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform === 'win32';
}

/** The zone of a link-local address, after the `%`. */
export function zoneOf(
	networkInterface: {readonly name: string; readonly scopeid: number},
	{platform}: Pick<Machine, 'platform'> = thisMachine,
): string {
	return platform === 'win32' ? String(networkInterface.scopeid) : networkInterface.name;
}

/** Whether the writing end of a pipe can be opened again under `/proc`, to notice that its reader is gone. */
export function reopensPipes({platform}: Pick<Machine, 'platform'> = thisMachine): boolean {
	return platform === 'linux';
}

/**
Signals that end a program, each with the signal that it counts as. Windows has Ctrl-C (SIGINT), Ctrl-Break (the only
one that a program can send to another), and the end of a window or session (SIGHUP). SIGTERM ends a process at once on
Windows, so the process is not notified.
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

/** Advice for people: commands and actions on this platform. */
export const advice = {
	/** To add missing rights. */
	rights: ({platform}: Pick<Machine, 'platform'> = thisMachine): string =>
		platform === 'win32'
			? 'Give the user that runs the node the right to read and write it (icacls), ' +
				'and close other programs that have it open'
			: 'Give the user that runs the node the right to read and write it (chown, chmod)',

	/** To close a file to other users. */
	closeFile: (path: string, {platform, env} = thisMachine): string =>
		platform === 'win32'
			? `icacls "${path}" /inheritance:r /grant:r "${env['USERNAME'] ?? '%USERNAME%'}:F"`
			: `chmod 600 ${path}`,

	/** To close a folder to other users. */
	closeFolder: (path: string, {platform, env} = thisMachine): string =>
		platform === 'win32'
			? `icacls "${path}" /inheritance:r /grant:r "${env['USERNAME'] ?? '%USERNAME%'}:(OI)(CI)F"`
			: `chmod 700 ${path}`,

	/** To keep other users from changing what is in a folder. */
	closeToWrites: (path: string): string => `chmod go-w ${path}`,

	/** To take over a file of another user. Not needed where owners say nothing. */
	takeFile: (path: string, uid: number): string => `as root, chown ${uid} ${path} && chmod 600 ${path}`,

	/** To take over a folder of another user, with its content. */
	takeFolder: (path: string, uid: number): string => `as root, chown -R ${uid} ${path}`,

	/** To make a folder where this user may not. */
	makeFolder: (path: string, uid: number): string =>
		`as root, mkdir -p ${path} && chown ${uid} ${path} && chmod 700 ${path}`,

	/** To make a copy that is closed to other users. */
	copyFile: (path: string): string => `(umask 077; cp ${path} COPY)`,

	/** To remove a file or folder. */
	remove: (path: string, {platform}: Pick<Machine, 'platform'> = thisMachine): string =>
		platform === 'win32' ? `del "${path}" (a folder: rmdir /s "${path}")` : `rm -r ${path}`,

	/** To create a file with a strong secret. */
	writeSecret: (path: string, {platform}: Pick<Machine, 'platform'> = thisMachine): string =>
		platform === 'win32'
			? "node -e \"require('fs').writeFileSync(process.argv[1], " +
				`require('crypto').randomBytes(32).toString('base64'))" "${path}"`
			: `(umask 077; openssl rand -base64 32 > ${path})`,
};
