/**
The identity of this node. The process claims it through the log, delays publishers until the claim is agreed, proposes
the node's name, and detects a second process with its own identity or that of a peer.
*/
import {namesProtocol} from '../cluster-state/cluster-state.ts';
import {parseAddress} from '../address.ts';
import type {Command} from '../cluster-state/command.ts';
import type {Control} from '../control/control.ts';
import type {BrokerEvent} from '../events.ts';
import type {Refusal} from '../io/net/channel.ts';
import {Claim} from '../membership/claim.ts';
import {DuplicateProcesses} from '../membership/duplicate-processes.ts';
import {IdentityGate} from '../membership/identity-gate.ts';
import {Namer, type WantedName} from '../membership/naming.ts';
import {IdentityConflicts} from '../membership/identity-conflicts.ts';
import type {NodeId} from '../message.ts';
import type {Links} from '../ports.ts';
import {decodeControl, encodeControl} from '../wire/wire.ts';

export type OwnIdentityOptions = {
	readonly self: NodeId;
	readonly incarnation: number;
	readonly instance: string;
	readonly name: WantedName;
	readonly address: string;
	readonly cluster: string;
	readonly clusterId: () => string;
	readonly control: Control;
	readonly links: Pick<Links, 'send' | 'drop' | 'speaks'>;
	readonly nowMs: () => number;
	readonly emit: (event: BrokerEvent) => void;
	/** Another process holds the identity: this process must stop. */
	readonly refused: (reason: string) => void;
};

export class OwnIdentity {
	readonly claim: Claim;
	readonly gate: IdentityGate;
	readonly duplicates: DuplicateProcesses;
	readonly conflicts: IdentityConflicts;
	readonly #namer: Namer;
	readonly #options: OwnIdentityOptions;
	#wasMember = false;
	#isRefused = false;
	#isWithdrawing = false;

	constructor(options: OwnIdentityOptions) {
		const {self, incarnation, instance, name, cluster, clusterId, control, links, nowMs, emit} = options;
		const {state: topics} = control;
		const hasLeader = (): boolean => control.raft.leader !== undefined;
		this.#options = options;
		this.conflicts = new IdentityConflicts({cluster, clusterId, nowMs, emit});
		this.claim = new Claim({
			self,
			incarnation,
			instance,
			agreed: topics,
			nowMs,
			hasLeader,
			isLeaderOlder: () => {
				const {leader} = control.raft;
				const spoken = leader === undefined ? undefined : links.speaks(leader);
				return spoken !== undefined && spoken.protocol < namesProtocol;
			},
			propose: () => control.propose({type: 'claim', node: self, incarnation, instance}),
			catchUp: () => control.readIndex(),
		});
		this.claim.onLost = ({incarnation: other}) => this.#onLost(other);
		this.gate = new IdentityGate({
			nowMs,
			isOpen: () => this.isConfirmed,
			onPause: () => this.claim.doubt(),
			why: () =>
				topics.address(self) === undefined
					? 'This node is not a member of a cluster yet'
					: 'The identity of this node is not confirmed: the cluster must agree that no second process ' +
						'uses it, and for that this node must reach a leader',
		});
		this.#namer = new Namer({
			self,
			wanted: name,
			agreed: topics,
			propose: wanted => control.propose({type: 'name', node: self, name: wanted}),
			warn: text => emit({type: 'warning', text}),
		});
		this.duplicates = new DuplicateProcesses({
			nowMs,
			agreed: peer => topics.instance(peer),
			ask: (peer, other) => void links.send(peer, [encodeControl('probe', {other})]),
			drop: (peer, why) => links.drop(peer, why),
			found: (peer, kept, refused) => this.conflicts.duplicate(peer, kept, refused),
		});
	}

	/**
	The cluster has confirmed that this process holds the identity of the node. Protocol 1 has no claims: there it is
	enough that the node has been a member with a leader.
	*/
	get isConfirmed(): boolean {
		const {self, control} = this.#options;
		if (this.#isRefused) return false;
		if (this.claim.isNeeded) return this.claim.isHeld;
		this.#wasMember ||= control.state.address(self) !== undefined && control.raft.leader !== undefined;
		return this.#wasMember && !this.claim.isDoubted;
	}

	/** The identity was confirmed once, and this process knows no reason against it. */
	get wasConfirmed(): boolean {
		return this.isConfirmed || (!this.#isRefused && (this.claim.wasHeld || this.#wasMember));
	}

	/**
	Propose in the name of the node, once this process is confirmed. A node that is starting is waited for.
	@throws as `Control.propose`; `no-quorum` when it is not confirmed in time
	*/
	async propose(command: Command): Promise<void> {
		const {control, self} = this.#options;
		const isMember = control.state.address(self) !== undefined;
		const why = isMember && !this.isConfirmed ? control.proposals.unavailableError() : undefined;
		if (why) throw why;
		await this.gate.wait();
		return control.propose(command);
	}

	/** Call at each tick while the node is a member. */
	tick(): void {
		this.claim.housekeep();
		this.gate.tick();
	}

	/**
	Call regularly while there is a leader: propose the name and the address of this node if the agreed ones differ.
	*/
	housekeep(): void {
		this.#namer.housekeep();
		const {self, address, control} = this.#options;
		const agreed = control.state.address(self);
		if (agreed !== undefined && agreed !== address)
			control.propose({type: 'address', node: self, address}).catch(() => undefined);
	}

	/**
	Another process dialled the peer with this node's id, so the peer asks whether this process still runs. Answer, and
	record the second process.
	*/
	onProbe(from: NodeId, frame: Buffer): void {
		const {links, self, address} = this.#options;
		const {other} = Object(decodeControl(frame)) as Record<string, unknown>;
		links.send(from, [encodeControl('present', {})]);
		if (typeof other === 'string' && parseAddress(other)) this.conflicts.duplicate(self, address, other);
	}

	/** A peer refuses this process. Ignored if the peer does not know yet that the claim of this process is agreed. */
	onRefused({reason, incarnation}: Pick<Refusal, 'reason' | 'incarnation'>): void {
		if (this.claim.isOutdated(incarnation) || this.#isRefused || this.#isWithdrawing) return;
		this.#isWithdrawing = true;
		void this.claim.withdraw().then(() => {
			this.#isWithdrawing = false;
			if (!this.#isRefused && !this.claim.isOutdated(incarnation)) this.#stop(reason);
		});
	}

	#stop(reason: string): void {
		this.#isRefused = true;
		// Said in every case: an earlier start of this node may have been the one that was cut off.
		this.#options.refused(
			`${reason}. Keep the old folder: messages that were acknowledged here while the node was cut off are ` +
				'in no other place, and not delivered',
		);
	}

	#onLost(incarnation: number): void {
		const {self, address} = this.#options;
		const other = this.conflicts.snapshot().duplicates.find(({id}) => id === self)?.other;
		this.#stop(
			`node ${self} runs in another process${other === undefined ? '' : ` at ${other}`}, ` +
				`which the cluster has agreed on (incarnation ${incarnation}): this process, at ${address}, ` +
				'uses a copy of its data folder. Stop it, and start it with an empty data folder',
		);
	}
}
