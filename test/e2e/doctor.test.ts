/**
`doctor`, the real command: on a machine without problems, next to a running node, and with problems. It creates and
changes nothing.
*/
import {spawnSync} from 'node:child_process';
import {createSocket} from 'node:dgram';
import {chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import type {Check} from '../../source/doctor/outcome.ts';
import {cli, run} from './support/command.ts';

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

const home = (): Record<string, string> => ({
	HOME: folder,
	XDG_CONFIG_HOME: join(folder, 'config'),
	XDG_DATA_HOME: join(folder, 'data'),
	XDG_STATE_HOME: join(folder, 'state'),
	XDG_CACHE_HOME: join(folder, 'cache'),
	XDG_RUNTIME_DIR: '',
});
const parse = (stdout: Buffer | string): Report => JSON.parse(stdout.toString()) as Report;
/** The problems, as `code reason`. */
const wrong = ({checks}: Report): string[] =>
	checks.filter(({level}) => level !== 'ok').map(({code, reason}) => `${code} ${reason}`);
const of = ({checks}: Report, code: string): Check => checks.find(check => check.code === code)!;

/** Findings without those about disk and memory, which may be slow or short while tests run. */
const notOfDisk = (found: readonly string[]): string[] =>
	found.filter(name => !/^(?:disk-|file-system|memory)/u.test(name));

test('on a new machine it examines everything and creates nothing', async () => {
	const {code, stdout} = await run(['doctor', '--port', String(port), '-o', 'json'], {env: home()});
	const report = parse(stdout);
	expect(notOfDisk(wrong(report))).toEqual([]);
	expect(code).toBe(0);
	expect(report).toMatchObject({cluster: 'dapss', port, running: false, left: []});
	expect(of(report, 'multicast').values['works']).toEqual(['127.0.0.1']);
	expect(of(report, 'disk-speed').values['fsyncMs']).toEqual(expect.any(Number));
	expect(readdirSync(folder).filter(name => name !== 'cache')).toEqual([]);
}, 30_000);

test('with a running node of the cluster it says that the node runs, and hears it', async () => {
	// A separate port for beacons keeps out other nodes of this machine.
	const [beacons] = await freePorts(1);
	await using cluster = new Cluster({cli, settings: {discovery: {enabled: true, port: beacons, interval_ms: 300}}});
	await cluster.startAll(1);
	const [node] = cluster.nodes;
	const flags = [
		'--port',
		String(node!.port),
		...cluster.clientFlags,
		'--data',
		join(cluster.folder, String(node!.port)),
	];
	const {code, stdout} = await run(['doctor', ...flags, '-o', 'json'], {env: cluster.env});
	const report = parse(stdout);
	expect(notOfDisk(wrong(report))).toEqual([]);
	expect([code, report.running]).toEqual([0, true]);
	expect(of(report, 'tcp-port').found).toContain(
		`is that of node ${node!.id.slice(0, 8)} of this cluster, which runs here (process ${node!.pid})`,
	);
	expect(of(report, 'data-folder').found).toContain('which runs now');
	expect(of(report, 'neighbours').values['heard']).toEqual([`${node!.id} 127.0.0.1:${node!.port} member`]);
	const text = await run(['doctor', ...flags], {env: cluster.env});
	expect(text.stdout.toString()).toContain('its node runs here; 18 checks');

	// With another folder it is another node: the start would find the port in use.
	const elsewhere = await run(['doctor', ...flags.slice(0, -1), join(cluster.folder, 'other'), '-o', 'json'], {
		env: cluster.env,
	});
	expect([elsewhere.code, parse(elsewhere.stdout).running]).toEqual([1, false]);
	for (const name of ['tcp-port', 'udp-port'])
		expect(of(parse(elsewhere.stdout), name)).toMatchObject({
			reason: 'in-use',
			found: expect.stringContaining(`node ${node!.id.slice(0, 8)} of cluster ${cluster.name}`) as string,
		});

	// Another node may not use that folder: the report names its owner.
	const other = await run(['doctor', ...flags.with(1, String(port)), '-o', 'json'], {env: cluster.env});
	expect(other.code).toBe(1);
	expect(of(parse(other.stdout), 'data-folder')).toMatchObject({
		reason: 'in-use',
		found: expect.stringContaining(
			`node ${node!.id.slice(0, 8)} of cluster ${cluster.name} on port ${node!.port}`,
		) as string,
	});
}, 60_000);

test('the clock is compared with the clocks of nodes that answer; a report says when none does', async () => {
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
	const ask = async (more: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Check> =>
		of(parse((await run([...flags, ...more], {env: {...home(), ...env}})).stdout), 'clock-offset');

	// Nodes of another state folder are not listed here: --server names one, and that node reports the others.
	const server = `127.0.0.1:${cluster.nodes[0]!.port}`;
	const same = await ask(['--server', server]);
	expect([same.level, same.values['compared']]).toEqual(['ok', expect.objectContaining({length: 3})]);
	expect(same.found).toMatch(/^3 clocks of nodes compared: at most \d+ ms away/u);

	// The clock of this process is an hour ahead.
	const shift = join(folder, 'shift.mjs');
	writeFileSync(shift, 'const {now} = Date;\nDate.now = () => now() + 3_600_000;\n');
	const ahead = await ask(['--server', server], {NODE_OPTIONS: `--import ${shift}`});
	expect(ahead).toMatchObject({level: 'warning', reason: 'apart', remedy: expect.stringContaining('NTP') as string});
	expect(ahead.found).toMatch(
		/^The clock of this machine is 1\.0 h \(± [\d.]+ m?s\) ahead of that of .*; of 3 compared, 3 are more than 5\.0 s away$/u,
	);

	expect((await ask([])).found).toContain('Not compared with other nodes: no node of cluster');
	const refused = await ask(['--server', `127.0.0.1:${port}`]);
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
					env: home(),
				});
				const report = parse(stdout);
				const check = of(report, `${protocol.toLowerCase()}-port`);
				expect([code, report.verdict, check.reason]).toEqual([1, 'problem', 'in-use']);
				if (process.platform === 'linux') expect(check.found).toContain(`(pid ${process.pid})`);
				const advised = /--port (\d+)/u.exec(check.remedy!)![1]!;
				expect((await run(['doctor', '--port', advised, '--no-discovery'], {env: home()})).code).toBe(0);
			} finally {
				server.close();
			}
		},
		30_000,
	);

	test('a folder that other users may enter, and a given secret file that is missing', async () => {
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
		const {code, stdout} = await run([...flags, '-o', 'json'], {env: home()});
		const report = parse(stdout);
		expect(code).toBe(1);
		expect(of(report, 'data-folder')).toMatchObject({reason: 'open', remedy: `chmod 700 ${data}`});
		expect(of(report, 'secret')).toMatchObject({
			reason: 'missing',
			remedy: expect.stringContaining(`openssl rand -base64 32 > ${join(folder, 'none')}`) as string,
		});
		const text = (await run(flags, {env: home()})).stdout.toString();
		expect(text).toMatch(/^problem: .*2 problems/u);
		expect(text).toContain(
			`✗ data-folder (open): Expected ${data} to be closed to others (0700), its mode is 0750\n    chmod 700 ${data}\n`,
		);

		// The remedy solves the problem.
		chmodSync(data, 0o700);
		writeFileSync(join(folder, 'none'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M\n', {mode: 0o600});
		expect((await run(flags, {env: home()})).code).toBe(0);
	}, 30_000);

	test('a file of settings with an error: checks that depend on settings are skipped', async () => {
		writeFileSync(join(folder, 'config.json'), '{"cluster": "x", "raft": {"election": 1}}');
		const {code, stdout} = await run(['doctor', '--config', join(folder, 'config.json'), '-o', 'json'], {
			env: home(),
		});
		const report = parse(stdout);
		expect([code, wrong(report)]).toEqual([1, ['settings wrong']]);
		expect(of(report, 'settings').found).toContain('there is no such setting; did you mean raft.election_ms?');
		expect(report.left).toContain('data-folder');
	}, 30_000);
});

const unshare = ['--user', '--map-root-user', '--mount', 'sh', '-c'];
const canMount =
	process.platform === 'linux' && spawnSync('unshare', [...unshare, 'mount -t tmpfs none /tmp']).status === 0;

test.runIf(canMount)('a disk that is mounted read-only (case 21), and one in memory', () => {
	const on = (mount: string, prepare: string): Report => {
		const script = `mkdir -p ${folder}/m && mount -t tmpfs -o mode=700 none ${folder}/m && { ${prepare}; } && ${mount} && exec "$@"`;
		return parse(
			spawnSync(
				'unshare',
				[
					...unshare,
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
				{encoding: 'utf8', env: {...process.env, ...home()}},
			).stdout,
		);
	};
	for (const prepare of ['true', `mkdir -p ${folder}/m/a/data && chmod 700 ${folder}/m/a/data`]) {
		const check = of(on(`mount -o remount,ro ${folder}/m`, prepare), 'data-folder');
		expect(check).toMatchObject({
			reason: 'not-writable',
			remedy: 'The disk is mounted read-only: mount it for writing, or choose a place on another one (--data)',
		});
		expect(check.found).not.toContain('ENOENT');
	}

	const written = on('true', 'true');
	expect(of(written, 'data-folder').level).toBe('ok');
	expect(of(written, 'file-system')).toMatchObject({reason: 'memory', level: 'warning'});
});

test.runIf(process.platform !== 'win32')('a low limit of open files is a warning, and its remedy is sufficient', () => {
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
				{encoding: 'utf8', env: {...process.env, ...home()}},
			).stdout,
		);
	const check = of(limited(300), 'open-files');
	expect(check).toMatchObject({reason: 'few', level: 'warning'});
	const advised = Number(/ulimit -n (\d+)/u.exec(check.remedy!)![1]);
	expect(of(limited(advised), 'open-files').level).toBe('ok');
});
