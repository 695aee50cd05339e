/** Which client reached a limit: bounded, in the counters and as an event. */
import {expect, test} from 'vitest';
import {Attribution, namesMax} from '../../../core/observe/attribution.ts';
import {Journal} from '../../../core/observe/journal.ts';
import {statusOf} from '../../../source/output/status.ts';
import {healthy} from '../../tui/support/fixtures.ts';

const journal = (): Journal => new Journal({wallMs: () => 7, feedMax: 1, eventsMax: 100, previewBytes: 1});

test('a bound counts each client, and its first times are events', () => {
	const one = journal();
	for (let count = 0; count < 5; count++) one.bound('readers', 'client 01');
	one.bound('readers', 'address 10.0.0.1');
	one.bound('readers');
	expect(one.bounds.get('readers')).toBe(7);
	expect(one.boundsBy.all()).toEqual({
		readers: [
			['client 01', 5],
			['address 10.0.0.1', 1],
		],
	});
	expect(one.events().map(event => 'text' in event && event.text)).toEqual([
		'client 01 reached the limit readers',
		'client 01 reached the limit readers 2 times',
		'client 01 reached the limit readers 4 times',
		'address 10.0.0.1 reached the limit readers',
	]);
});

test('however many names clients have, few are kept, and few are events', () => {
	const one = journal();
	for (let name = 0; name < 10_000; name++) one.bound('connections-per-address', `client ${name}`);
	const {'connections-per-address': names = []} = one.boundsBy.all();
	expect(names.length).toBe(namesMax + 1);
	expect(names.at(-1)).toEqual(['', 10_000 - namesMax]);
	expect(one.events().length).toBe(namesMax);
	expect(one.bounds.get('connections-per-address')).toBe(10_000);
});

test('the names are sorted by their counts', () => {
	const attribution = new Attribution();
	attribution.add('x', 'a');
	for (let count = 0; count < 3; count++) attribution.add('x', 'b');
	expect(attribution.all()).toEqual({
		x: [
			['b', 3],
			['a', 1],
		],
	});
});

test('status says which client reached a bound', () => {
	const counters = {
		...healthy.counters,
		bounds: {'publish-rate': 3, topics: 1},
		boundsAtMs: {'publish-rate': 5},
		boundsBy: {'publish-rate': [['client 01', 3]]},
		clientNames: {'client 01': 'billing'},
	} as const;
	expect(statusOf({...healthy, counters}).bounds).toEqual([
		{name: 'publish-rate', count: 3, at: 5, by: [{client: 'client 01', name: 'billing', count: 3}]},
		{name: 'topics', count: 1, at: null, by: []},
	]);
});
