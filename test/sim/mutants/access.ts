/**
Mutants of identities, roles and the audit.
*/
import type {Edit, Mutant} from './mutant.ts';

const list = (find: string, replace: string): Edit => ({file: 'core/cluster-state/access-list.ts', find, replace});
const state = (find: string, replace: string): Edit => ({file: 'core/cluster-state/cluster-state.ts', find, replace});
const permissions = (find: string, replace: string): Edit => ({file: 'core/remote/permissions.ts', find, replace});
const server = (find: string, replace: string): Edit => ({file: 'core/remote/server.ts', find, replace});
const handshake = (find: string, replace: string): Edit => ({file: 'core/io/net/handshake.ts', find, replace});

const admission = (find: string, replace: string): Edit => ({file: 'core/control/admission.ts', find, replace});

const admissionTests = 'test/unit/control/admission.test.ts';
const permissionTests = 'test/unit/remote/permissions.test.ts';
const guardedTests = 'test/unit/remote/guarded.test.ts';
const listTests = 'test/unit/cluster-state/access-list.test.ts';

export const accessMutants: readonly Mutant[] = [
	{
		name: 'access-not-in-snapshots',
		pitfall: 'a node that loads a snapshot forgets the agreed roles',
		by: 'nodes',
		edits: [state('		this.access.load(state.access);\n', '')],
	},
	{
		name: 'revocation-not-applied',
		pitfall: 'a revoked identity keeps its role',
		by: 'nodes',
		edits: [list('		this.#grants.delete(identity);\n', '')],
	},
	{
		name: 'access-of-a-proposer',
		pitfall: 'a node applies a change of access only if it proposed the change',
		by: 'nodes',
		edits: [
			state(
				'		const changes: AccessEvent[] = [];\n',
				'		if (this.#members.keys().next().value !== node) return done;\n		const changes: AccessEvent[] = [];\n',
			),
		],
	},
	{
		name: 'access-before-its-protocol',
		pitfall: 'roles change while members do not know them',
		tests: listTests,
		edits: [state("	if (type === 'access') return accessProtocol;\n", '')],
	},
	{
		name: 'no-operator-left',
		pitfall: 'the last operator can be revoked',
		tests: listTests,
		edits: [
			list(
				'		if (this.#isLastOperator(identity)) return lastOperator;\n		this.#grants.delete(identity);',
				'		this.#grants.delete(identity);',
			),
		],
	},
	{
		name: 'client-removes-members',
		pitfall: 'a client may remove a member',
		tests: permissionTests,
		edits: [permissions("	remove: 'operator',\n", "	remove: 'client',\n")],
	},
	{
		name: 'patterns-ignored',
		pitfall: 'a client reads topics outside of its patterns',
		tests: permissionTests,
		edits: [permissions('			if (refused) return refused;\n', '			if (refused) return undefined;\n')],
	},
	{
		name: 'readonly-ignored',
		pitfall: 'a read-only connection of an operator changes the cluster',
		tests: permissionTests,
		edits: [permissions("access.isReadonly && role !== 'observer'", "access.isReadonly && role === 'client'")],
	},
	{
		name: 'messages-for-observers',
		pitfall: 'the snapshots of an observer have messages',
		tests: guardedTests,
		edits: [server('		return readsAllTopics(this.#access);\n', '		return true;\n')],
	},
	{
		name: 'connection-outlives-its-access',
		pitfall: 'a revoked identity keeps its open connections',
		tests: guardedTests,
		edits: [server('broker.guard.watch(() => this.#updateAccess())', 'broker.guard.watch(() => undefined)')],
	},
	{
		name: 'refusals-not-audited',
		pitfall: 'a refused change or subscription is not in the audit log',
		tests: guardedTests,
		edits: [server('			this.#audit(request, refusal);\n			return refusal;\n', '			return refusal;\n')],
	},
	{
		name: 'refusals-without-bound',
		pitfall: 'a client without rights fills the audit log',
		tests: 'test/unit/observe/refusals.test.ts',
		edits: [
			{
				file: 'core/observe/refusals.ts',
				find: 'if (this.#rows.size >= rowsMax || this.#rowsOf(client) >= rowsPerClientMax) {',
				replace: 'if (this.#rowsOf(client) < 0) {',
			},
		],
	},
	{
		name: 'identity-not-proved',
		pitfall: 'a client uses the identity of another one without its key',
		tests: 'test/unit/io/net/handshake.test.ts',
		edits: [handshake('const signer = parsed.publicKey ?? parsed.clientKey;', 'const signer = parsed.publicKey;')],
	},
	{
		name: 'unadmitted-joins',
		pitfall: 'every node with the secret becomes a member',
		tests: admissionTests,
		edits: [admission('access.admissions.isAdmitted(node)', 'node !== undefined')],
	},
	{
		name: 'expired-token-admits',
		pitfall: 'a join token admits nodes after it has expired',
		tests: admissionTests,
		edits: [admission('known && known.untilMs > wallMs()', 'known')],
	},
	{
		name: 'endorsement-of-another-node',
		pitfall: 'the consent to one node admits another one',
		tests: admissionTests,
		edits: [
			{
				file: 'core/membership/endorsement.ts',
				find: 'Buffer.from(`dapss1 join\\0${cluster}\\0${node}`)',
				replace: 'Buffer.from(`dapss1 join\\0${cluster}\\0${node.length}`)',
			},
		],
	},
	{
		name: 'not-called-back',
		pitfall: 'an address at which no node answers becomes a member',
		tests: admissionTests,
		edits: [admission('(await this.#callBack(request)) ??', '')],
	},
	{
		name: 'datagram-of-another-member',
		pitfall: 'a member sends datagrams in the name of another one, under the key that all members have',
		tests: 'test/unit/io/net/udp.test.ts',
		edits: [
			{
				file: 'core/io/net/udp.ts',
				find: "if (isPair !== (secret !== undefined)) return 'bad-datagram';\n		const opened = this.#openUnder(secret ? [secret] :",
				replace: 'const opened = this.#openUnder(isPair && secret ? [secret] :',
			},
		],
	},
	{
		name: 'author-not-checked',
		pitfall: 'a change of access is agreed although its author is no operator any more',
		tests: listTests,
		edits: [state("if (!isOwner && this.access.of(by).role !== 'operator')", 'if (!isOwner && by === undefined)')],
	},
	{
		name: 'earlier-access-publishes',
		pitfall: 'a revoked client publishes through a node that has just started',
		tests: guardedTests,
		edits: [
			server(
				'if (!refusal) return this.broker.publish(topic, bodies);',
				'if (refusal ?? true) return this.broker.publish(topic, bodies);',
			),
		],
	},
	{
		name: 'earlier-access-counts',
		pitfall: 'a node that has just started changes the cluster for a caller whose role was taken',
		tests: guardedTests,
		edits: [server('			await guard.current();\n', '')],
	},
];
