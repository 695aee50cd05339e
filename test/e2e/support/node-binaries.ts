/**
Other versions of Node from npm, which has a package with the program for each platform. They are unpacked into a
temporary folder, and not installed.
*/
import {execFile} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {promisify} from 'node:util';

const execute = promisify(execFile);
const fetchMs = 90_000;

export type NodeBinary = Disposable & {readonly version: string; readonly path: string};

/** The lowest version that `engines` in package.json allows. */
export function lowestVersion(): string {
	const {engines} = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
		engines: {node: string};
	};
	return /\d+\.\d+\.\d+/.exec(engines.node)![0];
}

/**
Downloads a version of Node. Resolves with the problem if no registry answers, or if it has no package for the platform.
@param wanted a version, or `latest`
@param platform by default the current one
*/
export async function fetchNode(
	wanted: string,
	platform: NodeJS.Platform = process.platform,
): Promise<NodeBinary | {readonly problem: string}> {
	const folder = mkdtempSync(join(tmpdir(), 'dapss-node-'));
	const dispose = (): void => rmSync(folder, {recursive: true, force: true});
	const name = `node-${platform === 'win32' ? 'win' : platform}-${process.arch}@${wanted}`;
	try {
		const options = {cwd: folder, timeout: fetchMs, shell: process.platform === 'win32'};
		const {stdout} = await execute('npm', ['pack', '--silent', '--fetch-retries=0', name], options);
		const program = `package/bin/${platform === 'win32' ? 'node.exe' : 'node'}`;
		await execute('tar', ['-xzf', stdout.trim().split('\n').at(-1)!, program, 'package/package.json'], options);
		const path = join(folder, program);
		// This machine cannot run the program of another platform.
		const {version} = JSON.parse(readFileSync(join(folder, 'package', 'package.json'), 'utf8')) as {
			version: string;
		};
		return {
			path,
			version:
				platform === process.platform ? (await execute(path, ['--version'])).stdout.trim().slice(1) : version,
			[Symbol.dispose]: dispose,
		};
	} catch (error) {
		dispose();
		return {
			problem: `npm pack ${name} failed: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`,
		};
	}
}
