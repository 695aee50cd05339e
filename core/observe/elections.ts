/**
The elections that a node observed, a lane for each term: who led before, why that ended, who won, and for how long
nobody led. A node records the outcome of an election, and not the votes and refusals of other nodes. Pure.
*/
import type {Snapshot} from '../snapshot.ts';
import {leaderChanges} from './leaders.ts';
import {leaderReason} from './leader-text.ts';
import type {Label} from './node-label.ts';
import {duration} from './quantity-text.ts';

export type ElectionStep = {
	readonly atMs: number;
	readonly text: string;
	readonly tone: 'good' | 'warning' | 'bad' | 'plain';
};
export type Election = {
	readonly term: number;
	/** One sentence of cause. */
	readonly cause: string;
	readonly steps: readonly ElectionStep[];
};

/** The newest term first. */
export function electionsOf(snapshot: Snapshot, label: Label): readonly Election[] {
	const lanes = new Map<number, ElectionStep[]>();
	const causes = new Map<number, string>();
	const changes = leaderChanges(snapshot);
	for (const [index, change] of changes.entries()) {
		const {term, leader, previous, cause, withoutLeaderMs, at} = change;
		const lane = lanes.get(term) ?? [];
		lanes.set(term, lane);
		const reason = leaderReason(change, {name: label, duration});
		if (leader === undefined) {
			lane.push({
				atMs: at,
				tone: 'bad',
				text:
					previous === undefined
						? 'no leader is known'
						: `${label(previous)} is given up${reason === '' ? '' : `: ${reason}`}`,
			});
			continue;
		}

		const gap = withoutLeaderMs ? `, after ${duration(withoutLeaderMs)} without a leader` : '';
		const isAgain = previous === leader && changes[index - 1]?.term === term;
		lane.push({
			atMs: at,
			tone: 'good',
			text: isAgain ? `${label(leader)} is heard again${gap}` : `${label(leader)} leads${gap}`,
		});
		if (cause === 'started' || previous === undefined)
			causes.set(term, `${label(leader)} led when this node started or the cluster was founded.`);
		else if (!causes.has(term) && !isAgain)
			causes.set(
				term,
				`${reason === '' ? `${label(previous)} led before` : reason}; ${label(leader)} won term ${term}` +
					`${withoutLeaderMs ? ` in ${duration(withoutLeaderMs)}` : ''}.`,
			);
	}

	const {role, votes, term} = snapshot.raft;
	if (votes.length > 0 && (role === 'candidate' || role === 'pre-candidate')) {
		const lane = lanes.get(term) ?? [];
		lanes.set(term, lane);
		lane.push({
			atMs: snapshot.atMs,
			tone: 'warning',
			text:
				`this node asks for ${role === 'pre-candidate' ? 'pre-votes' : 'votes'}; ` +
				`granted by ${votes.map(id => label(id)).join(', ')}`,
		});
	}

	return [...lanes]
		.toSorted(([one], [other]) => other - one)
		.map(([number, steps]) => ({
			term: number,
			steps,
			cause: causes.get(number) ?? 'Nobody won this term, as far as this node knows.',
		}));
}
