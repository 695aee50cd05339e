/** Predicates over the events that a headless node prints, for `NodeProcess.waitFor`. */
import type {JsonEvent, NodeProcess} from '../../../bench/cluster.ts';

export type EventPredicate = (event: JsonEvent) => boolean;

export const isReady: EventPredicate = ({type}) => type === 'ready';
/** The node is a member of a cluster. */
export const isAdmitted: EventPredicate = ({type}) => type === 'admitted';
/** The node knows a leader, itself included. */
export const hasLeader: EventPredicate = ({type, leader}) => type === 'leader' && typeof leader === 'string';

export const isLeader =
	({id}: {readonly id: string}): EventPredicate =>
	({type, leader}) =>
		type === 'leader' && leader === id;

export const isNewLeader =
	(former: {readonly id: string}): EventPredicate =>
	event =>
		hasLeader(event) && event['leader'] !== former.id;

export const hasVoters =
	(count: number): EventPredicate =>
	({type, voters}) =>
		type === 'voters' && (voters as readonly string[]).length === count;

/** A new state of this member, as the node that prints the event sees it. */
export const isMember =
	({id: member}: {readonly id: string}, expected: string): EventPredicate =>
	({type, id, state}) =>
		type === 'member' && id === member && state === expected;

/** The subscription of this node is agreed. @param name any topic by default */
export const isSubscribed =
	({id}: {readonly id: string}, name?: string): EventPredicate =>
	({type, node, topic}) =>
		type === 'subscribed' && node === id && (name === undefined || topic === name);

export const isMessage =
	(text: string): EventPredicate =>
	({type, payload}) =>
		type === 'message' && payload === text;

export const isQuorum =
	(expected: 'held' | 'lost'): EventPredicate =>
	({type, held}) =>
		type === 'quorum' && held === (expected === 'held');

export const isPartition =
	(expected: 'detected' | 'healed' | 'repaired'): EventPredicate =>
	({type, state}) =>
		type === 'partition' && state === expected;

/** A refused peer or join, for a reason that matches. */
export const isRefused =
	(pattern: RegExp): EventPredicate =>
	({type, reason}) =>
		type === 'refused' && pattern.test(String(reason));

export const isWarning =
	(pattern: RegExp): EventPredicate =>
	({type, text}) =>
		type === 'warning' && pattern.test(String(text));

/** Resolves when each of the nodes has printed a matching event, with these events. */
export const waitForAll = (
	nodes: readonly NodeProcess[],
	matches: EventPredicate,
	what: string,
	starts: readonly number[] = [],
): Promise<JsonEvent[]> => Promise.all(nodes.map((node, index) => node.waitFor(matches, what, starts[index])));

/** The number of events of each node so far: the `starts` of a later wait. */
export const eventCounts = (nodes: readonly NodeProcess[]): number[] => nodes.map(({events}) => events.length);

/** End the nodes that still run. */
export async function killAll(nodes: readonly NodeProcess[]): Promise<void> {
	await Promise.all(nodes.filter(({isRunning}) => isRunning).map(node => node.kill('SIGKILL')));
}
