/**
The header of the console: facts about the node on the left, about its cluster on the right. Pure. A narrow screen drops
the segments of the highest rank first.
*/
import {labelsOf} from '../../core/observe/node-label.ts';
import {fitCells, printable, widthOf} from '../../core/observe/printable.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import type {Attachment} from '../source/source.ts';
import type {Span} from './columns.ts';
import {age, count, plural} from './words.ts';

export type HeaderFacts = {
	readonly snapshot: Snapshot | undefined;
	readonly title: string;
	readonly connection: 'connecting' | 'connected' | 'lost';
	readonly isReadonly: boolean;
	readonly isRemote: boolean;
	/** Of an attached console. */
	readonly attachment?: Attachment | undefined;
};

/** Cells of a node's name, and of a cluster's. */
const nameCells = 20;

/** `rank`: the highest is dropped first; rank 0 is always shown. */
type Segment = {readonly spans: readonly Span[]; readonly rank: number};

const segment = (rank: number, ...spans: readonly Span[]): Segment => ({rank, spans});
const maybe = (is: boolean, made: () => Segment): readonly Segment[] => (is ? [made()] : []);

/** The header in at most `width` cells. */
export function headerSpans(facts: HeaderFacts, width: number): readonly Span[] {
	let left = leftSegments(facts);
	let right = rightSegments(facts);
	while (cellsOf(left) + cellsOf(right) + 2 > width) {
		const highest = Math.max(...[...left, ...right].map(({rank}) => rank));
		if (highest === 0) break;
		left = left.filter(({rank}) => rank !== highest);
		right = right.filter(({rank}) => rank !== highest);
	}

	const between = Math.max(1, width - cellsOf(left) - cellsOf(right));
	return [...joined(left), {text: ' '.repeat(between), tone: 'plain'}, ...joined(right)];
}

function leftSegments(facts: HeaderFacts): readonly Segment[] {
	const {snapshot, title, isReadonly, isRemote, connection, attachment} = facts;
	const {context, insteadOf} = attachment ?? {};
	return [
		segment(0, {text: ` ${printable(title)} `, tone: 'title'}),
		...(context
			? [segment(1, {text: ` ${shortened(printable(context.name))} `, tone: 'selected', colour: context.colour})]
			: maybe(isRemote, () => segment(6, {text: 'attached', tone: 'muted'}))),
		...maybe(isReadonly, () => segment(2, {text: 'read-only', tone: 'warning'})),
		// An outdated view must not look like that of a node that answers.
		...maybe(connection === 'lost' && snapshot !== undefined, () =>
			segment(1, {text: 'last view of', tone: 'warning'}),
		),
		...(snapshot ? nodeSegments(snapshot) : []),
		...maybe(insteadOf !== undefined, () =>
			segment(1, {text: 'instead of ', tone: 'warning'}, {text: shortened(insteadOf!), tone: 'warning'}),
		),
	];
}

function nodeSegments({members, self, address, cluster, uptimeMs}: Snapshot): readonly Segment[] {
	return [
		segment(0, {text: shortened(labelsOf(members)(self)), tone: 'accent'}),
		segment(3, {text: printable(address), tone: 'plain'}),
		segment(4, {text: 'cluster ', tone: 'muted'}, {text: shortened(printable(cluster)), tone: 'plain'}),
		segment(8, {text: `up ${age(uptimeMs)}`, tone: 'muted'}),
	];
}

function rightSegments({snapshot, connection}: HeaderFacts): readonly Segment[] {
	const lost = maybe(connection === 'lost', () => segment(0, {text: ' NODE LOST ', tone: 'alarm'}));
	if (!snapshot)
		return [
			...lost,
			...maybe(connection === 'connecting', () => segment(0, {text: 'connecting… ', tone: 'warning'})),
		];
	const {phase, insecure, faults, lamport, raft} = snapshot;
	const isRunning = phase === 'running';
	return [
		...lost,
		...maybe(insecure.length > 0, () => segment(0, {text: ' INSECURE ', tone: 'alarm'})),
		...maybe(faults.length > 0, () => segment(1, {text: plural(faults.length, 'fault'), tone: 'warning'})),
		...maybe(!isRunning, () => segment(1, {text: phase.toUpperCase(), tone: 'warning'})),
		// A node that is not admitted yet has no role and no quorum. Those of a lost node are no longer known.
		...(raft.voters.length > 0 && connection !== 'lost' ? raftSegments(snapshot) : []),
		segment(5, {text: 'lamport ', tone: 'muted'}, {text: count(lamport), tone: 'plain'}),
		...maybe(isRunning, () => segment(7, {text: 'running', tone: 'muted'})),
	];
}

function raftSegments({raft, members}: Snapshot): readonly Segment[] {
	const {role, term, leader, quorum, reachableVoters, voters} = raft;
	const roleSpan: Span =
		role === 'leader'
			? {text: '★ LEADER', tone: 'good'}
			: {text: role, tone: role.endsWith('candidate') ? 'warning' : 'plain'};
	const leaderSpans: readonly Span[] =
		leader === undefined
			? [{text: 'no leader', tone: 'bad'}]
			: [
					{text: 'leader ', tone: 'muted'},
					{text: shortened(labelsOf(members)(leader)), tone: 'accent'},
				];
	return [
		segment(1, roleSpan, {text: ` term ${term}`, tone: 'muted'}),
		...maybe(leader === undefined || role !== 'leader', () => segment(2, ...leaderSpans)),
		segment(0, {
			text:
				`${{held: 'quorum held', electing: 'ELECTING', lost: 'NO QUORUM'}[quorum]}: ` +
				`${reachableVoters} of ${voters.length} up`,
			tone: quorum !== 'held' ? 'bad' : reachableVoters < voters.length ? 'warning' : 'good',
		}),
	];
}

const separator: Span = {text: '  ', tone: 'plain'};

function joined(segments: readonly Segment[]): readonly Span[] {
	return segments.flatMap(({spans}) => [...spans, separator]);
}

function cellsOf(segments: readonly Segment[]): number {
	return joined(segments).reduce((sum, span) => sum + widthOf(span.text), 0);
}

function shortened(text: string): string {
	return widthOf(text) > nameCells ? fitCells(text, nameCells) : text;
}
