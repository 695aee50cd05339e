/** Run the built command line as a user would, in a process of its own. */
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';

export const cli = fileURLToPath(new URL('../../../dist/cli.js', import.meta.url));

export type Finished = {readonly code: number | null; readonly stdout: Buffer; readonly stderr: string};

/**
Runs to the end; `input` is its standard input.
@param options `program`: that of another release; `node`: another Node to run it
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
