/** Time in the console: the replay of a recording, and the last minutes of a live node. */
import {afterEach, beforeEach, describe, expect, test, vi} from 'vitest';
import type {Snapshot} from '../../core/snapshot.ts';
import type {ClientSource} from '../../tui/client-source.ts';
import {createReplay} from '../../tui/replay-source.ts';
import type {SourceState} from '../../tui/source/source.ts';
import {stepped, type Timeline} from '../../tui/source/timeline.ts';
import {framesMax, withTimeTravel} from '../../tui/time-travel.ts';
import {timeTitle} from '../../tui/view/time.ts';
import {atMs, b, FakeSource, healthy, partitioned} from './support/fixtures.ts';
import {openConsole} from './support/terminal.ts';

/** Frames a second apart; `marks` are changes of the leader. */
function timelineOf(count: number, marks: readonly number[] = [], lost: readonly number[] = []): Timeline {
	return {
		length: count,
		atMs: index => atMs + index * 1000,
		frame: index => ({
			atMs: atMs + index * 1000,
			snapshot: {...healthy, atMs: atMs + index * 1000, lamport: index},
			...(lost.includes(index) && {lost: 'connection refused'}),
		}),
		isMark: index => marks.includes(index),
	};
}

test('steps stay within the timeline, and jumps stop at marks', () => {
	const timeline = timelineOf(10, [3, 7]);
	expect(stepped(timeline, 0, 'back')).toBe(0);
	expect(stepped(timeline, 9, 'forward')).toBe(9);
	expect(stepped(timeline, 0, 'next')).toBe(3);
	expect(stepped(timeline, 3, 'next')).toBe(7);
	expect(stepped(timeline, 7, 'next')).toBe(9);
	expect(stepped(timeline, 7, 'previous')).toBe(3);
	expect(stepped(timeline, 3, 'previous')).toBe(0);
	expect([stepped(timeline, 5, 'start'), stepped(timeline, 5, 'end')]).toEqual([0, 9]);
});

describe('a replay', () => {
	beforeEach(() => void vi.useFakeTimers());
	afterEach(() => void vi.useRealTimers());
	const open = (timeline: Timeline): ClientSource => createReplay(timeline, () => Date.now());
	const shownBy = (source: ClientSource): number | undefined => source.getState().snapshot?.lamport;

	test('plays the frames at their pace, faster and slower, and stops at the end', () => {
		using source = open(timelineOf(10));
		source.travel!('play');
		expect(source.getState().time).toMatchObject({mode: 'replay', isPlaying: true, speed: 1});
		vi.advanceTimersByTime(2100);
		expect(shownBy(source)).toBe(2);
		source.travel!('faster');
		vi.advanceTimersByTime(1000);
		expect(shownBy(source)).toBe(4);
		source.travel!('play');
		vi.advanceTimersByTime(5000);
		expect(shownBy(source)).toBe(4);
		source.travel!('play');
		vi.advanceTimersByTime(10_000);
		expect(shownBy(source)).toBe(9);
		expect(source.getState().time!.isPlaying).toBe(false);
		source.travel!('play');
		expect(shownBy(source)).toBe(0);
	});

	test('shows at most ten frames a second, however fast it plays', () => {
		using source = open(timelineOf(1000));
		let updates = 0;
		for (let times = 0; times < 8; times++) source.travel!('faster');
		source.travel!('play');
		source.subscribe(() => updates++);
		vi.advanceTimersByTime(2000);
		expect(source.getState().time!.speed).toBe(64);
		expect(updates).toBeLessThanOrEqual(20);
		expect(shownBy(source)).toBeGreaterThan(100);
	});

	test('a step pauses it', () => {
		using source = open(timelineOf(10));
		source.travel!('play');
		source.travel!('forward');
		vi.advanceTimersByTime(5000);
		expect(shownBy(source)).toBe(1);
	});

	test('shows where the connection was lost', () => {
		using source = open(timelineOf(3, [], [1]));
		source.travel!('forward');
		expect(source.getState()).toMatchObject({connection: 'lost', detail: 'connection refused'});
	});
});

test('the console replays a recording: REPLAY with its wall clock, keys of time, and no actions', async () => {
	const source = createReplay(timelineOf(5, [3]));
	await using running = await openConsole(undefined, 80, 24, {source, remote: true});
	const {screen, exit} = running;
	await screen.until('REPLAY ‖ 2026-05-04 09:41:07');
	screen.type(']');
	await screen.until('09:41:08');
	screen.type('}');
	await screen.until('09:41:10');
	screen.type('{');
	await screen.until('09:41:07');
	screen.type('G');
	await screen.until('REPLAY ■ 2026-05-04 09:41:11');
	screen.type('p');
	await screen.until('This is a recording: there is no cluster that could be changed');
	screen.type(':leader transfer\r');
	await screen.until('This is a recording');
	screen.type(' ');
	await screen.until('▶');
	screen.type('>');
	await screen.until('▶ 2×');
	screen.type('q');
	expect(await exit).toBe('quit');
	source[Symbol.dispose]();
});

describe('the last minutes of a live console', () => {
	class LiveSource extends FakeSource implements ClientSource {
		[Symbol.dispose](): void {}
	}
	const at = (second: number, changes: Partial<Snapshot> = {}): Partial<SourceState> => ({
		snapshot: {...healthy, atMs: atMs + second * 1000, lamport: second, ...changes},
	});

	test('steps back and forward, and returns to the present', () => {
		const live = new LiveSource(at(0).snapshot);
		using source = withTimeTravel(live);
		for (let second = 1; second <= 5; second++) live.show(at(second));
		expect(source.getState().time).toBeUndefined();
		source.travel!('back');
		expect(source.getState()).toMatchObject({snapshot: {lamport: 4}, time: {mode: 'past', atMs: atMs + 4000}});
		live.show(at(6));
		expect(source.getState().snapshot!.lamport).toBe(4);
		source.travel!('start');
		expect(source.getState().snapshot!.lamport).toBe(0);
		source.travel!('end');
		expect(source.getState()).toBe(live.getState());
		source.travel!('back');
		source.travel!('forward');
		expect(source.getState().time).toBeUndefined();
	});

	test('jumps to a change of the leader and to a partition', () => {
		const live = new LiveSource(at(0).snapshot);
		using source = withTimeTravel(live);
		live.show(at(1));
		live.show(at(2, {raft: {...healthy.raft, leader: b}}));
		live.show(at(3, {raft: {...healthy.raft, leader: b}}));
		live.show(at(4, {raft: {...healthy.raft, leader: b}, partition: partitioned.partition}));
		live.show(at(5, {raft: {...healthy.raft, leader: b}, partition: partitioned.partition}));
		source.travel!('previous');
		expect(source.getState().snapshot!.lamport).toBe(4);
		source.travel!('previous');
		expect(source.getState().snapshot!.lamport).toBe(2);
	});

	test('keeps a bounded number, fewer for a large cluster, and forgets the oldest', () => {
		const live = new LiveSource(at(0).snapshot);
		using source = withTimeTravel(live);
		for (let second = 1; second <= framesMax + 50; second++) live.show(at(second));
		source.travel!('start');
		expect(source.getState().snapshot!.lamport).toBe(51);
		const members = Array.from({length: 1000}, () => healthy.members[0]!);
		for (let second = 1000; second < 1100; second++) live.show(at(second, {members}));
		// The frame that was shown is forgotten: the oldest one is shown.
		expect(source.getState().snapshot!.lamport).toBe(1076);
	});

	test('keeps the newest messages only', () => {
		const live = new LiveSource(at(0).snapshot);
		using source = withTimeTravel(live);
		live.show(at(1));
		source.travel!('back');
		expect(healthy.feed.length).toBeGreaterThan(50);
		expect(source.getState().snapshot!.feed).toEqual(healthy.feed.slice(-50));
	});

	test('shows the past with its age, refuses actions, and asks about quitting in the present', async () => {
		const live = new LiveSource(at(0).snapshot);
		const source = withTimeTravel(live);
		for (let second = 1; second <= 5; second++) live.show(at(second));
		await using running = await openConsole(undefined, 80, 24, {source});
		const {screen} = running;
		screen.type('[[');
		await screen.until('PAST 09:41:10');
		screen.type('p');
		await screen.until('The past cannot be changed');
		screen.type('q');
		await screen.until('Quit?');
		expect(screen.text()).not.toContain('PAST');
	});
});

test('the title has the date of a replay, and the age of the past', () => {
	const time = {atMs, endMs: atMs + 43_000, isPlaying: false, speed: 1} as const;
	expect(timeTitle({...time, mode: 'replay', isPlaying: true, speed: 0.5})).toBe('REPLAY ▶ 0.5× 2026-05-04 09:41:07');
	expect(timeTitle({...time, mode: 'past'})).toBe('PAST 09:41:07, 43 s ago');
});
