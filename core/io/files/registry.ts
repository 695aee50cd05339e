/**
This user's running nodes on this machine: a file for each in a folder that only the user can enter. So a second
terminal finds the first without a network, and two nodes that start at once do not both found a cluster.
*/
import {existsSync} from 'node:fs';
import {chmod, readdir, readFile, rename, unlink, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {fileName, here, placesOf} from '../../platform.ts';
import {despiteOthers} from '../despite-others.ts';
import {makeFolders} from '../make-folder.ts';
import {DatabaseSync} from './sqlite.ts';

export type RegisteredNode = {
	readonly pid: number;
	/**
	When the process started, as the system counts; empty where it does not say. A number of a process is used again,
	this is not.
	*/
	readonly born: string;
	readonly port: number;
	readonly address: string;
	readonly cluster: string;
	readonly clusterId: string;
	readonly id: string;
	readonly phase: string;
	/** Its name in the cluster; empty before it is agreed, and of a node of an earlier version. */
	readonly name: string;
};
export type Registration = AsyncDisposable & {
	update(change: Partial<Pick<RegisteredNode, 'phase' | 'clusterId' | 'name'>>): Promise<void>;
};

const lockRetryMs = 50;
/** An entry that names no version is of this one. */
const entryVersion = 1;

/** `$XDG_RUNTIME_DIR/dapss`, else below the state folder. */
export function registryFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
	return placesOf(here(env), existsSync).runtime;
}

/** Say that a node runs here; disposing takes it back. */
export async function register(
	node: Omit<RegisteredNode, 'pid' | 'born' | 'name'>,
	folder = registryFolder(),
): Promise<Registration> {
	await makePrivate(folder);
	let current: RegisteredNode = {pid: process.pid, born: await birthOf(process.pid), name: '', ...node};
	const path = join(folder, `${node.port}-${node.id}.json`);
	const write = async (): Promise<void> => {
		await writeFile(`${path}.new`, JSON.stringify(current), {mode: 0o600});
		await despiteOthers(() => rename(`${path}.new`, path));
	};

	await write();
	// One after the other: two that write the same new file would spoil it.
	let last: Promise<void> = Promise.resolve();
	return {
		async update(change) {
			current = {...current, ...change};
			last = last.catch(() => undefined).then(write);
			await last;
		},
		async [Symbol.asyncDispose]() {
			await last.catch(() => undefined);
			await despiteOthers(() => unlink(path)).catch(() => undefined);
		},
	};
}

/** Nodes whose process lives; what dead ones left is cleaned up. */
export async function listNodes(folder = registryFolder()): Promise<readonly RegisteredNode[]> {
	const names = await readdir(folder).catch(() => []);
	const nodes: RegisteredNode[] = [];
	for (const name of names) {
		if (!name.endsWith('.json')) continue;
		const path = join(folder, name);
		const node = await readNode(path);
		if (node === 'newer') continue;
		const isHere = node !== undefined && (await isRunning(node));
		if (isHere) nodes.push(node);
		else await unlink(path).catch(() => undefined);
	}

	return nodes.toSorted((a, b) => a.port - b.port);
}

/**
One founder at a time for a cluster's name: waits while another process of this user is at it. The lock is SQLite's, as
that of the data folder: the kernel releases it with its process, so no stale one is ever left to be judged, or taken
from a living one by mistake.
*/
export async function formLock(cluster: string, folder = registryFolder()): Promise<AsyncDisposable> {
	await makePrivate(folder);
	const path = join(folder, fileName(`${cluster}.founding`));
	for (;;) {
		const lock = new DatabaseSync(path);
		try {
			lock.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=MEMORY; BEGIN EXCLUSIVE');
			await chmod(path, 0o600);
			let isHeld = true;
			return {
				async [Symbol.asyncDispose]() {
					if (isHeld) lock.close();
					isHeld = false;
				},
			};
		} catch (error) {
			lock.close();
			if (!isBusy(error)) throw error;
		}

		await new Promise(resolve => {
			setTimeout(resolve, lockRetryMs);
		});
	}
}

/** SQLITE_BUSY, SQLITE_LOCKED. */
function isBusy(error: unknown): boolean {
	const {errcode} = error as {readonly errcode?: unknown};
	return errcode === 5 || errcode === 6;
}

/** `newer`: of a newer program, whose entry is its own business. */
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
		} = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
		if (typeof version === 'number' && version > entryVersion) return 'newer';
		const areTexts = [born, address, cluster, clusterId, id, phase, name].every(text => typeof text === 'string');
		return Number.isSafeInteger(pid) && Number.isSafeInteger(port) && areTexts
			? ({pid, born, port, address, cluster, clusterId, id, phase, name} as RegisteredNode)
			: undefined;
	} catch {
		return undefined;
	}
}

/** Linux: field 22 of /proc/PID/stat, counted after the name, which may hold anything. */
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

async function makePrivate(folder: string): Promise<void> {
	await makeFolders(folder);
}
