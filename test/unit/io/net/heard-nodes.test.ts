import {expect, test} from 'vitest';
import type {Beacon} from '../../../../core/io/net/beacon.ts';
import {HeardNodes, settleMs, type HeardNode} from '../../../../core/io/net/heard-nodes.ts';
import type {NodeId} from '../../../../core/message.ts';

let counter = 0;
const beacon = (
	digit: string,
	topics: readonly string[] = [],
	phase: Beacon['phase'] = 'member',
): Beacon & {readonly counter: number} => ({
	counter: ++counter,
	id: digit.repeat(16) as NodeId,
	incarnation: 1,
	clusterId: 'c',
	address: `10.0.0.${digit}:5000`,
	phase,
	topics,
	name: '',
});
const untilMs = 1500;
/** The digits of the nodes that are taken in turn at that time; a wait ends the list. */
function takeAll(heard: HeardNodes, nowMs: number): string[] {
	const taken: string[] = [];
	for (;;) {
		const next = heard.take(nowMs);
		if (!next) return taken;
		if ('waitMs' in next) return [...taken, `wait ${next.waitMs}`];
		taken.push((next satisfies HeardNode).id[0]!);
	}
}

test('a member that subscribes to all topics is taken at once; without topics, any member', () => {
	const heard = new HeardNodes({topics: ['news', 'sport'], untilMs});
	expect(takeAll(heard, 0)).toEqual(['wait 1500']);
	heard.hear(beacon('1', ['news']), true, 10);
	expect(takeAll(heard, 10)).toEqual([`wait ${settleMs}`]);
	heard.hear(beacon('2', ['sport', 'weather', 'news']), true, 20);
	expect(takeAll(heard, 20)).toEqual(['2', `wait ${settleMs - 10}`]);

	const any = new HeardNodes({topics: [], untilMs});
	any.hear(beacon('3', ['news']), true, 5);
	expect(any.take(5)).toEqual({
		id: '3333333333333333',
		address: '10.0.0.3:5000',
		clusterId: 'c',
		name: '',
		isMember: true,
		subscribes: [],
	});
	expect(takeAll(any, 5)).toEqual(['wait 1495']); // That node was not usable: other nodes may be heard.
});

test('subscribers come before other members, members before joining nodes, then the first heard', () => {
	const heard = new HeardNodes({topics: ['news', 'sport'], untilMs});
	heard.hear(beacon('1', ['news', 'sport'], 'seeking'), true, 1); // The topics that it wants are not agreed.
	expect(takeAll(heard, 1)).toEqual(['wait 1499']);
	for (const [digit, topics] of [
		['2', []],
		['3', ['weather']],
		['4', ['news']],
		['5', ['sport']],
		['6', ['news', 'sport']],
	] as const)
		heard.hear(beacon(digit, topics), true, 2);
	expect(takeAll(heard, 2)).toEqual(['6', 'wait 600']);
	expect(takeAll(heard, 2 + settleMs)).toEqual(['4', '5', '2', '3', 'wait 898']);
	expect(takeAll(heard, untilMs)).toEqual(['1']);
	expect(takeAll(heard, untilMs)).toEqual([]);
	expect(heard.size).toBe(6);
});

test('a node is taken once, as in its last beacon, with the topics of all its beacons', () => {
	const heard = new HeardNodes({topics: ['news'], untilMs});
	heard.hear(beacon('1', [], 'seeking'), true, 1);
	heard.hear(beacon('1', ['news']), true, 2);
	heard.hear({...beacon('1', ['other']), address: '10.0.0.9:5000'}, true, 3);
	expect(heard.take(3)).toMatchObject({address: '10.0.0.9:5000', isMember: true, subscribes: ['news']});
	heard.hear(beacon('1', ['news']), true, 4);
	expect(takeAll(heard, untilMs)).toEqual([]);
});

test('the number of nodes is bounded, and the clusters of the members are counted', () => {
	const heard = new HeardNodes({topics: [], untilMs});
	for (let index = 0; index < 1100; index++)
		heard.hear(
			{...beacon('1'), id: index.toString(16).padStart(16, '0') as NodeId, clusterId: `c${index % 2}`},
			true,
			1,
		);
	expect(heard.size).toBe(1024);
	expect(heard.clusterIds).toEqual(new Set(['c0', 'c1']));
});

test('a node that proves that it runs comes before all replays, and a replay does not change it', () => {
	const heard = new HeardNodes({topics: ['news'], untilMs});
	for (const digit of ['1', '2', '3']) heard.hear(beacon(digit, ['news']), false, 1);
	const former = beacon('4', ['news']);
	heard.hear(beacon('4'), true, 2);
	heard.hear({...former, address: '10.0.0.44:5000'}, false, 3);
	expect(heard.take(2 + settleMs)).toMatchObject({address: '10.0.0.4:5000', subscribes: []});
	expect(takeAll(heard, untilMs)).toEqual(['1', '2', '3']);
});

test('without a proof nothing is best: the search waits for a node that can prove that it runs', () => {
	const heard = new HeardNodes({topics: [], untilMs});
	heard.hear(beacon('1'), false, 1);
	expect(takeAll(heard, 1)).toEqual([`wait ${settleMs}`]);
	heard.hear(beacon('2'), true, 5);
	expect(takeAll(heard, 5)).toEqual(['2', `wait ${settleMs - 4}`]);
	// A node of an earlier version cannot prove it, and is used when there is no other.
	expect(takeAll(heard, 1 + settleMs)[0]).toBe('1');
});

test('of two beacons without a proof the newer one counts, in whatever order they come', () => {
	const heard = new HeardNodes({topics: [], untilMs});
	const former = {...beacon('1'), address: '10.0.0.9:5000'};
	heard.hear(beacon('1'), false, 1);
	heard.hear(former, false, 2);
	expect(heard.take(untilMs)).toMatchObject({address: '10.0.0.1:5000'});
});
