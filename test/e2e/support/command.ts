/** Run the built command line as a user would, in a process of its own. */
import {spawn, type ChildProcess} from 'node:child_process';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import type {Cluster} from '../../../bench/cluster.ts';

export const cli = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

export type Finished = {readonly code: number | null; readonly stdout: Buffer; readonly stderr: string};

/**
Runs until the command ends; `input` is its standard input.
@param options `program`: the command line of another release; `node`: another Node to run it
*/
export function run(
	flags: readonly string[],
	{
		input = '',
		env = {},
		program = cli,
		node = process.execPath,
	}: {
		readonly input?: string | Uint8Array;
		readonly env?: Readonly<Record<string, string>>;
		readonly program?: string;
		readonly node?: string;
	} = {},
): Promise<Finished> {
	return new Promise((resolve, reject) => {
		const child = spawn(node, [program, ...flags], {
			stdio: ['pipe', 'pipe', 'pipe'],
			env: {...process.env, NO_COLOR: '1', ...env},
		});
		const stdout: Buffer[] = [];
		let stderr = '';
		child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
		child.stderr.on('data', (chunk: Buffer) => {
			stderr += chunk.toString();
		});
		child.once('error', reject);
		child.once('close', code => resolve({code, stdout: Buffer.concat(stdout), stderr}));
		child.stdin.on('error', () => undefined);
		child.stdin.end(input);
	});
}

/** Resolves when the process has ended and its output is complete. */
export const exitCodeOf = (child: ChildProcess): Promise<number | null> =>
	new Promise(resolve => child.once('close', code => resolve(code)));

/** Stops the process by SIGTERM. Resolves with the exit code. */
export function stop(child: ChildProcess): Promise<number | null> {
	const exitCode = exitCodeOf(child);
	child.kill('SIGTERM');
	return exitCode;
}

/** Flags of a node of the cluster on this port. @param data the name of its folder in the folder of the cluster */
export const nodeFlags = (cluster: Cluster, port: number, data = String(port)): string[] => [
	'--port',
	String(port),
	...cluster.clientFlags,
	'--data',
	join(cluster.folder, data),
];

/** Flags that let a command reach the node of the cluster on this port. */
export const serverFlags = (cluster: Cluster, {port}: {readonly port: number}): string[] => [
	...cluster.clientFlags,
	'--server',
	`127.0.0.1:${port}`,
];

/** Run a command at one node of the cluster. */
export const runAt = (cluster: Cluster, node: {readonly port: number}, ...args: readonly string[]): Promise<Finished> =>
	run([...args, ...serverFlags(cluster, node)], {env: cluster.env});

/** The JSON output of a command at one node of the cluster. */
export async function jsonAt<Output>(
	cluster: Cluster,
	node: {readonly port: number},
	...args: readonly string[]
): Promise<Output> {
	const {stdout} = await runAt(cluster, node, ...args, '-o', 'json');
	return JSON.parse(stdout.toString()) as Output;
}

/** The lines of a JSONL output, without an incomplete last line. */
export const jsonLines = <Line>(text: string): Line[] =>
	text
		.split('\n')
		.slice(0, -1)
		.map(line => JSON.parse(line) as Line);
