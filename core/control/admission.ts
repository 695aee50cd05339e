/**
Admits nodes that ask to join. The leader appends the node to the configuration as a learner; the answer leaves once
that entry is applied. Any other member redirects the node to the leader, or tells it to wait.
*/
import {hashOfToken} from '../access.ts';
import {joinProblem} from '../address.ts';
import {accessProtocol, namesProtocol, type ClusterState} from '../cluster-state/cluster-state.ts';
import {encodeContext, type MemberContext} from '../cluster-state/command.ts';
import {errorMessage, type DapssError} from '../errors.ts';
import type {BrokerEvent} from '../events.ts';
import {isEndorsed} from '../membership/endorsement.ts';
import {protocolRefusal} from '../membership/agreed-protocol.ts';
import {JoinRefusals} from '../membership/join-refusals.ts';
import type {JoinAnswer, JoinRequest} from '../membership/joining.ts';
import {freeName} from '../membership/naming.ts';
import {isGenuine, type Resignation} from '../membership/resignation.ts';
import type {NodeId} from '../message.ts';
import type {Change} from '../raft/configuration.ts';
import type {Raft} from '../raft/raft.ts';

export type AdmissionOptions = {
	readonly self: NodeId;
	readonly state: ClusterState;
	readonly raft: () => Raft;
	readonly membersMax: number;
	readonly protocolMax: number;
	readonly nowMs: () => number;
	readonly emit: (event: BrokerEvent) => void;
	readonly isReachable: (node: NodeId) => boolean;
	readonly addressOf: (node: NodeId) => string | undefined;
	/** @default by the signature */
	readonly isGenuine?: ((resignation: Resignation) => boolean) | undefined;
	/** This node proposes a newer protocol at the moment. */
	readonly isRaisingProtocol: () => boolean;
	/** The name of the cluster, which endorsements are for. */
	readonly cluster: string;
	/** Wall clock, milliseconds: join tokens expire by it. */
	readonly wallMs: () => number;
	/** Calls the address; resolves with the id of the node that answers there. */
	readonly dialBack: (address: string) => Promise<NodeId | undefined>;
	readonly proposeChange: (change: Change, context: Uint8Array) => ReturnType<Raft['proposeChange']>;
	/** The reason why nothing can be agreed now. */
	readonly unavailableError: () => DapssError;
};

/** How long a new node waits for the node that it replaces to become unreachable, milliseconds. */
const replacedMs = 10_000;
const replacingMax = 64;
/** How long an answer of a new node at its address counts, milliseconds. */
const calledMs = 10_000;
const calledMax = 1024;
/** New nodes that are called at once. */
const callingMax = 16;

export class Admission {
	readonly #options: AdmissionOptions;
	readonly #refusals: JoinRefusals;
	/** Nodes whose learner entry was proposed here and is not applied yet. */
	readonly #proposed = new Map<NodeId, Array<(answer: JoinAnswer) => void>>();
	/** Nodes that answered at their address, and when. */
	readonly #called = new Map<NodeId, {readonly address: string; readonly atMs: number}>();
	#calling = 0;
	/** New nodes whose former id is still reachable, and the time of their first request. */
	readonly #replacing = new Map<NodeId, number>();

	constructor(options: AdmissionOptions) {
		this.#options = options;
		this.#refusals = new JoinRefusals(options.emit);
	}

	/** Answer a request. A refusal is also an event. */
	async join(request: JoinRequest): Promise<JoinAnswer> {
		const answer = await this.#answer(request);
		const {id, address, facts} = request;
		// Nodes of another cluster have an event of their own.
		if (answer.type === 'refused' && answer.clusterId === undefined && facts)
			this.#refusals.report(id, address, answer.reason, this.#options.nowMs());
		return answer;
	}

	/** A configuration was applied: answer the nodes that it admits. */
	applied(): void {
		for (const [node, waiting] of this.#proposed) {
			if (this.#options.state.address(node) === undefined) continue;
			this.#proposed.delete(node);
			for (const resolve of waiting) resolve(this.#joined());
		}
	}

	/** This node does not lead: let the nodes that wait ask again. */
	lostLeadership(): void {
		for (const waiting of this.#proposed.values())
			for (const resolve of waiting) resolve({type: 'wait', reason: 'the leader changed'});
		this.#proposed.clear();
	}

	async #answer(request: JoinRequest): Promise<JoinAnswer> {
		const {state, raft} = this.#options;
		const unwelcome = this.#checkCluster(request);
		if (unwelcome) return unwelcome;
		if (state.address(request.id) !== undefined) {
			this.#replacing.delete(request.id);
			return this.#joined();
		}

		if (raft().role !== 'leader') return this.#redirect();
		const unadmitted =
			this.#checkRoom(request) ??
			this.#checkReplaced(request) ??
			this.#checkAdmitted(request) ??
			this.#checkFacts(request);
		if (unadmitted) return unadmitted;
		if (this.#isCallable(request)) return this.#admit(request);
		// The token may have been used up during the call.
		return (
			(await this.#callBack(request)) ??
			this.#checkRoom(request) ??
			this.#checkAdmitted(request) ??
			this.#admit(request)
		);
	}

	/** Whether the node can belong to this cluster at all; any member knows. */
	#checkCluster({id: node, clusterId, facts}: JoinRequest): JoinAnswer | undefined {
		const {self, state} = this.#options;
		if (state.isRemoved(node))
			return {
				type: 'refused',
				reason: `node ${node} was removed from this cluster: start it with an empty data folder`,
			};
		// This node was admitted and has nothing of the log yet: other nodes know the members.
		if (state.clusterId === '') return {type: 'wait', reason: `node ${self} is joining itself`};
		if (clusterId !== '' && clusterId !== state.clusterId)
			return {
				type: 'refused',
				clusterId: state.clusterId,
				reason:
					`node ${node} belongs to another cluster of this name (${clusterId.slice(0, 8)}): ` +
					'start it with an empty data folder, or with another --cluster',
			};
		const tooOld = facts && protocolRefusal(node, facts, state.protocol);
		return tooOld === undefined ? undefined : {type: 'refused', reason: tooOld};
	}

	/** The answer of a member that does not lead. */
	#redirect(): JoinAnswer {
		const {self, raft, addressOf, unavailableError} = this.#options;
		const {leader} = raft();
		const at = leader === undefined ? undefined : addressOf(leader);
		return leader === undefined || at === undefined || leader === self
			? {type: 'wait', reason: unavailableError().message}
			: {type: 'ask', leader, address: at};
	}

	#checkRoom({address}: JoinRequest): JoinAnswer | undefined {
		const {state, membersMax} = this.#options;
		const unusable = joinProblem(
			address,
			state.members().map(member => member.address),
		);
		if (unusable !== undefined) return {type: 'refused', reason: unusable};
		return state.room > 0
			? undefined
			: {type: 'refused', reason: `the cluster has ${membersMax} members already (limits.members)`};
	}

	/** A node that replaces a member waits until that member is removed. */
	#checkReplaced({id: node, resignations = []}: JoinRequest): JoinAnswer | undefined {
		const {isReachable, nowMs, proposeChange} = this.#options;
		const replaced = this.#replaced(node, resignations);
		if (replaced === undefined) return undefined;
		if (!isReachable(replaced)) {
			// Its place goes to the new node, which needs no admission of its own.
			proposeChange({type: 'remove', node: replaced}, encodeContext({successor: node}));
			return {type: 'wait', reason: `node ${replaced}, whose data folder was lost, is being removed`};
		}

		// Its process may have ended just now. If it stays reachable, its data folder was moved: both become members.
		const sinceMs = this.#replacing.get(node) ?? nowMs();
		if (this.#replacing.size < replacingMax || this.#replacing.has(node)) this.#replacing.set(node, sinceMs);
		return nowMs() - sinceMs < replacedMs
			? {type: 'wait', reason: `node ${replaced}, whose data folder this was, still answers`}
			: undefined;
	}

	/**
	The member that the new node replaces: its resignation proves that its data folder is gone. Nothing else proves
	that, and an address least of all.
	*/
	#replaced(newcomer: NodeId, resignations: readonly Resignation[]): NodeId | undefined {
		const {self, state, isGenuine: isProof = isGenuine} = this.#options;
		return resignations.find(
			one => one.id !== newcomer && one.id !== self && state.address(one.id) !== undefined && isProof(one),
		)?.id;
	}

	/** A new node needs the consent of an operator, unless everyone is one. */
	#checkAdmitted(request: JoinRequest): JoinAnswer | undefined {
		const {id: node, endorsement, token, resignations = []} = request;
		const {cluster, state, wallMs} = this.#options;
		const {access} = state;
		if (state.protocol < accessProtocol || access.defaultRole === 'operator') return undefined;
		if (access.admissions.isAdmitted(node)) return undefined;
		// A member that lost its data, and whose process still answers, consents with its own key.
		if (this.#replaced(node, resignations) !== undefined) return undefined;
		if (
			endorsement &&
			access.of(endorsement.identity).role === 'operator' &&
			isEndorsed(endorsement, cluster, node)
		)
			return undefined;
		const known = token === undefined ? undefined : access.admissions.token(hashOfToken(token));
		if (known && known.untilMs > wallMs()) return undefined;
		const problem =
			token === undefined ? '' : known ? 'its join token has expired; ' : 'its join token is not valid; ';
		return this.#hold(request, `${problem}an operator must admit this node: dapss-tui access admit ${node}`);
	}

	/** The node answered at its address a moment ago. Until all members speak protocol 4, it need not. */
	#isCallable({id: node, address}: JoinRequest): boolean {
		const {state, nowMs} = this.#options;
		const last = this.#called.get(node);
		return state.protocol < accessProtocol || (last?.address === address && nowMs() - last.atMs < calledMs);
	}

	/**
	The node must answer at its address, so that nobody makes members of addresses where no node is. An answer counts
	for a while, because the request is repeated.
	*/
	async #callBack(request: JoinRequest): Promise<JoinAnswer | undefined> {
		const {id: node, address} = request;
		const {nowMs, dialBack, raft} = this.#options;
		if (this.#calling >= callingMax) return {type: 'wait', reason: 'other nodes are being admitted'};
		this.#calling++;
		try {
			const found = await dialBack(address);
			if (found !== node)
				return this.#hold(request, `another node answers at its address ${address}: is --advertise right?`);
		} catch (error) {
			return this.#hold(
				request,
				`the leader cannot call it at its address ${address} (${errorMessage(error)}): is --advertise right?`,
			);
		} finally {
			this.#calling--;
		}

		if (this.#called.size >= calledMax) this.#called.clear();
		this.#called.set(node, {address, atMs: nowMs()});
		return raft().role === 'leader' ? undefined : this.#redirect();
	}

	/** The node waits for a person, so this is an event too. */
	#hold(request: JoinRequest, reason: string): JoinAnswer {
		if (request.facts) this.#refusals.report(request.id, request.address, reason, this.#options.nowMs());
		return {type: 'wait', reason};
	}

	#checkFacts(request: JoinRequest): JoinAnswer | undefined {
		const {facts} = request;
		if (!facts) return undefined;
		if (this.#isRaising(facts.protocol))
			return {type: 'wait', reason: 'the cluster is agreeing on another version of the protocol'};
		const nameTaken = this.#nameRefusal(request);
		return nameTaken === undefined ? undefined : {type: 'refused', reason: nameTaken};
	}

	/** A newer protocol than the node speaks may be committed and not applied here yet. */
	#isRaising(protocol: number): boolean {
		const {raft, state, protocolMax, isRaisingProtocol} = this.#options;
		return protocol < protocolMax && (isRaisingProtocol() || state.applied < raft().commit);
	}

	/** The reason why the node cannot have the name that its operator chose. */
	#nameRefusal({id: node, name = '', isNameChosen = false}: JoinRequest): string | undefined {
		const {state, isReachable} = this.#options;
		const holder = name === '' || !isNameChosen ? undefined : state.nodeNamed(name);
		if (holder === undefined || holder === node) return undefined;
		if (isReachable(holder))
			return (
				`the name ${name} belongs to node ${holder.slice(0, 8)} at ${state.address(holder)}: ` +
				'choose another --name'
			);
		return (
			`the name ${name} belongs to node ${holder.slice(0, 8)}, which is unreachable: ` +
			`choose another --name, or remove that node if it is gone for good: dapss-tui peer remove ${name}`
		);
	}

	#admit(request: JoinRequest): JoinAnswer | Promise<JoinAnswer> {
		const {raft, proposeChange} = this.#options;
		const {id: node, address} = request;
		const answer = proposeChange(
			{type: 'add-learner', node},
			encodeContext({node, address, ...this.#contextOf(request)}),
		);
		if (answer === 'not-leader' || answer === 'busy')
			return {type: 'wait', reason: 'another change of the members is in progress'};
		// Already in the log and not applied here yet: a slow disk comes between.
		const {voters, learners} = raft().configuration;
		if (answer === 'invalid' && (voters.includes(node) || learners.includes(node)))
			return {type: 'wait', reason: `node ${node} is being admitted`};
		if (answer === 'invalid') return {type: 'refused', reason: `node ${node} cannot be added to this cluster`};
		return new Promise(resolve => {
			const waiting = this.#proposed.get(node);
			if (waiting) waiting.push(resolve);
			else this.#proposed.set(node, [resolve]);
		});
	}

	#contextOf({name = '', facts, token}: JoinRequest): MemberContext {
		const {state} = this.#options;
		if (!facts || state.protocol < namesProtocol) return {};
		const isWithToken = token !== undefined && state.protocol >= accessProtocol;
		const {incarnation, instance = ''} = facts;
		return {
			...(isWithToken && {token: hashOfToken(token)}),
			...(name === '' ? {} : {name: freeName(state, name)}),
			...(incarnation === undefined || instance === '' ? {} : {incarnation, instance}),
		};
	}

	#joined(): JoinAnswer {
		const {state, addressOf} = this.#options;
		return {
			type: 'joined',
			clusterId: state.clusterId,
			members: state.members().map(({id, address}) => [id, addressOf(id) ?? address] as const),
		};
	}
}
