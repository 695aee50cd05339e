/**
The cost of stopping a node, and of letting it leave, for the voters that remain. The console's question, `leave` and
the last line of a headless node share this module. A stopped node keeps its vote, so the others need it back; a node
that leaves gives up its vote. Pure.
*/
import type {Snapshot} from '../snapshot.ts';
import {quorumHealthOf, quorumSize} from './quorum-health.ts';

/** `quorum`: no quorum until the node is back. `spare`: no other voter may fail until it is back. */
export type StopCost = {readonly costs: 'nothing' | 'spare' | 'quorum'; readonly text: string};
export type LeaveCost = {readonly isPossible: boolean; readonly text: string};

type Picture = Pick<Snapshot, 'raft' | 'members' | 'self' | 'phase'>;

/** The cost of stopping this node without leaving the cluster. */
export function stopCost(snapshot: Picture): StopCost {
	const {
		raft: {voters},
		members,
		self,
	} = snapshot;
	// A member that stopped is listed as `left`, and is still a member.
	if (members.every(({id}) => id === self))
		return {costs: 'nothing', text: 'This node is alone: no other node depends on it'};
	if (!voters.includes(self)) return {costs: 'nothing', text: 'This node has no vote: no other node depends on it'};
	const {present, needed} = quorumHealthOf(snapshot);
	const left = present - 1;
	const leaves = `Stopping this node leaves ${left} of ${plural(voters.length)}`;
	if (present < needed)
		return {
			costs: 'quorum',
			text: `There is no quorum, and stopping this node leaves ${left} of ${voters.length} voters`,
		};
	if (left < needed) return {costs: 'quorum', text: `${leaves}: no quorum until it is back`};
	if (left === needed) return {costs: 'spare', text: `${leaves}: no other voter may fail until it is back`};
	return {costs: 'nothing', text: `${leaves}: ${left - needed} more may fail`};
}

/** Whether this node can leave now, and the voters that remain. */
export function leaveCost(snapshot: Picture): LeaveCost {
	const {raft, members, self, phase} = snapshot;
	const impossible = (text: string): LeaveCost => ({isPossible: false, text});
	const others = members.filter(({id}) => id !== self);
	if (phase !== 'running') return impossible('This node is no member yet: there is nothing to leave');
	if (others.length === 0) return impossible('This node is the only member: there is nothing to leave');
	if (!raft.hasQuorum) return impossible('Without a quorum nothing can be agreed, so no node can leave');
	const rejoins = 'it starts again as a new member';
	if (!raft.voters.includes(self))
		return {isPossible: true, text: `This node has no vote, the ${plural(raft.voters.length)} stay; ${rejoins}`};
	const usable = (id: string): boolean => others.some(member => member.id === id && member.state === 'alive');
	const rest = raft.voters.filter(id => id !== self);
	const reachable = rest.filter(id => usable(id)).length;
	const candidates = raft.learners.filter(id => usable(id)).length;
	if (rest.length === 0)
		return candidates > 0
			? {isPossible: true, text: `Another member takes over the only vote; ${rejoins}`}
			: impossible('This node has the only vote, and no other member can be reached to take it over');
	if (reachable * 2 <= rest.length)
		return impossible(`Without this node ${reachable} of ${plural(rest.length)} would be reachable: no quorum`);
	// The number of voters stays odd: the leader promotes a learner, or demotes one of two voters.
	const voters =
		rest.length % 2 === 1 ? rest.length : candidates > 0 ? rest.length + 1 : rest.length === 2 ? 1 : rest.length;
	const missing = rest.length - reachable;
	const spare = voters - missing - quorumSize(voters);
	return {
		isPossible: true,
		text:
			`${plural(voters)} ${voters === 1 ? 'remains' : 'remain'}: ` +
			`${spare <= 0 ? 'none may fail' : `${spare} may fail`}; ${rejoins}`,
	};
}

function plural(voters: number): string {
	return voters === 1 ? '1 voter' : `${voters} voters`;
}
