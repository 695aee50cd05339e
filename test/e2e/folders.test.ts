/**
Folders and files of nodes and commands: read-only disks, secrets of other owners, and the list of running nodes by
which commands find them.
*/
import {spawnSync, type SpawnSyncReturns} from 'node:child_process';
import {chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli, run, runAt} from './support/command.ts';
import {isAdmitted, isWarning} from './support/events.ts';
import {canUnshare, foreignSecret, unshareArguments, userFolders} from './support/folders.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-places-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

describe.runIf(canUnshare)('a disk that is mounted read-only', () => {
	/** Runs the command line with a read-only disk at `ro`. @param prepare a script that fills the disk */
	function runOnReadOnly(prepare: string, flags: readonly string[]): SpawnSyncReturns<string> {
		mkdirSync(join(folder, 'ro'));
		const script = `cd ${folder}/ro && mount -t tmpfs -o mode=755 none . && cd . && cd ${folder}/ro && { ${prepare}; } && mount -o remount,ro ${folder}/ro && exec "$@"`;
		return spawnSync('unshare', [...unshareArguments, script, 'sh', process.execPath, cli, ...flags], {
			encoding: 'utf8',
			env: {...process.env, ...userFolders(folder)},
			cwd: folder,
		});
	}

	test.each([
		['a new folder', 'true'],
		['an existing folder', 'mkdir -p a/data && chmod 700 a/data'],
	])('the error of a start names the read-only disk as the reason, with the data folder in %s', (_name, prepare) => {
		const {status, stderr} = runOnReadOnly(prepare, [
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

	test('may hold a secret with mode 0440; for a secret that all users can read the error has a remedy', () => {
		const secret = `printf ${foreignSecret} > secret`;
		const flags = ['status', '--server', '1', '--timeout', '1s', '--secret-file', join(folder, 'ro/secret')];
		// Exit code 14, because no node listens on port 1: the secret was read.
		expect(runOnReadOnly(`${secret}; chmod 440 secret`, flags)).toMatchObject({status: 14});
		rmSync(join(folder, 'ro'), {recursive: true});
		const {status, stderr} = runOnReadOnly(`${secret}; chmod 644 secret`, flags);
		expect(status).toBe(2);
		expect(stderr).toContain(
			'can be read or changed by others (mode 0644): its disk is mounted read-only: mount it with mode 0400 or 0440, or copy it, (umask 077; cp',
		);
	});
});

describe.runIf(process.platform === 'linux' && process.getuid?.() === 0)('users of containers', () => {
	/** Runs the command line as a user without an entry in /etc/passwd. */
	function runAsUnknownUser(flags: readonly string[], env: Record<string, string>): SpawnSyncReturns<string> {
		return spawnSync(
			'setpriv',
			['--reuid', '54321', '--regid', '54321', '--clear-groups', process.execPath, cli, ...flags],
			{encoding: 'utf8', env: {PATH: process.env['PATH'], ...env}, cwd: '/'},
		);
	}

	test('the program works without HOME and without a user entry; an error about a folder names a flag as the remedy', () => {
		expect(runAsUnknownUser(['version'], {})).toMatchObject({status: 0, stderr: ''});
		const {status, stderr} = runAsUnknownUser(['--headless', '--no-discovery'], {});
		expect(status).toBe(2);
		expect(stderr).toContain('Could not make a secret file at /.config/dapss/dapss.secret');
		expect(stderr).toContain('Or name another file with --secret-file');
	});

	test("the error about a secret that only root's group may read names its owner and mode; doctor reports the files that a start cannot create", () => {
		chmodSync(folder, 0o755);
		const secret = join(folder, 'secret');
		writeFileSync(secret, foreignSecret, {mode: 0o640});
		const {status, stderr} = runAsUnknownUser(
			['status', '--server', '1', '--secret-file', secret],
			userFolders(folder),
		);
		expect(status).toBe(2);
		expect(stderr).toContain(
			`${secret} cannot be read by user 54321 (owner 0, mode 0640): as root, chown 54321 ${secret} && chmod 600 ${secret}`,
		);
		chownSync(secret, 0, 54_321); // Exit code 14 follows: the secret was read.
		expect(
			runAsUnknownUser(['status', '--server', '1', '--secret-file', secret], userFolders(folder)),
		).toMatchObject({status: 14});

		const {stdout} = runAsUnknownUser(['doctor', '--no-discovery', '-o', 'json'], userFolders(folder));
		const {checks} = JSON.parse(stdout) as {
			readonly checks: readonly {readonly code: string; readonly reason: string | null}[];
		};
		expect(
			checks.filter(({code}) => code === 'secret' || code === 'data-folder').map(({reason}) => reason),
		).toEqual(['not-makable', 'not-writable']);
	});
});

describe('without discovery', () => {
	test('commands find the nodes on this machine, and errors name its other clusters', async () => {
		await using cluster = new Cluster({cli}); // Its settings disable discovery.
		await cluster.startAll(1);
		const env = {...userFolders(folder), XDG_STATE_HOME: cluster.env['XDG_STATE_HOME']!};
		const status = await run(['status', '-o', 'json', ...cluster.clientFlags], {env});
		expect([status.code, JSON.parse(status.stdout.toString())]).toEqual([
			0,
			expect.objectContaining({cluster: cluster.name, self: cluster.nodes[0]!.id}),
		]);

		expect(await run(['status'], {env})).toMatchObject({
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

	test('a node starts although it cannot write the list of running nodes, and warns', async () => {
		await using cluster = new Cluster({cli});
		const [port] = (await freePorts(1)) as [number];
		writeFileSync(join(cluster.folder, 'state'), 'a file, not a folder');
		chmodSync(join(cluster.folder, 'state'), 0o600);
		const node = cluster.startAlone(port);
		await node.waitFor(isWarning(/^Commands on this machine find this node only with --server/), 'the warning');
		await node.waitFor(isAdmitted, 'its cluster');
		expect(await runAt(cluster, node, 'check')).toMatchObject({code: 0});
	}, 60_000);
});
