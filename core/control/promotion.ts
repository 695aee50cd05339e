/**
Which learner shall become a voter. The number of voters is kept odd: a second voter would add a node that must be up
without adding one that may fail. So one voter stays alone until two learners are ready, and an even number, which a
change in single steps passes through, is completed first.
*/
import type {NodeId} from '../message.ts';

/** The next learner to promote; `undefined` when the voters are as they should be. `isFit`: reachable and caught up. */
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
The voter to demote; `undefined` when the voters are as they should be. Two voters are worse than one: both must be up,
and none may fail. So when two are left, and no learner is there to make them three, the one that does not lead becomes
a learner. Without an answer from it nothing changes.
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
