/**
The situation of a cluster as one node sees it: whether something is wrong, and then everything that an operator needs,
in full sentences. The fold has no clock and no memory, so the same snapshot always gives the same sentences; a console
and a command may both show them. All text is printable, and nodes are called by their names.
*/
import type {Snapshot} from '../snapshot.ts';
import {clockSeconds} from './quantity-text.ts';
import {actionsOf} from './situation-actions.ts';
import {contextOf, sinceText, type SituationTone, type Statement} from './situation-context.ts';
import {problemsOf} from './situation-problems.ts';
import {
	faultStatements,
	happened,
	leaderStatements,
	linkStatements,
	messageStatements,
	nodeStatements,
	otherStatements,
	quorumStatement,
	sideStatements,
	worksStatement,
} from './situation-statements.ts';

export type {About, SituationTone, Statement} from './situation-context.ts';

export type Situation = {
	/** The present problems; a key stays the same for as long as its problem lasts. */
	readonly keys: readonly string[];
	readonly tone: SituationTone;
	/** Such as `NO QUORUM` and `PARTITION`, the most severe first. */
	readonly headings: readonly string[];
	/** `since 14:03:07 (20 s ago)`; empty when it is not known. */
	readonly since: string;
	/** In the order of their importance. */
	readonly statements: readonly Statement[];
};

/** The situation, or `undefined` while nothing is wrong. @param command the prefix of commands: `dapss-tui ` or `:` */
export function situationOf(snapshot: Snapshot, command: string): Situation | undefined {
	const context = contextOf(snapshot);
	const problems = problemsOf(context);
	const [first] = problems;
	if (!first) return undefined;
	const times = problems.flatMap(({atMs}) => (atMs === undefined ? [] : [atMs]));
	return {
		keys: problems.map(({key}) => key),
		tone: problems.some(({tone}) => tone === 'alarm')
			? 'alarm'
			: problems.some(({tone}) => tone === 'bad')
				? 'bad'
				: 'warning',
		headings: problems.map(({heading}) => heading),
		since: times.length === 0 ? '' : `since ${sinceText(Math.min(...times), snapshot.atMs)}`,
		statements: [
			...happened(context),
			...actionsOf(context, command),
			worksStatement(context),
			...sideStatements(context),
			...nodeStatements(context),
			...linkStatements(context),
			...quorumStatement(context),
			...leaderStatements(context),
			...messageStatements(context),
			...faultStatements(context),
			...otherStatements(context, command),
		],
	};
}

/** `as of 14:03:07`: the time of a snapshot that is no longer the present state. */
export function asOf({atMs}: Pick<Snapshot, 'atMs'>): string {
	return `as of ${clockSeconds(atMs)}`;
}
