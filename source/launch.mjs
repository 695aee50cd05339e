/**
`npm start`, `npm test` and `npm run build` on a fresh clone: installs missing packages, builds a stale dist/, and runs.
Plain JavaScript for Node 18 and newer, because the right Node is a part of the installation.
*/
import {spawnSync} from 'node:child_process';
import {closeSync, openSync, readFileSync, rmSync, statSync, writeSync} from 'node:fs';
import {join} from 'node:path';
import process from 'node:process';
import {pathToFileURL} from 'node:url';
import {build, isFresh, root} from './build.mjs';
import {handOver, isNewEnough, neededNode, ownNode} from './node-version.mjs';

const lockPath = join(root, '.setup.lock');
const lockPollMs = 200;
/** After this time a waiting process says why; and a lock without content is left by a killed process. */
const lockSayMs = 5000;

const tasks = {
	start: {file: 'dist/cli.js', args: []},
	test: {file: 'node_modules/vitest/vitest.mjs', args: ['run', '-c', 'test/vitest.config.ts']},
	sim: {file: 'test/sim/run.mjs', args: []},
	'sim:campaign': {file: 'test/sim/campaign.mjs', args: []},
	'sim:crash': {file: 'test/sim/store/run.mjs', args: []},
	'sim:mutants': {file: 'test/sim/mutants.mjs', args: []},
	fuzz: {file: 'test/fuzz/run.mjs', args: []},
	'bench:scale': {file: 'bench/scale.mjs', args: []},
	build: undefined,
};

// Node would open its debugger on this signal; see `entry.ts`.
process.on('SIGUSR1', () => undefined);

const [task, ...args] = process.argv.slice(2);
if (!Object.hasOwn(tasks, task ?? '')) {
	say(`Expected ${Object.keys(tasks).join(', ')}, got ${task}`);
	process.exit(2);
}

if (!isInstalled() || !isFresh()) await locked(prepare);
if (tasks[task]) await run(tasks[task].file, [...tasks[task].args, ...args]);

async function prepare() {
	if (!isInstalled()) {
		say('Installing the packages of package-lock.json (npm ci) …');
		const npm = process.env.npm_execpath;
		const flags = ['ci', '--no-audit', '--no-fund', '--loglevel=error'];
		const options = {cwd: root, stdio: ['ignore', 2, 2]};
		// On Windows `npm` is a batch file, which only a shell runs.
		const {status, error} =
			npm && /\.c?js$/.test(npm)
				? spawnSync(process.execPath, [npm, ...flags], options)
				: spawnSync('npm', flags, {...options, shell: process.platform === 'win32'});
		if (status !== 0) fail(`npm ci failed${error ? `: ${error.message}` : ` with ${status}`}`);
	}

	if (!isFresh()) {
		say('Building …');
		try {
			await build();
		} catch (error) {
			fail(`The build failed: ${error.errors ? `${error.errors.length} errors` : error.stack}`);
		}
	}
}

/** Every package of package-lock.json is installed in its version. Optional packages may be for another platform. */
function isInstalled() {
	try {
		const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
		const found = JSON.parse(readFileSync(join(root, 'node_modules', '.package-lock.json'), 'utf8')).packages;
		return Object.entries(wanted).every(
			([path, {version, optional, devOptional}]) =>
				path === '' || optional || devOptional || found[path]?.version === version,
		);
	} catch {
		return false;
	}
}

/** Runs in this process if its Node is supported; else with the installed Node. */
async function run(file, rest) {
	const path = join(root, file);
	if (isNewEnough(process.versions.node)) {
		process.argv.splice(1, Infinity, path, ...rest);
		await import(pathToFileURL(path).href);
		return;
	}

	const node = ownNode(root);
	if (!node)
		fail(
			`Expected ${neededNode}, this is ${process.versions.node}, and node_modules has none: ` +
				'run npm ci without --ignore-scripts',
		);
	handOver(node, [path, ...rest]);
}

/** A lock between processes: two terminals may start at once on a fresh clone. */
async function locked(work) {
	const sinceMs = Date.now();
	let isSaid = false;
	for (;;) {
		try {
			const file = openSync(lockPath, 'wx');
			writeSync(file, String(process.pid));
			closeSync(file);
			break;
		} catch (error) {
			if (error.code !== 'EEXIST') fail(`Could not write in ${root}: ${error.message}`);
			if (!isHeld()) rmSync(lockPath, {force: true});
			else if (!isSaid && Date.now() - sinceMs > lockSayMs) {
				isSaid = true;
				say(
					`another process installs or builds here and holds ${lockPath}: waiting for it. ` +
						'If there is no such process, remove that file',
				);
			}

			await new Promise(resolve => setTimeout(resolve, lockPollMs));
		}
	}

	const release = () => rmSync(lockPath, {force: true});
	process.once('exit', release);
	try {
		await work();
	} finally {
		process.off('exit', release);
		release();
	}
}

function isHeld() {
	try {
		const pid = Number(readFileSync(lockPath, 'utf8'));
		// The file was created, and its content is about to be written; unless that process was killed.
		if (pid === 0) return Date.now() - statSync(lockPath).mtimeMs < lockSayMs;
		process.kill(pid, 0);
		return true;
	} catch (error) {
		return error.code === 'EPERM';
	}
}

function say(text) {
	process.stderr.write(`dapss-tui: ${text}\n`);
}

function fail(text) {
	say(text);
	process.exit(1);
}
