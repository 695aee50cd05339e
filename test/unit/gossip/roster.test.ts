/** The tree of an origin, which each node computes by itself: for any ids and any origin the results form one tree. */
import {describe, expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {Context} from '../../../core/gossip/context.ts';
import {Roster} from '../../../core/gossip/roster.ts';
import {TopicStreams} from '../../../core/gossip/streams.ts';
import {contactsMax, Views} from '../../../core/gossip/view.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {createRandom, seeds, type SeededRandom} from '../../sim/random.ts';

const word = (random: SeededRandom): string =>
	random
		.below(2 ** 32)
		.toString(16)
		.padStart(8, '0');
const hashed = (random: SeededRandom, count: number): NodeId[] =>
	Array.from({length: count}, () => (word(random) + word(random)) as NodeId).toSorted();
const counted = (count: number): NodeId[] =>
	Array.from({length: count}, (_, index) => (index + 1).toString(16).padStart(16, '0') as NodeId);

type Spread = {readonly pushes: ReadonlyMap<NodeId, number>; readonly hops: ReadonlyMap<NodeId, number>};

/** Spreads a batch: each node relays it once, to the peers that `targetsOf` names. */
function spread(origin: NodeId, targetsOf: (node: NodeId) => Iterable<NodeId>): Spread {
	const pushes = new Map<NodeId, number>();
	const hops = new Map([[origin, 0]]);
	for (const [node, hop] of hops) {
		for (const target of targetsOf(node)) {
			pushes.set(target, (pushes.get(target) ?? 0) + 1);
			if (!hops.has(target)) hops.set(target, hop + 1);
		}
	}

	return {pushes, hops};
}

describe('roster', () => {
	test('each member gets exactly one push, over few hops, whatever the origin', () => {
		for (const seed of seeds(12)) {
			const random = createRandom(seed);
			for (const count of [1, 2, 3, 6, 10, 57, 300]) {
				for (const ids of [hashed(random, count), counted(count)]) {
					const roster = new Roster(ids);
					// Also with an origin that does not subscribe.
					for (const origin of [random.pick(ids), hashed(random, 1)[0]!]) {
						const {pushes, hops} = spread(origin, node => roster.targets(node, origin, 1));
						expect([...pushes.keys()].toSorted()).toEqual(ids.filter(id => id !== origin));
						expect(
							[...pushes.values()].every(times => times === 1),
							`seed ${seed}`,
						).toBe(true);
						expect(Math.max(...hops.values())).toBeLessThanOrEqual(Math.log2(count + 1) + 3);
					}
				}
			}
		}
	});

	test('with several copies each member has about as many parents, if there are enough other members', () => {
		const random = createRandom('copies');
		const ids = hashed(random, 200);
		const roster = new Roster(ids);
		for (const copies of [2, 3, 4]) {
			const {pushes} = spread(ids[7]!, node => roster.targets(node, ids[7]!, copies));
			expect(pushes.size).toBe(199);
			expect(Math.min(...pushes.values())).toBeGreaterThanOrEqual(copies - 1);
			expect(Math.max(...pushes.values())).toBeLessThanOrEqual(copies + 1);
		}
	});

	test('nodes that use different numbers of copies reach every member', () => {
		for (const seed of seeds(20)) {
			const random = createRandom(`${seed}/mixed`);
			const ids = hashed(random, 100);
			const roster = new Roster(ids);
			const copies = new Map(ids.map(id => [id, random.between(1, 4)]));
			expect(
				spread(ids[0]!, node => roster.targets(node, ids[0]!, copies.get(node)!)).hops.size,
				`seed ${seed}`,
			).toBe(100);
		}
	});

	test('over all origins a node pushes to a few of the others', () => {
		const random = createRandom('peers');
		const ids = hashed(random, 1000);
		const roster = new Roster(ids);
		const peers = random
			.shuffle(ids)
			.slice(0, 20)
			.map(node => new Set(ids.flatMap(origin => [...roster.targets(node, origin, 1)])).size);
		const levels = Math.log2(1000) / 2;
		expect(peers.reduce((sum, count) => sum + count, 0) / peers.length).toBeLessThanOrEqual(6 * levels);
		expect(Math.max(...peers)).toBeLessThanOrEqual(16 * levels);
	});

	test('one more subscriber changes the children of few nodes', () => {
		for (const seed of seeds(10)) {
			const random = createRandom(`${seed}/comes`);
			const ids = hashed(random, 300);
			const [before, after] = [new Roster(ids), new Roster([...ids, hashed(random, 1)[0]!].toSorted())];
			const changed = ids.filter(
				node =>
					[...before.targets(node, ids[0]!, 1)].toSorted().join() !==
					[...after.targets(node, ids[0]!, 1)].toSorted().join(),
			);
			expect(changed.length, `seed ${seed}`).toBeLessThanOrEqual(6);
		}
	});

	test('the links to contacts connect all members', () => {
		const random = createRandom('contacts');
		for (const count of [2, 30, 500]) {
			const ids = hashed(random, count);
			const roster = new Roster(ids);
			expect(spread(ids[0]!, node => roster.contacts(node)).hops.size).toBe(count);
			for (const id of ids) expect(roster.contacts(id).length).toBeLessThanOrEqual(2 * Math.log2(count) + 4);
		}
	});
});

describe('view', () => {
	const topicOf = (subscribers: readonly NodeId[]): TopicStreams => {
		const topic = new TopicStreams('news' as Topic);
		topic.subscribers = subscribers;
		return topic;
	};

	const contextOf = (self: NodeId, reachable: readonly NodeId[], congested: readonly NodeId[] = []): Context => {
		const context = new Context({
			self,
			incarnation: 1,
			random: createRandom(1),
			config: defaults.gossip,
			tickMs: 25,
		});
		context.setReachable(reachable);
		for (const peer of congested) context.congested.add(peer);
		return context;
	};

	test('parents of unreachable members push to their children, and later send offers to congested ones', () => {
		const random = createRandom('adopted');
		const ids = hashed(random, 100);
		const topic = topicOf(ids);
		const closed = new Set(random.shuffle(ids.slice(1)).slice(0, 8));
		const views = new Map(
			ids.map(id => [
				id,
				new Views(
					contextOf(
						id,
						ids,
						[...closed].filter(peer => peer !== id),
					),
				).of(topic),
			]),
		);
		const {pushes} = spread(ids[0]!, node => views.get(node)!.spread(ids[0]!, 1).to);
		expect([...pushes.keys()].toSorted()).toEqual(ids.slice(1).filter(id => !closed.has(id)));
		expect([...pushes.values()].every(times => times === 1)).toBe(true);
		const owed = [...views].filter(([id]) => !closed.has(id)).flatMap(([, view]) => view.spread(ids[0]!, 1).owed);
		expect(owed.toSorted()).toEqual([...closed].toSorted());
	});

	test('a cut link changes only the pushes of its two ends', () => {
		const random = createRandom('cut');
		const ids = hashed(random, 100);
		const topic = topicOf(ids);
		const cut = new Set([ids[0]!, [...new Roster(ids).targets(ids[0]!, ids[0]!, 1)][0]!]);
		const views = new Map(
			ids.map(id => [
				id,
				new Views(contextOf(id, cut.has(id) ? ids.filter(peer => !cut.has(peer)) : ids)).of(topic),
			]),
		);
		expect(spread(ids[0]!, node => views.get(node)!.spread(ids[0]!, 1).to).hops.size).toBe(99);
	});

	test('each side of a partition has its own tree', () => {
		const random = createRandom('sides');
		const ids = hashed(random, 100);
		const topic = topicOf(ids);
		const side = random.shuffle(ids).slice(0, 40);
		const views = new Map(side.map(id => [id, new Views(contextOf(id, side)).of(topic)]));
		const {pushes, hops} = spread(side[0]!, node => views.get(node)!.spread(side[0]!, 1).to);
		expect([...pushes.keys()].toSorted()).toEqual(side.slice(1).toSorted());
		expect([...pushes.values()].every(times => times === 1)).toBe(true);
		expect(Math.max(...hops.values())).toBeLessThanOrEqual(Math.log2(40) + 3);
	});

	test('is cached until something changes; with few subscribers all are contacts', () => {
		const ids = counted(contactsMax + 1);
		const context = contextOf(ids[0]!, ids);
		const views = new Views(context);
		const topic = topicOf(ids);
		expect(views.of(topic)).toBe(views.of(topic));
		expect(views.of(topic).contacts).toEqual(ids.slice(1));
		const before = views.of(topic);
		context.setReachable(ids.slice(0, 3));
		expect(views.of(topic)).not.toBe(before);
		expect(views.of(topic).uncongested).toEqual(ids.slice(1, 3));
	});
});
