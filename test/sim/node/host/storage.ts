/**
The files of a node, opened as `openBroker` does it: the incarnation is durable before anything else, then the logs are
read back.
*/
import {dirname, join as joinPath} from 'node:path';
import {crc32c} from '@node-rs/crc32';
import {RaftStore, type Blobs} from '../../../../core/control/raft-store.ts';
import {replaceFile, type Files} from '../../../../core/io/file-system.ts';
import {Reserve} from '../../../../core/io/files/reserve.ts';
import {FilePool} from '../../../../core/io/log/file-pool.ts';
import {openLog} from '../../../../core/io/log/log.ts';
import {Lamport} from '../../../../core/lamport.ts';
import type {NodeId, Topic} from '../../../../core/message.ts';
import type {NodeIo} from '../../../../core/node/node-options.ts';
import type {Clock, Entropy} from '../../../../core/ports.ts';
import {RetentionClock} from '../../../../core/topic-log/retention.ts';
import {openTopicLog} from '../../../../core/topic-log/topic-log.ts';
import {simReserve} from '../checks/full-disk-checks.ts';
import type {SimDisk} from '../disk.ts';
import type {Host} from './host.ts';

/** The content of `node.json`. */
type SavedState = {
	readonly incarnation: number;
	readonly clusterId: string;
	readonly lamport: number;
	readonly topics: readonly Topic[];
	readonly members?: ReadonlyArray<readonly [NodeId, string]>;
};

export type Storage = {
	/** The state that an earlier process saved. */
	readonly state: SavedState;
	/** Of this process. */
	readonly incarnation: number;
	readonly lamport: Lamport;
	readonly raftStore: RaftStore;
	readonly io: Pick<
		NodeIo,
		'knownTopics' | 'room' | 'save' | 'retentionMs' | 'noteAge' | 'openTopic' | 'removeTopic'
	>;
};

export type StorageOptions = {
	readonly clock: Clock;
	readonly entropy: Entropy;
	/** How many files the process may hold open. */
	readonly openMax: number;
	/** Called when the process may open no more files. */
	readonly onShort: () => void;
};

const folder = '/data';
const keepTimeMs = 60_000;

/** @throws with the code `storage` if a file is damaged */
export async function openStorage(host: Host, {clock, entropy, openMax, onShort}: StorageOptions): Promise<Storage> {
	const {disk, config, observer} = host.options;
	const files = new FilePool(disk, {openMax, clock, onShort});
	await files.makeFolder(folder);
	const room = host.options.keepsReserve ? reserveOf(host, files) : undefined;
	await room?.maintain();
	const state = readState(disk);
	const incarnation = state.incarnation + 1;
	const lamport = new Lamport(state.lamport, config.gossip.lamportJumpMax);
	lamport.nextCeiling();
	const save = (rest: Omit<SavedState, 'incarnation'>): Promise<void> =>
		replaceFile(files, folder, 'node.json', Buffer.from(JSON.stringify({...rest, incarnation})));
	const {incarnation: _former, ...kept} = state;
	await save({...kept, lamport: lamport.ceiling});
	lamport.persisted(lamport.ceiling);
	const {segmentBytes, writeDeadlineMs} = config.storage;
	const logOptions = {segmentBytes, writeDeadlineMs, files, clock, entropy};
	const log = await openLog({folder: joinPath(folder, 'raft'), ...logOptions});
	if (log.damaged.length > 0) throw damage('The Raft log is damaged');
	const raftStore = await RaftStore.open(observer.raft.log(host, log), blobsOn(files, disk));
	const knownTopics = topicsOn(disk);
	const {retentionClock, keepTime} = retentionClockOf(host, clock);
	return {
		state,
		incarnation,
		lamport,
		raftStore: observer.raft.store(host, raftStore),
		io: {
			knownTopics,
			room,
			save,
			retentionMs: () => retentionClock.nowMs,
			noteAge: ageMs => void (retentionClock.note(ageMs) && keepTime()),
			removeTopic: topic => removeTopic(files, topic),
			openTopic: async (topic, onHeader) => {
				const topicLog = await openLog({folder: folderOf(topic), ...logOptions});
				return observer.topicLogs.opened(
					host,
					topic,
					await openTopicLog(
						topicLog,
						observer.topicLogs.onHeader(host, topic, onHeader),
						host.id,
						() => retentionClock.nowMs,
					),
					topicLog.damaged.length > 0,
				);
			},
		},
	};
}

function reserveOf(host: Host, files: Files): Reserve {
	const {disk, observer} = host.options;
	return observer.reserve(
		host,
		new Reserve({
			files,
			folder,
			freeBytes: async () => disk.freeBytes,
			freeFiles: async () => Infinity,
			sizes: simReserve,
			report: text => observer.fullDisks.said(host, text),
		}),
	);
}

function readState(disk: SimDisk): SavedState {
	const bytes = disk.content(joinPath(folder, 'node.json'));
	if (!bytes) return {incarnation: 0, clusterId: '', lamport: 0, topics: []};
	try {
		return JSON.parse(bytes.toString()) as SavedState;
	} catch {
		throw damage('node.json is damaged');
	}
}

function blobsOn(files: Files, disk: SimDisk): Blobs {
	return {
		async write(name, bytes) {
			const checksum = Buffer.alloc(4);
			checksum.writeUInt32BE(crc32c(bytes));
			await replaceFile(files, folder, name, Buffer.concat([checksum, bytes]));
		},
		async read(name) {
			const bytes = disk.content(joinPath(folder, name));
			if (!bytes) return undefined;
			const body = bytes.subarray(4);
			if (bytes.length < 4 || bytes.readUInt32BE(0) !== crc32c(body)) throw damage(`The file ${name} is damaged`);
			return Buffer.from(body);
		},
		list: () => files.list(folder),
		unlink: name => files.unlink(joinPath(folder, name)),
	};
}

/** The time that retention counts in, saved regularly. */
function retentionClockOf(
	host: Host,
	clock: Clock,
): {readonly retentionClock: RetentionClock; readonly keepTime: () => void} {
	const {schedule, config} = host.options;
	const uptimeMs = (): number => schedule.nowMs;
	const retentionClock = new RetentionClock(
		host.keptTime,
		{wallMs: clock.wallMs(), uptimeMs: uptimeMs()},
		config.storage.retainAgeS * 1000,
		() => clock.monotonicMs(),
	);
	const keepTime = (): void => {
		host.keptTime = retentionClock.kept(uptimeMs());
	};

	keepTime();
	clock.every(keepTimeMs, keepTime);
	return {retentionClock, keepTime};
}

function topicsOn(disk: SimDisk): readonly Topic[] {
	const parent = `${folder}/topics/`;
	const paths = disk.paths().filter(path => path.startsWith(parent));
	const names = new Set(paths.map(path => dirname(path).slice(parent.length)));
	return [...names].map(name => decodeURIComponent(name) as Topic);
}

/** The note `synced` is removed first, so that the rest opens as an empty log after a crash. */
async function removeTopic(files: Files, topic: Topic): Promise<void> {
	const at = folderOf(topic);
	const names = await files.list(at);
	for (const part of [names.filter(file => file === 'synced'), names.filter(file => file !== 'synced')]) {
		for (const file of part) await files.unlink(`${at}/${file}`);
		await files.syncFolder(at);
	}

	await files.removeFolder(at);
}

function folderOf(topic: Topic): string {
	return `${folder}/topics/${encodeURIComponent(topic)}`;
}

function damage(what: string): Error {
	return Object.assign(new Error(what), {code: 'storage'});
}
