import {expect, test} from 'vitest';
import type {BrokerEvent} from '../../../core/events.ts';
import {quorumOf, type QuorumView} from '../../../core/membership/reachability.ts';
import type {NodeId} from '../../../core/message.ts';
import {QuorumWatch} from '../../../core/observe/quorum-watch.ts';

const voters = ['a', 'b', 'c'] as NodeId[];
const view = (reachable: number, isLed: boolean, of: readonly NodeId[] = voters): QuorumView =>
	quorumOf({voters: of, leader: isLed ? voters[0] : undefined, reaches: voter => of.indexOf(voter) < reachable});

function watched(...looks: ReadonlyArray<readonly [nowMs: number, view: QuorumView]>): readonly string[] {
	const events: string[] = [];
	const watch = new QuorumWatch({
		startMs: 2000,
		electingMs: 3000,
		emit(event: BrokerEvent) {
			if (event.type === 'quorum') events.push(`${event.state} ${event.held} ${event.reachable}/${event.voters}`);
		},
	});
	for (const [nowMs, seen] of looks) watch.update(seen, nowMs);
	return events;
}

test('each change is one event, and the last event gives the present state', () => {
	expect(
		watched(
			[0, view(3, true)],
			[25, view(3, true)],
			[1000, view(1, false)],
			[1025, view(1, false)],
			[2000, view(2, true)],
		),
	).toEqual(['held true 3/3', 'lost false 1/3', 'held true 2/3']);
});

test('a node that starts without a quorum reports it once its links had time to come up', () => {
	expect(watched([0, view(1, false)], [1999, view(1, false)])).toEqual([]);
	expect(
		watched([0, view(1, false)], [1999, view(1, false)], [2000, view(1, false)], [9000, view(1, false)]),
	).toEqual(['lost false 1/3']);
	expect(watched([0, view(1, false)], [300, view(3, false)], [900, view(3, true)])).toEqual(['held true 3/3']);
});

test('an election causes an event only if it does not end', () => {
	expect(watched([0, view(3, true)], [100, view(2, false)], [1000, view(2, true)])).toEqual(['held true 3/3']);
	expect(watched([0, view(3, true)], [100, view(2, false)], [3100, view(2, false)], [3200, view(2, true)])).toEqual([
		'held true 3/3',
		'electing false 2/3',
		'held true 2/3',
	]);
});

test('a node that is no member yet reports no quorum', () => {
	expect(watched([0, view(0, false, [])], [9000, view(0, false, [])])).toEqual([]);
});
