/**
Nodes on Windows, by Wine and a `node.exe` from npm. Node 24 and newer do not start under Wine 8. Without Wine or the
download a message says that the tests did not run.
*/
import {chmodSync, copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {freePorts, NodeProcess} from '../../bench/cluster.ts';
import {connect, type Topic} from '../../core/index.ts';
import {portConflict} from '../../source/nodes/port.ts';
import {cli, run} from './support/command.ts';
import {hasLeader, isMessage} from './support/events.ts';
import {fetchNode, type NodeBinary} from './support/node-binaries.ts';
import {Wine, wineProblem, type WineProcess, type WineResult} from './support/wine.ts';

const version = '22.23.3';
const root = fileURLToPath(new URL('../..', import.meta.url));
const noWine = process.platform === 'linux' && process.arch === 'x64' ? wineProblem() : 'it needs Linux on x64';
const fetched = noWine === undefined ? await fetchNode(version, 'win32') : {problem: noWine};
if ('problem' in fetched) process.stderr.write(`The tests of Windows did not run: ${fetched.problem}\n`);

describe.skipIf('problem' in fetched)('Windows', () => {
	let windows: Wine;
	beforeAll(async () => {
		windows = await Wine.boot((fetched as NodeBinary).path);
	}, 120_000);
	afterAll(async () => {
		await windows?.[Symbol.asyncDispose]();
		if (!('problem' in fetched)) fetched[Symbol.dispose]();
	}, 60_000);

	const command = (...args: string[]): Promise<WineResult> => windows.run('node', [cli, ...args], root);
	const profile = (...names: string[]): string => {
		const users = join(windows.drive, 'users');
		const user = readdirSync(users).find(name => name !== 'Public')!;
		return join(users, user, ...names);
	};

	test('two nodes form a cluster that publishes and subscribes, and a killed node continues with its data', async () => {
		const [portA, portB] = (await freePorts(2)) as [number, number];
		const start = (port: number, ...args: string[]): WineProcess =>
			windows.node(
				[
					cli,
					'--headless',
					'-o',
					'jsonl',
					'--no-discovery',
					'--port',
					String(port),
					'--topics',
					'news,nul.stats',
					...args,
				],
				root,
			);
		const a = start(portA);
		await a.waitFor(/"type":"admitted"/);
		// Other users cannot read a profile, so there is no warning about them.
		expect(a.err).toMatch(
			/^Created the secret of cluster dapss: C:\\users\\[^\\]+\\AppData\\Roaming\\dapss\\Config\\dapss\.secret \(nodes on other machines need a copy\)\r?\n$/,
		);
		const b = start(portB, '--bootstrap', String(portA));
		await b.waitFor(/"type":"admitted"/);
		// Messages that are published before its subscription is agreed are not delivered to it.
		await b.waitFor(/"type":"subscribed".*"news"/);

		expect(await command('publish', 'news', 'before', '--server', String(portB))).toMatchObject({code: 0});
		for (const node of [a, b]) await node.waitFor(/"type":"message".*"before"/);
		expect(await command('publish', 'nul.stats', '1', '--server', String(portA))).toMatchObject({code: 0});
		await b.waitFor(/"type":"message".*"nul\.stats"/);

		await b.kill('SIGKILL');
		expect(await command('publish', 'news', 'meanwhile', '--server', String(portA))).toMatchObject({code: 0});
		// Wine's server closes the sockets of a killed process with a delay.
		await expect.poll(() => portConflict('127.0.0.1', portB), {timeout: 60_000}).toBeUndefined();
		const again = start(portB);
		await again.waitFor(/"type":"message".*"meanwhile"/);
		const idOf = (node: WineProcess): string => /"type":"ready".*?"id":"(\w+)"/.exec(node.out)![1]!;
		expect(idOf(again)).toBe(idOf(b));
		expect(
			await command(
				'subscribe',
				'news',
				'--from',
				'beginning',
				'--count',
				'2',
				'--wait',
				'30s',
				'--server',
				String(portB),
			),
		).toMatchObject({code: 0, out: 'before\nmeanwhile\n'});
		// Without --server: the list of this user's running nodes is in the profile.
		const status = await command('status', '-o', 'json');
		expect(JSON.parse(status.out)).toMatchObject({
			members: [expect.objectContaining({state: 'alive'}), expect.objectContaining({state: 'alive'})],
		});

		// A client on Linux connects to a node on Windows.
		const secret = readFileSync(profile('AppData', 'Roaming', 'dapss', 'Config', 'dapss.secret'), 'utf8').trim();
		await using client = await connect({
			servers: [`127.0.0.1:${portB}`],
			secret: Buffer.from(secret),
			cluster: 'dapss',
			timeoutMs: 20_000,
			enableNodeAuth: true,
			enableMessageSigning: true,
			enableEncryption: true,
		});
		expect((await client.snapshot()).topics.map(({name}) => name).toSorted()).toEqual([
			'news',
			'nul.stats',
		] as Topic[]);

		// Windows takes the name `nul.stats` for a device, so the folder has an escaped name.
		const topics = profile('AppData', 'Local', 'dapss', 'Data', 'dapss', String(portB), 'topics');
		expect(readdirSync(topics).toSorted()).toEqual([
			expect.stringMatching(/^%6Eul\.stats-[0-9a-f]{16}$/),
			expect.stringMatching(/^news-[0-9a-f]{16}$/),
		]);

		// Ctrl-C ends the node cleanly.
		expect(await again.kill('SIGINT')).toBe(130);
		expect(again.out).toMatch(/"type":"stopped"/);
	}, 180_000);

	test('a node on Linux finds a node on Windows by discovery, and each receives the messages of the other', async () => {
		const [port, linuxPort] = (await freePorts(2)) as [number, number];
		const common = ['--headless', '-o', 'jsonl', '--cluster', 'mixed', '--topics', 'news'];
		const node = windows.node([cli, ...common, '--port', String(port)], root);
		await node.waitFor(/"type":"admitted"/);
		const folder = mkdtempSync(join(tmpdir(), 'dapss-mixed-'));
		// The user on Linux is the same: the node of an operator joins by itself.
		const [secretFile, identityFile] = ['secret', 'identity'].map(name => {
			const copy = join(folder, name);
			copyFileSync(profile('AppData', 'Roaming', 'dapss', 'Config', `mixed.${name}`), copy);
			chmodSync(copy, 0o600);
			return copy;
		}) as [string, string];
		const onLinux = new NodeProcess(
			linuxPort,
			[cli, ...common, '--port', String(linuxPort), '--secret-file', secretFile, '--data', join(folder, 'data')],
			true,
			process.execPath,
			{XDG_STATE_HOME: join(folder, 'state'), XDG_RUNTIME_DIR: '', DAPSS_IDENTITY_FILE: identityFile},
		);
		try {
			await onLinux.waitFor(hasLeader, 'the leader, which runs on Windows');
			expect(
				await command('publish', 'news', 'from Windows', '--cluster', 'mixed', '--server', String(port)),
			).toMatchObject({code: 0});
			await onLinux.waitFor(isMessage('from Windows'), 'the message');
			expect(
				await run([
					'publish',
					'news',
					'from Linux',
					'--cluster',
					'mixed',
					'--secret-file',
					secretFile,
					'--server',
					String(linuxPort),
				]),
			).toMatchObject({code: 0});
			await node.waitFor(/"type":"message".*"from Linux"/);
		} finally {
			await onLinux.kill('SIGKILL');
			await node.kill('SIGKILL');
			rmSync(folder, {recursive: true, force: true});
		}
	}, 120_000);

	test('a node accepts a secret outside of the profile, with a warning that names icacls', async () => {
		const [port] = (await freePorts(1)) as [number];
		const made = await windows.run(
			'node',
			[
				'-e',
				String.raw`require('fs').writeFileSync('C:\\lan.secret', require('crypto').randomBytes(32).toString('base64'))`,
			],
			root,
		);
		expect(made).toMatchObject({code: 0});
		const node = windows.node(
			[
				cli,
				'--headless',
				'-o',
				'jsonl',
				'--no-discovery',
				'--cluster',
				'con',
				'--port',
				String(port),
				'--secret-file',
				String.raw`C:\lan.secret`,
			],
			root,
		);
		await node.waitFor(/"type":"admitted"/);
		expect(node.err).toMatch(
			/^Warning: the secret C:\\lan\.secret is outside of your profile\. .* icacls "C:\\lan\.secret" \/inheritance:r/m,
		);
		expect(node.err).not.toMatch(/the data folder/);
		// Windows takes the cluster's name for a device, so the folder has an escaped name.
		expect(readdirSync(profile('AppData', 'Local', 'dapss', 'Data'))).toContain('%63on');
		await node.kill('SIGKILL');
	}, 120_000);

	test('the scripts of package.json run in cmd.exe, and return the exit code', async () => {
		const {scripts} = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
			scripts: Readonly<Record<string, string>>;
		};
		const line = (name: string, args: string): Promise<WineResult> =>
			windows.run('cmd', ['/d', '/s', '/c', `${scripts[name]} ${args}`], root);
		expect(await line('start', 'version -o json')).toMatchObject({
			code: 0,
			out: expect.stringContaining('"platform":"win32"') as string,
		});
		expect(await line('start', 'status --no-such-flag')).toMatchObject({code: 2});
		// `exec` is a command of sh; cmd.exe runs the file exec.cmd instead.
		const executed = Object.entries(scripts).filter(([, script]) => script.startsWith('exec'));
		expect(executed.map(([name]) => name)).toEqual(expect.arrayContaining(['start', 'test', 'sim']));
		for (const [name, script] of executed) expect(script, name).toBe(`exec node source/launch.mjs ${name}`);
	}, 120_000);
});
