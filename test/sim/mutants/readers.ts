/**
Mutants of readers of topic logs, of followers that resume at another node, and of agreed subscriptions.
*/
import type {Edit, Mutant} from './mutant.ts';

const reader = (find: string, replace: string): Edit => ({file: 'core/data/reader.ts', find, replace});
const resumed = (find: string, replace: string): Edit => ({file: 'core/remote/resumed.ts', find, replace});
const positions = (find: string, replace: string): Edit => ({file: 'core/remote/positions.ts', find, replace});
const live = (find: string, replace: string): Edit => ({file: 'core/data/live-topic.ts', find, replace});

export const readerMutants: readonly Mutant[] = [
	{
		name: 'delivered-before-written',
		pitfall: 'a message is delivered to readers before it survives a crash of the process',
		edits: [live('		await written;\n', '')],
	},
	{
		name: 'reader-twice-at-the-end',
		pitfall: 'a reader that catches up gets the newest messages from the log, and again when they are written',
		edits: [
			reader(
				'items[0]!.offset >= this.#cursor ? items : items.filter(({offset}) => offset >= this.#cursor)',
				'items',
			),
		],
	},
	{
		name: 'reader-live-while-full',
		pitfall: 'a full reader gets newly written messages and skips unread ones',
		edits: [reader("if (this.#state !== 'live') return;", "if (this.#state === 'closed') return;")],
	},
	{
		name: 'reader-live-too-early',
		pitfall: 'a reader becomes live after its first read',
		edits: [
			reader(
				'		while (this.#cursor < this.#end) {',
				'		for (const end = this.#cursor + 1; this.#cursor < end && this.#cursor < this.#end;) {',
			),
		],
	},
	{
		name: 'full-queue-loses',
		pitfall: "messages are lost when a reader's queue is full",
		edits: [reader('const left = items[taken];', 'const left = taken === 0 ? items[0] : undefined;')],
	},
	{
		name: 'reader-never-resumes',
		pitfall: 'a reader that was full is never resumed',
		edits: [
			reader("		this.#state = 'reading';\n", "		this.#state = 'reading';\n		if (this.#cursor % 7 === 6) return;\n"),
		],
	},
	{
		name: 'dropped-untold',
		pitfall: 'a reader gets no report of messages that retention removed',
		edits: [reader('		this.#sink.dropped(offset - this.#cursor);\n', '')],
	},
	{
		name: 'read-again',
		pitfall: 'a reader that continues from the log gets the batch before its position again',
		edits: [
			{
				file: 'core/topic-log/topic-log.ts',
				find: 'record.offset + record.batch.count <= wanted) continue;',
				replace: 'record.offset + record.batch.count < wanted) continue;',
			},
			{file: 'core/topic-log/topic-log.ts', find: 'this.#cursors.get(wanted) ?? ', replace: ''},
		],
	},
	{
		name: 'resume-ignores-incarnation',
		pitfall: 'at the next node a new incarnation of an origin counts as read up to the numbers of an earlier one',
		by: 'nodes',
		edits: [
			{
				file: 'core/position.ts',
				find: 'const seq = this.#origins.get(origin)?.get(incarnation);',
				replace:
					'const lives = [...this.#origins.get(origin)?.values() ?? []];\n		const seq = lives.length === 0 ? undefined : Math.max(...lives);',
			},
		],
	},
	{
		name: 'resume-from-zero',
		pitfall: 'at the next node a follower reads everything again',
		by: 'nodes',
		edits: [
			resumed('after: this.#positions.after()', 'after: []'),
			resumed(
				'subscription === this.#first ? deliveries : this.#positions.filterUnread(deliveries)',
				'deliveries',
			),
		],
	},
	{
		name: 'resume-from-now',
		pitfall: 'at the next node a follower continues with new messages only',
		by: 'nodes',
		edits: [resumed("{from: 'beginning', after: this.#positions.after()}", "{from: 'now'}")],
	},
	{
		name: 'resume-untold',
		pitfall: 'a follower gets no report of messages that the next node has lost',
		by: 'nodes',
		edits: [positions('		if (known !== undefined && seq > known + 1) this.missed += seq - known - 1;\n', '')],
	},
	{
		name: 'beginning-forgotten',
		pitfall: 'a follower forgets what came before its start at the first node, and gets it at the next',
		by: 'nodes',
		edits: [
			positions(
				'			for (const [origin, incarnation, seq] of streams) this.#note(seen, {origin, incarnation, seq});\n',
				'',
			),
		],
	},
	{
		name: 'beginning-without-time',
		pitfall: 'a follower forgets the time of its start',
		by: 'nodes',
		edits: [positions('			seen.since = Math.max(seen.since, since);\n', '')],
	},
	{
		name: 'passed-over-for-good',
		pitfall: 'a reader from the beginning does not get messages published while its node was not subscribed',
		edits: [{file: 'core/gossip/gossip.ts', find: 'if (stream.rewind(since)) ', replace: 'if (since < 0) '}],
	},
	{
		name: 'second-subscribe-counts',
		pitfall: 'a second subscribe loses the messages since the first',
		tests: 'test/unit/cluster-state/cluster-state.test.ts',
		edits: [
			{
				file: 'core/cluster-state/cluster-state.ts',
				find: '		if (subscribers.has(node)) return done;\n',
				replace: '',
			},
		],
	},
	{
		name: 'subscribed-before-agreed',
		pitfall: 'a proposal is answered when the leader accepts it, before it is agreed',
		rule: 'subscriptions are linearizable',
		edits: [
			{
				file: 'core/control/proposals.ts',
				find: '		pending.sentMs = nowMs;\n',
				replace: "		pending.sentMs = nowMs;\n		if (answer === 'accepted') this.#settle(pending, undefined);\n",
			},
		],
	},
];
