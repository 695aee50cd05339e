/**
One start of a node's store, opened as `openBroker` opens it: the node's state and the Raft log; the next incarnation,
made durable; the existing topics. It is checked against what earlier starts acknowledged, and then works until it is
closed or its process ends.
*/
import {join} from 'node:path';
import {DapssError} from '../../../core/errors.ts';
import {expectKnownFormats} from '../../../core/io/files/known-formats.ts';
import {NodeFiles} from '../../../core/io/files/node-files.ts';
import {moveAside, reserveQuarantine} from '../../../core/io/files/quarantine.ts';
import {openLog, type SegmentedLog} from '../../../core/io/log/log.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {stateToJson, type NodeState} from '../../../core/node-state/node-state.ts';
import {openNodeState, type OpenedNodeState} from '../../../core/node-state/open-node-state.ts';
import {openTopicLog, type TopicLog} from '../../../core/topic-log/topic-log.ts';
import {createIdentity} from '../../../core/wire/seal.ts';
import type {CrashDisk} from '../../contract/support/crash-disk.ts';
import type {SeededRandom} from '../random.ts';
import type {Process} from './process.ts';
import {RaftModel} from './raft-model.ts';
import {Headers, TopicModel} from './topic-model.ts';

export type OpenTopic = {readonly log: TopicLog; readonly segments: SegmentedLog; readonly headers: Headers};
export type OpenStore = {
	readonly files: NodeFiles;
	readonly home: OpenedNodeState;
	readonly raftLog: SegmentedLog;
	readonly topics: Map<Topic, OpenTopic>;
};

export const dataPath = '/data';
const stateFile = 'node.json';
const address = '127.0.0.1:5000';
const peer = 'aaaaaaaaaaaaaaaa' as NodeId;
const segmentBytes = 4000;
const topicNames = ['news', 'weather/today', 'ü'] as Topic[];
const hourMs = 3_600_000;

/** What all starts of a node acknowledged, and what the next one must find. */
export class Model {
	readonly raft = new RaftModel();
	readonly topics = new Map(topicNames.map(topic => [topic, new TopicModel(topic)]));
	lamport = 0;
	/** Records and batches that were read back and compared. */
	checked = 0;
	/** Starts that found everything correct. */
	starts = 0;
	#state: NodeState | undefined;
	#attempts: NodeState[] = [];
	#incarnation = 0;

	powerCut(): void {
		for (const topic of this.topics.values()) topic.powerCut();
	}

	get acknowledged(): number {
		return this.raft.acknowledged + [...this.topics.values()].reduce((sum, topic) => sum + topic.acknowledged, 0);
	}

	foundState(found: NodeState): void {
		const isSame = (state: NodeState | undefined): boolean =>
			state ? printOf(state) === printOf(found) : found.incarnation === 0;
		if (![this.#state, ...this.#attempts].some(state => isSame(state)))
			throw new Error(
				`node.json is complete and not older than acknowledged: got ${printOf(found)}, had ${this.#state && printOf(this.#state)}`,
			);
		if (found.incarnation < this.#incarnation)
			throw new Error(`an incarnation never goes back: got ${found.incarnation}, had ${this.#incarnation}`);
		// The start must save it before it acts on it: until then a power cut may bring back the one before.
		this.#attempts = [found];
	}

	async save(files: NodeFiles, state: NodeState): Promise<void> {
		this.#attempts.push(state);
		await files.writeJson(stateFile, stateToJson(state));
		this.#state = state;
		this.#incarnation = state.incarnation;
		this.#attempts = [];
	}
}

/** Equal for equal content. */
export function printOf(state: NodeState): string {
	return JSON.stringify(stateToJson(state));
}

/** As `open.ts` does. @param onHome makes the incarnation of the node durable */
export async function openStore(
	disk: CrashDisk,
	process: Process,
	onOpened: (files: NodeFiles, home: OpenedNodeState) => Promise<void>,
): Promise<OpenStore> {
	await disk.makeFolder(dataPath).catch((error: unknown) => {
		throw new DapssError('storage', 'The data folder cannot be used', {cause: error}); // The error of `folder.ts`.
	});
	const files = new NodeFiles(disk, dataPath);
	let raftLog: SegmentedLog | undefined;
	const home = await openNodeState(
		{
			expectKnownFormats: () => expectKnownFormats(disk, dataPath, stateFile),
			readState: () => files.readJson(stateFile),
			writeState: json => files.writeJson(stateFile, json),
			async openLog() {
				raftLog = await openLog({folder: join(dataPath, 'raft'), ...logOptions(disk, process)});
				return raftLog;
			},
			blobs: files.blobs,
			reserve: () => reserveQuarantine(disk, dataPath, stateFile),
			moveAside: name => moveAside(disk, dataPath, name),
			createIdentity: () => createIdentity(process.entropy.bytes(32)),
		},
		address,
	);
	await onOpened(files, home);
	const store: OpenStore = {files, home, raftLog: raftLog!, topics: new Map()};
	for (const topic of await files.topics({openLog: folder => openLog({folder, ...logOptions(disk, process)})}))
		await openTopic(disk, process, store, topic);
	return store;
}

async function openTopic(
	disk: CrashDisk,
	process: Process,
	{files, topics}: OpenStore,
	topic: Topic,
): Promise<OpenTopic> {
	const segments = await openLog({folder: await files.topicFolder(topic), ...logOptions(disk, process)});
	const headers = new Headers();
	const opened = {
		segments,
		headers,
		log: await openTopicLog(segments, headers.note, undefined, () => process.clock.wallMs()),
	};
	topics.set(topic, opened);
	return opened;
}

/** Close everything, as a clean shutdown does. */
export async function closeStore({home, topics}: OpenStore): Promise<void> {
	for (const {log} of topics.values()) await log[Symbol.asyncDispose]();
	await home.store[Symbol.asyncDispose]();
}

/** @param steps of work, then a clean shutdown */
export async function runStart(
	disk: CrashDisk,
	process: Process,
	model: Model,
	random: SeededRandom,
	steps: number,
): Promise<void> {
	let state: NodeState | undefined;
	const store = await openStore(disk, process, async (files, {state: found, quarantined}) => {
		if (quarantined) throw new Error(`a crash is no damage: ${quarantined.problem}`);
		model.foundState(found);
		model.lamport = Math.max(model.lamport, found.lamport);
		state = {...found, incarnation: found.incarnation + 1, lamport: model.lamport + 1000};
		await model.save(files, state);
	});
	const {recovered} = store.home.store;
	model.raft.recovered(recovered);
	model.checked += recovered.entries.length + 1;
	for (const [topic, topicModel] of model.topics) {
		const opened = store.topics.get(topic);
		if (opened && opened.segments.damaged.length > 0)
			throw new Error(`a crash is no damage: ${topic} ${JSON.stringify(opened.segments.damaged)}`);
		if (opened) model.checked += await topicModel.recovered(opened.log, opened.headers, random);
		else if (topicModel.mustBeThere) throw new Error(`a topic is known after a restart: ${topic} is not`);
		else topicModel.forget();
	}

	model.starts++;
	await work({disk, process, model, store, random, state: state!}, steps);
	await closeStore(store);
}

type Session = {
	readonly disk: CrashDisk;
	readonly process: Process;
	readonly model: Model;
	readonly store: OpenStore;
	readonly random: SeededRandom;
	readonly state: NodeState;
};

async function work({disk, process, model, store, random, state}: Session, steps: number): Promise<void> {
	const failures: unknown[] = [];
	const underWay = new Set<Promise<void>>();
	const start = (one: Promise<void>): void => {
		const settled = one
			.catch((error: unknown) => void failures.push(error))
			.finally(() => underWay.delete(settled));
		underWay.add(settled);
	};

	let raft: Promise<void> = Promise.resolve();
	let saving: Promise<void> = Promise.resolve();
	const opening = new Map<Topic, Promise<OpenTopic>>(
		[...store.topics].map(([topic, opened]) => [topic, Promise.resolve(opened)]),
	);
	for (let step = 0; step < steps && failures.length === 0; step++) {
		const kind = random.below(20);
		if (kind < 6) {
			raft = raft.then(() => model.raft.work(store.home.store, random));
			start(raft);
		} else if (kind < 15) {
			const topic = random.pick(topicNames);
			let opened = opening.get(topic);
			if (!opened) {
				opened = openTopic(disk, process, store, topic);
				opening.set(topic, opened);
			}

			const topicModel = model.topics.get(topic)!;
			start(opened.then(({log}) => topicModel.append(log, state.incarnation, random, () => ++model.lamport)));
		} else if (kind < 17) {
			const topic = random.pick(topicNames);
			const opened = store.topics.get(topic);
			if (opened) start(model.topics.get(topic)!.retain(opened.log, random, process.clock.wallMs()));
		} else if (kind < 18) {
			const topics = random.shuffle(topicNames).slice(0, random.below(4));
			// The node knows its members from its log, so it has none before the first entry.
			const members = model.raft.isEmpty
				? []
				: ([
						[state.identity.id, address],
						[peer, '127.0.0.1:5001'],
					] as const);
			const kept = {
				clusterId: 'c',
				lamport: model.lamport + 1000,
				topics,
				members,
				since: topics.map(topic => [topic, model.lamport] as const),
			};
			saving = saving.then(() => model.save(store.files, {...state, ...kept}));
			start(saving);
		} else if (kind < 19) await process.wait(random.between(0, 200));
		else await Promise.all(underWay);
		if (random.chance(1, 3)) await process.wait(random.below(6));
	}

	await Promise.all(underWay);
	if (failures.length > 0) throw failures[0];
}

function logOptions(disk: CrashDisk, {clock, entropy}: Process): Omit<Parameters<typeof openLog>[0], 'folder'> {
	return {segmentBytes, writeDeadlineMs: hourMs, files: disk, clock, entropy};
}
