/**
What two processes check before a connection opens, as `core/io/net/handshake.ts` and the admission in
`core/io/net/mesh.ts` do it: a common protocol, a common key, the identity of the peer and its membership. Pure. The
listener decides first, and both sides learn the reason of a refusal.
*/
import type {Judgement} from '../../../core/membership/duplicate-processes.ts';
import type {NodeId} from '../../../core/message.ts';

/** What a process announces about itself. */
export type Hello = {
	readonly id: NodeId;
	readonly address: string;
	readonly clusterId: string;
	readonly incarnation: number;
	/** Drawn at the start of the process. Empty for a program of protocol 1, which has no instance. */
	readonly instance: string;
	/** The oldest and the newest protocol that it speaks. */
	readonly protocols: readonly [number, number];
	readonly version: string;
};

/** One side of a connection attempt. */
export type Party = {
	readonly hello: Hello;
	/** The ids of the keys that it accepts, the one that it calls with first. */
	readonly keys: readonly string[];
};

export type Listening = Party & {
	standing(peer: NodeId): 'member' | 'removed' | 'unknown';
	/** The hello of the existing connection with this peer. */
	linked(peer: NodeId): Hello | undefined;
	/** Decides about a process that calls under the id of a peer that is linked to another process. */
	judge(peer: NodeId, caller: Hello, linked: Hello | undefined): Judgement;
};

export type RefusalCode =
	| 'protocol'
	| 'not-authenticated'
	| 'itself'
	| 'same-node'
	| 'busy'
	| 'cluster'
	| 'removed'
	| 'not-a-member'
	| 'older-incarnation'
	| 'identity';
export type Refusal = {
	readonly code: RefusalCode;
	readonly reason: string;
	readonly by: 'caller' | 'listener';
	/** With `same-node`: the incarnation of the process that the cluster has confirmed. */
	readonly incarnation?: number;
};

/** The newest protocol that both speak; `undefined` if there is none. */
export function commonProtocol(
	[min, max]: readonly [number, number],
	[theirMin, theirMax]: readonly [number, number],
): number | undefined {
	const common = Math.min(max, theirMax);
	return common >= Math.max(min, theirMin) ? common : undefined;
}

/** The key of a connection: a caller tries its keys in turn. `undefined` if the listener accepts none of them. */
export function commonKey(caller: Pick<Party, 'keys'>, listener: Pick<Party, 'keys'>): string | undefined {
	return caller.keys.find(key => listener.keys.includes(key));
}

/** Why these two processes cannot connect, whether or not they are members. */
export function mismatch(caller: Party, listener: Party): Refusal | undefined {
	const [min, max] = listener.hello.protocols;
	const [theirMin, theirMax] = caller.hello.protocols;
	if (commonProtocol(caller.hello.protocols, listener.hello.protocols) === undefined)
		return {
			code: 'protocol',
			reason: `peer ${caller.hello.address} speaks protocol ${theirMin} to ${theirMax}, node ${listener.hello.id} ${min} to ${max}`,
			by: 'listener',
		};
	if (commonKey(caller, listener) === undefined)
		return {
			code: 'not-authenticated',
			reason: `node ${caller.hello.id} and node ${listener.hello.id} have no key in common`,
			by: 'listener',
		};
	if (
		caller.hello.id === listener.hello.id &&
		caller.hello.instance !== '' &&
		caller.hello.instance === listener.hello.instance
	)
		return {code: 'itself', reason: `${listener.hello.address} is this node itself`, by: 'listener'};
	if (caller.hello.id === listener.hello.id)
		return {
			code: 'same-node',
			reason: `node ${caller.hello.id} runs at ${caller.hello.address} and at ${listener.hello.address}`,
			by: 'listener',
		};
	return undefined;
}

/**
Why the listener refuses this call between members; `undefined` if the connection opens.
@param expected the id that the caller expects at the address
*/
export function refusal(caller: Listening, listener: Listening, expected: NodeId): Refusal | undefined {
	const {
		hello: {id, clusterId, incarnation, instance},
	} = caller;
	const wrong = mismatch(caller, listener);
	if (wrong) return wrong;
	if (clusterId !== '' && listener.hello.clusterId !== '' && clusterId !== listener.hello.clusterId)
		return {code: 'cluster', reason: `node ${id} belongs to another cluster of this name`, by: 'listener'};
	const standing = listener.standing(id);
	if (standing === 'removed')
		return {code: 'removed', reason: `node ${id} was removed from the cluster`, by: 'listener'};
	if (standing === 'unknown')
		return {
			code: 'not-a-member',
			reason: `node ${id} is not a member, as far as node ${listener.hello.id} knows`,
			by: 'listener',
		};
	const linked = listener.linked(id);
	const isOther = linked?.instance !== '' && instance !== '' && linked?.instance !== instance;
	const judged = isOther ? listener.judge(id, caller.hello, linked) : undefined;
	if (judged?.type === 'wait') return {code: 'busy', reason: judged.reason, by: 'listener'};
	if (judged?.type === 'refuse')
		return {code: 'same-node', reason: judged.reason, by: 'listener', incarnation: judged.incarnation};
	if (!judged && linked && incarnation < linked.incarnation)
		return {
			code: 'older-incarnation',
			reason: `node ${id} is linked in a later incarnation (${linked.incarnation})`,
			by: 'listener',
		};
	const found = listener.hello.id;
	if (found !== expected)
		return {
			code: 'identity',
			reason: `${listener.hello.address} is node ${found}, not node ${expected}`,
			by: 'caller',
		};
	return undefined;
}
