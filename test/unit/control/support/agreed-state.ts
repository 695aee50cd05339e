/** The replicated state of a cluster for tests, in which every command is agreed at once. */
import {ClusterState} from '../../../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope, type Command} from '../../../../core/cluster-state/command.ts';
import type {NodeId} from '../../../../core/message.ts';

export type AgreedState = {
	readonly state: ClusterState;
	/** Applies a command of the first member. @throws its refusal */
	readonly agree: (command: Command) => void;
};

/** A cluster of these members. The first one founded it with this protocol. */
export function agreedState(members: readonly [NodeId, ...NodeId[]], protocol = 3): AgreedState {
	const [node] = members;
	const state = new ClusterState({topicsMax: 10, membersMax: 10});
	state.applyConfiguration(1, members, encodeContext({clusterId: 'c1', node, address: 'h:1', protocol}));
	let index = 1;
	return {
		state,
		agree(command) {
			index++;
			const {result} = state.apply(
				index,
				encodeEnvelope({node, incarnation: 1, seq: index, answeredBelow: 1, lamport: 1, command}),
			);
			if (!result.ok) throw new Error(result.reason);
		},
	};
}
