import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterAll, beforeAll, expect, test} from 'vitest';
import type {Chosen, FindOptions} from '../../../core/find.ts';
import {FakeBroker, run, type Outcome, type RunOptions} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';

let home: string;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-found-'));
	writeFileSync(join(home, 'secret'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const healthy = (): FakeBroker => new FakeBroker(snapshots.healthy);
/** Commands on a machine without a node. */
const dapss = (line: string, options: RunOptions): Promise<Outcome> =>
	run(line.split(' '), {
		broker: healthy(),
		nodes: [],
		cwd: home,
		...options,
		env: {HOME: home, DAPSS_SECRET_FILE: join(home, 'secret'), ...options.env},
	});

const chosen: Chosen = {
	id: '3f2a91c45bd1e995',
	address: '10.0.0.7:5000',
	clusterId: 'c',
	name: 'alpha',
	isMember: true,
	subscribes: [],
	clusters: 1,
};

test('a command reports a found node on standard error, and only data on standard output', async () => {
	const searches: FindOptions[] = [];
	const heard =
		(subscribes: readonly string[]) =>
		(find: FindOptions): Chosen => {
			searches.push(find);
			return {...chosen, subscribes};
		};

	const using = 'No node of cluster dapss runs here: using 10.0.0.7:5000 (alpha), found on the network';
	expect(await dapss('publish news hi', {heard: heard(['news'])})).toEqual({
		code: 0,
		out: expect.stringMatching(/^1 message stored in news/) as string,
		err: `${using}; it subscribes to news\n`,
	});
	expect(await dapss('publish news hi', {heard: heard([])})).toMatchObject({
		code: 0,
		err: `${using}; it advertises no subscription to news\n`,
	});
	expect(await dapss('status -o json', {heard: heard([]), env: {DAPSS_DISCOVERY_PORT: '45455'}})).toMatchObject({
		code: 0,
		out: expect.stringMatching(/^\{/) as string,
		err: `${using}\n`,
	});
	expect(searches.map(({topics, discovery}) => [topics, discovery?.port])).toEqual([
		[['news'], 45_454],
		[['news'], 45_454],
		[[], 45_455],
	]);
});

test('an unusable node, and two clusters of one name, are reported', async () => {
	const {code, err} = await dapss('status', {
		heard(find) {
			find.onUnusable!({...chosen, address: '10.0.0.9:5000'}, new Error('no answer \u001B[2J'));
			return {...chosen, clusters: 2};
		},
	});
	expect(code).toBe(0);
	expect(err).toContain('10.0.0.9:5000 was heard on the network and cannot be used: no answer ');
	expect(err).not.toContain('\u001B');
	expect(err).toContain(
		'Warning: 2 clusters of the name dapss were heard; choose a node of the right one with --server host:port\n',
	);
});

test.each([
	'leave',
	'fault drop 10',
	'fault delay 10ms',
	'fault cut 5001',
	'fault cut 5000 5001',
	'fault heal',
	'status --no-discovery',
	'status',
])('%s refuses to use a node that was only heard', async words => {
	const env: Readonly<Record<string, string>> = words === 'status' ? {DAPSS_ENABLE_NODE_AUTH: 'off'} : {};
	const heard = (): Chosen => {
		throw new Error('searched');
	};
	expect(await dapss(words, {heard, env})).toMatchObject({
		code: 14,
		err: expect.stringContaining('No node of cluster dapss runs here: start one with dapss-tui') as string,
	});
});

test('without a secret a command ends with 14 and the missing file, without a search', async () => {
	const {code, err} = await dapss('status', {heard: () => chosen, env: {DAPSS_SECRET_FILE: join(home, 'none')}});
	expect(code).toBe(14);
	expect(err).toContain(
		'No node of cluster dapss runs here; the network is not searched without the secret (Expected a private ' +
			`secret file, ${join(home, 'none')} does not exist`,
	);
});

test('a secret that others can read is reported at once', async () => {
	writeFileSync(join(home, 'open'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o644});
	expect(await dapss('status', {heard: () => chosen, env: {DAPSS_SECRET_FILE: join(home, 'open')}})).toMatchObject({
		code: 2,
		err: expect.stringContaining('can be read or changed by others') as string,
	});
});
