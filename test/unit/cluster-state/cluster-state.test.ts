import {describe, expect, test} from 'vitest';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {encodeContext, encodeEnvelope, type Command, type Envelope} from '../../../core/cluster-state/command.ts';
import type {NodeId, Topic} from '../../../core/message.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const news = 'news' as Topic;
const envelope = (command: Command, seq: number, rest: Partial<Envelope> = {}): Uint8Array =>
	encodeEnvelope({node: a, incarnation: 1, seq, answeredBelow: 1, lamport: 7, command, ...rest});

function founded(): ClusterState {
	const topics = new ClusterState({topicsMax: 2, membersMax: 10});
	topics.applyConfiguration(1, [a], encodeContext({clusterId: 'c1', node: a, address: '127.0.0.1:5000'}));
	topics.applyConfiguration(2, [a, b], encodeContext({node: b, address: '127.0.0.1:5001'}));
	return topics;
}

describe('the cluster state', () => {
	test('keeps subscriptions with their start times, and reports changes', () => {
		const topics = founded();
		const {
			result,
			events,
			envelope: read,
		} = topics.apply(3, envelope({type: 'subscribe', topic: news, node: a, since: 5}, 1));
		expect(result).toEqual({ok: true});
		expect(read?.lamport).toBe(7);
		expect(events).toEqual([{type: 'subscribed', topic: news, node: a}]);
		expect(topics.subscribers(news)).toEqual(new Map([[a, 5]]));
		topics.apply(4, envelope({type: 'unsubscribe', topic: news, node: a}, 2));
		expect(topics.topics()).toEqual([]);
	});

	test('keeps the start of a subscription when the node subscribes again', () => {
		const topics = founded();
		topics.apply(3, envelope({type: 'subscribe', topic: news, node: a, since: 5}, 1));
		const again = topics.apply(4, envelope({type: 'subscribe', topic: news, node: a, since: 9}, 2));
		expect(again.result).toEqual({ok: true});
		expect(again.events).toEqual([]);
		expect(topics.subscribers(news)).toEqual(new Map([[a, 5]]));
	});

	test('applies a retried command once and returns the same result (thesis, 6.3)', () => {
		const topics = founded();
		const first = envelope({type: 'subscribe', topic: news, node: a, since: 5}, 1);
		topics.apply(3, first);
		topics.apply(4, envelope({type: 'unsubscribe', topic: news, node: a}, 2));
		const again = topics.apply(5, first);
		expect(again.result).toEqual({ok: true});
		expect(again.events).toEqual([]);
		expect(topics.topics()).toEqual([]);
	});

	test('refuses commands of an earlier incarnation of a node', () => {
		const topics = founded();
		topics.apply(3, envelope({type: 'subscribe', topic: news, node: a, since: 5}, 1, {incarnation: 2}));
		const {result} = topics.apply(4, envelope({type: 'unsubscribe', topic: news, node: a}, 9, {incarnation: 1}));
		expect(result.ok).toBe(false);
		expect(topics.subscribers(news).has(a)).toBe(true);
	});

	test('refuses topics over the bound, and commands of non-members', () => {
		const topics = founded();
		topics.apply(3, envelope({type: 'subscribe', topic: 't1' as Topic, node: a, since: 0}, 1));
		topics.apply(4, envelope({type: 'subscribe', topic: 't2' as Topic, node: a, since: 0}, 2));
		expect(
			topics.apply(5, envelope({type: 'subscribe', topic: 't3' as Topic, node: a, since: 0}, 3)).result,
		).toMatchObject({ok: false, reason: expect.stringContaining('at most 2 topics')});
		expect(
			topics.apply(
				6,
				envelope({type: 'subscribe', topic: 't1' as Topic, node: 'cccccccccccccccc' as NodeId, since: 0}, 4),
			).result.ok,
		).toBe(false);
	});

	test('drops the state of a removed member and remembers its id', () => {
		const topics = founded();
		topics.apply(3, envelope({type: 'subscribe', topic: news, node: b, since: 0}, 1));
		expect(topics.applyConfiguration(4, [a], new Uint8Array(0))).toEqual([
			{type: 'removed', node: b, address: '127.0.0.1:5001'},
		]);
		expect(topics.isRemoved(b)).toBe(true);
		expect(topics.topics()).toEqual([]);
	});

	test('is unchanged by saving and loading, sessions included', () => {
		const topics = founded();
		const first = envelope({type: 'subscribe', topic: news, node: a, since: 5}, 1);
		topics.apply(3, first);
		const copy = new ClusterState({topicsMax: 2, membersMax: 10});
		copy.load(topics.save());
		expect(Buffer.from(copy.save()).equals(Buffer.from(topics.save()))).toBe(true);
		expect(copy.apply(4, first).events).toEqual([]);
		expect(copy.applied).toBe(4);
	});

	test('reports the latest subscription time', () => {
		const topics = founded();
		expect(topics.latestSince).toBe(0);
		topics.apply(3, envelope({type: 'subscribe', topic: news, node: a, since: 50}, 1));
		topics.apply(4, envelope({type: 'subscribe', topic: 'other' as Topic, node: b, since: 9}, 2));
		expect(topics.latestSince).toBe(50);
		topics.apply(5, envelope({type: 'unsubscribe', topic: news, node: a}, 3));
		expect(topics.latestSince).toBe(9);
	});

	test('becomes a cluster of one after unsafe recovery, with a new id and no other members', () => {
		const topics = founded();
		topics.apply(3, envelope({type: 'subscribe', topic: news, node: a, since: 5}, 1));
		topics.apply(4, envelope({type: 'subscribe', topic: news, node: b, since: 5}, 2));
		topics.forceNewCluster(5, 'c2', a);
		expect({
			id: topics.clusterId,
			members: topics.members(),
			removed: topics.removed(),
			applied: topics.applied,
		}).toEqual({id: 'c2', members: [{id: a, address: '127.0.0.1:5000'}], removed: [], applied: 5});
		expect(topics.subscribers(news)).toEqual(new Map([[a, 5]]));
	});

	test('ignores bytes that are no command', () => {
		const topics = founded();
		for (const bytes of [
			new Uint8Array(0),
			Buffer.from('hello'),
			envelope({type: 'subscribe', topic: 'a\nb' as Topic, node: a, since: 0}, 1),
		]) {
			expect(topics.apply(3, bytes).result.ok).toBe(false);
		}

		expect(topics.applied).toBe(3);
	});
});
