/** A client of this version at a node of the previous release: missing fields are filled in. */
import {expect, test} from 'vitest';
import type {RecordedEvent} from '../../../core/events.ts';
import {currentEvent, currentSnapshot} from '../../../core/remote/older.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import * as snapshots from '../../tui/support/fixtures.ts';

/** A snapshot as release 0.1.0 sends it. */
function older(snapshot: Snapshot): Snapshot {
	const {protocol: _protocol, name: _name, foreign: _foreign, duplicates: _duplicates, ...rest} = snapshot;
	const {quorum: _quorum, ...raft} = snapshot.raft;
	const members = snapshot.members.map(
		({name: _ownName, version: _version, protocol: _spoken, ...member}, index) => ({
			...member,
			...(index === 1 && {state: 'dead', why: 'connection refused'}),
			...(index === 2 && {state: 'dead', why: 'silent'}),
		}),
	);
	return {...rest, raft, members} as unknown as Snapshot;
}

test('a snapshot of a node of protocol 1 gets all fields, and no member is `dead`', () => {
	const {protocol, name, foreign, duplicates, raft, members} = currentSnapshot(older(snapshots.healthy));
	expect({protocol, name, foreign, duplicates, quorum: raft.quorum}).toEqual({
		protocol: 1,
		name: '',
		foreign: [],
		duplicates: [],
		quorum: 'held',
	});
	expect(members.map(member => member.state)).toEqual([
		'alive',
		'down',
		'unreachable',
		...members.slice(3).map(() => 'alive'),
	]);
	expect(members[0]).toMatchObject({name: '', version: snapshots.healthy.version, protocol: 1});
	expect(members[1]).toMatchObject({name: '', version: '', protocol: 0});
	expect(
		currentSnapshot(
			older({...snapshots.healthy, raft: {...snapshots.healthy.raft, hasQuorum: false, reachableVoters: 1}}),
		).raft.quorum,
	).toBe('lost');
});

test('a snapshot of this version that lacks fields gets the same values', () => {
	const {foreign: _foreign, ...rest} = snapshots.healthy;
	const topics = snapshots.healthy.topics.map(topic => ({...topic, missing: undefined}));
	const members = snapshots.healthy.members.map(member => ({...member, name: undefined}));
	expect(currentSnapshot({...rest, cuts: undefined, topics, members} as unknown as Snapshot)).toEqual({
		...snapshots.healthy,
		foreign: [],
		topics: topics.map(topic => ({...topic, missing: 0})),
		members: members.map(member => ({...member, name: ''})),
	});
});

test('a snapshot of this version passes unchanged', () =>
	expect(currentSnapshot(snapshots.healthy)).toBe(snapshots.healthy));

test('an event of a dead member becomes unreachable', () => {
	expect(
		currentEvent({
			at: 1,
			type: 'member',
			id: 'aaaaaaaaaaaaaaaa',
			address: 'h:1',
			state: 'dead',
		} as unknown as RecordedEvent),
	).toMatchObject({state: 'unreachable'});
	const event: RecordedEvent = {at: 1, type: 'stopped', reason: 'x'};
	expect(currentEvent(event)).toBe(event);
});
