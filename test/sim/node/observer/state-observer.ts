/**
Observes the replicated state of a node: each entry that it applies, and the state afterwards.
*/
import type {ClusterState} from '../../../../core/cluster-state/cluster-state.ts';
import {decodeEnvelope} from '../../../../core/cluster-state/command.ts';
import type {Node} from '../../../../core/node/node.ts';
import {hash32} from '../../random.ts';
import type {Host} from '../host/host.ts';
import type {MembershipObserver} from './membership-observer.ts';
import type {RaftObserver, RaftProcess} from './raft-observer.ts';

export class StateObserver {
	/** Commands that changed the state. */
	commands = 0;
	readonly #raft: RaftObserver;
	readonly #membership: MembershipObserver;
	/** Applied commands: session and number → index. */
	readonly #executed = new Map<string, number>();

	constructor(raft: RaftObserver, membership: MembershipObserver) {
		this.#raft = raft;
		this.#membership = membership;
	}

	booted(host: Host, {control}: Node, process: RaftProcess): void {
		const {state} = control;
		const {checks} = this.#raft;
		const applied = (index: number): void => {
			const entry = process.committed.get(index);
			process.view.applied = index;
			if (!entry) throw checks.violations.record(`only committed entries are applied: ${host.id} at ${index}`);
			checks.applied(process.view, entry, digestOf(state), control.raft.status());
		};

		const apply = state.apply.bind(state);
		const applyConfiguration = state.applyConfiguration.bind(state);
		const applyNothing = state.applyNothing.bind(state);
		const load = state.load.bind(state);
		Object.assign(state, {
			apply: (index: number, data: Uint8Array) => {
				const result = this.#apply(state, apply, index, data);
				applied(index);
				return result;
			},
			applyConfiguration: (...given: Parameters<typeof applyConfiguration>) => {
				const [index, members] = given;
				const events = applyConfiguration(...given);
				checks.violations.check(this.#membership.configured(host, index, members, state.clusterId));
				applied(index);
				return events;
			},
			applyNothing: (index: number) => {
				applyNothing(index);
				applied(index);
			},
			load: (bytes: Uint8Array) => {
				load(bytes);
				process.view.applied = state.applied;
				checks.state(process.view, state.applied, digestOf(state));
			},
		});
	}

	/** Applies a command, and checks that it is of a confirmed process and applies once. */
	#apply(
		state: ClusterState,
		apply: ClusterState['apply'],
		index: number,
		data: Uint8Array,
	): ReturnType<ClusterState['apply']> {
		const envelope = decodeEnvelope(data);
		if (!envelope) return apply(index, data);
		const {node, incarnation, seq, command} = envelope;
		const {violations} = this.#raft.checks;
		const key = `${node}:${incarnation}:${seq}`;
		const isRepeated = state.answered(envelope) !== undefined;
		const confirmed = state.instance(node);
		const applied = apply(index, data);
		const hasChanged = applied.events.length > 0;
		if (confirmed && command.type !== 'claim' && incarnation > confirmed.incarnation && hasChanged)
			throw violations.record(
				`only the confirmed process proposes: ${node} did in incarnation ${incarnation}, and ${confirmed.incarnation} is confirmed`,
			);
		if (isRepeated && hasChanged)
			throw violations.record(`a command applies once: ${key} changed something again at ${index}`);
		// Sessions are removed with their node, whose later commands are refused. A claim belongs to no session,
		// because repeating it changes nothing.
		if (isRepeated || !applied.result.ok || command.type === 'claim') return applied;
		this.commands++;
		const before = this.#executed.get(key);
		if (before !== undefined && before !== index)
			throw violations.record(`a command applies once: ${key} at ${before} and ${index}`);
		this.#executed.set(key, index);
		return applied;
	}
}

function digestOf(state: ClusterState): number {
	const bytes = state.save();
	return hash32(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1'));
}
