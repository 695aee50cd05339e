/**
Mutants of gossip, failure detection, and joining.
*/
import type {Edit, Mutant} from './mutant.ts';

const gossip = (find: string, replace: string): Edit => ({file: 'core/gossip/gossip.ts', find, replace});
const streams = (find: string, replace: string): Edit => ({file: 'core/gossip/streams.ts', find, replace});
const order = (find: string, replace: string): Edit => ({file: 'core/gossip/order.ts', find, replace});
const repair = (find: string, replace: string): Edit => ({file: 'core/gossip/repair.ts', find, replace});
const exchange = (find: string, replace: string): Edit => ({file: 'core/gossip/exchange.ts', find, replace});
const presence = (find: string, replace: string): Edit => ({
	file: 'core/membership/failure-detection.ts',
	find,
	replace,
});
const swim = (find: string, replace: string): Edit => ({file: 'core/swim/swim.ts', find, replace});
const data = (find: string, replace: string): Edit => ({file: 'core/data/data.ts', find, replace});

export const gossipMutants: readonly Mutant[] = [
	{
		name: 'lives-mixed-up',
		pitfall: 'messages are identified by sequence number without the incarnation',
		edits: [
			streams(
				'				if (existing.incarnation === incarnation) return existing;\n',
				'				if (existing.incarnation >= incarnation) return existing;\n',
			),
		],
	},
	{
		name: 'gap-passed-over',
		pitfall: 'messages after a gap are delivered',
		edits: [
			order(
				'const isNext = batch.firstSeq === stream.next || batch.previousLamport <= stream.topic.since!;',
				'const isNext = batch.firstSeq >= stream.next;',
			),
		],
	},
	{
		name: 'duplicate-delivered',
		pitfall: 'a duplicate message is delivered',
		edits: [
			gossip(
				'if (lastSeq(batch) < stream.next || stream.held?.has(batch.firstSeq)) {',
				'if (lastSeq(batch) < stream.next - 3 || stream.held?.has(batch.firstSeq)) {',
			),
			order(
				'const isNext = batch.firstSeq === stream.next ||',
				'const isNext = batch.firstSeq <= stream.next ||',
			),
		],
	},
	{
		name: 'digest-without-gaps',
		pitfall: 'a digest lists only the newest message and no gaps, so missing messages are not requested',
		edits: [
			gossip(
				'		this.#repair.lacks(stream, {...evidence, high, peer: low <= high ? by : undefined});\n',
				'		if (low > stream.next) return undefined;\n		this.#repair.lacks(stream, {...evidence, high, peer: low <= high ? by : undefined});\n',
			),
		],
	},
	{
		name: 'no-anti-entropy',
		pitfall: 'nodes do not compare digests',
		edits: [
			exchange('			this.#nextTick = this.#jittered();\n			this.#beginRound();', '			this.#nextTick = this.#jittered();'),
			exchange(
				'this.#standIns(peers)) this.#comparisons.set(peer, {pulled: 0, isSynced: false, isDue: true,',
				'this.#standIns(peers)) this.#comparisons.set(peer, {pulled: 0, isSynced: true, isDue: false,',
			),
		],
	},
	{
		name: 'repaired-while-cut-off',
		pitfall: 'a partition counts as repaired once the far side is found unreachable',
		by: 'nodes',
		edits: [presence("if (this.#healedMs !== undefined && (state === 'down'", "if ((state === 'down'")],
	},
	{
		name: 'answer-of-before',
		pitfall: 'a reply from before the heal decides that a repair is complete',
		tests: 'test/unit/gossip/anti-entropy.test.ts',
		edits: [
			exchange(
				'if (comparison?.round !== undefined) this.#running--;',
				'if (comparison?.round !== undefined) {\n				comparison.isSynced = false;\n				comparison.isAnswered = false;\n				continue;\n			}',
			),
		],
	},
	{
		name: 'half-an-answer',
		pitfall: 'a peer that lacks the first missing message counts as one that has none of them',
		tests: 'test/unit/gossip/anti-entropy.test.ts',
		edits: [exchange('const stream = then === 0 ?', 'const stream = then >= 0 ?')],
	},
	{
		name: 'repair-without-budget',
		pitfall: "a repair sends everything, regardless of the requester's budget",
		edits: [
			{
				file: 'core/topic-log/topic-log.ts',
				find: 'if (batches.length > 0 && bytes + record.batch.bytes.length > bytesMax) return',
				replace: 'if (batches.length > 1e9) return',
			},
		],
	},
	{
		name: 'silence-for-a-refusal',
		pitfall: 'a node that has nothing does not say so',
		edits: [
			repair('if (gaps.length > 0 || served.length === 0) outbox.send(', 'if (gaps.length > 1e9) outbox.send('),
		],
	},
	{
		name: 'passed-means-nothing',
		pitfall: 'a late subscriber keeps requesting messages that it does not want',
		edits: [
			gossip(
				'asked <= stream.next && then > stream.next && then <= stream.known + 1)',
				'asked <= stream.next && then > stream.next + 1e9)',
			),
		],
	},
	{
		name: 'loss-not-told',
		pitfall: 'messages that no node has any more are skipped without a report',
		edits: [
			gossip('if (deleted > 0) this.#context.outbox.missed(', 'if (deleted < 0) this.#context.outbox.missed('),
			gossip('if (messages > deleted) this.#context', 'if (messages < 0) this.#context'),
		],
	},
	{
		name: 'since-ignored',
		pitfall: 'a subscriber gets messages from before its subscription',
		edits: [
			gossip(
				'const isWanted = topic.since !== undefined && batch.lamport > topic.since;',
				'const isWanted = topic.since !== undefined;',
			),
			order(
				'batch.firstSeq === stream.next || batch.previousLamport <= stream.topic.since!;',
				'batch.firstSeq === stream.next || batch.previousLamport <= stream.topic.since! || stream.next === 1;',
			),
		],
	},
	{
		name: 'delivered-before-witnessed',
		pitfall: 'a message is delivered before its stamp is witnessed',
		edits: [
			data(
				"if (!lamport.witness(batch.lamport, from)) return hooks.rejected(from, 'lamport-jump');",
				"if (batch.lamport < 0) return hooks.rejected(from, 'lamport-jump');",
			),
		],
	},
	{
		name: 'lamport-jump-taken',
		pitfall: 'a stamp far ahead moves the clock of every node that sees it',
		tests: 'test/unit/lamport.test.ts',
		edits: [
			{
				file: 'core/lamport.ts',
				find: 'if (stamp > lamportMax || jump > this.#jumpMax) return false;',
				replace: 'if (stamp > 0) return true;',
			},
		],
	},
	{
		name: 'retention-not-told',
		pitfall: 'a node offers messages that its retention removed',
		edits: [data('		if (retained) this.gossip.retained(name, retained.floors);\n', '')],
	},
	{
		name: 'log-not-read-back',
		pitfall: 'a node forgets at a restart which messages it delivered',
		edits: [
			gossip(
				'if (header.firstSeq < stream.next) return stream.fill(header);',
				'if (header.firstSeq < stream.next || header.count > 1) return;',
			),
		],
	},
	{
		name: 'accusation-not-refuted',
		pitfall: 'a suspect does not raise its incarnation',
		edits: [
			{file: 'core/swim/members.ts', find: 'this.#incarnation = Math.min(incarnation + 1, u32Max);', replace: ''},
		],
	},
	{
		name: 'suspicion-without-end',
		pitfall: 'a suspect is never declared dead',
		by: 'swim',
		edits: [swim('suspicion.isOver(this.#tick) && !isHeard', 'suspicion.isOver(-1) && !isHeard')],
	},
	{
		name: 'dead-for-good',
		pitfall: 'a node declared dead stays dead, whatever it sends',
		by: 'swim',
		edits: [
			{
				file: 'core/swim/packet.ts',
				find: 'a.incarnation > b.incarnation || (',
				replace: "(a.incarnation > b.incarnation && b.standing !== 'dead') || (",
			},
		],
	},
	{
		name: 'no-indirect-probes',
		pitfall: 'a node suspects a peer that it cannot reach itself, without asking others to probe it',
		by: 'swim',
		edits: [
			swim('const relays = isJudged ? this.#sample(', 'const relays = !isJudged ? this.#sample('),
			swim("this.#wayTo(relay)); this.#sendPing(member.id, probe.seq, 'link');", 'this.#wayTo(relay));'),
		],
	},
	{
		name: 'dead-at-once',
		pitfall: 'one lost reply makes a node dead, without a suspicion that it could refute',
		by: 'swim',
		edits: [
			{
				file: 'core/swim/suspicion.ts',
				find: 'return tick - this.#sinceTick >= this.ticks;',
				replace: 'return tick >= this.#sinceTick;',
			},
			swim('this.#tick - suspicion.askedTick >= timeout && ', ''),
		],
	},
	{
		name: 'rumours-forgotten',
		pitfall: 'a node does not pass on what another node detected',
		by: 'swim',
		edits: [
			{
				file: 'core/swim/updates.ts',
				find: 'this.#insert(update, 0);',
				replace: 'if (update[2] < 0) this.#insert(update, 0);',
			},
		],
	},
	{
		name: 'beat-before-mail',
		pitfall: 'a late timer fires before the waiting input is read, so a stall looks like a dead leader',
		edits: [
			{
				file: 'core/node/node.ts',
				find: 'io.clock.every(tickMs, () => io.clock.soon(() => this.#tick()))',
				replace: 'io.clock.every(tickMs, () => this.#tick())',
			},
		],
	},
	{
		name: 'beats-caught-up',
		pitfall: 'all ticks that a stall missed are run afterwards',
		edits: [
			{
				file: 'core/node/node.ts',
				find: 'this.#timers.use(io.clock.every(tickMs, () => io.clock.soon(() => this.#tick())));',
				replace:
					'let last = io.clock.monotonicMs();\n		this.#timers.use(io.clock.every(tickMs, () => io.clock.soon(() => {\n			for (; last + tickMs <= io.clock.monotonicMs(); last += tickMs) this.#tick();\n		})));',
			},
		],
	},
	{
		name: 'unknown-leader-rejected',
		pitfall: 'a node that was away rejects an unknown leader, and asks no other node who leads',
		edits: [
			{file: 'core/node/node.ts', find: '		this.#parts.peerDirectory.ask();\n', replace: ''},
			{
				file: 'core/node/node.ts',
				find: "if (this.phase === 'running') this.#parts.peerDirectory.acceptCaller(peer, address);",
				replace: 'void [this, peer, address];',
			},
		],
	},
	{
		name: 'unknown-caller-rejected',
		pitfall: 'a node whose known members are all gone rejects nodes that need its vote, forever',
		edits: [
			{
				file: 'core/node/node.ts',
				find: "if (this.phase === 'running') this.#parts.peerDirectory.acceptCaller(peer, address);",
				replace: 'void [this, peer, address];',
			},
		],
	},
	{
		name: 'told-members-forgotten',
		pitfall: 'a joined node forgets the reported members before its log names them',
		edits: [
			{
				file: 'core/membership/peer-directory.ts',
				find: 'if (topics.address(self) !== undefined && leading !== undefined && topics.address(leading) !== undefined) this.#reported = [];',
				replace: 'if (topics.members().length > 0) this.#reported = [];',
			},
			{file: 'core/node/node.ts', find: '		this.#parts.peerDirectory.ask();\n', replace: ''},
		],
	},
	{
		name: 'refused-by-a-newcomer',
		pitfall: 'a node without a log rejects others as unauthenticated peers',
		edits: [
			{
				file: 'core/control/admission.ts',
				find: "		if (state.clusterId === '') return {type: 'wait', reason: `node ${self} is joining itself`};\n",
				replace: '',
			},
		],
	},
];
