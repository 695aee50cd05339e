/**
When to promote a learner. The number of voters is kept odd: a second voter adds a node that must be up, without adding
one that may fail. So a single voter stays alone until two learners are ready. Single-step changes pass through even
numbers; an even number is completed first.
*/
import type {NodeId} from '../message.ts';

/**
The next learner to promote, if any.
@param isFit the learner is reachable and has caught up
*/
export function promotion(
	configuration: {readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[]},
	isFit: (node: NodeId) => boolean,
	votersMax: number,
): NodeId | undefined {
	const {voters, learners} = configuration;
	const fit = learners.filter(learner => isFit(learner));
	const missing = voters.length % 2 === 0 ? 1 : 2;
	return fit.length >= missing && voters.length + missing <= votersMax ? fit[0] : undefined;
}

/**
The voter to demote, if any. Two voters are worse than one: both must be up. So when two voters are left, and no learner
is reachable to become the third, the voter that does not lead becomes a learner. It must be reachable: its vote is
needed to commit this change.
*/
export function demotion(
	configuration: {readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[]},
	leader: NodeId,
	isReachable: (node: NodeId) => boolean,
): NodeId | undefined {
	const {voters, learners} = configuration;
	if (voters.length !== 2 || learners.some(learner => isReachable(learner))) return undefined;
	return voters.find(voter => voter !== leader && isReachable(voter));
}
