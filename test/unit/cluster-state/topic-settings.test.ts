/** Protocol 3 adds to the replicated state: created topics with their retention settings, and deleted topics. */
import * as fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {ClusterState} from '../../../core/cluster-state/cluster-state.ts';
import {decodeEnvelope, encodeContext, encodeEnvelope, type Command} from '../../../core/cluster-state/command.ts';
import {decode} from '../../../core/codec.ts';
import type {NodeId, Topic} from '../../../core/message.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const news = 'news' as Topic;
const sport = 'sport' as Topic;

class Cluster {
	readonly topics: ClusterState;
	#index = 0;
	#seq = 0;

	constructor(protocol = 3, topicsMax = 100) {
		this.topics = new ClusterState({topicsMax, membersMax: 10});
		this.topics.applyConfiguration(
			++this.#index,
			[a],
			encodeContext({clusterId: 'c1', node: a, address: 'h:1', protocol}),
		);
		this.topics.applyConfiguration(++this.#index, [a, b], encodeContext({node: b, address: 'h:2'}));
	}

	apply(command: Command): ReturnType<ClusterState['apply']> {
		return this.topics.apply(
			++this.#index,
			encodeEnvelope({node: a, incarnation: 1, seq: ++this.#seq, answeredBelow: 1, lamport: 1, command}),
		);
	}

	create(
		topic: Topic,
		settings: Extract<Command, {type: 'create'}>['settings'] = {},
		update = false,
	): ReturnType<ClusterState['apply']> {
		return this.apply({type: 'create', topic, node: a, settings, update});
	}

	delete(topic: Topic, until: number, force = false): ReturnType<ClusterState['apply']> {
		return this.apply({type: 'delete', topic, node: a, until, force});
	}

	subscribe(topic: Topic, node: NodeId, since = 0): ReturnType<ClusterState['apply']> {
		return this.apply({type: 'subscribe', topic, node, since});
	}
}

describe('a created topic', () => {
	test('exists without subscribers, and outlives the last of them', () => {
		const cluster = new Cluster();
		expect(cluster.create(news, {retainAgeS: 60})).toMatchObject({
			result: {ok: true},
			events: [{type: 'created', topic: news, node: a, settings: {retainAgeS: 60}}],
		});
		cluster.subscribe(news, b);
		cluster.apply({type: 'unsubscribe', topic: news, node: b});
		expect(cluster.topics.topics()).toEqual([{name: news, subscribers: new Map(), settings: {retainAgeS: 60}}]);
		cluster.topics.applyConfiguration(99, [a], new Uint8Array(0));
		expect(cluster.topics.settings(news)).toEqual({retainAgeS: 60});
	});

	test('is unchanged when it is created again; other settings require an update', () => {
		const cluster = new Cluster();
		cluster.create(news, {retainAgeS: 60});
		expect(cluster.create(news, {retainAgeS: 60})).toMatchObject({result: {ok: true}, events: []});
		expect(cluster.create(news, {retainBytes: 8192})).toMatchObject({
			result: {ok: false, reason: 'the topic news exists with other settings'},
			events: [],
		});
		expect(cluster.create(news, {retainBytes: 8192}, true)).toMatchObject({
			result: {ok: true},
			events: [{type: 'created'}],
		});
		expect(cluster.topics.settings(news)).toEqual({retainBytes: 8192});
	});

	test('counts against the limit once, with or without subscribers', () => {
		const cluster = new Cluster(3, 2);
		cluster.create(news);
		cluster.subscribe(news, a);
		expect(cluster.create(sport).result.ok).toBe(true);
		expect(cluster.create('more' as Topic).result).toEqual({
			ok: false,
			reason: 'Expected at most 2 topics, got one more: more',
		});
		expect(cluster.subscribe('more' as Topic, a).result.ok).toBe(false);
		expect(cluster.subscribe(sport, a).result.ok).toBe(true);
	});
});

describe('a deleted topic', () => {
	test('loses its settings; while it has subscribers, only a forced deletion is accepted', () => {
		const cluster = new Cluster();
		cluster.create(news, {retainAgeS: 60});
		cluster.subscribe(news, b, 7);
		expect(cluster.delete(news, 100)).toMatchObject({
			result: {ok: false, reason: `the topic news has subscribers: ${b}`},
			events: [],
		});
		expect(cluster.topics.deletions()).toEqual(new Map());
		expect(cluster.delete(news, 100, true)).toMatchObject({
			result: {ok: true},
			events: [
				{type: 'unsubscribed', topic: news, node: b},
				{type: 'topic-deleted', topic: news, node: a},
			],
		});
		expect([cluster.topics.topics(), cluster.topics.deletions(), cluster.topics.latestSince]).toEqual([
			[],
			new Map([[news, 100]]),
			100,
		]);
	});

	test('is wanted only from its deletion on, for any start of a subscription', () => {
		const cluster = new Cluster();
		cluster.delete(news, 100);
		cluster.subscribe(news, a, 0);
		cluster.subscribe(news, b, 300);
		cluster.subscribe(sport, a, 0);
		expect([cluster.topics.subscribers(news), cluster.topics.subscribers(sport)]).toEqual([
			new Map([
				[a, 100],
				[b, 300],
			]),
			new Map([[a, 0]]),
		]);
	});

	test('stays deleted up to the latest agreed time, even when created again', () => {
		const cluster = new Cluster();
		cluster.delete(news, 100);
		cluster.create(news);
		cluster.delete(news, 40);
		expect(cluster.topics.deletions().get(news)).toBe(100);
	});

	test('is remembered while it is among the newest 4096', () => {
		const cluster = new Cluster();
		for (let index = 0; index <= 4096; index++) cluster.delete(`t${index}` as Topic, index + 1);
		expect(cluster.topics.deletions().size).toBe(4096);
		expect([
			cluster.topics.deletions().has('t0' as Topic),
			cluster.topics.deletions().get('t4096' as Topic),
		]).toEqual([false, 4097]);
	});
});

describe('before protocol 3 is agreed', () => {
	test('the state equals that of the previous version byte for byte, for any log of a later version', () => {
		const [cluster, expected] = [new Cluster(2), new Cluster(2)];
		expect(cluster.create(news, {retainAgeS: 60})).toMatchObject({
			result: {ok: false, reason: 'Expected a command of protocol 2, got one of protocol 3'},
			events: [],
		});
		expect(cluster.delete(news, 100, true).result.ok).toBe(false);
		expected.topics.applyNothing(4);
		const bytes = Buffer.from(cluster.topics.save());
		expect(bytes.equals(Buffer.from(expected.topics.save()))).toBe(true);
		expect(decode(bytes)).toMatchObject({version: 2});
		expect(Object.keys(decode(bytes) as object)).not.toContain('created');
	});

	test('a state of the previous version is read, without settings and deletions', () => {
		const cluster = new Cluster(3);
		cluster.create(news);
		cluster.topics.load(new Cluster(2).topics.save());
		expect([cluster.topics.protocol, cluster.topics.topics(), cluster.topics.deletions()]).toEqual([
			2,
			[],
			new Map(),
		]);
	});
});

test('settings and times beyond their bounds are no commands', () => {
	const read = (command: object): unknown =>
		decodeEnvelope(
			encodeEnvelope({
				node: a,
				incarnation: 1,
				seq: 1,
				answeredBelow: 1,
				lamport: 1,
				command: command as Command,
			}),
		)?.command;
	const create = {type: 'create', topic: news, node: a, settings: {}, update: false};
	expect(read(create)).toEqual(create);
	for (const settings of [
		undefined,
		null,
		5,
		{retainAgeS: 0},
		{retainAgeS: 1.5},
		{retainAgeS: 1e12},
		{retainBytes: 100},
		{retainBytes: '4096'},
		{retainBytes: 2 ** 51},
	])
		expect(read({...create, settings})).toBeUndefined();
	const gone = {type: 'delete', topic: news, node: a, until: 5, force: true};
	expect(read(gone)).toEqual(gone);
	for (const wrong of [{until: -1}, {until: 2 ** 48}, {until: undefined}, {force: 1}, {topic: ''}])
		expect(read({...gone, ...wrong})).toBeUndefined();
});

test('any log gives the same state with a snapshot at any point, and no subscriber wants deleted messages', () => {
	const topic = fc.constantFrom(news, sport);
	const node = fc.constantFrom(a, b);
	const command = fc.oneof(
		fc.record({
			type: fc.constant('create' as const),
			topic,
			node,
			settings: fc.constantFrom({}, {retainAgeS: 5}, {retainBytes: 8192}),
			update: fc.boolean(),
		}),
		fc.record({type: fc.constant('delete' as const), topic, node, until: fc.nat(50), force: fc.boolean()}),
		fc.record({type: fc.constant('subscribe' as const), topic, node, since: fc.nat(50)}),
		fc.record({type: fc.constant('unsubscribe' as const), topic, node}),
	);
	fc.assert(
		fc.property(fc.array(command, {maxLength: 30}), fc.nat(30), (commands, cut) => {
			const [whole, restarted] = [new Cluster(), new Cluster()];
			const latest = new Map<Topic, number>();
			for (const [index, one] of commands.entries()) {
				const {result} = whole.apply(one);
				restarted.apply(one);
				if (index === cut) restarted.topics.load(restarted.topics.save());
				expect(Buffer.from(whole.topics.save()).equals(Buffer.from(restarted.topics.save()))).toBe(true);
				if (one.type === 'delete' && result.ok)
					latest.set(one.topic, Math.max(one.until, latest.get(one.topic) ?? 0));
				expect(whole.topics.deletions()).toEqual(latest);
				for (const name of [news, sport])
					for (const since of whole.topics.subscribers(name).values())
						expect(since).toBeGreaterThanOrEqual(latest.get(name) ?? 0);
			}
		}),
	);
});
