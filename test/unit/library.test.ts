/** The short forms of `openBroker`, `connect` and `follow`: defaults of omitted options, and errors of wrong ones. */
import {existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {completeConfig} from '../../core/config-schema.ts';
import {defaults} from '../../core/config.ts';
import {completeConnect} from '../../core/connect.ts';
import {nodeFiles} from '../../core/default-files.ts';
import {connect, DapssError, follow, isDapssError, openBroker, topicNamed} from '../../core/library.ts';

let folder: string;
const former = {...process.env};
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-library-'));
	process.env['XDG_CONFIG_HOME'] = join(folder, 'config');
	process.env['XDG_DATA_HOME'] = join(folder, 'data');
});
afterEach(() => {
	process.env = {...former};
	rmSync(folder, {recursive: true, force: true});
});

const secret = Buffer.alloc(32, 7);
const secretFile = (): string => join(folder, 'config/dapss/dapss.secret');

describe('a node', () => {
	test('has the data folder of the command line, and makes the secret file', () => {
		const config = completeConfig({port: 5001, bootstrap: ['host:5000']}, nodeFiles);
		expect(config).toMatchObject({...defaults, port: 5001, bootstrap: ['host:5000']});
		expect(config.data).toBe(join(folder, 'data/dapss/dapss/5001'));
		expect(Buffer.from(config.secret).toString()).toBe(readFileSync(secretFile(), 'utf8').trim());
		expect(completeConfig({}, nodeFiles).secret).toEqual(config.secret);
	});

	test('makes no named secret file, and no file at all for wrong settings', async () => {
		await expect(openBroker({secretFile: join(folder, 'none')})).rejects.toThrow(/none does not exist/);
		await expect(openBroker({cluster: '../up'})).rejects.toThrow(/^cluster: Expected 1 to 63 characters/);
		expect(() => statSync(join(folder, 'config'))).toThrow(/ENOENT/);
	});

	test('reports all wrong options, with the nearest valid name', async () => {
		// @ts-expect-error -- names that TypeScript would refuse
		const opening = openBroker({prot: 5001, raft: {electionMS: 600}, port: 0, secret, secretFile: 'a'});
		await expect(opening).rejects.toMatchObject({
			code: 'config',
			message: [
				'4 settings are wrong:',
				'  port: Expected a whole number from 1 to 65535, got 0',
				'  raft.electionMS: There is no such setting; did you mean electionMs?',
				'  prot: There is no such setting; did you mean port?',
				'  secretFile: Expected the secret or its file, got both',
			].join('\n'),
		});
	});

	test('takes `undefined` as an omitted option', () => {
		const config = completeConfig({port: undefined, data: '/d', secret, raft: {electionMs: undefined}});
		expect(config).toEqual({...defaults, data: '/d', secret});
	});
});

describe('a client', () => {
	beforeEach(() => {
		completeConfig({}, nodeFiles); // Makes the secret.
	});

	test('takes addresses as text, and finds the secret file', () => {
		const text = readFileSync(secretFile(), 'utf8').trim();
		expect(completeConnect('HOST:5000, 5001,')).toMatchObject({
			servers: ['host:5000', '127.0.0.1:5001'],
			cluster: 'dapss',
			secret: Buffer.from(text),
			enableEncryption: true,
			limits: defaults.limits,
		});
		expect(completeConnect({})).toMatchObject({servers: []});
		expect(completeConnect({limits: {connections: 10}}).limits).toEqual({...defaults.limits, connections: 10});
	});

	test('reads a named file, and accepts the configuration of a node', () => {
		const file = join(folder, 'other.secret');
		writeFileSync(file, 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M\n', {mode: 0o600});
		expect(Buffer.from(completeConnect({secretFile: file}).secret).toString()).toMatch(/^q8Jw/);
		expect(completeConnect({...defaults, secret, cluster: 'other', servers: ['a:1']})).toMatchObject({
			servers: ['a:1'],
			cluster: 'other',
			secret,
		});
	});

	test('makes no secret file', async () => {
		await expect(connect({servers: ['host:5000'], cluster: 'other'})).rejects.toThrow(
			/^Expected a private secret file, .*other\.secret does not exist: copy it from another node/,
		);
		expect(existsSync(join(folder, 'config/dapss/other.secret'))).toBe(false);
	});

	test.each([connect, follow])('reports wrong options (%o)', async open => {
		await expect(open('host')).rejects.toMatchObject({
			code: 'config',
			message: 'servers.0: Expected host:port, [v6]:port or a port, got "host"',
		});
		await expect(open('')).rejects.toThrow(/^servers\.0: Expected host:port/);
		// @ts-expect-error -- a name that TypeScript would refuse
		await expect(open({server: ['host:5000']})).rejects.toThrow(
			/^server: There is no such setting; did you mean servers\?$/,
		);
		await expect(open({secret: Buffer.alloc(8)})).rejects.toThrow(/^secret: Expected at least 32 bytes$/);
	});
});

test('a topic by its name, and errors by their code', () => {
	expect(topicNamed('weather')).toBe('weather');
	let caught: unknown;
	try {
		topicNamed('a*');
	} catch (error) {
		caught = error;
	}

	expect(isDapssError(caught, 'usage')).toBe(true);
	expect(isDapssError(caught)).toBe(true);
	expect(isDapssError(caught, 'config')).toBe(false);
	expect(isDapssError(new Error('usage'))).toBe(false);
	const cause = new Error('disk');
	expect(new DapssError('storage', 'no', {cause})).toMatchObject({code: 'storage', cause});
});
