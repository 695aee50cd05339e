/**
Mutants of what stands between a topic's log and those who read it, of what a follower knows when it goes on at another
node, and of the word that somebody is subscribed.
*/
import type {Edit, Mutant} from './mutant.ts';

const reader = (find: string, replace: string): Edit => ({file: 'core/data/reader.ts', find, replace});
const resumed = (find: string, replace: string): Edit => ({file: 'core/remote/resumed.ts', find, replace});
const positions = (find: string, replace: string): Edit => ({file: 'core/remote/positions.ts', find, replace});
const live = (find: string, replace: string): Edit => ({file: 'core/data/live-topic.ts', find, replace});

export const readerMutants: readonly Mutant[] = [
	{
		name: 'delivered-before-written',
		pitfall: 'readers are told before the message outlives the process',
		edits: [live('		await written;\n', '')],
	},
	{
		name: 'reader-twice-at-the-end',
		pitfall: 'a reader that catches up gets the newest messages from the log and once more as they are written',
		edits: [
			reader(
				'items[0]!.offset >= this.#cursor ? items : items.filter(({offset}) => offset >= this.#cursor)',
				'items',
			),
		],
	},
	{
		name: 'reader-live-while-full',
		pitfall: 'a reader that has enough is given what is written, past what it has not read',
		edits: [reader("if (this.#state !== 'live') return;", "if (this.#state === 'closed') return;")],
	},
	{
		name: 'reader-live-too-early',
		pitfall: 'a reader goes live when it has read once',
		edits: [
			reader(
				'		while (this.#cursor < this.#end) {',
				'		for (const end = this.#cursor + 1; this.#cursor < end && this.#cursor < this.#end;) {',
			),
		],
	},
	{
		name: 'full-queue-loses',
		pitfall: "what a reader's queue had no room for is lost",
		edits: [reader('const left = items[taken];', 'const left = taken === 0 ? items[0] : undefined;')],
	},
	{
		name: 'reader-never-resumes',
		pitfall: 'a reader that had enough is forgotten',
		edits: [
			reader("		this.#state = 'reading';\n", "		this.#state = 'reading';\n		if (this.#cursor % 7 === 6) return;\n"),
		],
	},
	{
		name: 'dropped-untold',
		pitfall: 'a reader is not told what retention took',
		edits: [reader('		this.#sink.dropped(offset - this.#cursor);\n', '')],
	},
	{
		name: 'read-again',
		pitfall: 'a reader that goes on from the log gets the batch before its place again',
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
		pitfall: 'at the next node a new life of an origin counts as read up to the numbers of an earlier one',
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
		pitfall: 'at the next node a follower goes on with what comes from then on',
		by: 'nodes',
		edits: [resumed("{from: 'beginning', after: this.#positions.after()}", "{from: 'now'}")],
	},
	{
		name: 'resume-untold',
		pitfall: 'a follower is not told what the next node has lost',
		by: 'nodes',
		edits: [positions('		if (known !== undefined && seq > known + 1) this.missed += seq - known - 1;\n', '')],
	},
	{
		name: 'beginning-forgotten',
		pitfall: 'a follower forgets what lay before its beginning at the first node, and gets it at the next',
		by: 'nodes',
		edits: [
			positions('			for (const [origin, incarnation, seq] of streams) seen.note(origin, incarnation, seq);\n', ''),
		],
	},
	{
		name: 'beginning-without-time',
		pitfall: 'a follower forgets from when on it wants messages',
		by: 'nodes',
		edits: [positions('			seen.since = Math.max(seen.since, since);\n', '')],
	},
	{
		name: 'passed-over-for-good',
		pitfall: 'who reads from the beginning does not get what was published while its node was not subscribed',
		edits: [{file: 'core/gossip/gossip.ts', find: 'if (stream.rewind(since)) ', replace: 'if (since < 0) '}],
	},
	{
		name: 'second-subscribe-counts',
		pitfall: 'who subscribes again loses what came since it subscribed first',
		rule: 'subscriptions are linearizable',
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
		pitfall: 'a proposal is answered when the leader takes it, before it is agreed',
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
