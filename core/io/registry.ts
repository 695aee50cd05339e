/**
This user's running nodes on this machine: a file for each in a folder that only the user can enter. So a second terminal finds the
first without a network, and two nodes that start at once do not both found a cluster.
*/
import {mkdir, open, readdir, readFile, rename, stat, unlink, writeFile} from 'node:fs/promises';
import {homedir} from 'node:os';
import {join} from 'node:path';

export type RegisteredNode = {
	readonly pid: number;
	readonly port: number;
	readonly address: string;
	readonly cluster: string;
	readonly clusterId: string;
	readonly id: string;
	readonly phase: string;
};
export type Registration = AsyncDisposable & {update(change: Partial<Pick<RegisteredNode, 'phase' | 'clusterId'>>): Promise<void>};

const lockRetryMs = 50;

/** `$XDG_RUNTIME_DIR/dapss`, else below the state folder. */
export function registryFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
	const runtime = env['XDG_RUNTIME_DIR'];
	if (runtime) return join(runtime, 'dapss');
	return join(env['XDG_STATE_HOME'] || join(env['HOME'] || homedir(), '.local', 'state'), 'dapss', 'run');
}

/** Say that a node runs here; disposing takes it back. */
export async function register(node: Omit<RegisteredNode, 'pid'>, folder = registryFolder()): Promise<Registration> {
	await makePrivate(folder);
	let current: RegisteredNode = {pid: process.pid, ...node};
	const path = join(folder, `${node.port}-${node.id}.json`);
	const write = async (): Promise<void> => {
		await writeFile(`${path}.new`, JSON.stringify(current), {mode: 0o600});
		await rename(`${path}.new`, path);
	};

	await write();
	return {
		async update(change) {
			current = {...current, ...change};
			await write();
		},
		async [Symbol.asyncDispose]() {
			await unlink(path).catch(() => undefined);
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
		// oxlint-disable-next-line no-await-in-loop -- few
		const node = await readNode(path);
		if (node && isAlive(node.pid)) nodes.push(node);
		// oxlint-disable-next-line no-await-in-loop
		else await unlink(path).catch(() => undefined);
	}

	return nodes.toSorted((a, b) => a.port - b.port);
}

/** One founder at a time for a cluster's name: waits while another process of this user is at it. */
export async function formLock(cluster: string, folder = registryFolder()): Promise<AsyncDisposable> {
	await makePrivate(folder);
	const path = join(folder, `${cluster}.founding`);
	for (;;) {
		try {
			// oxlint-disable-next-line no-await-in-loop -- until it is free
			const handle = await open(path, 'wx', 0o600);
			// oxlint-disable-next-line no-await-in-loop
			await handle.writeFile(String(process.pid));
			// oxlint-disable-next-line no-await-in-loop
			await handle.close();
			return {
				async [Symbol.asyncDispose]() {
					await unlink(path).catch(() => undefined);
				},
			};
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
		}

		// oxlint-disable-next-line no-await-in-loop
		if (await isStale(path)) await unlink(path).catch(() => undefined);
		// oxlint-disable-next-line no-await-in-loop
		else await new Promise(resolve => {
			setTimeout(resolve, lockRetryMs);
		});
	}
}

async function isStale(path: string): Promise<boolean> {
	try {
		const pid = Number(await readFile(path, 'utf8'));
		if (pid > 0) return !isAlive(pid);
		return Date.now() - (await stat(path)).mtimeMs > 5000; // Made, but its maker died before it wrote its name.
	} catch {
		return false;
	}
}

async function readNode(path: string): Promise<RegisteredNode | undefined> {
	try {
		const {pid, port, address, cluster, clusterId, id, phase} = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
		const areTexts = [address, cluster, clusterId, id, phase].every(text => typeof text === 'string');
		return Number.isSafeInteger(pid) && Number.isSafeInteger(port) && areTexts ? {pid, port, address, cluster, clusterId, id, phase} as RegisteredNode : undefined;
	} catch {
		return undefined;
	}
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
	await mkdir(folder, {recursive: true, mode: 0o700});
}
