/**
Nodes of earlier releases: the present node with the state machine of that release.
*/
import type {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {decodeContext, decodeEnvelope, encodeContext} from '../../../core/cluster-state/command.ts';
import {decode} from '../../../core/codec.ts';
import type {NodeId} from '../../../core/message.ts';

/**
Turn the state machine into that of the first release: an unknown command changes nothing, and only the first version of
the saved state can be read.
*/
export function limitToProtocol1(state: ClusterState): void {
	const apply = state.apply.bind(state);
	const applyConfiguration = state.applyConfiguration.bind(state);
	const load = state.load.bind(state);
	Object.assign(state, {
		apply: (index: number, data: Uint8Array): ReturnType<typeof apply> => {
			const type = decodeEnvelope(data)?.command.type;
			return apply(
				index,
				type === 'protocol' || type === 'name' || type === 'claim' || type === 'create' || type === 'delete'
					? new Uint8Array(0)
					: data,
			);
		},
		applyConfiguration: (
			index: number,
			nodes: readonly NodeId[],
			context: Uint8Array,
		): ReturnType<typeof applyConfiguration> => {
			const {clusterId, node, address} = decodeContext(context);
			return applyConfiguration(
				index,
				nodes,
				encodeContext({
					...(clusterId !== undefined && {clusterId}),
					...(node !== undefined && {node}),
					...(address !== undefined && {address}),
				}),
			);
		},
		load: (bytes: Uint8Array) => {
			if ((decode(bytes) as {version?: unknown}).version !== 1)
				throw new Error('Expected a saved state of version 1');
			load(bytes);
		},
	});
}

/** Turn the state machine into that of the previous release, which neither creates nor deletes state. */
export function limitToProtocol2(state: ClusterState): void {
	const apply = state.apply.bind(state);
	const load = state.load.bind(state);
	Object.assign(state, {
		apply: (index: number, data: Uint8Array): ReturnType<typeof apply> => {
			const type = decodeEnvelope(data)?.command.type;
			return apply(index, type === 'create' || type === 'delete' ? new Uint8Array(0) : data);
		},
		load: (bytes: Uint8Array) => {
			if (Number((decode(bytes) as {version?: unknown}).version) > 2)
				throw new Error('Expected a saved state of version 1 or 2');
			load(bytes);
		},
	});
}
