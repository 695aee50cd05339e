/** Refused requests in the audit log: the first at once, the others as counts, within bounds. */
import {expect, test} from 'vitest';
import type {BrokerEvent} from '../../../core/events.ts';
import {intervalMs, Refusals, rowsMax, rowsPerClientMax, type Refusal} from '../../../core/observe/refusals.ts';

type Audit = Extract<BrokerEvent, {readonly type: 'audit'}>;

function start(): {
	readonly refusals: Refusals;
	readonly events: Audit[];
	readonly full: string[];
	/** Lets the time pass. */
	readonly pass: (ms: number) => void;
} {
	let nowMs = 1000;
	const events: Audit[] = [];
	const full: string[] = [];
	const refusals = new Refusals({
		nowMs: () => nowMs,
		record: event => events.push(event),
		full: client => full.push(client),
	});
	return {
		refusals,
		events,
		full,
		pass(ms) {
			nowMs += ms;
			refusals.tick();
		},
	};
}

const refusal = (target: string, by = 'a'): Refusal => ({action: 'publish', target, by, address: 'h:1', reason: 'no'});

test('the first refusal is recorded at once, and the others as one count a minute', () => {
	const {refusals, events, pass} = start();
	for (let index = 0; index < 1000; index++) refusals.add('a', refusal('wages'));
	const first = {type: 'audit', ...refusal('wages'), outcome: 'failed'};
	expect(events).toEqual([first]);
	pass(intervalMs - 1);
	expect(events).toHaveLength(1);
	pass(1);
	expect(events.slice(1)).toEqual([{...first, count: 999}]);
	refusals.add('a', {...refusal('wages'), reason: 'another'});
	expect(events).toHaveLength(3);
});

test('a minute without refusals forgets them: the next one is recorded at once', () => {
	const {refusals, events, pass} = start();
	refusals.add('a', refusal('wages'));
	pass(intervalMs);
	expect(events).toHaveLength(1);
	refusals.add('a', refusal('wages'));
	expect(events).toHaveLength(2);
});

test('a client that varies its topics leaves rows to others, and is counted', () => {
	const {refusals, events, full, pass} = start();
	for (let index = 0; index < 1000; index++) refusals.add('a', refusal(`t${index}`));
	refusals.add('b', refusal('wages', 'b'));
	expect(events).toHaveLength(rowsPerClientMax + 1);
	expect(full).toEqual(Array.from({length: 1000 - rowsPerClientMax}, () => 'a'));
	pass(intervalMs);
	expect(events.at(-1)).toMatchObject({action: 'other', count: 1000 - rowsPerClientMax});
});

test('clients without number write a bounded number of events in a minute', () => {
	const {refusals, events, pass} = start();
	for (let index = 0; index < 10_000; index++) {
		const client = `c${index % 500}`;
		refusals.add(client, refusal('wages', client));
	}

	pass(intervalMs);
	expect(events.length).toBeLessThanOrEqual(2 * rowsMax + 1);
	expect(events.reduce((sum, {count = 1}) => sum + count, 0)).toBe(10_000);
});

test('the counts are recorded when the node stops', () => {
	const {refusals, events} = start();
	refusals.add('a', refusal('wages'));
	refusals.add('a', refusal('wages'));
	refusals.close();
	expect(events).toHaveLength(2);
});
