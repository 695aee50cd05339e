/**
Protocol 2 adds to the replicated state: the agreed protocol, names, and the process that uses each identity.
*/
import * as fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {ClusterState, type ClusterStateEvent} from '../../../core/cluster-state/cluster-state.ts';
import {
	decodeContext,
	decodeEnvelope,
	encodeContext,
	encodeEnvelope,
	type Command,
	type Envelope,
	type MemberContext,
} from '../../../core/cluster-state/command.ts';
import {encode} from '../../../core/codec.ts';
import {NewerVersionError} from '../../../core/errors.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {defaultName, isNodeName, problemOfName} from '../../../core/node-name.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const c = 'cccccccccccccccc' as NodeId;
const first = '0000000000000001';
const second = '0000000000000002';
const bounds = {topicsMax: 100, membersMax: 10};

class Cluster {
	readonly topics = new ClusterState(bounds);
	#index = 0;
	#seq = 0;

	add(nodes: readonly NodeId[], context: MemberContext): readonly ClusterStateEvent[] {
		return this.topics.applyConfiguration(++this.#index, nodes, encodeContext(context));
	}

	apply(command: Command): ReturnType<ClusterState['apply']> {
		return this.topics.apply(
			++this.#index,
			encodeEnvelope({node: a, incarnation: 1, seq: ++this.#seq, answeredBelow: 1, lamport: 1, command}),
		);
	}
}

function founded(protocol?: number): Cluster {
	const cluster = new Cluster();
	cluster.add([a], {clusterId: 'c1', node: a, address: 'h:1', ...(protocol === undefined ? {} : {protocol})});
	cluster.add([a, b], {node: b, address: 'h:2'});
	return cluster;
}

describe('the agreed protocol', () => {
	test('is 1 in a cluster that the previous version founded, and only increases', () => {
		const cluster = founded();
		expect(cluster.topics.protocol).toBe(1);
		expect(cluster.apply({type: 'protocol', node: a, protocol: 2}).events).toEqual([
			{type: 'protocol', protocol: 2},
		]);
		expect(cluster.apply({type: 'protocol', node: a, protocol: 1})).toMatchObject({result: {ok: true}, events: []});
		expect(cluster.topics.protocol).toBe(2);
	});

	test('is that of the founder from the first entry on', () => {
		const cluster = new Cluster();
		expect(
			cluster.add([a], {
				clusterId: 'c1',
				protocol: 2,
				node: a,
				address: 'h:1',
				name: 'db1',
				incarnation: 1,
				instance: first,
			}),
		).toEqual([
			{type: 'founded', clusterId: 'c1'},
			{type: 'protocol', protocol: 2},
			{type: 'added', node: a, address: 'h:1'},
			{type: 'named', node: a, name: 'db1'},
		]);
		expect(cluster.topics.instance(a)).toEqual({incarnation: 1, instance: first});
	});

	test('is not raised by the entry of a joining node', () => {
		const cluster = founded();
		cluster.add([a, b, c], {node: c, address: 'h:3', protocol: 2});
		expect(cluster.topics.protocol).toBe(1);
	});
});

describe('before protocol 2 is agreed', () => {
	test('the state equals that of the previous version byte for byte, for any log of a later version', () => {
		const cluster = founded();
		const expected = founded();
		cluster.apply({type: 'name', node: a, name: 'db1'});
		expected.topics.applyNothing(3);
		cluster.apply({type: 'claim', node: a, incarnation: 1, instance: first});
		expected.topics.applyNothing(4);
		cluster.add([a, b, c], {node: c, address: 'h:3', name: 'db3', incarnation: 1, instance: second});
		expected.topics.applyConfiguration(5, [a, b, c], encodeContext({node: c, address: 'h:3'}));
		expect(Buffer.from(cluster.topics.save()).equals(Buffer.from(expected.topics.save()))).toBe(true);
	});

	test('the saved bytes equal those of the previous version', () => {
		// From release 0.1.0: the same two configuration entries, then `save()`.
		expect(
			Buffer.from(founded().topics.save()).equals(
				encode({
					version: 1,
					applied: 2,
					clusterId: 'c1',
					members: [
						[a, 'h:1'],
						[b, 'h:2'],
					],
					removed: [],
					topics: [],
					sessions: [],
				}),
			),
		).toBe(true);
	});
});

describe('names', () => {
	test('are unique among the members, ignoring case, and a refusal names the holder', () => {
		const cluster = founded(2);
		expect(cluster.apply({type: 'name', node: a, name: 'db1'})).toMatchObject({
			result: {ok: true},
			events: [{type: 'named', node: a, name: 'db1'}],
		});
		expect(cluster.apply({type: 'name', node: b, name: 'DB1'})).toMatchObject({
			result: {ok: false, reason: `the name DB1 belongs to node ${a}`},
			events: [],
		});
		expect(cluster.topics.name(b)).toBe('');
		expect(cluster.topics.nodeNamed('db1')).toBe(a);
		expect(cluster.topics.nodeNamed('db2')).toBeUndefined();
	});

	test('are free again when their node takes another name or is removed', () => {
		const cluster = founded(2);
		cluster.apply({type: 'name', node: b, name: 'db1'});
		cluster.apply({type: 'name', node: b, name: 'db2'});
		expect(cluster.apply({type: 'name', node: a, name: 'db1'}).result.ok).toBe(true);
		cluster.add([a], {});
		expect(cluster.topics.nodeNamed('db2')).toBeUndefined();
	});

	test('a node whose name is taken joins without a name', () => {
		const cluster = founded(2);
		cluster.apply({type: 'name', node: a, name: 'db1'});
		expect(cluster.add([a, b, c], {node: c, address: 'h:3', name: 'db1'})).toEqual([
			{type: 'added', node: c, address: 'h:3'},
		]);
		expect(cluster.topics.name(c)).toBe('');
	});
});

describe('claims', () => {
	test('of two processes of one incarnation the first keeps the identity; a later incarnation supersedes it', () => {
		const cluster = founded(2);
		expect(cluster.apply({type: 'claim', node: a, incarnation: 4, instance: first}).result.ok).toBe(true);
		expect(cluster.apply({type: 'claim', node: a, incarnation: 4, instance: first}).result.ok).toBe(true);
		expect(cluster.apply({type: 'claim', node: a, incarnation: 4, instance: second}).result).toEqual({
			ok: false,
			reason: `node ${a} is used by another instance (incarnation 4, instance ${first})`,
		});
		expect(cluster.apply({type: 'claim', node: a, incarnation: 3, instance: second}).result.ok).toBe(false);
		expect(cluster.topics.instance(a)).toEqual({incarnation: 4, instance: first});
		expect(cluster.apply({type: 'claim', node: a, incarnation: 5, instance: second}).result.ok).toBe(true);
		expect(cluster.topics.instance(a)).toEqual({incarnation: 5, instance: second});
	});
});

describe('claims and sessions', () => {
	test('a process that only claims the identity does not touch the session of its holder', () => {
		const {topics} = founded(2);
		const apply = (index: number, incarnation: number, seq: number, command: Command): boolean =>
			topics.apply(index, encodeEnvelope({node: a, incarnation, seq, answeredBelow: 1, lamport: 1, command}))
				.result.ok;
		const topic = 'news' as Topic;
		expect(apply(4, 4, 1, {type: 'claim', node: a, incarnation: 4, instance: first})).toBe(true);
		expect(apply(5, 4, 1, {type: 'claim', node: a, incarnation: 4, instance: second})).toBe(false);
		expect(apply(6, 9, 1, {type: 'claim', node: a, incarnation: 3, instance: second})).toBe(false);
		expect(apply(7, 4, 1, {type: 'subscribe', topic, node: a, since: 5})).toBe(true);
		expect(topics.subscribers(topic).get(a)).toBe(5);
	});
});

describe('a node name', () => {
	test.each(['db1', 'a', 'host-1.example_x-5000', 'x'.repeat(63), '1a2b3c4g'])('%s is valid', name =>
		expect(isNodeName(name)).toBe(true),
	);
	test.each(['', '5000', 'cafe', 'DEADBEEF', 'aaaaaaaaaaaaaaaa', '-x', '.x', 'a b', 'ü', 'x'.repeat(64)])(
		'%j is refused with the rule that it breaks',
		name => {
			expect(isNodeName(name)).toBe(false);
			expect(problemOfName(name)).toMatch(/\w/);
		},
	);

	test('derived from any host and port is valid', () => {
		fc.assert(
			fc.property(fc.string({maxLength: 300}), fc.integer({min: 1, max: 65_535}), (host, port) =>
				isNodeName(defaultName(host, port)),
			),
		);
		expect(defaultName('db.example.org', 5000)).toBe('db.example.org-5000');
	});
});

const nodeId = fc.constantFrom(a, b, c);
const count = fc.integer({min: 0, max: 5});
const name = fc.constantFrom('db1', 'DB1', 'db2', 'web-1');
const instance = fc.constantFrom(first, second);
const command: fc.Arbitrary<Command> = fc.oneof(
	fc.record({
		type: fc.constant('subscribe' as const),
		topic: fc.constantFrom('t1', 't2').map(topic => topic as Topic),
		node: nodeId,
		since: count,
	}),
	fc.record({
		type: fc.constant('unsubscribe' as const),
		topic: fc.constantFrom('t1', 't2').map(topic => topic as Topic),
		node: nodeId,
	}),
	fc.record({type: fc.constant('address' as const), node: nodeId, address: fc.constantFrom('h:1', 'h:9')}),
	fc.record({type: fc.constant('protocol' as const), node: nodeId, protocol: fc.integer({min: 1, max: 3})}),
	fc.record({type: fc.constant('name' as const), node: nodeId, name}),
	fc.record({type: fc.constant('claim' as const), node: nodeId, incarnation: count, instance}),
);
const envelope: fc.Arbitrary<Envelope> = fc.record({
	node: nodeId,
	incarnation: count,
	seq: count,
	answeredBelow: count,
	lamport: count,
	command,
});
const context: fc.Arbitrary<MemberContext> = fc
	.record(
		{node: nodeId, address: fc.constantFrom('h:1', 'h:2'), name, incarnation: count, instance},
		{requiredKeys: []},
	)
	// Both always change together.
	.map(({incarnation, instance: drawn, ...rest}) =>
		incarnation === undefined || drawn === undefined ? rest : {...rest, incarnation, instance: drawn},
	);
const entry = fc.oneof(
	{weight: 4, arbitrary: envelope},
	fc.record({nodes: fc.subarray([b, c]).map(nodes => [a, ...nodes]), context}),
);

describe('with any log', () => {
	const applyAll = (
		topics: ClusterState,
		entries: ReadonlyArray<Envelope | {nodes: NodeId[]; context: MemberContext}>,
	): ClusterState => {
		for (const one of entries) {
			const index = topics.applied + 1;
			if ('nodes' in one) topics.applyConfiguration(index, one.nodes, encodeContext(one.context));
			else topics.apply(index, encodeEnvelope(one));
		}

		return topics;
	};

	const start = (protocol: number | undefined): ClusterState => founded(protocol).topics;

	test('commands and contexts are unchanged by encoding and decoding', () => {
		fc.assert(
			fc.property(envelope, sent => {
				expect(decodeEnvelope(encodeEnvelope(sent))).toEqual(sent);
			}),
		);
		fc.assert(
			fc.property(context, sent => {
				expect(decodeContext(encodeContext(sent))).toEqual(sent);
			}),
		);
	});

	test('a node that starts from a snapshot has the same bytes as one that applied the whole log', () => {
		fc.assert(
			fc.property(
				fc.array(entry, {maxLength: 40}),
				fc.nat(40),
				fc.option(fc.constant(2), {nil: undefined}),
				(entries, cut, protocol) => {
					const whole = applyAll(start(protocol), entries);
					const loaded = new ClusterState(bounds);
					loaded.load(applyAll(start(protocol), entries.slice(0, cut)).save());
					expect(
						Buffer.from(applyAll(loaded, entries.slice(cut)).save()).equals(Buffer.from(whole.save())),
					).toBe(true);
				},
			),
		);
	});

	test('no two members share a name, and only members have names and instances', () => {
		fc.assert(
			fc.property(fc.array(entry, {maxLength: 40}), entries => {
				const topics = applyAll(start(2), entries);
				const names = topics
					.members()
					.map(({id}) => topics.name(id).toLowerCase())
					.filter(taken => taken !== '');
				expect(new Set(names).size).toBe(names.length);
				for (const node of [a, b, c])
					if (topics.address(node) === undefined)
						expect([topics.name(node), topics.instance(node)]).toEqual(['', undefined]);
			}),
		);
	});

	test('a state of a later version is refused with NewerVersionError, without effect', () => {
		const {topics} = founded(2);
		const before = topics.save();
		expect(() => topics.load(encode({version: 5}))).toThrow(NewerVersionError);
		expect(() => topics.load(encode({version: 5}))).toThrow(/format 5, this program reads up to 4/);
		expect(() => topics.load(encode({version: 'x'}))).toThrow('Expected a saved state of version 1 to 4, got x');
		expect(Buffer.from(topics.save()).equals(Buffer.from(before))).toBe(true);
	});
});
