/** `trace`: where a message is, as each member answers. */
import {expect, test} from 'vitest';
import type {Topic} from '../../../core/message.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {delivery, FakeBroker} from '../../support/fakes.ts';
import {a, b, c, d, healthy, member, topic} from '../../tui/support/fixtures.ts';
import {commandLine} from './support/command-line.ts';

const {dapss} = commandLine();
const snapshot: Snapshot = {
	...healthy,
	members: [
		member(a, {name: 'one', self: true}),
		member(b, {name: 'two'}),
		member(c, {name: 'three', state: 'unreachable', why: 'no answer for 5 s'}),
		member(d, {name: 'four'}),
	],
	topics: [topic('news', {subscribers: [a, b, c]})],
};

/** A member that has the stream up to `last`, and gives these messages of it. */
function memberAt(last: number, kept: readonly number[], changes: {readonly hops?: number} = {}): FakeBroker {
	const broker = new FakeBroker(snapshot);
	broker.agreed = Promise.resolve([{topic: 'news' as Topic, since: 0, streams: [[a, 1, last]]}]);
	broker.deliveries = [kept.map(seq => ({...delivery(seq, 'text'), origin: a, incarnation: 1, hops: 1, ...changes}))];
	return broker;
}

const cluster =
	(brokers: Readonly<Record<string, FakeBroker>>) =>
	(address: string): FakeBroker => {
		const broker = brokers[address];
		if (!broker) throw new Error(`${address}: connection refused`);
		return broker;
	};

test('says who has the message, over how many hops, and why the others do not', async () => {
	const {code, out} = await dapss('trace news one 7', {
		broker: cluster({'127.0.0.1:5000': memberAt(9, [7, 8], {hops: 0}), '127.0.0.1:5001': memberAt(5, [])}),
	});
	expect(code).toBe(0);
	expect(out).toMatch(/^#7 of one \(incarnation 1\) in news, published /u);
	expect(out).toMatch(/^one +has it +published here$/mu);
	expect(out).toMatch(/^two +not yet +it has the messages of the origin up to #5$/mu);
	expect(out).toMatch(/^three +unknown +no answer for 5 s$/mu);
	expect(out).toMatch(/^four +not subscribed /mu);
});

test('tells a message that was removed, and ends with 1 when no member has it', async () => {
	const {code, out} = await dapss('trace news one 7 -o json', {
		broker: cluster({'127.0.0.1:5000': memberAt(9, [8, 9]), '127.0.0.1:5001': memberAt(9, [9])}),
	});
	expect(code).toBe(1);
	expect(JSON.parse(out.split('\n')[0]!)).toMatchObject({
		origin: a,
		seq: 7,
		lamport: null,
		members: [{coverage: 'not kept'}, {coverage: 'not kept'}, {coverage: 'unknown'}, {coverage: 'not subscribed'}],
	});
});

test('does not ask members that do not subscribe, because a reader would subscribe them', async () => {
	const four = memberAt(9, [7]);
	await dapss('trace news one 7', {
		broker: cluster({
			'127.0.0.1:5000': memberAt(9, [7]),
			'127.0.0.1:5001': memberAt(9, [7]),
			'127.0.0.1:5003': four,
		}),
	});
	expect(four.subscriptions).toEqual([]);
});

test('refuses an unknown origin and a number that is none', async () => {
	expect(await dapss('trace news nobody 7')).toMatchObject({code: 2});
	expect(await dapss('trace news 5000 0')).toMatchObject({code: 2});
});
