/** Evidence of a crash, pauses of the process, and the text of a change of the leader. */
import {describe, expect, test} from 'vitest';
import {CrashEvidence} from '../../../core/membership/crash-evidence.ts';
import type {NodeId} from '../../../core/message.ts';
import {leaderText, transferText, type LeaderEvent} from '../../../core/observe/leader-text.ts';
import {PauseWatch} from '../../../core/observe/pause.ts';

const [a, b] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb'] as [NodeId, NodeId];

describe('evidence of a crash', () => {
	const observe = (evidence: CrashEvidence, ...changes: ReadonlyArray<'up' | 'down' | 'refused'>): boolean[] =>
		changes.map(change => evidence.link(a, change));

	test('is a link that was up, closed, and then refused, and is reported once', () => {
		expect(observe(new CrashEvidence(), 'up', 'down', 'refused', 'refused')).toEqual([false, false, true, false]);
	});

	test('is not a refused call to a peer that was never linked, nor a link that comes up again', () => {
		expect(observe(new CrashEvidence(), 'refused', 'down', 'refused')).toEqual([false, false, false]);
		expect(observe(new CrashEvidence(), 'up', 'down', 'up', 'refused')).toEqual([false, false, false, false]);
	});

	test('concerns one peer, and is forgotten with it', () => {
		const evidence = new CrashEvidence();
		observe(evidence, 'up', 'down');
		expect(evidence.link(b, 'refused')).toBe(false);
		evidence.setMembers([b]);
		expect(evidence.link(a, 'refused')).toBe(false);
	});
});

describe('a pause of the process', () => {
	test('is a tick that is late by more than its bound, counted once', () => {
		const pauses = new PauseWatch({tickMs: 25, pauseMs: 500, nowMs: 1000});
		expect(pauses.check(1524)).toBeUndefined();
		expect(pauses.check(4000.4)).toBe(3000);
		expect(pauses.check(4025)).toBeUndefined();
	});

	test('starts at the last tick', () => {
		const pauses = new PauseWatch({tickMs: 25, pauseMs: 500, nowMs: 0});
		pauses.ticked(5000);
		expect(pauses.check(5100)).toBeUndefined();
		expect(pauses.check(7000)).toBe(2000);
	});
});

const words = (event: Partial<LeaderEvent>): string =>
	leaderText(
		{type: 'leader', term: 4, leader: a, previous: b, ...event},
		{name: id => id.slice(0, 4), duration: ms => `${ms} ms`},
	);
test('a transfer names the node that requested it, unless that is the leader itself', () => {
	const name = (id: NodeId): string => id.slice(0, 4);
	expect(transferText({type: 'transfer', from: a, to: b, by: b}, {name})).toBe(
		'aaaa hands leadership to bbbb, asked through bbbb',
	);
	expect(transferText({type: 'transfer', from: a, to: b, by: a}, {name})).toBe('aaaa hands leadership to bbbb');
});

test.each<[Partial<LeaderEvent>, string]>([
	[
		{cause: 'silent', silentMs: 620, withoutLeaderMs: 700},
		'aaaa leads term 4: bbbb was silent for 620 ms; 700 ms without a leader',
	],
	[{cause: 'silent', withoutLeaderMs: 0}, 'aaaa leads term 4: bbbb was silent'],
	[
		{cause: 'crashed', silentMs: 20, withoutLeaderMs: 60},
		'aaaa leads term 4: bbbb crashed (its link closed and a new connection was refused); 60 ms without a leader',
	],
	[{cause: 'transferred', withoutLeaderMs: 0}, 'aaaa leads term 4: bbbb handed leadership over'],
	[
		{cause: 'quorum-lost', leader: undefined, silentMs: 500},
		'No leader in term 4: bbbb heard no majority for 500 ms and stepped down',
	],
	[{cause: 'newer-term'}, 'aaaa leads term 4: a newer term replaced bbbb'],
	[{cause: 'removed'}, 'aaaa leads term 4: bbbb was removed'],
	[
		{cause: 'silent', previous: a, silentMs: 620, withoutLeaderMs: 900},
		'aaaa leads term 4: it was silent for 620 ms; 900 ms without a leader',
	],
	[{cause: 'started', previous: undefined, withoutLeaderMs: 900}, 'aaaa leads term 4'],
	[{previous: undefined, leader: undefined}, 'No leader in term 4'],
])('a change of the leader as text: %j', (event, text) => {
	expect(words(event)).toBe(text);
});
