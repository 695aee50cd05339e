/**
Mutants of the data on disk: topic logs, segments, the state of a node.
*/
import type {Edit, Mutant} from './mutant.ts';

const log = (find: string, replace: string): Edit => ({file: 'core/io/log/log.ts', find, replace});
const recovery = (find: string, replace: string): Edit => ({file: 'core/io/log/recovery.ts', find, replace});
const topicLog = (find: string, replace: string): Edit => ({file: 'core/topic-log/topic-log.ts', find, replace});
const nodeStorage = (find: string, replace: string): Edit => ({file: 'test/sim/node/host/storage.ts', find, replace});

export const storageMutants: readonly Mutant[] = [
	{
		name: 'publish-before-fsync',
		pitfall: 'a publish is acknowledged before the message is on the disk',
		edits: [
			{
				file: 'core/data/data.ts',
				find: 'hops: 0, repaired: false})), true);',
				replace: 'hops: 0, repaired: false})), false);',
			},
		],
	},
	{
		name: 'fsync-error-ignored',
		pitfall: 'a node continues after an fsync error',
		edits: [
			log(
				"await this.#withDeadline('fsync', this.#current.file.datasync());",
				'await this.#current.file.datasync().catch(() => undefined);',
			),
		],
	},
	{
		name: 'pause-blamed-on-the-disk',
		pitfall: 'a pause of the process counts as a disk that does not answer, and stops the node',
		edits: [
			{
				file: 'core/run-deadline.ts',
				find: 'timer = clock.after(stepMs, () => clock.soon(end));',
				replace: 'timer = clock.after(ms, run);',
			},
		],
	},
	{
		name: 'write-error-ignored',
		pitfall: 'a node continues after a write error',
		edits: [
			{
				file: 'core/io/file-system.ts',
				find: 'const written = await file.write(left, position);',
				replace:
					'const written = await file.write(left, position).catch(() => left.reduce((sum, {length}) => sum + length, 0));',
			},
		],
	},
	{
		name: 'no-checksum',
		pitfall: 'records are read without a check of their checksum, so corruption stays undetected',
		edits: [
			recovery(
				'if (isPayloadGood(chunk, at - chunkAt, payloadAt(chunk, at - chunkAt, length))) {',
				'if (length >= 0) {',
			),
		],
	},
	{
		name: 'torn-tail-kept',
		pitfall: 'a torn tail is kept, and new records follow it',
		edits: [recovery('const firstBad = holes[0]?.from ?? first + bytes;', 'const firstBad = first + bytes;')],
	},
	{
		name: 'damage-for-a-torn-tail',
		pitfall: 'damage is cut off as if it were a torn tail',
		edits: [
			recovery(
				'if (isAside || (!isWhole && (next !== undefined || firstBad < syncedEnd))) {',
				'if (isAside || (!isWhole && next !== undefined)) {',
			),
		],
	},
	{
		name: 'name-not-synced',
		pitfall: 'a process continues a segment without making its name durable',
		edits: [recovery('if (found.length > 0) await files.syncFolder(folder);', '')],
	},
	{
		name: 'segment-not-synced',
		pitfall: 'the name of a new segment is not made durable',
		edits: [
			recovery(
				'	await file.datasync();\n	await files.syncFolder(folder);\n	return file;',
				'	await file.datasync();\n	return file;',
			),
			recovery('if (found.length > 0) await files.syncFolder(folder);', ''),
		],
	},
	{
		name: 'file-replaced-early',
		pitfall: 'a file is replaced before its bytes are on the disk',
		edits: [
			{
				file: 'core/io/file-system.ts',
				find: '		await writeAll(file, bytes.length > 0 ? [bytes] : [], 0);\n		await file.datasync();',
				replace: '		await writeAll(file, bytes.length > 0 ? [bytes] : [], 0);',
			},
		],
	},
	{
		name: 'no-mark-of-what-went',
		pitfall: 'retention forgets where a stream continues',
		edits: [topicLog('		await this.#markDropped(drop);\n', '')],
	},
	{
		name: 'offset-given-twice',
		pitfall: 'offsets go back after retention and a restart',
		edits: [topicLog('		this.#nextOffset = Math.max(this.#nextOffset, offset);\n', '')],
	},
	{
		name: 'clock-ahead-believed',
		pitfall: 'a wall clock that is ahead at a start makes all messages old',
		edits: [
			{
				file: 'core/topic-log/retention.ts',
				find: '? {nowMs, aheadMs: wallMs - nowMs, skippedMs: Math.max(0, leadMs)}',
				replace: '? {nowMs: wallMs, aheadMs: 0, skippedMs: 0}',
			},
		],
	},
	{
		name: 'age-by-the-wall-clock',
		pitfall: 'the age of messages follows a wall clock that jumps',
		edits: [nodeStorage('retentionMs: () => retentionClock.nowMs,', 'retentionMs: () => clock.wallMs(),')],
	},
	{
		name: 'age-by-the-publisher',
		pitfall: 'the age of a message follows the clock of its publisher',
		edits: [
			topicLog(
				'this.#noteArrival(segments[segment]!.first, arrivedMs);',
				'this.#noteArrival(segments[segment]!.first, Math.min(batch.sentAtMs, arrivedMs));',
			),
		],
	},
	{
		name: 'age-not-in-the-record',
		pitfall: 'after a restart the age of a message follows the clock of its publisher',
		edits: [topicLog('Math.min(record.arrivedMs ?? nowMs, nowMs)', 'Math.min(record.header.sentAtMs, nowMs)')],
	},
	{
		name: 'stops-without-descriptors',
		pitfall: 'a node stops when it may open no more files',
		edits: [
			{
				file: 'core/io/log/file-pool.ts',
				find: 'if (!isOutOfDescriptors(error)) throw error;',
				replace: 'throw error;',
			},
		],
	},
	{
		name: 'reserve-kept',
		pitfall: 'a node that starts on a full disk does not release its reserve',
		by: 'nodes',
		edits: [
			{
				file: 'core/io/files/reserve.ts',
				find: 'const hadReserve = await this.#unlink();',
				replace: 'const hadReserve = false;',
			},
		],
	},
	{
		name: 'reserve-given-late',
		pitfall: 'a node writes at its start before it releases its reserve',
		by: 'nodes',
		edits: [nodeStorage('		await room?.maintain();\n', '')],
	},
	{
		name: 'publishes-on-a-full-disk',
		pitfall: 'a node without a reserve accepts messages',
		by: 'nodes',
		edits: [
			{
				file: 'core/node/local-publishing.ts',
				find: 'if (room?.isFull) {',
				replace: 'if (room?.isFull && bodies.length > 99) {',
			},
		],
	},
	{
		name: 'full-disk-stores-others',
		pitfall: 'a node without a reserve stores the messages of other nodes, and its next start finds no space',
		by: 'nodes',
		edits: [
			{
				file: 'core/data/data.ts',
				find: "if (!io.hasRoom()) return hooks.bound('disk');",
				replace: '',
			},
		],
	},
	{
		name: 'full-for-good',
		pitfall: 'a node keeps refusing messages although its disk has room again',
		by: 'nodes',
		edits: [
			{file: 'core/io/files/reserve.ts', find: 'this.#isFull = !isMade;', replace: 'this.#isFull ||= !isMade;'},
			{
				file: 'core/io/files/reserve.ts',
				find: '		if (hasReserve) {\n			this.#isFull = false;\n',
				replace: '		if (hasReserve) {\n',
			},
		],
	},
	{
		name: 'short-write-is-whole',
		pitfall: 'a short write on a disk that fills up counts as complete',
		by: 'nodes',
		edits: [{file: 'core/io/file-system.ts', find: 'left = remaining(left, written);', replace: 'left = [];'}],
	},
	{
		name: 'full-disk-ignored',
		pitfall: 'a write that finds no room counts as done',
		by: 'nodes',
		edits: [
			{
				file: 'core/io/log/log.ts',
				find: 'writeAll(file, buffers, position - segment.first + segmentHeaderBytes)',
				replace:
					"writeAll(file, buffers, position - segment.first + segmentHeaderBytes).catch(error => { if (error.code !== 'ENOSPC') throw error; })",
			},
		],
	},
	{
		name: 'full-disk-emptied',
		pitfall: 'a start on a full disk deletes unread messages without a report',
		by: 'nodes',
		edits: [
			{
				file: 'core/node/upkeep.ts',
				find: '		await data.retain(topic => own.includes(topic));\n',
				replace:
					'		await data.retain(topic => own.includes(topic));\n		if (room?.isFull) for (const live of data.topics.values()) await live.retain({bytes: 0, ageMs: Infinity, nowMs: 0});\n',
			},
		],
	},
	{
		name: 'deletion-untold',
		pitfall: 'retention deletes unread messages without a report',
		by: 'nodes',
		edits: [
			{
				file: 'core/node/node-parts.ts',
				find: "if (deletion.unread > 0 || deletion.reason === 'disk' ||",
				replace: "if (deletion.reason === 'disk' ||",
			},
		],
	},
	{
		name: 'slow-reader-has-read',
		pitfall: 'messages that a slow reader has not received count as read',
		by: 'nodes',
		edits: [
			{
				file: 'core/data/data.ts',
				find: 'const readEnd = slowest ?? (',
				replace: 'const readEnd = Math.max(slowest ?? 0, Infinity) || (',
			},
		],
	},
	{
		name: 'incarnation-not-durable',
		pitfall: 'the incarnation is not durable before its first message',
		tests: 'test/contract/recovered-state.test.ts',
		edits: [
			{
				file: 'core/host/recovered-state.ts',
				find: 'await save({...state, lamport: lamport.ceiling});',
				replace: 'void save({...state, lamport: lamport.ceiling}).catch(() => undefined);',
			},
		],
	},
	{
		name: 'incarnation-not-raised',
		pitfall: 'a restart continues in the old incarnation',
		edits: [
			nodeStorage(
				'const incarnation = state.incarnation + 1;',
				'const incarnation = Math.max(1, state.incarnation);',
			),
		],
	},
	{
		name: 'lamport-ceiling-forgotten',
		pitfall: 'Lamport time goes back across a restart',
		edits: [
			nodeStorage(
				'const lamport = new Lamport(state.lamport, config.gossip.lamportJumpMax);',
				'const lamport = new Lamport(0, config.gossip.lamportJumpMax);',
			),
		],
	},
];
