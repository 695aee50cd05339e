/**
The tarball of `npm pack`, installed in other projects: TypeScript with all checks, TypeScript with the settings of
`tsc --init`, and JavaScript. They run the programs of docs/library.md. The test downloads nothing: it unpacks the
tarball, and links the packages on which it depends.
*/
import {execFileSync, spawnSync, type SpawnSyncReturns} from 'node:child_process';
import {cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {Cluster, freePorts, NodeProcess} from '../../bench/cluster.ts';
import {root} from '../support/imports.ts';
import {nodeFlags, run} from './support/command.ts';
import {isReady} from './support/events.ts';
import {userFolders} from './support/folders.ts';
import {Terminal} from './support/terminal.ts';

type Manifest = {readonly dependencies: Readonly<Record<string, string>>; readonly exports: {readonly '.': unknown}};

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const {version} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {version: string};
const tarball = `dapss-tui-${version}.tgz`;
const page = readFileSync(join(root, 'docs/library.md'), 'utf8');
/** The programs of the page are the blocks that name a file. */
const programs = new Map(
	[...page.matchAll(/^```(?:ts|js) (\S+)\n(.*?)^```$/gmsu)].map(match => [match[1]!, match[2]!]),
);
const isWindows = process.platform === 'win32';

let folder: string;
let installed: string;
let env: Readonly<Record<string, string>>;
beforeAll(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-package-'));
	execFileSync('npm', ['pack', '--silent', '--pack-destination', folder], {cwd: root, shell: isWindows});
	const unpacked = join(folder, 'unpacked');
	mkdirSync(unpacked);
	execFileSync('tar', ['-xzf', tarball, '-C', 'unpacked'], {cwd: folder});
	installed = join(unpacked, 'package');
	env = userFolders(folder);
}, 120_000);
afterAll(() => rmSync(folder, {recursive: true, force: true}));

/** Creates a project with the package, and with other packages of the repository. */
function createProject(name: string, ...others: readonly string[]): string {
	const at = join(folder, name);
	mkdirSync(join(at, 'node_modules'), {recursive: true});
	writeFileSync(join(at, 'package.json'), '{"type": "module"}\n');
	cpSync(installed, join(at, 'node_modules/dapss-tui'), {recursive: true});
	const {dependencies} = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
	for (const other of [...Object.keys(dependencies), ...others]) {
		mkdirSync(dirname(join(at, 'node_modules', other)), {recursive: true});
		symlinkSync(join(root, 'node_modules', other), join(at, 'node_modules', other), 'junction');
	}

	return at;
}

function node(cwd: string, ...args: readonly string[]): SpawnSyncReturns<string> {
	return spawnSync(process.execPath, args, {
		cwd,
		encoding: 'utf8',
		env: {...process.env, ...env, NO_COLOR: '1'},
		timeout: 60_000,
	});
}

const passed = {status: 0, stdout: '', stderr: ''};

test('the package has the files that its users need, and no TypeScript source', () => {
	const files = execFileSync('tar', ['-tzf', tarball], {cwd: folder, encoding: 'utf8'}).trim().split('\n');
	expect(files.filter(file => /\.tsx?$/.test(file) && !file.endsWith('.d.ts'))).toEqual([]);
	expect(files.filter(file => file.startsWith('package/core/'))).toEqual([]);
	expect(files).toContain('package/dist/library.js.map');
	expect(files).toContain('package/dist/licenses.txt');
	const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as Manifest;
	expect(manifest.exports['.']).toEqual({
		types: './dist/types/library.d.ts',
		default: './source/library.mjs',
	});
	// The bundle contains all other dependencies.
	expect(Object.keys(manifest.dependencies)).toEqual(['@node-rs/crc32']);
});

describe('in TypeScript', () => {
	test('the programs of the page compile with all checks and the types of Node', () => {
		const at = createProject('strict', '@types/node', 'undici-types');
		for (const [name, text] of programs) if (name.endsWith('.ts')) writeFileSync(join(at, name), text);
		const compilerOptions = {
			module: 'nodenext',
			target: 'es2022',
			lib: ['es2022'],
			types: ['node'],
			strict: true,
			noUncheckedIndexedAccess: true,
			exactOptionalPropertyTypes: true,
			skipLibCheck: false,
			noEmit: true,
		};
		writeFileSync(join(at, 'tsconfig.json'), JSON.stringify({compilerOptions}));
		expect(node(at, tsc, '-p', '.')).toMatchObject(passed);
	}, 60_000);

	test('the programs of the page compile with the settings of `tsc --init`, without the types of Node', () => {
		const at = createProject('init');
		for (const [name, text] of programs) if (name.endsWith('.ts')) writeFileSync(join(at, name), text);
		expect(node(at, tsc, '--init').status).toBe(0);
		expect(node(at, tsc)).toMatchObject(passed);
		expect(existsSync(join(at, 'client.js'))).toBe(true);
		expect(node(at, tsc, '--noEmit', '--skipLibCheck', 'false')).toMatchObject(passed);
	}, 60_000);

	test('the declarations reject an unknown option', () => {
		const at = createProject('wrong');
		writeFileSync(
			join(at, 'wrong.ts'),
			"import {connect} from 'dapss-tui';\nawait connect({server: 'host:5000'});\n",
		);
		writeFileSync(join(at, 'tsconfig.json'), '{"compilerOptions": {"module": "nodenext", "target": "esnext"}}');
		const {status, stdout} = node(at, tsc, '--noEmit');
		expect(status).toBe(1);
		expect(stdout).toMatch(/^wrong\.ts\(2,16\): error TS\d+: .*'server' does not exist in type 'ConnectOptions'/);
	}, 60_000);
});

describe('in JavaScript', () => {
	/** Runs a program of the page with this port. */
	function runPage(at: string, name: string, port: number): SpawnSyncReturns<string> {
		const program = programs.get(name)!.replaceAll('5000', String(port)).replaceAll('5001', String(port));
		writeFileSync(join(at, name), program);
		return node(at, '--disable-warning=ExperimentalWarning', name);
	}

	test('the programs of the page run together', async () => {
		const at = createProject('javascript');
		// The programs use no type annotations, so that Node runs them as JavaScript under this name.
		expect([...programs.keys()]).toEqual(['node.ts', 'client.ts', 'follow.ts', 'errors.ts', 'client.cjs']);
		const [port] = await freePorts(1);
		expect(runPage(at, 'node.ts', port!)).toMatchObject({
			status: 0,
			stdout: expect.stringMatching(
				new RegExp(
					`^node [0-9a-f]{16} listens on port ${port}\n2 messages stored\nweather: rain\nweather: sun\n$`,
					'u',
				),
			) as string,
			stderr: '',
		});

		// The same node started in another terminal has the messages.
		const bin = join(at, 'node_modules/dapss-tui/source/bin.mjs');
		const args = [bin, '--headless', '-o', 'jsonl', '--port', String(port), '--no-discovery'];
		const headless = new NodeProcess(port!, args, false, process.execPath, env);
		await headless.waitFor(isReady, 'ready');
		expect(runPage(at, 'client.ts', port!)).toMatchObject({
			status: 0,
			stdout: expect.stringMatching(new RegExp(`^connected to localhost:${port}\n0: rain\n`, 'u')) as string,
			stderr: '',
		});
		expect(runPage(at, 'follow.ts', port!)).toMatchObject({
			status: 0,
			stdout: expect.stringMatching(/^rain\n/u) as string,
			stderr: '',
		});
		expect(runPage(at, 'errors.ts', port!)).toMatchObject(passed);
		expect(runPage(at, 'client.cjs', port!)).toMatchObject(passed);

		const reach = ['--server', `127.0.0.1:${port}`];
		expect(await run(['publish', 'weather', 'fog', ...reach], {program: bin, env})).toMatchObject({code: 0});
		const read = ['subscribe', 'weather', '--from', 'beginning', '--count', '5', '--wait', '20s', ...reach];
		expect((await run(read, {program: bin, env})).stdout.toString()).toBe('rain\nsun\nsnow\nhail\nfog\n');
		await headless.kill('SIGTERM');
		expect(await headless.exited).toBe(0);
		expect(runPage(at, 'errors.ts', port!)).toMatchObject({
			status: 0,
			stderr: expect.stringMatching(/^No node answers: /u) as string,
		});
	}, 120_000);

	test('an error shows a readable line, and its stack names the source', () => {
		const at = createProject('error');
		writeFileSync(join(at, 'error.js'), "import {openBroker} from 'dapss-tui';\nawait openBroker({port: 0});\n");
		const {status, stderr} = node(at, '--enable-source-maps', 'error.js');
		expect(status).toBe(1);
		expect(stderr).toContain('DapssError: port: Expected a whole number from 1 to 65535, got 0');
		expect(stderr).toMatch(/core\/config-schema\.ts:\d+/u);
		expect(stderr.length).toBeLessThan(3000);
		const plain = node(at, 'error.js');
		expect(plain.stderr).toContain('DapssError: port: Expected a whole number from 1 to 65535, got 0');
		expect(plain.stderr.length).toBeLessThan(3000);
	});
});

test('the installed command line runs, and so does its console', async () => {
	const at = createProject('commands');
	const bin = join(at, 'node_modules/dapss-tui/source/bin.mjs');
	expect(node(at, bin, 'version')).toMatchObject({
		status: 0,
		stdout: expect.stringContaining(version) as string,
		stderr: '',
	});
	await using cluster = new Cluster({cli: bin});
	await cluster.startAll(1);
	const [port] = await freePorts(1);
	await using terminal = new Terminal(
		process.execPath,
		[bin, '--bootstrap', String(cluster.nodes[0]!.port), ...nodeFlags(cluster, port!, 'console')],
		{columns: 120, rows: 36, env: {...cluster.env, ...env}},
	);
	await terminal.waitFor(/alive/u, 'the members');
	expect(await terminal.quit()).toBe(0);
}, 60_000);
