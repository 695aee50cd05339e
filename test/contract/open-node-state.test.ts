/**
The state of a node is opened from a damaged disk, and from a disk that fails while damaged files are moved aside. The
node never keeps its old id with an emptied Raft log, and never founds a new cluster.
*/
import {chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {encodeContext, encodeEnvelope} from '../../core/cluster-state/command.ts';
import {encode} from '../../core/codec.ts';
import {defaults} from '../../core/config.ts';
import {realFiles, type Files} from '../../core/io/file-system.ts';
import {expectKnownFormats} from '../../core/io/files/known-formats.ts';
import {NodeFiles} from '../../core/io/files/node-files.ts';
import {moveAside, reserveLeft, reserveQuarantine} from '../../core/io/files/quarantine.ts';
import {openLog} from '../../core/io/log/log.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {freshState, stateFromJson, stateToJson} from '../../core/node-state/node-state.ts';
import {openNodeState, type OpenedNodeState, type NodeStateIo} from '../../core/node-state/open-node-state.ts';
import type {Log} from '../../core/ports.ts';
import {encodeConfigurationData} from '../../core/raft/configuration.ts';
import {openSurvivor} from '../../core/recover.ts';

const address = '127.0.0.1:5002';
const peer = 'aaaaaaaaaaaaaaaa' as NodeId;
const clusterId = 'c1';
const topic = 't' as Topic;
let path: string;
/** All logs, also those of simulated processes that ended: the test closes their files. */
const logs: Log[] = [];
beforeEach(() => {
	path = mkdtempSync(join(tmpdir(), 'dapss-state-'));
	chmodSync(path, 0o700);
});
afterEach(async () => {
	for (const log of logs.splice(0)) await log[Symbol.asyncDispose]();
	rmSync(path, {recursive: true, force: true});
});

/** @param calls number of calls that change the folder before the simulated process ends */
function ioOf(folder: NodeFiles, calls = Infinity): NodeStateIo {
	let left = calls;
	const spend = (): void => {
		if (left-- <= 0) throw new Error('killed');
	};

	const files: Files = {
		...realFiles,
		async makeFolder(at) {
			spend();
			await realFiles.makeFolder(at);
		},
		async rename(from, to) {
			spend();
			await realFiles.rename(from, to);
		},
	};
	return {
		expectKnownFormats: () => expectKnownFormats(realFiles, path, 'node.json'),
		readState: () => folder.readJson('node.json'),
		async writeState(json) {
			spend();
			await folder.writeJson('node.json', json);
		},
		async openLog() {
			const opened = await openLog({folder: join(path, 'raft'), segmentBytes: 1e6, writeDeadlineMs: 1000});
			logs.push(opened);
			return opened;
		},
		blobs: folder.blobs,
		reserve: why => (why === 'left' ? reserveLeft : reserveQuarantine)(files, path, 'node.json'),
		moveAside: name => moveAside(files, path, name),
	};
}

function openIt(calls?: number): Promise<OpenedNodeState> {
	return openNodeState(ioOf(new NodeFiles(realFiles, path), calls), address);
}

/** Creates a member of a cluster of two, with a subscription. Resolves with its id. */
async function member(): Promise<NodeId> {
	const folder = new NodeFiles(realFiles, path);
	const {state, store} = await openNodeState(ioOf(folder), address);
	const {id} = state.identity;
	const voters = [peer, id].toSorted();
	await store.append({term: 1, vote: peer, commit: 3}, [
		{
			term: 1,
			index: 1,
			kind: 'configuration',
			data: encodeConfigurationData(
				{voters: [peer], learners: []},
				encodeContext({clusterId, node: peer, address: '127.0.0.1:5001'}),
			),
		},
		{
			term: 1,
			index: 2,
			kind: 'configuration',
			data: encodeConfigurationData({voters, learners: []}, encodeContext({node: id, address})),
		},
		{
			term: 1,
			index: 3,
			kind: 'command',
			data: encodeEnvelope({
				node: id,
				incarnation: 1,
				seq: 1,
				answeredBelow: 1,
				lamport: 9,
				command: {type: 'subscribe', topic, node: id, since: 7},
			}),
		},
	]);
	await store.append({term: 2, vote: id, commit: 3}, []);
	await store[Symbol.asyncDispose]();
	await folder.writeJson(
		'node.json',
		stateToJson({
			...state,
			incarnation: 4,
			clusterId,
			lamport: 1000,
			topics: [topic],
			members: [
				[id, address],
				[peer, '127.0.0.1:5001'],
			],
			since: [[topic, 7]],
		}),
	);
	return id;
}

function flip(name: string, at: number): void {
	const bytes = readFileSync(join(path, name));
	bytes[at < 0 ? bytes.length + at : at]! ^= 4;
	writeFileSync(join(path, name), bytes);
}

const raftLog = 'raft/0000000000000000.log';

test.each([
	['no state', Buffer.from('no state')],
	[
		'a state at another index',
		encode({version: 1, applied: 9, clusterId, members: [], removed: [], topics: [], sessions: []}),
	],
])('a snapshot with %s and a valid checksum is set aside; each later start works', async (_name, data) => {
	const id = await member();
	const {store} = await openIt();
	// As earlier releases stored what a leader sent.
	await store.saveSnapshot({index: 4, term: 2, configuration: {voters: [peer], learners: [id]}, data}, 'installed');
	await store[Symbol.asyncDispose]();
	await expect(openSurvivor({data: path, limits: defaults.limits, storage: defaults.storage})).rejects.toThrow(
		/the snapshot at 4 holds no valid state: .* Recover another survivor/,
	);
	const {state, quarantined, store: fresh} = await openIt();
	expect(quarantined).toMatchObject({
		folder: 'quarantine-1',
		formerId: id,
		problem: expect.stringContaining('the snapshot at 4 holds no valid state') as string,
	});
	expect(state).toMatchObject({clusterId, topics: [topic], members: [[peer, '127.0.0.1:5001']], mustJoin: true});
	await fresh[Symbol.asyncDispose]();
	const again = await openIt();
	expect([again.state.identity.id, again.quarantined]).toEqual([state.identity.id, undefined]);
	await again.store[Symbol.asyncDispose]();
});

test('intact state is opened unchanged, at each start', async () => {
	const id = await member();
	for (let start = 0; start < 2; start++) {
		const {state, store, quarantined} = await openIt();
		expect([state.identity.id, state.incarnation, state.mustJoin, store.isEmpty, quarantined]).toEqual([
			id,
			4,
			false,
			false,
			undefined,
		]);
		await store[Symbol.asyncDispose]();
	}
});

test('a damaged Raft log is set aside; the node gets a new id, and keeps cluster, topics and peers', async () => {
	const id = await member();
	flip(raftLog, 150);
	const damaged = readFileSync(join(path, raftLog));
	const before = readFileSync(join(path, 'node.json'));
	const {state, store, quarantined} = await openIt();
	expect(quarantined).toMatchObject({
		folder: 'quarantine-1',
		formerId: id,
		problem: expect.stringContaining('0000000000000000') as string,
	});
	expect(state).toMatchObject({
		incarnation: 0,
		clusterId,
		lamport: 1000,
		topics: [topic],
		since: [[topic, 7]],
		members: [[peer, '127.0.0.1:5001']],
		mustJoin: true,
	});
	expect(state.identity.id).not.toBe(id);
	expect([store.isEmpty, store.recovered.hardState]).toEqual([true, {term: 0, vote: undefined, commit: 0}]);
	expect(readFileSync(join(path, 'quarantine-1/node.json'))).toEqual(before);
	expect(readFileSync(join(path, 'quarantine-1/raft/0000000000000000.corrupt'))).toEqual(damaged);
});

test.each([
	['damaged', () => flip('node.json', -40)],
	['no JSON', () => writeFileSync(join(path, 'node.json'), '{"ver')],
	['gone', () => rmSync(join(path, 'node.json'))],
])('when node.json is %s, the cluster is found from the Raft log', async (_name, damage) => {
	const id = await member();
	damage();
	const {state, quarantined} = await openIt();
	expect(quarantined).toMatchObject({formerId: id});
	expect(state).toMatchObject({
		clusterId,
		topics: [topic],
		since: [[topic, 7]],
		members: [[peer, '127.0.0.1:5001']],
		mustJoin: true,
	});
	expect(state.identity.id).not.toBe(id);
});

test('a missing Raft log is detected if the node was a member', async () => {
	await openIt();
	const id = await member();
	rmSync(join(path, 'raft'), {recursive: true});
	expect((await openIt()).quarantined).toMatchObject({problem: 'the Raft log is missing', formerId: id});
});

test('a move that is interrupted at any call is completed at the next start', async () => {
	for (let calls = 0; ; calls++) {
		rmSync(path, {recursive: true});
		const id = await member();
		flip(raftLog, 150);
		let hasEnded = false;
		await openIt(calls).catch((error: Error) => {
			hasEnded = error.message === 'killed';
			if (!hasEnded) throw error;
		});
		if (!hasEnded) {
			expect(calls).toBeGreaterThan(3);
			return;
		}

		const {state, store} = await openIt();
		expect(state.identity.id).not.toBe(id);
		expect([state.mustJoin, state.clusterId, store.isEmpty]).toEqual([true, clusterId, true]);
		await store[Symbol.asyncDispose]();
		expect(readdirSync(path).filter(name => name.startsWith('quarantine'))).toEqual(['quarantine-1']);
		expect(readdirSync(join(path, 'quarantine-1')).toSorted()).toEqual(['node.json', 'raft']);
		expect(readFileSync(join(path, 'quarantine-1/node.json'), 'utf8')).toContain(id);
	}
});

test('a node that left starts under a new id with its topics, as often as it leaves', async () => {
	const ids = new Set<NodeId>();
	for (let round = 0; round < 10; round++) {
		const id = await member();
		const folder = new NodeFiles(realFiles, path);
		const {state: before} = await openIt();
		await folder.writeJson('node.json', stateToJson({...before, left: true}));
		const {state, store, quarantined} = await openIt();
		expect(quarantined).toBeUndefined();
		expect(state).toMatchObject({
			incarnation: 0,
			clusterId,
			lamport: 1000,
			topics: [topic],
			members: [[peer, '127.0.0.1:5001']],
			mustJoin: true,
		});
		expect([state.left, store.isEmpty, ids.has(state.identity.id)]).toEqual([undefined, true, false]);
		ids.add(state.identity.id);
		await store[Symbol.asyncDispose]();
		expect((await openIt()).state.identity.id).toBe(state.identity.id);
		expect(readdirSync(path).filter(name => /^(?:left|quarantine)/.test(name))).toEqual(['left']);
		expect(readFileSync(join(path, 'left/node.json'), 'utf8')).toContain(id);
	}
});

test('a node that asked to leave, and has not left, is opened unchanged', async () => {
	const id = await member();
	const {state: before} = await openIt();
	await new NodeFiles(realFiles, path).writeJson('node.json', stateToJson({...before, left: 'asked'}));
	const {state, store} = await openIt();
	expect([state.identity.id, state.left, store.isEmpty]).toEqual([id, 'asked', false]);
});

test('an interrupted move of the files of a node that left is completed at the next start', async () => {
	for (let calls = 0; ; calls++) {
		rmSync(path, {recursive: true});
		const id = await member();
		const {state: before} = await openIt();
		await new NodeFiles(realFiles, path).writeJson('node.json', stateToJson({...before, left: true}));
		const hasEnded = await openIt(calls).then(
			() => false,
			(error: Error) => error.message === 'killed',
		);
		const {state, store} = await openIt();
		expect([state.identity.id === id, state.mustJoin, store.isEmpty]).toEqual([false, true, true]);
		await store[Symbol.asyncDispose]();
		if (!hasEnded) {
			expect(calls).toBeGreaterThan(3);
			return;
		}
	}
});

test('after eight quarantines a damaged disk is refused, and nothing changes', async () => {
	for (let round = 0; round < 9; round++) {
		await member();
		flip(raftLog, 150);
		if (round === 8) break;
		expect((await openIt()).quarantined?.folder).toBe(`quarantine-${round + 1}`);
	}

	const before = readFileSync(join(path, 'node.json'));
	await expect(openIt()).rejects.toMatchObject({
		code: 'storage',
		message: expect.stringContaining('Expected at most 8 quarantines') as string,
	});
	expect(readFileSync(join(path, 'node.json'))).toEqual(before);
});

test('a folder of version 1, without a checksum, does not count as damaged', async () => {
	const id = await member();
	const {
		members: _members,
		since: _since,
		mustJoin: _mustJoin,
		checksum: _checksum,
		...first
	} = JSON.parse(readFileSync(join(path, 'node.json'), 'utf8')) as Record<string, unknown>;
	writeFileSync(join(path, 'node.json'), JSON.stringify({...first, version: 1}));
	const {state, quarantined} = await openIt();
	expect([state.identity.id, state.incarnation, state.topics, quarantined]).toEqual([id, 4, [topic], undefined]);
	writeFileSync(join(path, 'node.json'), JSON.stringify({...first, version: 2}));
	expect((await openIt()).quarantined).toMatchObject({formerId: id});
});

test('every flipped bit of node.json is detected', () => {
	const state = {
		...freshState(),
		incarnation: 12,
		clusterId,
		lamport: 4096,
		topics: [topic],
		members: [[peer, address] as const],
		since: [[topic, 7] as const],
	};
	const text = `${JSON.stringify(stateToJson(state), undefined, '\t')}\n`;
	const truth = JSON.stringify(stateToJson(state));
	expect(stateFromJson(JSON.parse(text))).toMatchObject({incarnation: 12, lamport: 4096, topics: [topic]});
	for (let bit = 0; bit < text.length * 8; bit++) {
		const bytes = Buffer.from(text);
		bytes[bit >> 3]! ^= 1 << (bit & 7);
		let json: unknown;
		try {
			json = JSON.parse(bytes.toString());
		} catch {
			continue;
		}

		const found = stateFromJson(json);
		if (!('problem' in found)) expect(JSON.stringify(stateToJson(found))).toBe(truth); // White space.
	}
});
