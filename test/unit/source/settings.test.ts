import {chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import fc from 'fast-check';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {canonicalAddress} from '../../../core/address.ts';
import {completeConfig, problemsOf} from '../../../core/config-schema.ts';
import {defaults} from '../../../core/config.ts';
import {DapssError} from '../../../core/errors.ts';
import type {Flags} from '../../../source/arguments/flags.ts';
import {defaultFile, envName, flatten, known, nest} from '../../../source/settings/names.ts';
import {loadSettings, nodeConfig, type Settings} from '../../../source/settings/settings.ts';

const strong = 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M';
let home: string;
beforeEach(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-settings-'));
});
afterEach(() => rmSync(home, {recursive: true, force: true}));

const load = (flags: Flags = {}, env: Record<string, string> = {}): Settings =>
	loadSettings({flags, env: {HOME: home, ...env}, cwd: home});
const put = (name: string, value: unknown, mode = 0o600): string => {
	const path = join(home, name);
	mkdirSync(dirname(path), {recursive: true});
	writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
	chmodSync(path, mode);
	return path;
};

const refusal = (run: () => unknown): string => {
	try {
		run();
	} catch (error) {
		expect(error).toBeInstanceOf(DapssError);
		expect((error as DapssError).code).toBe('config');
		return (error as DapssError).message;
	}

	throw new Error('was accepted');
};

const of = (settings: Settings, name: string): unknown => {
	const {value, from} = settings.list.find(setting => setting.name === name)!;
	return [value, from];
};

test('config.json has every setting with its default, and no secret', () => {
	const file: unknown = JSON.parse(readFileSync(new URL('../../../config.json', import.meta.url), 'utf8'));
	expect(file).toEqual(defaultFile());
	const {data, secretFile, identityFile, ...rest} = nest(new Map(flatten(file as object)));
	expect(rest).toEqual(defaults);
	expect({data, secretFile, identityFile}).toEqual({data: '', secretFile: '', identityFile: ''});
});

test('the defaults are valid, and apply without a configuration', () => {
	expect(problemsOf(defaults)).toEqual([]);
	expect(load().tunables).toEqual(defaults);
});

test('a byte order mark in config.json, which editors on Windows write, is ignored', () => {
	put('config.json', `\uFEFF${JSON.stringify({cluster: 'lan'})}`);
	expect(of(load(), 'cluster')).toEqual(['lan', join(home, 'config.json')]);
});

test('each layer overrides the one before, and each value has its origin', () => {
	const config = put('config.json', {
		cluster: 'filed',
		port: 6000,
		raft: {election_ms: 900},
		topics: ['a'],
		faults: true,
	});
	const settings = load({port: '6002'}, {DAPSS_PORT: '6001', DAPSS_TOPICS: 'b, c', DAPSS_RAFT_HEARTBEAT_MS: '150'});
	expect(of(settings, 'port')).toEqual([6002, '--port']);
	expect(of(settings, 'topics')).toEqual([['b', 'c'], 'DAPSS_TOPICS']);
	expect(of(settings, 'raft.heartbeat_ms')).toEqual([150, 'DAPSS_RAFT_HEARTBEAT_MS']);
	expect(of(settings, 'raft.election_ms')).toEqual([900, config]);
	expect(of(settings, 'faults')).toEqual([true, config]);
	expect(of(settings, 'host')).toEqual(['127.0.0.1', 'default']);
	expect(settings.tunables.raft).toEqual({...defaults.raft, heartbeatMs: 150, electionMs: 900});
});

test('saved preferences are between the file and the environment', () => {
	put('config.json', {cluster: 'dapss', console: {feed: 10, events: 10}});
	const settings = loadSettings({
		flags: {},
		env: {HOME: home, DAPSS_CONSOLE_EVENTS: '30'},
		cwd: home,
		preferences: {path: 'preferences.json', settings: {console: {feed: 20, events: 20}}},
	});
	expect(of(settings, 'console.feed')).toEqual([20, 'preferences.json']);
	expect(of(settings, 'console.events')).toEqual([30, 'DAPSS_CONSOLE_EVENTS']);
});

test('every setting can be given in the environment', () => {
	const env = Object.fromEntries(
		[...known]
			.filter(([, value]) => typeof value === 'number')
			.map(([name, value]) => [envName(name), String(value)]),
	);
	expect(Object.keys(env).length).toBeGreaterThan(30);
	expect(load({}, env).tunables).toEqual(defaults);
});

describe('which config.json', () => {
	test('a file of another program in the working directory is ignored', () => {
		put('config.json', {name: 'webpack', port: 'eight'});
		expect(load().configPath).toBeUndefined();
		expect(load().unusedConfig).toMatchObject({path: join(home, 'config.json'), isMeant: true});
		put('config.json', 'not even JSON');
		expect(load().configPath).toBeUndefined();
		expect(load().unusedConfig).toMatchObject({why: expect.stringContaining('expected JSON'), isMeant: false});
	});

	test('a file in the working directory that is not used is reported; it is meant if it names a setting', () => {
		expect(load().unusedConfig).toBeUndefined();
		const unused = (value: unknown): unknown => {
			put('config.json', value);
			const {configPath, unusedConfig, warnings} = load();
			expect(configPath).toBeUndefined();
			expect(warnings).toEqual([]);
			return unusedConfig;
		};
		expect(unused({port: 7001, raft: {}})).toMatchObject({
			path: join(home, 'config.json'),
			why: expect.stringContaining('does not set "cluster"'),
			isMeant: true,
		});
		expect(unused({compilerOptions: {port: 1}})).toMatchObject({isMeant: false});
		expect(unused({})).toMatchObject({isMeant: false});
		expect(unused([1])).toMatchObject({why: 'expected an object with settings', isMeant: false});
		expect(unused('{"cluster": "x",}')).toMatchObject({isMeant: true});
		expect(unused('{"entry": "x",}')).toMatchObject({isMeant: false});
		expect(unused(`{"entry": "${'x'.repeat(1024 * 1024)}"}`)).toMatchObject({isMeant: false});
		// A file that is broken may hold a secret: no part of it is shown.
		expect(JSON.stringify(unused(`{"cluster_secret": ${strong}}`))).not.toContain(strong.slice(0, 4));

		put('.config/dapss/config.json', {port: 7003});
		put('config.json', {port: 7001});
		expect(load()).toMatchObject({tunables: {port: 7003}, unusedConfig: {isMeant: true}});
		const named = put('other.json', {port: 7002});
		expect(load({config: named}).unusedConfig).toBeUndefined();
		put('config.json', {cluster: 'here'});
		expect(load().unusedConfig).toBeUndefined();
		expect(
			loadSettings({flags: {}, env: {XDG_CONFIG_HOME: dirname(home)}, cwd: home}).unusedConfig,
		).toBeUndefined();
	});

	test('a folder, or a file that cannot be read, is reported', () => {
		mkdirSync(join(home, 'config.json'));
		expect(load().unusedConfig).toMatchObject({why: 'expected a file', isMeant: false});
	});

	test("the user's file is used when the working directory has none; a given file has priority", () => {
		const users = put('.config/dapss/config.json', {port: 7001});
		expect(load().configPath).toBe(users);
		const here = put('config.json', {cluster: 'here', port: 7002});
		expect(load().configPath).toBe(here);
		const named = put('other.json', {port: 7003});
		expect(load({config: named}).tunables.port).toBe(7003);
		expect(load({}, {DAPSS_CONFIG: named}).tunables.port).toBe(7003);
	});

	test('a given file must exist and be valid', () => {
		expect(refusal(() => load({config: join(home, 'none.json')}))).toContain('there is no such file');
		expect(refusal(() => load({config: put('bad.json', '{"port": 1,}')}))).toContain('expected JSON');
		expect(refusal(() => load({config: put('list.json', '[1]')}))).toContain('expected an object');
	});
});

test('all problems are reported at once, each with its setting, its origin and the expected value', () => {
	const config = put('config.json', {
		cluster: 'Not Good',
		raft: {election_ms: 200, voters_max: 4},
		limits: {frame_bytes: 10},
		gossip: 7,
		hots: 'x',
		enable_node_auth: 'yes',
	});
	const message = refusal(() =>
		load({port: '70000', topics: ['good', 'bad\u0007']}, {DAPSS_SWIM_PROBE_MS: 'fast', DAPSS_PROT: '1'}),
	);
	for (const part of [
		'11 settings are wrong',
		`cluster (${config})`,
		`raft.election_ms (${config}): Expected at least 3 × the heartbeat`,
		`raft.voters_max (${config}): Expected 1, 3, 5 or 7`,
		`limits.frame_bytes (${config}): Expected a whole number from 131072 to 8388608, got 10`,
		`gossip (${config}): expected a group of settings`,
		`hots (${config}): there is no such setting; did you mean host?`,
		`enable_node_auth (${config}): Expected true or false, got "yes"`,
		'port (--port): Expected a whole number from 1 to 65535, got 70000',
		'swim.probe_ms (DAPSS_SWIM_PROBE_MS): Expected a whole number from 20 to 60000, got "fast"',
		'DAPSS_PROT: there is no such setting; did you mean DAPSS_PORT?',
	])
		expect(message).toContain(part);
	expect(message).toContain('topics.1 (--topics): Expected a topic name without control characters');
}, 10_000);

test.each([
	[{swim: {...defaults.swim, probeTimeoutMs: 200}}, 'swim.probeTimeoutMs'],
	[{swim: {...defaults.swim, silentMs: 100}}, 'swim.silentMs'],
	[{gossip: {...defaults.gossip, fanoutMin: 13}}, 'gossip.fanoutMax'],
	[{limits: {...defaults.limits, outQueueBytes: 524_288}}, 'limits.outQueueBytes'],
	[{limits: {...defaults.limits, outQueueTotalBytes: 65_536}}, 'limits.outQueueTotalBytes'],
	[{host: '0.0.0.0', enableEncryption: false}, 'enableEncryption'],
	[{advertise: '10.0.0.1', enableNodeAuth: false}, 'enableNodeAuth'],
	[{host: '192.168.1.4', enableMessageSigning: false}, 'enableMessageSigning'],
	[{host: 'a b'}, 'host'],
	[{host: '127.0.0.1:5000'}, 'host'],
	[{host: '224.0.0.1'}, 'host'],
	[{host: 'fe80::1'}, 'host'],
	[{host: '::', enableNodeAuth: false}, 'enableNodeAuth'],
	[{advertise: '0.0.0.0'}, 'advertise'],
	[{advertise: '[::]:15000'}, 'advertise'],
	[{advertise: '239.1.1.1'}, 'advertise'],
	[{advertise: '255.255.255.255:1'}, 'advertise'],
	[{advertise: '10.0.0.5:0'}, 'advertise'],
	[{advertise: 'fe80::1%eth0'}, 'advertise'],
	[{advertise: '*'}, 'advertise'],
	[{advertise: '15000'}, 'advertise'],
	[{bootstrap: ['0.0.0.0:5000']}, 'bootstrap.0'],
	[{bootstrap: ['10.0.0.1:5000', '[ff02::1]:5000']}, 'bootstrap.1'],
	[{discovery: {...defaults.discovery, group: '10.1.1.1'}}, 'discovery.group'],
	[{bootstrap: ['nowhere']}, 'bootstrap.0'],
	[{bootstrap: ['127.0.0.1:0']}, 'bootstrap.0'],
	[{port: 5000.5}, 'port'],
	[{extra: 1}, 'extra'],
] as const)('%j has one problem, in %s', (change, setting) => {
	expect(problemsOf({...defaults, ...change}).map(problem => problem.setting)).toEqual([setting]);
});

test('security may be off on a loopback address', () => {
	for (const host of ['127.0.0.1', '127.8.0.1', 'localhost', '::1'])
		expect(
			problemsOf({
				...defaults,
				host,
				enableNodeAuth: false,
				enableMessageSigning: false,
				enableEncryption: false,
			}),
		).toEqual([]);
});

test('an invalid address is refused with the setting, the value and a remedy', () => {
	const message = refusal(() =>
		load({host: '10.0.0.5:5000', advertise: '0.0.0.0', bootstrap: ['[::]:5000,[10.0.0.5:15000]:6210']}),
	);
	expect(message).toContain(
		'host (--host): Expected an address to listen on or a host name, got "10.0.0.5:5000": ' +
			'the port is a setting of its own (port)',
	);
	expect(message).toContain(
		'advertise (--advertise): Expected an address that other nodes can call (host, host:port, [v6]:port), ' +
			'got "0.0.0.0": it is a wildcard, which is an address to listen on, not to connect to; ' +
			'name one address or host name of this machine',
	);
	expect(message).toContain(
		'bootstrap.0 (--bootstrap): Expected host:port, [v6]:port or a port, got "[::]:5000": it is a wildcard, ' +
			'which is an address to listen on, not to connect to; name the address or host name of a member',
	);
	expect(message).toContain(
		'bootstrap.1 (--bootstrap): Expected host:port, [v6]:port or a port, got "[10.0.0.5:15000]:6210"',
	);
});

test('addresses are accepted in every spelling, and stored in the canonical one', () => {
	const written = {
		host: '[0:0::0]',
		advertise: '[FD77::0:2]',
		bootstrap: ['[::FFFF:10.0.0.5]:5000', '[FD77:0::3]:05000', 'DB:5000'],
	};
	const canonical = {host: '::', advertise: 'fd77::2', bootstrap: ['10.0.0.5:5000', '[fd77::3]:5000', 'db:5000']};
	expect(load(written).tunables).toMatchObject(canonical);
	expect(completeConfig({data: '/d', secret: Buffer.alloc(32, 7), ...written})).toMatchObject(canonical);
	expect(load({advertise: '10.0.0.5:15000'}).tunables.advertise).toBe('10.0.0.5:15000');
});

test('a program sets only the values that differ from the defaults', () => {
	const config = completeConfig({data: '/d', secret: Buffer.alloc(32, 7), port: 6000, raft: {heartbeatMs: 50}});
	expect(config.raft).toEqual({...defaults.raft, heartbeatMs: 50});
	expect(config.port).toBe(6000);
	expect(refusal(() => completeConfig({data: '', secret: Buffer.alloc(8), port: 0}))).toMatch(
		/^3 settings are wrong:\n {2}port: .*\n {2}data: .*\n {2}secret: Expected at least 32 bytes$/,
	);
});

describe('the keys of the prototype', () => {
	test('its flags are accepted, its published secrets and placeholders are refused', () => {
		put('config.json', {enable_node_auth: false, enable_message_signing: false, enable_encryption: false});
		expect(load().tunables).toMatchObject({
			enableNodeAuth: false,
			enableMessageSigning: false,
			enableEncryption: false,
		});
		const config = put('config.json', {
			cluster_secret: 'default_secret',
			encryption_key: 'rGBzJ0U89kasl0ikd2KDXskjhAI0gvCsEIK8sMpQT3U=',
		});
		const message = refusal(() => load());
		expect(message).toContain(
			`cluster_secret (${config}): this is not a secret: it is the published secret of the prototype`,
		);
		expect(message).toContain(`encryption_key (${config})`);
		expect(message).not.toContain('rGBz');
		put('config.json', {cluster_secret: 'put_generated_key_here'});
		expect(refusal(() => load())).toContain('placeholder');
	});

	test('a strong secret in a private file is the secret, and is not shown', () => {
		put('config.json', {cluster_secret: strong});
		const settings = load();
		expect(Buffer.from(settings.secret({create: true}).secret).toString()).toBe(strong);
		expect(JSON.stringify(settings.list)).not.toContain(strong);
	});

	const token = `join-${'a'.repeat(22)}`;
	const shown = (name: string, flags: Parameters<typeof load>[0] = {}): unknown =>
		load(flags).list.find(setting => setting.name === name)?.value;

	test('a secret and a join token are used, and shown as set only', () => {
		expect(shown('join_token')).toBe('');
		expect(shown('join_token', {joinToken: token})).toBe('(set)');
		put('config.json', {cluster_secret: strong, join_token: token});
		expect([shown('cluster_secret'), shown('join_token')]).toEqual(['(set)', '(set)']);
		expect(load().tunables.joinToken).toBe(token);
		expect(JSON.stringify(load().list)).not.toContain(token);
	});

	test('a file with a join token must be private too, and the refusal says where the token may be instead', () => {
		put('config.json', {cluster: 'dapss', join_token: ''}, 0o644);
		expect(load().tunables.joinToken).toBe('');
		put('config.json', {cluster: 'dapss', join_token: token}, 0o644);
		const message = refusal(() => load());
		expect(message).toContain('chmod 600');
		expect(message).toContain('DAPSS_JOIN_TOKEN');
		expect(message).not.toContain(token);
	});

	test('a wrong join token is refused without showing it', () => {
		expect(refusal(() => load({joinToken: `${token}x`}))).not.toContain(token);
	});

	test('a file with a secret must be private', () => {
		put('config.json', {cluster_secret: strong}, 0o644);
		const message = refusal(() => load());
		expect(message).toContain('chmod 600');
		expect(message).not.toContain(strong);
	});

	test('a secret in the environment is refused', () => {
		const message = refusal(() => load({}, {DAPSS_CLUSTER_SECRET: strong}));
		expect(message).toContain('DAPSS_SECRET_FILE');
		expect(message).not.toContain(strong);
	});
});

test('a bare port is an address of this machine in every setting', () => {
	put('config.json', {cluster: 'dapss', bootstrap: [5000]});
	expect(load().tunables.bootstrap).toEqual(['127.0.0.1:5000']);
	expect(load({bootstrap: ['5001,db:5002', '[::1]:5003']}).tunables.bootstrap).toEqual([
		'127.0.0.1:5001',
		'db:5002',
		'[::1]:5003',
	]);
	expect([
		canonicalAddress('::1:5000'),
		canonicalAddress('x:'),
		canonicalAddress('host:99999'),
		canonicalAddress(''),
	]).toEqual([undefined, undefined, undefined, undefined]);
});

test('a port counts as explicit if a flag or the environment sets it, and as default otherwise', () => {
	expect(load().isPortExplicit).toBe(false);
	expect(load({port: '5000'}).isPortExplicit).toBe(true);
	expect(load({}, {DAPSS_PORT: '5000'}).isPortExplicit).toBe(true);
	put('config.json', defaultFile());
	expect(load().isPortExplicit).toBe(false);
});

test('the folders of data and secret follow XDG', () => {
	const settings = load({cluster: 'blue'});
	expect(settings.data(5001)).toBe(join(home, '.local/share/dapss/blue/5001'));
	expect(load({}, {XDG_DATA_HOME: '/x'}).data(5000)).toBe('/x/dapss/dapss/5000');
	expect(load({}, {XDG_DATA_HOME: 'relative'}).data(5000)).toBe(join(home, '.local/share/dapss/dapss/5000'));
	expect(load({data: '/d'}).data(5000)).toBe('/d');
	const {config, secretPath, secretCreated} = nodeConfig(settings, 5001);
	expect({secretPath, secretCreated}).toEqual({
		secretPath: join(home, '.config/dapss/blue.secret'),
		secretCreated: true,
	});
	expect(statSync(secretPath).mode & 0o777).toBe(0o600);
	expect(config).toMatchObject({port: 5001, data: settings.data(5001), cluster: 'blue'});
	expect(nodeConfig(settings, 5002).config.secret).toEqual(config.secret);
});

test('a given secret file is never created, so that a typing error founds no cluster', () => {
	expect(refusal(() => load({secretFile: join(home, 'typo')}).secret({create: true}))).toContain('does not exist');
});

test('names from files do not change a prototype', () => {
	const path = put(
		'evil.json',
		'{"__proto__": {"port": 1}, "constructor": {"prototype": {"x": 1}}, "raft": {"__proto__": {"y": 2}}}',
	);
	refusal(() => load({config: path}));
	expect(({} as Record<string, unknown>)['x']).toBeUndefined();
	expect(({} as Record<string, unknown>)['y']).toBeUndefined();
});

test('for any configuration the settings load or throw a config error', () => {
	const outcomes = new Set<string>();
	const names = fc.constantFrom(...known.keys(), 'raft', 'swim', '__proto__', 'cluster_secret');
	fc.assert(
		fc.property(fc.oneof(fc.object({maxDepth: 4}), fc.dictionary(names, fc.jsonValue())), value => {
			try {
				loadSettings({
					flags: {},
					env: {HOME: home},
					cwd: home,
					preferences: {path: 'fuzz', settings: JSON.parse(JSON.stringify(value)) as object},
				});
				outcomes.add('loaded');
			} catch (error) {
				expect(error).toMatchObject({name: 'DapssError', code: 'config'});
				outcomes.add('refused');
			}
		}),
		{numRuns: 2000},
	);
	expect([...outcomes].toSorted()).toEqual(['loaded', 'refused']);
});
