/** Predicates over the events that a headless node prints, for `NodeProcess.waitFor`, and waits of several nodes. */
import {expect} from 'vitest';
import type {JsonEvent, NodeProcess} from '../../../bench/cluster.ts';

export type EventPredicate = (event: JsonEvent) => boolean;
/** A node, which may be without an id until its first event. */
type Identified = {readonly id: string};

export const isReady: EventPredicate = ({type}) => type === 'ready';
/** The node is a member of a cluster. */
export const isAdmitted: EventPredicate = ({type}) => type === 'admitted';
/** The node knows a leader, itself included. */
export const hasLeader: EventPredicate = ({type, leader}) => type === 'leader' && typeof leader === 'string';

export const isLeader =
	(node: Identified): EventPredicate =>
	({type, leader}) =>
		type === 'leader' && leader === node.id;

export const isNewLeader =
	(former: Identified): EventPredicate =>
	event =>
		hasLeader(event) && event['leader'] !== former.id;

export const hasVoters =
	(count: number): EventPredicate =>
	({type, voters}) =>
		type === 'voters' && (voters as readonly string[]).length === count;

/** A new state of this member, as the node that prints the event sees it. */
export const isMember =
	(node: Identified, expected: string): EventPredicate =>
	({type, id, state}) =>
		type === 'member' && id === node.id && state === expected;

/** The subscription of this node is agreed. @param name any topic by default */
export const isSubscribed =
	(subscriber: Identified, name?: string): EventPredicate =>
	({type, node, topic}) =>
		type === 'subscribed' && node === subscriber.id && (name === undefined || topic === name);

export const isMessage =
	(text: string): EventPredicate =>
	({type, payload}) =>
		type === 'message' && payload === text;

/** Without a quorum (`isHeld` is false) it is lost, or there is no leader. */
export const isQuorum =
	(isHeld: boolean): EventPredicate =>
	({type, held}) =>
		type === 'quorum' && held === isHeld;

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

/**
Every node detects the partition. It reports its own side first; the majority knows that it has the quorum, the minority
knows of none.
@param starts of the nodes of the majority, then of the minority
*/
export async function expectPartition(
	majority: readonly NodeProcess[],
	minority: readonly NodeProcess[],
	starts: readonly number[],
): Promise<void> {
	const sides = [majority, minority].map(side => side.map(({id}) => id).toSorted());
	const events = await waitForAll([...majority, ...minority], isPartition('detected'), 'detection', starts);
	for (const event of events.slice(0, majority.length)) expect(event).toMatchObject({sides, quorum: 0});
	for (const event of events.slice(majority.length))
		expect(event).toMatchObject({sides: sides.toReversed(), quorum: -1});
}

/** The number of events of each node so far: the `starts` of a later wait. */
export const eventCounts = (nodes: readonly NodeProcess[]): number[] => nodes.map(({events}) => events.length);

/** End the nodes that still run. */
export async function killAll(nodes: readonly NodeProcess[]): Promise<void> {
	await Promise.all(nodes.filter(({isRunning}) => isRunning).map(node => node.kill('SIGKILL')));
}
