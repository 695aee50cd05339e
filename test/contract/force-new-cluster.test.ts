/**
Forcing a new cluster from a survivor's Raft log keeps the topics under a new cluster id with one voter. If the disk
fails before that is durable, the old state remains.
*/
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {ClusterState} from '../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope, type Command} from '../../core/cluster-state/command.ts';
import {defaults} from '../../core/config.ts';
import {RaftStore} from '../../core/control/raft-store.ts';
import {realFiles} from '../../core/io/file-system.ts';
import {Folder} from '../../core/io/files/data-folder.ts';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import {openLog, type SegmentedLog} from '../../core/io/log/log.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {forceNewCluster, surveySurvivor} from '../../core/node-state/force-new-cluster.ts';
import {encodeConfigurationData} from '../../core/raft/configuration.ts';
import type {Entry} from '../../core/raft/raft.ts';
import {openSurvivor} from '../../core/recover.ts';
import {createIdentity} from '../../core/wire/seal.ts';
import type {Loss, DiskContents} from '../sim/disk-contents.ts';
import {createRandom, seeds} from '../sim/random.ts';
import {CrashDisk} from './support/crash-disk.ts';

const [a, b, c] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc'] as [NodeId, NodeId, NodeId];
const former = 'f0f0f0f0';
const bounds = {topicsMax: 100, membersMax: 100};
const none = new Uint8Array(0);

const config = (
	index: number,
	voters: readonly NodeId[],
	learners: readonly NodeId[],
	context: Uint8Array = none,
): Entry => ({term: 1, index, kind: 'configuration', data: encodeConfigurationData({voters, learners}, context)});
const command = (term: number, index: number, node: NodeId, what: Command): Entry => ({
	term,
	index,
	kind: 'command',
	data: encodeEnvelope({node, incarnation: 1, seq: index, answeredBelow: 0, lamport: index, command: what}),
});
const entries: readonly Entry[] = [
	config(1, [a], [], encodeContext({clusterId: former, node: a, address: '127.0.0.1:1'})),
	config(2, [a], [b], encodeContext({node: b, address: '127.0.0.1:2'})),
	config(3, [a], [b, c], encodeContext({node: c, address: '127.0.0.1:3'})),
	config(4, [a, b], [c]),
	config(5, [a, b, c], []),
	command(1, 6, c, {type: 'subscribe', topic: 'known' as Topic, node: c, since: 0}),
	{term: 2, index: 7, kind: 'noop', data: none},
	command(2, 8, c, {type: 'subscribe', topic: 'unsure' as Topic, node: c, since: 0}),
	command(2, 9, a, {type: 'subscribe', topic: 'theirs' as Topic, node: a, since: 0}),
];

async function open(disk: CrashDisk): Promise<{readonly store: RaftStore; readonly log: SegmentedLog}> {
	const log = await openLog({folder: '/raft', segmentBytes: 400, writeDeadlineMs: 120_000, files: disk});
	expect(log.damaged).toEqual([]);
	return {log, store: await RaftStore.open(log, new NodeFiles(disk, '/').blobs)};
}

/** The disk of node c, which stopped cleanly. */
async function stopped(written = entries, hasSnapshot = false): Promise<Map<string, Buffer>> {
	const disk = new CrashDisk({random: createRandom(1)});
	const {store, log} = await open(disk);
	await store.append({term: 2, vote: a, commit: 6}, written);
	if (hasSnapshot) {
		const topics = new ClusterState(bounds);
		topics.load(surveySurvivor({...store.recovered, entries: written.slice(0, 6)}, c, bounds).topics.save());
		await store.saveSnapshot(
			{index: 6, term: 1, configuration: {voters: [a, b, c], learners: []}, data: topics.save()},
			'taken',
		);
	}

	await log[Symbol.asyncDispose]();
	return disk.contents();
}

const reopened = (files: ReadonlyMap<string, Buffer> | DiskContents): ReturnType<typeof open> =>
	open(
		files instanceof Map
			? CrashDisk.of(files, {random: createRandom(1)})
			: new CrashDisk({random: createRandom(1)}, files as DiskContents),
	);

describe.each([
	['entries alone', false],
	['a snapshot and entries', true],
])('from %s', (_name, hasSnapshot) => {
	test('reports the state of the survivor', async () => {
		const {store} = await reopened(await stopped(entries, hasSnapshot));
		expect(surveySurvivor(store.recovered, c, bounds).report).toEqual({
			node: c,
			name: '',
			address: '127.0.0.1:3',
			voters: [a, b, c],
			clusterId: former,
			last: {term: 2, index: 9},
			commit: 6,
			topics: ['known', 'unsure', 'theirs'],
			lost: [
				{id: a, name: '', address: '127.0.0.1:1', voter: true},
				{id: b, name: '', address: '127.0.0.1:2', voter: true},
			],
		});
	});

	test('keeps every entry, committed or not, for the only voter of a new cluster', async () => {
		const disk = CrashDisk.of(await stopped(entries, hasSnapshot), {random: createRandom(1)});
		const {store, log} = await open(disk);
		await forceNewCluster(store, surveySurvivor(store.recovered, c, bounds), 'new');
		await log[Symbol.asyncDispose]();
		const {
			store: {recovered},
		} = await reopened(disk.contents());
		expect(recovered).toMatchObject({
			hardState: {term: 3, vote: c, commit: 10},
			entries: [],
			snapshot: {index: 10, term: 3, configuration: {voters: [c], learners: []}},
		});
		const topics = new ClusterState(bounds);
		topics.load(recovered.snapshot!.data);
		expect({
			id: topics.clusterId,
			members: topics.members(),
			removed: topics.removed(),
			applied: topics.applied,
		}).toEqual({id: 'new', members: [{id: c, address: '127.0.0.1:3'}], removed: [], applied: 10});
		expect(topics.topics().map(({name, subscribers}) => [name, [...subscribers.keys()]])).toEqual([
			['known', [c]],
			['unsure', [c]],
		]);
		expect(() => surveySurvivor(recovered, c, bounds)).toThrow(
			`Node ${c} is the only voter of its cluster (new) already: start it`,
		);
	});

	test.each(['all', 'writes', 'sectors', 'none'] as const)(
		'is the old cluster or the new one after a crash at any call (lost unsynced data: %s)',
		async (loss: Loss) => {
			const files = await stopped(entries, hasSnapshot);
			const seen = {old: 0, new: 0};
			for (const seed of seeds(3)) {
				for (let diesAt = 1; ; diesAt++) {
					const disk = CrashDisk.of(files, {random: createRandom(seed * 1000 + diesAt), diesAt});
					let isDone = false;
					const work = async (): Promise<void> => {
						const {store} = await open(disk);
						await forceNewCluster(store, surveySurvivor(store.recovered, c, bounds), 'new');
						isDone = true;
					};

					await Promise.race([work(), disk.died]);
					const {
						store: {recovered},
					} = await reopened(disk.image(createRandom(seed * 1000 + diesAt), loss));
					if (recovered.snapshot?.index === 10) {
						seen.new++;
						expect(recovered.snapshot.configuration).toEqual({voters: [c], learners: []});
						expect(recovered.entries).toEqual([]);
					} else {
						seen.old++;
						expect(isDone).toBe(false);
						// The committed entries are the same as before.
						expect(recovered.hardState).toEqual({term: 2, vote: a, commit: 6});
						expect(surveySurvivor(recovered, c, bounds).report).toMatchObject({
							clusterId: former,
							last: {term: 2, index: 9},
						});
					}

					if (isDone) break;
				}
			}

			expect(seen.old).toBeGreaterThan(0);
			expect(seen.new).toBeGreaterThan(0);
		},
	);
});

test('refuses a node without cluster state, and a removed node', async () => {
	const {store} = await reopened(await stopped([]));
	expect(() => surveySurvivor(store.recovered, c, bounds)).toThrow(
		`Node ${c} holds nothing of its cluster yet: recover another survivor`,
	);
	const {store: withoutState} = await reopened(await stopped(entries.slice(0, 2)));
	expect(() => surveySurvivor(withoutState.recovered, c, bounds)).toThrow('holds nothing of its cluster yet');
	const {store: removed} = await reopened(await stopped([...entries.slice(0, 5), config(6, [a, b], [])]));
	expect(() => surveySurvivor(removed.recovered, c, bounds)).toThrow(`Node ${c} was removed from its cluster`);
});

describe('the folder', () => {
	let path: string;
	beforeEach(() => {
		path = join(mkdtempSync(join(tmpdir(), 'dapss-force-new-cluster-')), 'node');
	});
	afterEach(() => rmSync(dirname(path), {recursive: true, force: true}));
	const survey = (): ReturnType<typeof openSurvivor> =>
		openSurvivor({data: path, limits: defaults.limits, storage: defaults.storage});

	/** A node of three that stopped. */
	async function make(): Promise<NodeId> {
		const identity = createIdentity();
		using lock = await Folder.open(path);
		const folder = new NodeFiles(realFiles, lock.path);
		await folder.writeJson('node.json', {
			version: 1,
			identity: identity.toJson(),
			incarnation: 1,
			clusterId: former,
			lamport: 0,
			topics: [],
		});
		await using log = await openLog({folder: join(path, 'raft'), segmentBytes: 4096, writeDeadlineMs: 5000});
		const voters = [a, b, identity.id].toSorted();
		await (
			await RaftStore.open(log, folder.blobs)
		).append({term: 1, vote: a, commit: 1}, [
			config(1, voters, [], encodeContext({clusterId: former, node: identity.id, address: '127.0.0.1:3'})),
		]);
		return identity.id;
	}

	test('is recovered, and opens as the new cluster', async () => {
		const node = await make();
		let clusterId: string;
		{
			await using survivor = await survey();
			expect(survivor.report).toMatchObject({node, clusterId: former});
			await expect(survey()).rejects.toMatchObject({code: 'locked'});
			clusterId = await survivor.forceNewCluster();
		}

		await expect(survey()).rejects.toThrow(`is the only voter of its cluster (${clusterId.slice(0, 8)}) already`);
	});

	test('is refused and not created if it is no data folder', async () => {
		await expect(survey()).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining('is empty or not there') as string,
		});
		expect(existsSync(path)).toBe(false);
		mkdirSync(path, {mode: 0o700});
		writeFileSync(join(path, 'notes.txt'), 'mine');
		await expect(survey()).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining('is none') as string,
		});
		expect(readdirSync(path)).toEqual(['notes.txt']);
	});

	test.each([
		['who it is', () => 'node.json', () => '{'],
		[
			'the log',
			() =>
				join(
					'raft',
					readdirSync(join(path, 'raft')).find(name => name.endsWith('.log'))!,
				),
			(bytes: Buffer) => bytes.with(80, bytes[80]! ^ 4),
		],
	] as Array<[string, () => string, (bytes: Buffer) => string | Uint8Array]>)(
		'is refused if it is damaged: %s',
		async (_what, name, damage) => {
			await make();
			const file = join(path, name());
			writeFileSync(file, damage(readFileSync(file)));
			await expect(survey()).rejects.toMatchObject({
				code: 'storage',
				message: expect.stringMatching(
					/cannot be recovered from, it is damaged: .*\. Recover another survivor$/,
				) as string,
			});
		},
	);
});

test('fails on a full disk, and changes nothing', async () => {
	const files = await stopped();
	const disk = CrashDisk.of(files, {random: createRandom(1)});
	const {store} = await open(disk);
	const full = CrashDisk.of(files, {random: createRandom(1), failsAt: disk.calls.length + 1, code: 'ENOSPC'});
	const {store: doomed} = await open(full);
	await expect(forceNewCluster(doomed, surveySurvivor(doomed.recovered, c, bounds), 'new')).rejects.toThrow('ENOSPC');
	expect(surveySurvivor((await reopened(full.contents())).store.recovered, c, bounds).report).toEqual(
		surveySurvivor(store.recovered, c, bounds).report,
	);
});
