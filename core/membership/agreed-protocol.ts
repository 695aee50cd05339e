/**
The protocol version that a cluster uses. Nodes of two neighbouring versions interoperate, so a cluster is upgraded one
node at a time. A feature that older versions do not understand may be used only once every member speaks the new
version. The leader proposes a version when it knows that every member speaks it, as etcd does with its cluster version.
After that, a node that speaks only an older version is refused.
*/
import type {NodeId} from '../message.ts';

/**
The version to propose; `undefined` when there is none to propose. A member whose version is unknown may speak the
oldest one.
*/
export function protocolToPropose(
	agreed: number,
	own: number,
	others: ReadonlyArray<number | undefined>,
): number | undefined {
	const common = Math.min(own, ...others.map(protocol => protocol ?? 0));
	return common > agreed ? common : undefined;
}

/** The reason why a node with this version cannot join; `undefined` when it can. */
export function protocolRefusal(
	node: NodeId,
	{protocol, version}: {readonly protocol: number; readonly version?: string | undefined},
	agreed: number,
): string | undefined {
	if (protocol >= agreed) return undefined;
	return (
		`node ${node} speaks protocol ${protocol}${version ? ` (version ${version})` : ''}, ` +
		`this cluster has agreed on protocol ${agreed}: start a newer version of dapss-tui there`
	);
}
