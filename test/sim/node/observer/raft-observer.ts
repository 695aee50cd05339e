/**
Observes Raft: the entries that a node gives to its disk, the part that is synced, and each step of its Raft machine.
The disk decides what is durable, not the store of the node.
*/
import type {Control} from '../../../../core/control/control.ts';
import type {RaftStore} from '../../../../core/control/raft-store.ts';
import type {NodeId} from '../../../../core/message.ts';
import type {Node} from '../../../../core/node/node.ts';
import type {Log} from '../../../../core/ports.ts';
import type {RaftPacket} from '../../../../core/raft/packet.ts';
import type {Entry, HardState} from '../../../../core/raft/raft.ts';
import {ShadowLog, type ObservedNode, type RaftChecks} from '../../raft-checks.ts';
import {durableNameViolation} from '../checks/durable-names.ts';
import type {LeaderCauseChecks} from '../checks/leader-cause-checks.ts';
import {TickChecks} from '../checks/tick-checks.ts';
import {DoubleVotes} from '../double-votes.ts';
import type {Host} from '../host/host.ts';

export type RaftView = ObservedNode & {
	written: ShadowLog;
	synced: ShadowLog;
	applied: number;
	/** Whether the node has taken a step since its last check. */
	isTouched: boolean;
	/** Grows at each start of the process, which cancels the callbacks of earlier processes. */
	generation: number;
};

/** A process whose Raft machine is observed. */
export type RaftProcess = {
	readonly view: RaftView;
	/** The entries that its machine last returned as committed, by index. */
	readonly committed: Map<number, Entry>;
};

export class RaftObserver {
	readonly checks: RaftChecks;
	readonly doubleVotes = new DoubleVotes();
	snapshotsTaken = 0;
	snapshotsInstalled = 0;
	readonly #leaderCauses: LeaderCauseChecks;
	readonly #onSnapshot: (host: Host) => void;
	readonly #views = new Map<Host, RaftView>();
	/** The sync of the append that a machine made last. */
	readonly #lastSynced = new Map<Host, Promise<void>>();

	/** @param onSnapshot is called when a node saves a snapshot */
	constructor(checks: RaftChecks, leaderCauses: LeaderCauseChecks, onSnapshot: (host: Host) => void) {
		this.checks = checks;
		this.#leaderCauses = leaderCauses;
		this.#onSnapshot = onSnapshot;
	}

	/** The machines whose node has started at least once with the present disk. */
	get hosts(): readonly Host[] {
		return [...this.#views.keys()];
	}

	view(host: Host): RaftView | undefined {
		return this.#views.get(host);
	}

	wiped(host: Host): void {
		this.#views.delete(host);
	}

	/** Another machine gets a copy of this one's disk. */
	copied(host: Host): void {
		this.checks.diskCopied(host.id);
		this.doubleVotes.copied(host);
	}

	ended(host: Host): void {
		this.doubleVotes.ended(host);
	}

	/** The node exists, with the entries that its store has recovered. */
	booted(host: Host, node: Node, {recovered: {hardState, snapshot, entries}}: RaftStore): RaftProcess {
		const recovered = new ShadowLog();
		recovered.write({snapshot, entries, hardState});
		const known = this.#views.get(host);
		if (known) this.#checkRecovered(host, recovered, known.synced);
		const synced = new ShadowLog();
		synced.write({snapshot, entries, hardState});
		const changes = {written: recovered, synced, applied: node.control.state.applied};
		const view = known
			? Object.assign(known, changes)
			: {id: host.id, key: host.key, ...changes, isTouched: true, generation: 0};
		view.generation++;
		this.#views.set(host, view);
		this.checks.watch(view);
		this.checks.booted(view, node.control.raft.status());
		const process = {view, committed: new Map<number, Entry>()};
		this.#observeControl(host, node.control, process);
		return process;
	}

	/** Whether the node has taken a step since its last check. */
	isTouched(host: Host): boolean {
		return this.#views.get(host)?.isTouched ?? false;
	}

	/** Checks the node after an event. */
	observe(host: Host, {control}: Node): void {
		const view = this.#views.get(host)!;
		view.isTouched = false;
		view.applied = control.state.applied;
		this.checks.observe(view, control.raft.status());
	}

	/** Wraps the log under a Raft store. */
	log(host: Host, log: Log): Log {
		this.checks.violations.check(durableNameViolation(host, '/data/raft'));
		const append = log.append.bind(log);
		return Object.assign(log, {
			append: (...given: Parameters<Log['append']>) => {
				const appended = append(...given);
				this.#lastSynced.set(host, appended.synced);
				return appended;
			},
		});
	}

	/** Wraps the Raft store of a node. */
	store(host: Host, store: RaftStore): RaftStore {
		const append = store.append.bind(store);
		const saveSnapshot = store.saveSnapshot.bind(store);
		return Object.assign(store, {
			append: async (hardState: HardState | undefined, entries: readonly Entry[]) => {
				const view = this.#views.get(host)!;
				const {generation} = view;
				const work = {snapshot: undefined, entries, hardState};
				view.written.write(work);
				const done = append(hardState, entries);
				// Durable once the disk has synced it, whether or not the store waits for that.
				void this.#lastSynced.get(host)!.then(
					() => {
						if (view.generation === generation) view.synced.write(work);
					},
					() => undefined,
				);
				await done;
			},
			saveSnapshot: async (snapshot: Parameters<RaftStore['saveSnapshot']>[0], origin: 'installed' | 'taken') => {
				const view = this.#views.get(host)!;
				const {generation} = view;
				if (origin === 'installed') view.written.write({snapshot, entries: [], hardState: undefined});
				this.#onSnapshot(host);
				await saveSnapshot(snapshot, origin);
				if (view.generation !== generation) return;
				if (origin === 'installed') {
					this.snapshotsInstalled++;
					view.synced.write({snapshot, entries: [], hardState: undefined});
					return;
				}

				this.snapshotsTaken++;
				view.written.compact(snapshot.index);
				view.synced.compact(snapshot.index);
			},
		});
	}

	/**
	The node sends a packet. Returns whether the packet is lost on its way.
	@param isLinked whether the node has a connection to the receiver
	*/
	sent(host: Host, to: NodeId, packet: RaftPacket, isLinked: () => boolean): boolean {
		const view = this.#views.get(host);
		if (!view) return false;
		// A second process of one id reaches nobody while it is refused.
		if (this.doubleVotes.isLost(host, to, packet)) return true;
		if (!host.isCopy || isLinked()) this.checks.sent(view, to, packet);
		return false;
	}

	#checkRecovered({id}: Host, recovered: ShadowLog, synced: ShadowLog): void {
		const {violations} = this.checks;
		const {term, commit, vote} = synced.state;
		const now = recovered.state;
		if (now.term < term)
			throw violations.record(`a term outlives a restart: ${id} reads ${now.term}, and had synced ${term}`);
		if (now.term === term && vote !== undefined && now.vote !== vote)
			throw violations.record(
				`a vote outlives a restart: ${id} reads ${now.vote}, and had synced ${vote} in term ${term}`,
			);
		const committedTerm = synced.termAt(commit);
		if (committedTerm !== undefined && !recovered.holds(commit, committedTerm))
			throw violations.record(`committed entries outlive a restart: ${id} lost ${commit}`);
	}

	/** A node that founds a cluster replaces its Raft machine. */
	#observeControl(host: Host, control: Control, process: RaftProcess): void {
		this.#observeMachine(host, control, process);
		const restartRaft = control.restartRaft.bind(control);
		Object.assign(control, {
			restartRaft: () => {
				restartRaft();
				this.#observeMachine(host, control, process);
			},
		});
	}

	#observeMachine(host: Host, {raft, state}: Control, {view, committed}: RaftProcess): void {
		const {checks} = this;
		const ready = raft.ready.bind(raft);
		const step = raft.step.bind(raft);
		const tick = raft.tick.bind(raft);
		const leaderDown = raft.leaderDown.bind(raft);
		const ticks = new TickChecks();
		Object.assign(raft, {
			leaderDown: (peer: NodeId) => {
				view.isTouched = true;
				checks.violations.check(this.#leaderCauses.treatedAsCrashed(host.key, peer));
				leaderDown(peer);
			},
			ready: () => {
				view.isTouched = true;
				const work = ready();
				if (!work) return work;
				view.applied = state.applied;
				checks.ready(view, work, raft.status());
				committed.clear();
				for (const entry of work.committed) {
					committed.set(entry.index, entry);
					this.doubleVotes.committed(entry);
				}

				return work;
			},
			step: (...given: Parameters<typeof step>) => {
				view.isTouched = true;
				const [, packet] = given;
				const before = packet.type === 'vote' ? raft.status() : undefined;
				step(...given);
				if (before) checks.stepped(view, packet, before, raft.status());
			},
			tick: () => {
				view.isTouched = true;
				checks.violations.check(ticks.ticked(host));
				tick();
			},
		});
	}
}
