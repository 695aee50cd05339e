/**
What is wrong at present, as short headings with the time at which each began. A key names a problem for as long as it
lasts, so that a console can tell a new problem from one that was folded away. Pure.
*/
import type {RecordedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import type {Snapshot} from '../snapshot.ts';
import {presentLeader} from './leaders.ts';
import {printable} from './printable.ts';
import {plural} from './quantity-text.ts';
import {refusalRemedies} from './quorum-health.ts';
import {nodesText, type SituationContext, type SituationTone} from './situation-context.ts';

export type Problem = {
	readonly key: string;
	/** Such as `NO QUORUM` or `n3 DOWN`. */
	readonly heading: string;
	readonly tone: Exclude<SituationTone, 'plain' | 'good'>;
	/** Wall clock of the node; `undefined` when it is not known. */
	readonly atMs: number | undefined;
};

/** A new leader is news for this long. In milliseconds. */
const newLeaderMs = 15_000;
/** A node that joins is a learner for a moment; one that stays a learner for longer is reported. In milliseconds. */
const promotingMs = 10_000;
/** A follower that lacks more entries than are in flight is catching up. */
export const lateEntries = 256;
/** Fewer missing messages are on their way in a running cluster. */
const copyingMessages = 1000;

/** All problems, the most severe first. */
export function problemsOf(context: SituationContext): readonly Problem[] {
	const {snapshot} = context;
	return [
		...phaseProblems(snapshot),
		...quorumProblems(snapshot),
		...partitionProblems(context),
		...memberProblems(context),
		...identityProblems(snapshot),
		...linkProblems(context),
		...diskProblems(snapshot),
		...copyProblems(context),
		...leaderProblems(context),
		...faultProblems(snapshot),
	];
}

function phaseProblems({phase, uptimeMs, atMs}: Snapshot): readonly Problem[] {
	if (phase === 'running') return [];
	return [
		{
			key: `phase ${phase}`,
			heading: phase.toUpperCase(),
			tone: 'warning',
			atMs: phase === 'stopping' ? undefined : atMs - uptimeMs,
		},
	];
}

function quorumProblems({raft, phase, events}: Snapshot): readonly Problem[] {
	if (phase !== 'running' || raft.voters.length === 0 || raft.quorum === 'held') return [];
	const isLost = raft.quorum === 'lost';
	return [
		{
			key: `quorum ${raft.quorum}`,
			heading: isLost ? 'NO QUORUM' : 'NO LEADER',
			tone: isLost ? 'alarm' : 'bad',
			atMs: quorumLostAtMs(events),
		},
	];
}

/** When the quorum was last lost, if it has not been regained since. */
export function quorumLostAtMs(events: readonly RecordedEvent[]): number | undefined {
	const changes = events.filter(event => event.type === 'quorum');
	return changes[changes.findLastIndex(({held}) => held) + 1]?.at;
}

function partitionProblems({snapshot, far, here}: SituationContext): readonly Problem[] {
	const {partition, atMs} = snapshot;
	const began = atMs - partition.sinceMs;
	if (partition.state === 'repairing')
		return [{key: 'repairing', heading: 'REPAIRING', tone: 'warning', atMs: began}];
	if (partition.state === 'whole' || far.length === 0) return [];
	const hasQuorum = partition.quorum !== -1 && partition.sides[partition.quorum]?.includes(here[0]!);
	return [
		{
			key: `partition ${far.join(' ')}`,
			heading: partition.isFarHeard === false && far.length === 1 ? 'NODE UNREACHABLE' : 'PARTITION',
			tone: hasQuorum ? 'warning' : 'bad',
			atMs: began - (partition.detectedMs ?? 0),
		},
	];
}

function memberProblems(context: SituationContext): readonly Problem[] {
	const {snapshot, label, quorum, gone, stopped, degraded, far} = context;
	const begin = (downMs: number | undefined): number | undefined =>
		downMs === undefined ? undefined : snapshot.atMs - downMs;
	const apart = new Set<NodeId>(snapshot.partition.state === 'partitioned' ? far : []);
	return [
		// A partition names the nodes that it cuts off.
		...(['down', 'unreachable'] as const).flatMap((state): readonly Problem[] => {
			const those = gone.filter(member => member.state === state && (state === 'down' || !apart.has(member.id)));
			if (those.length === 0) return [];
			const ids = those.map(({id}) => id);
			return [
				{
					key: `${state} ${ids.join(' ')}`,
					heading: `${nodesText(context, ids, 4)} ${state.toUpperCase()}`,
					tone: quorum.spare > 0 ? 'warning' : 'bad',
					atMs: begin(Math.max(...those.map(({downMs = 0}) => downMs))),
				},
			];
		}),
		...stopped.map(({id, downMs}): Problem => ({
			key: `stopped ${id}`,
			heading: `${label(id)} STOPPED`,
			tone: 'warning',
			atMs: begin(downMs),
		})),
		...degraded
			.filter(({self, cause}) => !(self && cause === 'disk-full'))
			.map(({id, cause, downMs}): Problem => ({
				key: `degraded ${id} ${cause}`,
				heading: `${label(id)} ${refusalRemedies.has(cause) ? 'REFUSED' : 'DEGRADED'}`,
				tone: 'warning',
				atMs: begin(downMs),
			})),
	];
}

function identityProblems({foreign, duplicates}: Snapshot): readonly Problem[] {
	return [
		...(foreign.length > 0
			? [{key: 'foreign', heading: 'TWO CLUSTERS', tone: 'bad', atMs: undefined} as const]
			: []),
		...duplicates.slice(0, 1).map(({id}): Problem => ({
			key: `duplicate ${id}`,
			heading: 'TWO PROCESSES, ONE IDENTITY',
			tone: 'bad',
			atMs: undefined,
		})),
	];
}

function linkProblems({snapshot, cuts, oneWays}: SituationContext): readonly Problem[] {
	const problems: Problem[] = [];
	const longestMs = Math.max(0, ...snapshot.cuts.map(({forMs}) => forMs));
	const begin = longestMs > 0 ? snapshot.atMs - longestMs : undefined;
	if (cuts.length > 0)
		problems.push({
			key: 'cuts',
			heading: `${plural(cuts.length, 'LINK', 'LINKS')} CUT`,
			tone: 'warning',
			atMs: begin,
		});
	if (oneWays.length > 0)
		problems.push({
			key: 'one-way',
			heading: plural(oneWays.length, 'ONE-WAY LINK', 'ONE-WAY LINKS'),
			tone: 'warning',
			atMs: begin,
		});
	return problems;
}

function diskProblems({fullDisk}: Snapshot): readonly Problem[] {
	return fullDisk === undefined ? [] : [{key: 'disk', heading: 'DISK FULL', tone: 'bad', atMs: undefined}];
}

function copyProblems({snapshot, label}: SituationContext): readonly Problem[] {
	const {gossip, raft, members, events, atMs} = snapshot;
	const problems: Problem[] = [];
	if ((gossip.missing ?? 0) >= copyingMessages)
		problems.push({key: 'copying', heading: 'COPYING MESSAGES', tone: 'warning', atMs: undefined});
	for (const {id, match, self, cause} of members)
		if (!self && cause !== 'behind' && match !== undefined && raft.lastIndex - match > lateEntries)
			problems.push({
				key: `behind ${id}`,
				heading: `${label(id)} CATCHES UP`,
				tone: 'warning',
				atMs: undefined,
			});
	const learner = raft.isPromoting ? raft.learners.find(id => isReached(id, members)) : undefined;
	if (learner === undefined) return problems;
	const joinedAtMs = events.findLast(event => event.type === 'member' && event.id === learner)?.at;
	if (joinedAtMs === undefined || atMs - joinedAtMs > promotingMs)
		problems.push({
			key: `promoting ${learner}`,
			heading: `${label(learner)} HAS NO VOTE YET`,
			tone: 'warning',
			atMs: joinedAtMs,
		});
	return problems;
}

function isReached(id: NodeId, members: Snapshot['members']): boolean {
	return members.some(member => member.id === id && member.reached);
}

function leaderProblems({snapshot}: SituationContext): readonly Problem[] {
	const {raft, atMs, phase} = snapshot;
	const change = presentLeader(snapshot);
	if (phase !== 'running' || raft.leader === undefined || !change || change.cause === 'started') return [];
	// A leader that is heard again was replaced by nobody.
	if (change.previous === undefined || change.previous === change.leader) return [];
	if (atMs - change.at > newLeaderMs) return [];
	return [
		{
			key: `leader ${change.term}`,
			heading: 'NEW LEADER',
			tone: 'warning',
			atMs: change.at,
		},
	];
}

function faultProblems({faults, events}: Snapshot): readonly Problem[] {
	if (faults.length === 0) return [];
	return [
		{
			key: `fault ${faults.map(fault => printable(fault).replace(/ \(.*/u, '')).join(' ')}`,
			heading: `${plural(faults.length, 'FAULT', 'FAULTS')} INJECTED`,
			tone: 'warning',
			atMs: events.findLast(event => event.type === 'fault')?.at,
		},
	];
}
