/**
The running nodes of this user on this machine, with one file for each node in a private folder. A second terminal finds
the first node through it without a network.

`XDG_RUNTIME_DIR` may name a folder that other users can change. Then the registry is not used: an entry of another user
would lead commands to a program of that user, and a link would lead this node to overwrite another file.
*/
import {constants, existsSync} from 'node:fs';
import {open, readdir, readFile, rename, stat, unlink} from 'node:fs/promises';
import {join} from 'node:path';
import {DapssError} from '../../errors.ts';
import {here, placesOf} from '../../platform.ts';
import {despiteOthers} from '../despite-others.ts';
import {makeFolders} from '../make-folder.ts';
import {folderProblem} from '../trusted-folder.ts';

export type RegisteredNode = {
	readonly pid: number;
	/**
	The start time of the process in the system's own unit; empty where the system gives none. Process ids are reused;
	this value distinguishes the processes.
	*/
	readonly born: string;
	readonly port: number;
	readonly address: string;
	readonly cluster: string;
	readonly clusterId: string;
	readonly id: string;
	readonly phase: string;
	/** The name in the cluster; empty until it is agreed, and for nodes of earlier versions. */
	readonly name: string;
};
export type Registration = AsyncDisposable & {
	update(change: Partial<Pick<RegisteredNode, 'phase' | 'clusterId' | 'name'>>): Promise<void>;
};

/** An entry is written under a name with this ending, then renamed. */
const draftEnding = '.new';
/** No write of an entry takes longer than this, milliseconds. */
const draftMsMax = 60_000;
/** An entry has less than 1 KiB. */
const entryBytesMax = 65_536;
/** Windows knows neither of the two flags. */
const {O_NOFOLLOW = 0, O_NONBLOCK = 0} = constants as Partial<Record<string, number>>;
/** An entry without a version has this one. */
const entryVersion = 1;

/** `$XDG_RUNTIME_DIR/dapss`, or a folder in the state folder. */
export function registryFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
	return placesOf(here(env), existsSync).runtime;
}

/**
Registers a running node; disposing removes the entry.
@throws `config` for a folder that others can change, or the error of the system
*/
export async function register(
	node: Omit<RegisteredNode, 'pid' | 'born' | 'name'>,
	folder = registryFolder(),
): Promise<Registration> {
	await makeFolders(folder);
	const problem = folderProblem(folder);
	if (problem) throw new DapssError('config', `Expected ${folder} ${problem.problem}: ${problem.remedy}`);
	let current: RegisteredNode = {pid: process.pid, born: await birthOf(process.pid), name: '', ...node};
	const path = join(folder, `${node.port}-${node.id}.json`);
	const draft = `${path}${draftEnding}`;
	const write = async (): Promise<void> => {
		try {
			await writeNew(draft, JSON.stringify(current));
			await despiteOthers(() => rename(draft, path));
		} catch (error) {
			await despiteOthers(() => unlink(draft)).catch(() => undefined);
			throw error;
		}
	};

	await write();
	// One write after the other: two concurrent writes of the same draft would corrupt it.
	let last: Promise<void> = Promise.resolve();
	let isClosed = false;
	return {
		async update(change) {
			// A stopping node still changes its phase; a write would outlive the entry.
			if (isClosed) return;
			current = {...current, ...change};
			last = last.catch(() => undefined).then(write);
			await last;
		},
		async [Symbol.asyncDispose]() {
			// Once: a later start of the node may have an entry of this name.
			if (isClosed) return;
			isClosed = true;
			await last.catch(() => undefined);
			await despiteOthers(() => unlink(path)).catch(() => undefined);
		},
	};
}

/**
The nodes whose process runs. Removes the entries and drafts of processes that have ended. None in a folder that others
can change.
*/
export async function listNodes(folder = registryFolder()): Promise<readonly RegisteredNode[]> {
	if (!isTrusted(folder)) return [];
	const names = await readdir(folder).catch(() => []);
	const nodes: RegisteredNode[] = [];
	for (const name of names) {
		const path = join(folder, name);
		if (name.endsWith(`.json${draftEnding}`)) await removeLeftDraft(path);
		if (!name.endsWith('.json')) continue;
		const node = await readNode(path);
		if (node === 'newer') continue;
		const isHere = node !== undefined && (await isRunning(node));
		if (isHere) nodes.push(node);
		else await unlink(path).catch(() => undefined);
	}

	return nodes.toSorted((a, b) => a.port - b.port);
}

function isTrusted(folder: string): boolean {
	try {
		return folderProblem(folder) === undefined;
	} catch {
		return false;
	}
}

/** Writes a file that must not exist: one that a killed process left is removed, and no link is followed. */
async function writeNew(path: string, text: string): Promise<void> {
	const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW;
	const file = await open(path, flags, 0o600).catch(async (error: unknown) => {
		if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
		await despiteOthers(() => unlink(path));
		return open(path, flags, 0o600);
	});
	try {
		await file.writeFile(text);
	} finally {
		await file.close();
	}
}

/** The text of a regular file of bounded size; no link is followed, and a pipe does not block. */
async function readSmall(path: string): Promise<string> {
	const file = await open(path, constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
	try {
		const stats = await file.stat();
		if (!stats.isFile() || stats.size > entryBytesMax) throw new Error(`${path} is no entry of a node`);
		return await file.readFile('utf8');
	} finally {
		await file.close();
	}
}

/** Removes the draft of an entry whose process has ended during the write. */
async function removeLeftDraft(path: string): Promise<void> {
	try {
		const node = await readNode(path);
		const hasEnded = typeof node === 'object' && !(await isRunning(node));
		if (hasEnded || Date.now() - (await stat(path)).mtimeMs > draftMsMax) await unlink(path);
	} catch {
		// It was renamed in the meantime.
	}
}

/** `newer`: the entry of a newer program, which must be left alone. */
async function readNode(path: string): Promise<RegisteredNode | 'newer' | undefined> {
	try {
		const {
			version,
			pid,
			born,
			port,
			address,
			cluster,
			clusterId,
			id,
			phase,
			name = '',
		} = JSON.parse(await readSmall(path)) as Record<string, unknown>;
		if (typeof version === 'number' && version > entryVersion) return 'newer';
		const areTexts = [born, address, cluster, clusterId, id, phase, name].every(text => typeof text === 'string');
		return Number.isSafeInteger(pid) && Number.isSafeInteger(port) && areTexts
			? ({pid, born, port, address, cluster, clusterId, id, phase, name} as RegisteredNode)
			: undefined;
	} catch {
		return undefined;
	}
}

/** Linux: field 22 of /proc/PID/stat. Counts the fields after the process name, which may contain any character. */
async function birthOf(pid: number): Promise<string> {
	const text = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
	return text.slice(text.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

async function isRunning({pid, born}: RegisteredNode): Promise<boolean> {
	return isAlive(pid) && (await birthOf(pid)) === born;
}

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return (error as NodeJS.ErrnoException).code === 'EPERM';
	}
}
