/**
Files of nodes and commands, and how they find each other: read-only disks, secrets of other owners, other clusters on
this machine.
*/
import {spawnSync} from 'node:child_process';
import {chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli, run} from './support/command.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-places-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const home = (): Record<string, string> => ({
	HOME: folder,
	XDG_CONFIG_HOME: join(folder, 'config'),
	XDG_DATA_HOME: join(folder, 'data'),
	XDG_STATE_HOME: join(folder, 'state'),
	XDG_CACHE_HOME: join(folder, 'cache'),
	XDG_RUNTIME_DIR: '',
});
const unshare = ['--user', '--map-root-user', '--mount', 'sh', '-c'];
const canMount =
	process.platform === 'linux' && spawnSync('unshare', [...unshare, 'mount -t tmpfs none /tmp']).status === 0;

describe.runIf(canMount)('a disk that is mounted read-only (case 21)', () => {
	/** Runs the command line where `ro` in the folder is read-only; `prepare` fills it before. */
	function onReadOnly(
		prepare: string,
		flags: readonly string[],
	): {readonly status: number | null; readonly stderr: string} {
		mkdirSync(join(folder, 'ro'));
		const script = `cd ${folder}/ro && mount -t tmpfs -o mode=755 none . && cd . && cd ${folder}/ro && { ${prepare}; } && mount -o remount,ro ${folder}/ro && exec "$@"`;
		return spawnSync('unshare', [...unshare, script, 'sh', process.execPath, cli, ...flags], {
			encoding: 'utf8',
			env: {...process.env, ...home()},
			cwd: folder,
		});
	}

	test.each([
		['a new folder', 'true'],
		['a folder that is there', 'mkdir -p a/data && chmod 700 a/data'],
	])('is given as the reason when the data folder is in %s', (_name, prepare) => {
		const {status, stderr} = onReadOnly(prepare, [
			'--headless',
			'--no-discovery',
			'--data',
			join(folder, 'ro/a/data'),
		]);
		expect(status).toBe(1);
		expect(stderr).toContain(
			'The disk is mounted read-only: mount it for writing, or choose a place on another one',
		);
		expect(stderr).not.toMatch(/ENOENT|rm -r/);
	});

	test('allows a secret with mode 0440, and gives a remedy for a secret that all users can read', () => {
		const secret = 'printf q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M > secret';
		const flags = ['status', '--server', '1', '--timeout', '1s', '--secret-file', join(folder, 'ro/secret')];
		// Nobody answers there: the secret was read.
		expect(onReadOnly(`${secret}; chmod 440 secret`, flags)).toMatchObject({status: 14});
		rmSync(join(folder, 'ro'), {recursive: true});
		const {status, stderr} = onReadOnly(`${secret}; chmod 644 secret`, flags);
		expect(status).toBe(2);
		expect(stderr).toContain(
			'can be read or changed by others (mode 0644): its disk is mounted read-only: mount it with mode 0400 or 0440, or copy it, (umask 077; cp',
		);
	});
});

describe.runIf(process.platform === 'linux' && process.getuid?.() === 0)('users of containers (case 21)', () => {
	/** A user without an entry with the system, in a folder of its own. */
	function asNobody(
		flags: readonly string[],
		env: Record<string, string>,
	): {readonly status: number | null; readonly stdout: string; readonly stderr: string} {
		return spawnSync(
			'setpriv',
			['--reuid', '54321', '--regid', '54321', '--clear-groups', process.execPath, cli, ...flags],
			{encoding: 'utf8', env: {PATH: process.env['PATH'], ...env}, cwd: '/'},
		);
	}

	test('without HOME and without a user entry the program works; an error about a folder names the flag that helps', () => {
		expect(asNobody(['version'], {})).toMatchObject({status: 0, stderr: ''});
		const {status, stderr} = asNobody(['--headless', '--no-discovery'], {});
		expect(status).toBe(2);
		expect(stderr).toContain('Could not make a secret file at /.config/dapss/dapss.secret');
		expect(stderr).toContain('Or name another file with --secret-file');
	});

	test("the error about a secret that only root's group may read has its owner and mode; doctor reports files that a start cannot create", () => {
		chmodSync(folder, 0o755);
		const secret = join(folder, 'secret');
		writeFileSync(secret, 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o640});
		const {status, stderr} = asNobody(['status', '--server', '1', '--secret-file', secret], home());
		expect(status).toBe(2);
		expect(stderr).toContain(
			`${secret} cannot be read by user 54321 (owner 0, mode 0640): as root, chown 54321 ${secret} && chmod 600 ${secret}`,
		);
		chownSync(secret, 0, 54_321); // Nobody answers there: the secret was read.
		expect(asNobody(['status', '--server', '1', '--secret-file', secret], home())).toMatchObject({status: 14});

		const {stdout} = asNobody(['doctor', '--no-discovery', '-o', 'json'], home());
		const {checks} = JSON.parse(stdout) as {
			readonly checks: readonly {readonly code: string; readonly reason: string | null}[];
		};
		expect(
			checks.filter(({code}) => code === 'secret' || code === 'data-folder').map(({reason}) => reason),
		).toEqual(['not-makable', 'not-writable']);
	});
});

describe('without discovery (case 22)', () => {
	test('commands find the nodes of this machine, and name other clusters on it', async () => {
		await using cluster = new Cluster({cli}); // Its settings switch discovery off.
		await cluster.startAll(1);
		const env = {...home(), XDG_STATE_HOME: cluster.env['XDG_STATE_HOME']!};
		expect(await run(['status', '-o', 'json', ...cluster.clientFlags], {env})).toMatchObject({
			code: 0,
			stdout: expect.anything() as Buffer,
		});

		const nobody = await run(['status'], {env});
		expect(nobody).toMatchObject({
			code: 14,
			stderr: expect.stringContaining(
				`No node of cluster dapss runs here; here runs a node of ${cluster.name} (--cluster ${cluster.name})`,
			) as string,
		});
		const wrong = await run(['status', '--server', String(cluster.nodes[0]!.port)], {env});
		expect(wrong.code).toBe(2);
		expect(wrong.stderr).toContain(
			`. This is the secret of cluster dapss: choose another cluster with --cluster; here runs a node of ${cluster.name} (--cluster ${cluster.name})`,
		);
	}, 60_000);

	test('a node starts without a writable registry, and warns', async () => {
		await using cluster = new Cluster({cli});
		const [port] = (await freePorts(1)) as [number];
		writeFileSync(join(cluster.folder, 'state'), 'no folder');
		chmodSync(join(cluster.folder, 'state'), 0o600);
		const node = cluster.startAlone(port);
		await node.waitFor(
			({type, text}) =>
				type === 'warning' &&
				String(text).startsWith('Commands on this machine find this node only with --server'),
			'the warning',
		);
		await node.waitFor(({type}) => type === 'admitted', 'its cluster');
		expect(await run(['check', '--server', String(port), ...cluster.clientFlags])).toMatchObject({code: 0});
	}, 60_000);
});
