/** The changes of the leader that a journal keeps. */
import {expect, test} from 'vitest';
import {Journal} from '../../../core/observe/journal.ts';
import {a, b} from '../../tui/support/fixtures.ts';

test('changes of the leader stay when many other events follow, and the oldest are dropped at the bound', () => {
	let nowMs = 1000;
	const journal = new Journal({wallMs: () => nowMs, nameOf: () => 'n1', feedMax: 1, eventsMax: 2, previewBytes: 1});
	journal.record({type: 'leader', term: 1, leader: a, cause: 'started'});
	for (let count = 0; count < 50; count++) journal.record({type: 'warning', text: 'busy'});
	expect(journal.events().some(({type}) => type === 'leader')).toBe(false);
	expect(journal.leaders()).toEqual([
		{type: 'leader', at: 1000, term: 1, leader: a, cause: 'started', names: {[a]: 'n1'}},
	]);
	for (let term = 2; term <= 40; term++) {
		nowMs += 1000;
		journal.record({type: 'leader', term, leader: b, previous: a, cause: 'crashed'});
	}

	expect(journal.leaders().map(({term}) => term)).toEqual(Array.from({length: 32}, (_, index) => index + 9));
});
