/**
The acts that a node may acknowledge only when they are durable: a vote, an append from the leader, a published message,
a snapshot. Each runs once with the real modules. The `Files` port or strace then shows the order of the writes, the
syncs and the acknowledgements. As a program (`node acts.ts FOLDER`) it prints the acknowledgements.
*/
import {writeSync} from 'node:fs';
import {join} from 'node:path';
import {encodeContext} from '../../../core/cluster-state/command.ts';
import {defaults} from '../../../core/config.ts';
import {Control} from '../../../core/control/control.ts';
import {RaftStore} from '../../../core/control/raft-store.ts';
import {Data} from '../../../core/data/data.ts';
import {systemClock, systemEntropy} from '../../../core/io/clock.ts';
import {realFiles, type Files} from '../../../core/io/file-system.ts';
import {NodeFiles} from '../../../core/io/files/node-files.ts';
import {openLog} from '../../../core/io/log/log.ts';
import {Lamport} from '../../../core/lamport.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {encodeConfigurationData} from '../../../core/raft/configuration.ts';
import {openTopicLog} from '../../../core/topic-log/topic-log.ts';
import {dataOptions} from '../../support/data-options.ts';

export type Act = {readonly name: string; readonly ack: string; readonly run: () => Promise<void>};

const leader = 'aaaaaaaaaaaaaaaa' as NodeId;
const self = 'bbbbbbbbbbbbbbbb' as NodeId;
const news = 'news' as Topic;

/** @param acknowledge called with each message that the node sends */
export async function openActs(
	folder: string,
	files: Files,
	acknowledge: (text: string) => void,
): Promise<AsyncDisposable & {readonly acts: readonly Act[]}> {
	const config = {...defaults, port: 1, data: folder, secret: new Uint8Array(32)};
	const nodeFiles = new NodeFiles(files, folder);
	const logOptions = {segmentBytes: 1e6, writeDeadlineMs: 5000, files};
	const founded = await RaftStore.open(await openLog({folder: join(folder, 'raft'), ...logOptions}), nodeFiles.blobs);
	await founded.found(
		{
			term: 1,
			index: 1,
			kind: 'configuration',
			data: encodeConfigurationData(
				{voters: [leader, self], learners: []},
				encodeContext({clusterId: 'c', node: leader, address: '127.0.0.1:1'}),
			),
		},
		leader,
	);
	const lamport = new Lamport(0, config.gossip.lamportJumpMax);
	const failed = (error: unknown): void => acknowledge(`failed: ${String(error)}`);
	let acknowledged: PromiseWithResolvers<void> | undefined;
	const control = new Control({
		self,
		lamport,
		config,
		incarnation: 1,
		tickMs: 25,
		random: systemEntropy,
		store: founded,
		nowMs: () => systemClock.monotonicMs(),
		awakeMs: () => systemClock.monotonicMs(),
		isReachable: () => true,
		isReached: () => true,
		addressOf: () => undefined,
		dialBack: async () => undefined,
		onAgreed: () => undefined,
		bound: () => undefined,
		emit: () => undefined,
		failed,
		send(_to, packet) {
			acknowledge(packet.type);
			acknowledged?.resolve();
		},
	});
	const data = new Data(
		dataOptions({
			self,
			lamport,
			config,
			io: {
				removeTopic: topic => nodeFiles.removeTopic(topic),
				openTopic: async (topic, onHeader) =>
					openTopicLog(await openLog({folder: await nodeFiles.topicFolder(topic), ...logOptions}), onHeader),
			},
			hooks: {failed},
		}),
	);
	await data.publish(news, [Buffer.from('opens the log')]);
	const answered = (step: () => void): Promise<void> => {
		acknowledged = Promise.withResolvers<void>();
		step();
		return acknowledged.promise;
	};

	const acts: readonly Act[] = [
		{
			name: 'a vote',
			ack: 'vote-reply',
			run: () =>
				answered(() =>
					control.step(leader, {
						group: 0,
						term: 2,
						type: 'vote',
						lastIndex: 1,
						lastTerm: 1,
						isTransfer: true,
					}),
				),
		},
		{
			name: 'an append',
			ack: 'append-reply',
			run: () =>
				answered(() =>
					control.step(leader, {
						group: 0,
						term: 2,
						type: 'append',
						prevIndex: 1,
						prevTerm: 1,
						commit: 1,
						entries: [{term: 2, index: 2, kind: 'noop', data: new Uint8Array(0)}],
					}),
				),
		},
		{
			name: 'a message',
			ack: 'published',
			async run() {
				await data.publish(news, [Buffer.from('hello')]);
				acknowledge('published');
			},
		},
		{
			name: 'a snapshot',
			ack: 'snapshot',
			async run() {
				await founded.saveSnapshot(
					{index: 1, term: 1, configuration: {voters: [leader, self], learners: []}, data: new Uint8Array(1)},
					'taken',
				);
				acknowledge('snapshot');
			},
		},
	];
	return {
		acts,
		async [Symbol.asyncDispose]() {
			control.close();
			await data[Symbol.asyncDispose]();
			await founded[Symbol.asyncDispose]();
		},
	};
}

if (import.meta.main) {
	const acknowledge = (text: string): void => void writeSync(1, `ack ${text}\n`);
	await using opened = await openActs(process.argv[2]!, realFiles, acknowledge);
	for (const {name, run} of opened.acts) {
		acknowledge(`begin ${name}`);
		await run();
	}
}
