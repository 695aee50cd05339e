/**
Which version of the protocol a cluster uses. Nodes of two neighbouring versions work together, so a cluster is upgraded
a node at a time. What an older version does not understand may be used only once nobody speaks that version any more:
the leader proposes a version when every member is known to speak it, as etcd does with its cluster version. From then
on a node that speaks less is refused.
*/
import type {NodeId} from '../message.ts';

/**
The version to propose; `undefined` when nothing is to be proposed. A member of which nothing is known may speak the
oldest version.
*/
export function protocolToPropose(
	agreed: number,
	own: number,
	others: ReadonlyArray<number | undefined>,
): number | undefined {
	const common = Math.min(own, ...others.map(protocol => protocol ?? 0));
	return common > agreed ? common : undefined;
}

/** Why a node with that program cannot join; `undefined` when it can. */
export function protocolRefusal(
	node: NodeId,
	{protocol, version}: {readonly protocol: number; readonly version?: string | undefined},
	agreed: number,
): string | undefined {
	if (protocol >= agreed) return undefined;
	return `node ${node} speaks protocol ${protocol}${version ? ` (version ${version})` : ''}, this cluster has agreed on protocol ${agreed}: start a newer version of dapss-tui there`;
}
