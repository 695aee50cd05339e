/**
Mutants of the defences against a member that lies.
*/
import type {Edit, Mutant} from './mutant.ts';

const claims = (find: string, replace: string): Edit => ({file: 'core/gossip/claims.ts', find, replace});
const claimTests = 'test/unit/gossip/claims.test.ts';
const control = (find: string, replace: string): Edit => ({file: 'core/control/control.ts', find, replace});
const relayProofs = (find: string, replace: string): Edit => ({file: 'core/membership/relay-proofs.ts', find, replace});
const proofTests = 'test/unit/membership/relay-proofs.test.ts';
const proofs = (find: string, replace: string): Edit => ({file: 'core/data/proofs.ts', find, replace});
const raft = (find: string, replace: string): Edit => ({file: 'core/raft/raft.ts', find, replace});
const streams = (find: string, replace: string): Edit => ({file: 'core/gossip/streams.ts', find, replace});

export const liarMutants: readonly Mutant[] = [
	{
		name: 'snapshot-not-checked',
		pitfall: 'a snapshot that holds no state replaces the log and the state',
		by: 'liar',
		rule: 'no honest process ends by itself',
		edits: [control('if (problem === undefined) return true;', "if (problem !== '') return true;")],
	},
	{
		name: 'stored-snapshot-not-checked',
		pitfall: 'a node with a bad snapshot on its disk ends at every start',
		tests: 'test/contract/open-node-state.test.ts',
		edits: [
			{
				file: 'core/control/raft-store.ts',
				find: 'if (problem !== undefined) throw new DamagedError(`the snapshot at ${index} holds',
				replace: "if (problem === '') throw new DamagedError(`the snapshot at ${index} holds",
			},
		],
	},
	{
		name: 'far-proposal-accepted',
		pitfall: 'a command with the last Lamport time hides all messages of a topic',
		tests: 'test/unit/control/control.test.ts',
		edits: [
			control(
				'const isNear = isOwn && stampsOf(envelope).every(stamp => this.#options.lamport.accepts(stamp, from));',
				'const isNear = isOwn;',
			),
		],
	},
	{
		name: 'learner-leads',
		pitfall: 'a learner that sends heartbeats keeps the cluster without a leader',
		tests: 'test/unit/raft/term-liar.test.ts',
		edits: [raft('if (!this.#isLearner(from)) return true;', 'if (from !== undefined) return true;')],
	},
	{
		name: 'relay-proof-not-checked',
		pitfall: 'a voter that relays forges the frames of a leader',
		by: 'liar',
		edits: [
			relayProofs(
				"if (!signer.isSignedBy(from, publicKey, signedPartOf(frame, inner), signature)) return 'bad-signature';",
				'',
			),
		],
	},
	{
		name: 'relay-without-proof',
		pitfall: 'a relay leaves the proof out, and is believed',
		by: 'liar',
		edits: [
			{
				file: 'core/membership/relay.ts',
				find: "return this.#options.protocol() >= provenRelaysProtocol ? {type: 'refused', reason: 'unsigned'}",
				replace: "return this.#options.protocol() > 99 ? {type: 'refused', reason: 'unsigned'}",
			},
		],
	},
	{
		name: 'relay-key-of-anybody',
		pitfall: 'a relay signs with its own key in the name of another member',
		tests: proofTests,
		edits: [
			{
				file: 'core/wire/seal.ts',
				find: 'idOf(key) === node && isSignedBy(key, bytes, signature)',
				replace: 'node.length > 0 && isSignedBy(key, bytes, signature)',
			},
		],
	},
	{
		name: 'relay-replays-accepted',
		pitfall: 'a relay delivers a recorded frame again',
		tests: proofTests,
		edits: [
			relayProofs(
				"if (!isNew || incarnation < (agreedIncarnation(from) ?? 0)) return 'replayed';",
				'void isNew;',
			),
		],
	},
	{
		name: 'answer-of-anybody',
		pitfall: 'a member that was not asked refuses the command of an operator',
		tests: 'test/unit/control/admin.test.ts',
		edits: [
			{
				file: 'core/control/admin.ts',
				find: "if (waiting && waiting.asked !== from) this.#options.bound('foreign-answers'); else if",
				replace: 'void waiting; if',
			},
		],
	},
	{
		name: 'read-answered-by-anybody',
		pitfall: 'a member that does not lead answers a read with an old index',
		tests: 'test/unit/raft/raft.test.ts',
		edits: [
			{
				file: 'core/raft/reads.ts',
				find: 'if (this.#requested.get(context) !== from) return false;',
				replace: 'if (!this.#requested.has(context)) return false;',
			},
		],
	},
	{
		name: 'far-term-never-believed',
		pitfall: 'a node that was away never follows the others again, whose term a liar raised',
		tests: 'test/unit/raft/term-liar.test.ts',
		edits: [
			{
				file: 'core/raft/term-bounds.ts',
				find: 'if (this.#isBelieved(peer, term, higher)) return undefined;',
				replace: '',
			},
		],
	},
	{
		name: 'far-stamp-never-believed',
		pitfall: 'a node that was away accepts no messages again, whose Lamport times a liar raised',
		tests: 'test/unit/lamport.test.ts',
		edits: [
			{
				file: 'core/lamport.ts',
				find: 'for (const [peer, refused] of this.#refused) if (peer !== from && refused >= stamp) return true;',
				replace: '',
			},
		],
	},
	{
		name: 'incarnation-without-bound',
		pitfall: 'a rumour with the last incarnation makes a member leave for ever',
		by: 'liar',
		edits: [
			{
				file: 'core/swim/jump-bounds.ts',
				find: 'if (jump <= 0) return true;',
				replace: 'if (jump > 0 || jump <= 0) return true;',
			},
		],
	},
	{
		name: 'row-of-another-counts-more',
		pitfall: 'a forged row of a member delays its real rows after the lie has ended',
		tests: 'test/unit/swim/rows.test.ts',
		edits: [
			{
				file: 'core/swim/rows.ts',
				find: 'const isOwn = isDiskFull !== undefined;',
				replace: 'const isOwn = tick < 0;',
			},
		],
	},
	{
		name: 'claims-without-bound',
		pitfall: 'one peer fills the memory with streams that do not exist',
		tests: claimTests,
		edits: [
			claims(
				'if ((this.#byPeer.get(peer)?.streams.size ?? 0) < claimsMax) return true;',
				'if (peer) return true;',
			),
		],
	},
	{
		name: 'claims-never-end',
		pitfall: 'streams that do not exist stay after the peer that invented them is gone',
		tests: claimTests,
		edits: [claims('} else if (stream.isMereClaim) this.drop(stream);', '}')],
	},
	{
		name: 'claims-passed-on',
		pitfall: 'nodes tell one another of streams that none of them has',
		tests: claimTests,
		edits: [
			{
				file: 'core/gossip/digest.ts',
				find: 'if (stream.next === 1 || stream.claimant !== undefined || !isCovered(stream, parts)) continue;',
				replace: 'if (stream.next === 1 || !isCovered(stream, parts)) continue;',
			},
		],
	},
	{
		name: 'claims-displace-streams',
		pitfall: 'invented incarnations of an origin displace the one that it uses',
		tests: claimTests,
		edits: [
			{
				file: 'core/gossip/gossip.ts',
				find: 'const stream = this.#streams.claimed(topic, origin, incarnation, by);',
				replace:
					'const stream = this.#streams.of(topic, origin, incarnation) ?? this.#streams.claimed(topic, origin, incarnation, by);',
			},
		],
	},
	{
		name: 'false-claim-believed',
		pitfall: 'a member that announces messages of another one suppresses the real ones',
		by: 'liar',
		rule: 'convergence without the liar',
		edits: [
			streams('if (seq < this.#releasedNext || seq >= this.next) return false;', 'if (seq >= 0) return false;'),
		],
	},
	{
		name: 'signature-unchecked',
		pitfall: 'a member publishes in the name of another one, or changes what it passes on',
		by: 'liar',
		rule: 'no forged message',
		edits: [proofs("proofs.isSigned(bytes, origin) ? 'ok' : 'bad-signature'", "'ok'")],
	},
	{
		name: 'mac-proves-the-origin',
		pitfall: 'a member publishes in the name of another one with the key that all members have',
		by: 'liar',
		rule: 'no forged message',
		edits: [
			proofs(
				'if (from !== origin && this.#agreed.areSigned() && !this.#agreed.hasMacs(origin, incarnation))',
				'if (from === undefined)',
			),
		],
	},
	{
		name: 'any-key-signs',
		pitfall: 'a signature is checked with the key that comes with it, whoever has that key',
		tests: 'test/unit/wire/batch-signature.test.ts',
		edits: [
			{
				file: 'core/wire/batch-signature.ts',
				find: 'idOf(publicKey) === origin ? publicKeyOf(publicKey) : undefined',
				replace: 'publicKeyOf(publicKey)',
			},
		],
	},
	{
		name: 'signature-remembered-by-its-root',
		pitfall: 'a batch with a wrong signature is stored, and proves nothing to the next node',
		tests: 'test/unit/wire/batch-signature.test.ts',
		edits: [
			{
				file: 'core/wire/batch-signature.ts',
				find: "${bytes.toString('latin1', keyAt, bytes.length - 4)}",
				replace: '',
			},
		],
	},
	{
		name: 'macs-of-all-incarnations',
		pitfall: 'an upgraded cluster accepts forged messages of members for ever',
		tests: 'test/unit/cluster-state/last-macs.test.ts',
		edits: [
			{
				file: 'core/cluster-state/cluster-state.ts',
				find: 'return last === undefined ? !this.#members.has(origin) : incarnation <= last;',
				replace: 'return true;',
			},
		],
	},
	{
		name: 'skip-within-a-batch',
		pitfall: 'a claim that ends within a batch hides that batch and all later ones',
		tests: claimTests,
		edits: [
			{
				file: 'core/gossip/order.ts',
				find: 'if (batch.firstSeq < next && lastSeq(batch) >= next) return;',
				replace: '',
			},
		],
	},
	{
		name: 'nesting-without-bound',
		pitfall: 'whether an entry counts depends on the stack of the process that applies it',
		tests: 'test/unit/codec.test.ts',
		edits: [
			{
				file: 'core/message-pack.ts',
				find: 'if (isKey || left.length > depthMax) return false;',
				replace: 'if (isKey) return false;',
			},
		],
	},
];
