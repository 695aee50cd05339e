/**
Commands of an operator about members: transfer leadership, remove a node, let this node leave. The leader executes
them. Any other node forwards the command to the leader over their link, and waits for the answer.
*/
import {decode} from '../codec.ts';
import {DapssError, errorMessage, exitCodes, type ErrorCode} from '../errors.ts';
import {isNodeId, type NodeId} from '../message.ts';
import type {Control} from './control.ts';

export type AdminCommand =
	{readonly type: 'transfer'; readonly to: NodeId | undefined} | {readonly type: 'remove'; readonly node: NodeId};
type Answer = {readonly leader: NodeId | undefined};
type Waiting = {
	readonly resolve: (answer: Answer) => void;
	readonly reject: (error: Error) => void;
	readonly untilMs: number;
	/** The member that was asked; `undefined` when none was. */
	readonly asked: NodeId | undefined;
	/** The answer, once the effect of the command is visible here. */
	readonly isDone: () => Answer | undefined;
	/** Called again until the answer is there. */
	readonly begin: (() => void) | undefined;
};

export type AdminOptions = {
	readonly self: NodeId;
	readonly control: Control;
	/** The time in which this process ran, for deadlines: an answer may have come during a pause. */
	readonly awakeMs: () => number;
	readonly isReachable: (node: NodeId) => boolean;
	/** Its name, or its id. */
	readonly label: (node: NodeId) => string;
	/** False when there is no link. */
	readonly send: (to: NodeId, kind: 'manage' | 'managed', packet: unknown) => boolean;
	/** Counts an answer that was refused. */
	readonly bound: (name: string) => void;
};

const deadlineMs = 5000;
/** A node that leaves tries again for this long when the leader changes, milliseconds. */
const leaveMs = 10_000;
const waitingMax = 64;
/** Characters of a reason from another node. */
const reasonMax = 1000;

export class Admin {
	readonly #options: AdminOptions;
	readonly #waiting = new Map<number, Waiting>();
	#seq = 0;
	#isRemoved = false;

	constructor(options: AdminOptions) {
		this.#options = options;
	}

	/**
	Run a command. Resolves with the leader, once the effect of the command is visible on this node.
	@param command `to`: by default the voter with the longest matching log
	@param by the node through which an operator asked
	@throws `refused`, `usage`, `no-quorum`, `no-leader`, `timeout`
	*/
	async run(command: AdminCommand, by = this.#options.self): Promise<Answer> {
		const {control, self, send, label} = this.#options;
		const {role, leader, term} = control.raft;
		if (role === 'leader')
			return command.type === 'transfer' ? this.#transfer(command.to, by) : this.#remove(command, by);
		if (leader === undefined || leader === self) throw control.unavailableError();
		// The answer may be lost with the link when one of the two nodes leaves: success is what this node sees itself.
		const {seq, answered} = this.#wait(() => this.#effectOf(command, term), undefined, leader);
		if (!send(leader, 'manage', {seq, ...command}))
			this.#settle(
				seq,
				control.quorum().state === 'lost'
					? control.unavailableError()
					: new DapssError(
							'no-leader',
							`The link to the leader ${label(leader)} is down: try again in a moment`,
						),
			);
		this.check();
		return answered;
	}

	/** As `Broker.transferLeadership`. */
	async transfer(to: NodeId | undefined): Promise<NodeId | undefined> {
		return (await this.run({type: 'transfer', to})).leader;
	}

	/** As `Broker.removeMember`. */
	async remove(node: NodeId): Promise<void> {
		await this.run({type: 'remove', node});
	}

	/**
	Remove this node from the cluster: transfer its leadership, then remove its vote and its membership. Resolves when
	it is no longer a member.
	@throws `refused`, `no-quorum`, `no-leader`, `timeout`
	*/
	async leave(): Promise<void> {
		const {self, awakeMs} = this.#options;
		const untilMs = awakeMs() + leaveMs;
		for (;;) {
			try {
				await this.run({type: 'remove', node: self});
				return;
			} catch (error) {
				if (!(error instanceof DapssError)) throw error;
				if (error.code === 'no-quorum')
					throw new DapssError(
						'no-quorum',
						`This node cannot leave: ${error.message}. ` +
							'Start the missing voters, or stop this node without leaving',
						{cause: error},
					);
				if (error.code !== 'no-leader' || awakeMs() >= untilMs) throw error;
				await this.#leaderKnown();
			}
		}
	}

	/** This node was removed. */
	removed(): void {
		this.#isRemoved = true;
		this.check();
	}

	/** Run a command that another node forwards. False when the frame is no command. */
	onCommand(from: NodeId, frame: Buffer): boolean {
		const raw = Object(decode(frame.subarray(1))) as Record<string, unknown>;
		const {seq, type, to, node} = raw;
		if (!Number.isSafeInteger(seq)) return false;
		const command: AdminCommand | undefined =
			type === 'transfer' && (to === undefined || to === null || isNodeId(to))
				? {type, to: to ?? undefined}
				: type === 'remove' && isNodeId(node)
					? {type, node}
					: undefined;
		if (!command) return false;
		const {send, control} = this.#options;
		const answer = (packet: object): void => void send(from, 'managed', {seq, ...packet});
		// Forwarded only once: two nodes that each believe the other leads would forward it forever.
		const done =
			control.raft.role === 'leader'
				? this.run(command, from)
				: Promise.reject(new DapssError('no-leader', 'The leader has just changed: try again'));
		done.then(
			() => answer({}),
			(error: unknown) =>
				answer({code: error instanceof DapssError ? error.code : 'failure', reason: errorMessage(error)}),
		);
		return true;
	}

	/**
	The answer of the member that was asked. Only a refusal counts: success is what this node sees itself. False when it
	is no answer.
	*/
	onAnswer(from: NodeId, frame: Buffer): boolean {
		const {seq, code, reason} = Object(decode(frame.subarray(1))) as Record<string, unknown>;
		if (typeof seq !== 'number') return false;
		const waiting = this.#waiting.get(seq);
		if (waiting && waiting.asked !== from) this.#options.bound('foreign-answers');
		else if (typeof reason === 'string')
			this.#settle(
				seq,
				new DapssError(
					typeof code === 'string' && Object.hasOwn(exitCodes, code) ? (code as ErrorCode) : 'failure',
					reason.slice(0, reasonMax),
				),
			);
		return true;
	}

	/** Check whether commands have taken effect, or have timed out. */
	check(): void {
		const {awakeMs} = this.#options;
		for (const [seq, {isDone, begin, untilMs}] of this.#waiting) {
			begin?.();
			const answer = isDone();
			if (answer) this.#settle(seq, answer);
			else if (awakeMs() >= untilMs)
				this.#settle(
					seq,
					new DapssError(
						'timeout',
						`The cluster did not do this within ${deadlineMs / 1000} s. It may still happen: ` +
							'see `dapss-tui peers`',
					),
				);
		}
	}

	close(): void {
		for (const seq of this.#waiting.keys()) this.#settle(seq, new DapssError('closed', 'The node is stopping'));
	}

	/** The answer to a command whose effect is visible here. */
	#effectOf(command: AdminCommand, termBefore: number): Answer | undefined {
		const {control, self} = this.#options;
		const {leader, term} = control.raft;
		if (command.type === 'remove')
			return control.state.isRemoved(command.node) || (this.#isRemoved && command.node === self)
				? {leader}
				: undefined;
		return leader !== undefined && term > termBefore ? {leader} : undefined;
	}

	/** Resolves when there is a leader. @throws `timeout` */
	async #leaderKnown(): Promise<void> {
		const {control} = this.#options;
		const {term: before, leader: former} = control.raft;
		await this.#wait(() => {
			const {leader, term} = control.raft;
			return leader !== undefined && (leader !== former || term !== before) ? {leader} : undefined;
		}).answered;
	}

	#transfer(wanted: NodeId | undefined, by: NodeId): Promise<Answer> {
		const {control, self, isReachable, label} = this.#options;
		const {
			progress,
			term,
			configuration: {voters},
		} = control.raft.status();
		const best = progress
			.filter(({id}) => voters.includes(id) && isReachable(id))
			.toSorted((a, b) => b.match - a.match)[0]?.id;
		const to = wanted ?? best;
		if (to === undefined)
			throw new DapssError(
				'refused',
				'Expected another voter that can be reached, there is none: no other node could lead',
			);
		if (to === self) throw new DapssError('refused', `Node ${label(to)} leads already`);
		if (control.state.address(to) === undefined) throw new DapssError('usage', `Expected a member, got ${to}`);
		if (!voters.includes(to))
			throw new DapssError('refused', `Node ${label(to)} is a learner: only a voter can lead`);
		if (!isReachable(to))
			throw new DapssError('refused', `Node ${label(to)} cannot be reached: it could not take over`);
		const {answered} = this.#wait(() => this.#effectOf({type: 'transfer', to}, term));
		control.transfer(to, by);
		return answered;
	}

	async #remove(command: Extract<AdminCommand, {type: 'remove'}>, by: NodeId): Promise<Answer> {
		const {control, isReachable, self, label} = this.#options;
		const {node} = command;
		if (control.state.isRemoved(node)) return {leader: control.raft.leader};
		if (control.state.address(node) === undefined) throw new DapssError('usage', `Expected a member, got ${node}`);
		const {voters} = control.raft.configuration;
		const rest = voters.filter(voter => voter !== node);
		// The only voter leads: promote a learner, then transfer leadership to it.
		if (rest.length === 0) {
			await this.#promoteSuccessor(node);
			return this.run(command, by);
		}

		const away = rest.filter(voter => voter !== self && !isReachable(voter));
		if ((rest.length - away.length) * 2 <= rest.length)
			throw new DapssError(
				'refused',
				`Without ${label(node)} the cluster would have no quorum: of the ${rest.length} other voters ` +
					`${away.map(voter => label(voter)).join(', ')} cannot be reached. ` +
					`Start ${away.length > 1 ? 'them' : 'it'} again, ` +
					`or remove ${away.length > 1 ? 'one of them' : 'it'} first`,
			);
		// A removed leader steps down with the commit of its removal: without a transfer no node would lead until an
		// election timeout.
		if (node === self) {
			await this.#transfer(undefined, by);
			return this.run(command, by);
		}

		// Repeated while another change is in progress.
		let isAccepted = false;
		const {answered} = this.#wait(
			() => this.#effectOf(command, 0),
			() => {
				isAccepted ||= control.remove(node) === 'accepted';
			},
		);
		this.check();
		return answered;
	}

	async #promoteSuccessor(only: NodeId): Promise<void> {
		const {control, isReachable, label} = this.#options;
		const {
			progress,
			configuration: {learners},
		} = control.raft.status();
		const successor = progress
			.filter(({id}) => learners.includes(id) && isReachable(id))
			.toSorted((a, b) => b.match - a.match)[0]?.id;
		if (successor === undefined)
			throw new DapssError(
				'refused',
				`Node ${label(only)} is the only voter: without it there is no cluster` +
					noSuccessorText(learners.map(node => label(node))),
			);
		let isAccepted = false;
		const {answered} = this.#wait(
			() => {
				const {
					leader,
					configuration: {voters},
				} = control.raft;
				return voters.includes(successor) ? {leader} : undefined;
			},
			() => {
				isAccepted ||= control.promoteSuccessor(successor) === 'accepted';
			},
		);
		this.check();
		await answered;
	}

	#wait(
		isDone: Waiting['isDone'],
		begin?: Waiting['begin'],
		asked?: NodeId,
	): {readonly seq: number; readonly answered: Promise<Answer>} {
		if (this.#waiting.size >= waitingMax)
			throw new DapssError('refused', `Expected at most ${waitingMax} such commands at a time, got one more`);
		const seq = ++this.#seq;
		const {promise, resolve, reject} = Promise.withResolvers<Answer>();
		this.#waiting.set(seq, {
			resolve,
			reject,
			isDone,
			begin,
			asked,
			untilMs: this.#options.awakeMs() + deadlineMs,
		});
		return {seq, answered: promise};
	}

	#settle(seq: number, answer: Answer | Error): void {
		const waiting = this.#waiting.get(seq);
		if (!waiting) return;
		this.#waiting.delete(seq);
		if (answer instanceof Error) waiting.reject(answer);
		else waiting.resolve(answer);
	}
}

/** Why the other members of a cluster with one voter cannot replace it; empty without other members. */
function noSuccessorText(others: readonly string[]): string {
	if (others.length === 0) return '';
	if (others.length === 1)
		return `, and the other member ${others[0]} cannot be reached to take over. Start it, or remove it first`;
	return `, and none of the ${others.length} other members can be reached to take over. Start one of them first`;
}
