/** `doctor` on a machine without problems, with a running node, and with problems. It creates and changes no files. */
import {spawnSync} from 'node:child_process';
import {createSocket} from 'node:dgram';
import {chmodSync, cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import type {Check} from '../../source/doctor/outcome.ts';
import {separateDiscovery} from './support/clusters.ts';
import {cli, nodeFlags, run} from './support/command.ts';
import {canUnshare, foreignSecret, unshareArguments, userFolders} from './support/folders.ts';

type Report = {
	readonly verdict: string;
	readonly cluster: string | null;
	readonly port: number | null;
	readonly running: boolean | null;
	readonly checks: readonly Check[];
	readonly left: readonly string[];
};

let folder: string;
let port: number;
beforeEach(async () => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-doctor-'));
	[port] = (await freePorts(1)) as [number];
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

const parse = (stdout: Buffer | string): Report => JSON.parse(stdout.toString()) as Report;
/** The warnings and problems, as `code reason`. */
const problemsIn = ({checks}: Report): string[] =>
	checks.filter(({level}) => level !== 'ok').map(({code, reason}) => `${code} ${reason}`);
const checkIn = ({checks}: Report, code: string): Check => checks.find(check => check.code === code)!;

/** Without problems of disk and memory, which depend on the load of the machine. */
const withoutDisk = (problems: readonly string[]): string[] =>
	problems.filter(name => !/^(?:disk-|file-system|memory)/u.test(name));

test('on a new machine doctor makes all checks and creates no files', async () => {
	const {code, stdout} = await run(['doctor', '--port', String(port), '-o', 'json'], {env: userFolders(folder)});
	const report = parse(stdout);
	expect(withoutDisk(problemsIn(report))).toEqual([]);
	expect(code).toBe(0);
	expect(report).toMatchObject({cluster: 'dapss', port, running: false, left: []});
	expect(checkIn(report, 'multicast').values['works']).toEqual(['127.0.0.1']);
	expect(checkIn(report, 'disk-speed').values['fsyncMs']).toEqual(expect.any(Number));
	expect(readdirSync(folder).filter(name => name !== 'cache')).toEqual([]);
}, 30_000);

test('doctor reports a running node of the cluster, and receives its beacons', async () => {
	await using cluster = new Cluster({cli, settings: await separateDiscovery(300)});
	await cluster.startAll(1);
	const [node] = cluster.nodes;
	const flags = nodeFlags(cluster, node!.port);
	const {code, stdout} = await run(['doctor', ...flags, '-o', 'json'], {env: cluster.env});
	const report = parse(stdout);
	expect(withoutDisk(problemsIn(report))).toEqual([]);
	expect([code, report.running]).toEqual([0, true]);
	expect(checkIn(report, 'tcp-port').found).toContain(
		`is that of node ${node!.id.slice(0, 8)} of this cluster, which runs here (process ${node!.pid})`,
	);
	expect(checkIn(report, 'data-folder').found).toContain('which runs now');
	expect(checkIn(report, 'neighbours').values['heard']).toEqual([`${node!.id} 127.0.0.1:${node!.port} member`]);
	const text = await run(['doctor', ...flags], {env: cluster.env});
	expect(text.stdout.toString()).toContain('its node runs here; 19 checks');

	// With another data folder it is another node, and the port is in use.
	const elsewhere = await run(['doctor', ...flags.slice(0, -1), join(cluster.folder, 'other'), '-o', 'json'], {
		env: cluster.env,
	});
	expect([elsewhere.code, parse(elsewhere.stdout).running]).toEqual([1, false]);
	for (const name of ['tcp-port', 'udp-port'])
		expect(checkIn(parse(elsewhere.stdout), name)).toMatchObject({
			reason: 'in-use',
			found: expect.stringContaining(`node ${node!.id.slice(0, 8)} of cluster ${cluster.name}`) as string,
		});

	// Another node may not use that data folder: the report names the node that uses it.
	const other = await run(['doctor', ...flags.with(1, String(port)), '-o', 'json'], {env: cluster.env});
	expect(other.code).toBe(1);
	expect(checkIn(parse(other.stdout), 'data-folder')).toMatchObject({
		reason: 'in-use',
		found: expect.stringContaining(
			`node ${node!.id.slice(0, 8)} of cluster ${cluster.name} on port ${node!.port}`,
		) as string,
	});
}, 60_000);

test.each(['the list of this machine', '--server', '--bootstrap'])(
	'doctor recognizes a copy of the data folder of a running node by %s, without discovery',
	async source => {
		await using cluster = new Cluster({cli});
		await cluster.startAll(2);
		const [node, other] = cluster.nodes;
		const folderOf = (name: string): string => join(cluster.folder, name);
		cpSync(folderOf(String(node!.port)), folderOf('copy'), {recursive: true});
		chmodSync(folderOf('copy'), 0o700); // `cpSync` does not keep the mode.
		const isListed = !source.startsWith('--');
		const flags = nodeFlags(cluster, port, 'copy');
		const {code, stdout} = await run(
			[
				'doctor',
				...flags,
				'--no-discovery',
				...(isListed ? [] : [source, `127.0.0.1:${other!.port}`]),
				'-o',
				'json',
			],
			// The folders of another user list no node.
			{env: isListed ? cluster.env : userFolders(folder)},
		);
		const report = parse(stdout);
		expect([code, report.verdict]).toEqual([1, 'problem']);
		expect(checkIn(report, 'neighbours')).toMatchObject({
			reason: 'double',
			found: expect.stringContaining(`A process at 127.0.0.1:${node!.port} uses the identity`) as string,
		});
	},
	60_000,
);

test('doctor compares the clock with those of the nodes that answer, and reports it if no node answers', async () => {
	await using cluster = new Cluster({cli});
	await cluster.startAll(3);
	const flags = [
		'doctor',
		'--port',
		String(port),
		'--no-discovery',
		'--cluster',
		cluster.name,
		'--secret-file',
		cluster.secretFile,
		'-o',
		'json',
	];
	const clockCheck = async (more: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Check> =>
		checkIn(
			parse((await run([...flags, ...more], {env: {...userFolders(folder), ...env}})).stdout),
			'clock-offset',
		);

	// The state folder lists no node. --server names one node, which reports the others.
	const server = `127.0.0.1:${cluster.nodes[0]!.port}`;
	const same = await clockCheck(['--server', server]);
	expect([same.level, same.values['compared']]).toEqual(['ok', expect.objectContaining({length: 3})]);
	expect(same.found).toMatch(/^3 clocks of nodes compared: at most \d+ ms away/u);

	// The clock of this process is an hour ahead.
	const shift = join(folder, 'shift.mjs');
	writeFileSync(shift, 'const {now} = Date;\nDate.now = () => now() + 3_600_000;\n');
	const ahead = await clockCheck(['--server', server], {NODE_OPTIONS: `--import ${shift}`});
	expect(ahead).toMatchObject({level: 'warning', reason: 'apart', remedy: expect.stringContaining('NTP') as string});
	expect(ahead.found).toMatch(
		/^The clock of this machine is 1\.0 h \(± [\d.]+ m?s\) ahead of that of .*; of 3 compared, 3 are more than 5\.0 s away$/u,
	);

	expect((await clockCheck([])).found).toContain('Not compared with other nodes: no node of cluster');
	const refused = await clockCheck(['--server', `127.0.0.1:${port}`]);
	expect([refused.level, refused.found]).toEqual([
		'ok',
		expect.stringContaining(`127.0.0.1:${port} refuses connections`),
	]);
}, 60_000);

describe('a problem that prevents a start has a remedy', () => {
	test.each(['TCP', 'UDP'] as const)(
		'a %s port that another process uses',
		async protocol => {
			const server =
				protocol === 'TCP'
					? createServer().listen(port, '127.0.0.1')
					: createSocket('udp4').bind(port, '127.0.0.1');
			await new Promise(resolve => {
				server.once('listening', resolve as () => void);
			});
			try {
				const {code, stdout} = await run(['doctor', '--port', String(port), '--no-discovery', '-o', 'json'], {
					env: userFolders(folder),
				});
				const report = parse(stdout);
				const check = checkIn(report, `${protocol.toLowerCase()}-port`);
				expect([code, report.verdict, check.reason]).toEqual([1, 'problem', 'in-use']);
				// Only on Linux the report names the process.
				expect(check.found).toContain(process.platform === 'linux' ? `(pid ${process.pid})` : String(port));
				const advised = /--port (\d+)/u.exec(check.remedy!)![1]!;
				expect(
					(await run(['doctor', '--port', advised, '--no-discovery'], {env: userFolders(folder)})).code,
				).toBe(0);
			} finally {
				server.close();
			}
		},
		30_000,
	);

	test('a data folder that other users may enter, and a missing secret file', async () => {
		const data = join(folder, 'shared');
		mkdirSync(data);
		chmodSync(data, 0o750);
		const flags = [
			'doctor',
			'--port',
			String(port),
			'--no-discovery',
			'--data',
			data,
			'--secret-file',
			join(folder, 'none'),
		];
		const {code, stdout} = await run([...flags, '-o', 'json'], {env: userFolders(folder)});
		const report = parse(stdout);
		expect(code).toBe(1);
		expect(checkIn(report, 'data-folder')).toMatchObject({reason: 'open', remedy: `chmod 700 ${data}`});
		expect(checkIn(report, 'secret')).toMatchObject({
			reason: 'missing',
			remedy: expect.stringContaining(`openssl rand -base64 32 > ${join(folder, 'none')}`) as string,
		});
		const text = (await run(flags, {env: userFolders(folder)})).stdout.toString();
		expect(text).toMatch(/^problem: .*2 problems/u);
		expect(text).toContain(
			`✗ data-folder (open): Expected ${data} to be closed to others (0700), its mode is 0750\n    chmod 700 ${data}\n`,
		);

		// The remedy solves the problem.
		chmodSync(data, 0o700);
		writeFileSync(join(folder, 'none'), `${foreignSecret}\n`, {mode: 0o600});
		expect((await run(flags, {env: userFolders(folder)})).code).toBe(0);
	}, 30_000);

	test('an error in the settings file, which skips the checks that depend on settings', async () => {
		writeFileSync(join(folder, 'config.json'), '{"cluster": "x", "raft": {"election": 1}}');
		const {code, stdout} = await run(['doctor', '--config', join(folder, 'config.json'), '-o', 'json'], {
			env: userFolders(folder),
		});
		const report = parse(stdout);
		expect([code, problemsIn(report)]).toEqual([1, ['settings wrong']]);
		expect(checkIn(report, 'settings').found).toContain('there is no such setting; did you mean raft.election_ms?');
		expect(report.left).toContain('data-folder');
	}, 30_000);
});

test.runIf(canUnshare)('doctor reports a read-only disk with a remedy, and warns of a disk in memory', () => {
	/** Runs doctor with a data folder on a disk of its own, after the two scripts. */
	const doctorOnDisk = (mount: string, prepare: string): Report => {
		const script = `mkdir -p ${folder}/m && mount -t tmpfs -o mode=700 none ${folder}/m && { ${prepare}; } && ${mount} && exec "$@"`;
		return parse(
			spawnSync(
				'unshare',
				[
					...unshareArguments,
					script,
					'sh',
					process.execPath,
					cli,
					'doctor',
					'--no-discovery',
					'--port',
					String(port),
					'--data',
					join(folder, 'm/a/data'),
					'-o',
					'json',
				],
				{encoding: 'utf8', env: {...process.env, ...userFolders(folder)}},
			).stdout,
		);
	};
	for (const prepare of ['true', `mkdir -p ${folder}/m/a/data && chmod 700 ${folder}/m/a/data`]) {
		const check = checkIn(doctorOnDisk(`mount -o remount,ro ${folder}/m`, prepare), 'data-folder');
		expect(check).toMatchObject({
			reason: 'not-writable',
			remedy: 'The disk is mounted read-only: mount it for writing, or choose a place on another one (--data)',
		});
		expect(check.found).not.toContain('ENOENT');
	}

	const written = doctorOnDisk('true', 'true');
	expect(checkIn(written, 'data-folder').level).toBe('ok');
	expect(checkIn(written, 'file-system')).toMatchObject({reason: 'memory', level: 'warning'});
});

test.runIf(process.platform !== 'win32')(
	'doctor warns of a low limit of open files, and the limit in its remedy is sufficient',
	() => {
		const limited = (files: number): Report =>
			parse(
				spawnSync(
					'sh',
					[
						'-c',
						`ulimit -n ${files} && exec "$@"`,
						'sh',
						process.execPath,
						cli,
						'doctor',
						'--no-discovery',
						'--port',
						String(port),
						'-o',
						'json',
					],
					{encoding: 'utf8', env: {...process.env, ...userFolders(folder)}},
				).stdout,
			);
		const check = checkIn(limited(300), 'open-files');
		expect(check).toMatchObject({reason: 'few', level: 'warning'});
		const advised = Number(/ulimit -n (\d+)/u.exec(check.remedy!)![1]);
		expect(checkIn(limited(advised), 'open-files').level).toBe('ok');
	},
);
