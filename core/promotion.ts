/**
Which learner shall become a voter. The number of voters is kept odd: a second voter would add a node that must be up without
adding one that may fail. So one voter stays alone until two learners are ready, and an even number, which a change in
single steps passes through, is completed first.
*/
import type {NodeId} from './message.ts';

/** The next learner to promote; `undefined` when the voters are as they should be. `isFit`: reachable and caught up. */
export function promotion(configuration: {readonly voters: readonly NodeId[]; readonly learners: readonly NodeId[]}, isFit: (node: NodeId) => boolean, votersMax: number): NodeId | undefined {
	const {voters, learners} = configuration;
	const fit = learners.filter(learner => isFit(learner));
	const missing = voters.length % 2 === 0 ? 1 : 2;
	return fit.length >= missing && voters.length + missing <= votersMax ? fit[0] : undefined;
}
