import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import {Founding, type SeekerState} from '../../../core/membership/founding.ts';
import type {NodeId} from '../../../core/message.ts';

const id = (index: number): NodeId => (index + 1).toString(16).padStart(16, '0') as NodeId;
const addressOf = (index: number): string => `10.0.0.${index + 1}:5000`;
const stateOf = (choice: NodeId | undefined, isAble = true, seekers: readonly string[] = []): SeekerState => ({
	choice,
	isAble,
	seekers,
});

type Mode = 'list' | 'list without itself' | 'expect' | 'expect fewer' | 'discovery';
type World = {
	readonly nodes: number;
	readonly mode: Mode;
	readonly startsMs: readonly number[];
	readonly delayMs: number;
	readonly lossPercent: number;
	readonly seed: number;
};

/** Runs seekers on a network with delay and loss, in virtual time. Returns the founder and the time. */
function run({
	nodes,
	mode,
	startsMs,
	delayMs,
	lossPercent,
	seed,
}: World): ReadonlyArray<readonly [node: number, atMs: number]> {
	let state = seed;
	const below = (limit: number): number => {
		state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
		return Math.floor((state / 2 ** 32) * limit);
	};

	const due: Array<{readonly atMs: number; readonly run: () => void}> = [];
	const founded: Array<readonly [number, number]> = [];
	const machines = new Map<number, Founding>();
	/** The founder, and the nodes that have joined it. */
	const members = new Set<number>();
	const all = Array.from({length: nodes}, (_, index) => addressOf(index));
	let now = 0;
	for (; now < 60_000 && !(founded.length > 0 && now > founded[0]![1] + 20_000); now += 10) {
		const later = (work: () => void): void => {
			if (below(100) >= lossPercent) due.push({atMs: now + 1 + below(delayMs), run: work});
		};

		for (let index = 0; index < nodes; index++) {
			if (now < startsMs[index]! || members.has(index)) continue;
			let machine = machines.get(index);
			if (!machine) {
				const address = addressOf(index);
				const seeds =
					mode === 'list' ? all : mode === 'list without itself' ? all.filter(one => one !== address) : [];
				machine = new Founding({
					self: id(index),
					address,
					seeds,
					expect: mode === 'expect' ? nodes : mode === 'expect fewer' ? Math.max(2, nodes - 1) : 0,
					seekMs: 1500,
					nowMs: now,
				});
				machines.set(index, machine);
			}

			if (now % 250 !== 0) continue;
			if (mode === 'discovery' || mode.startsWith('expect'))
				for (const address of all)
					if (below(100) >= lossPercent)
						for (const [other] of machines) if (addressOf(other) === address) machine.hint(address, now);
			for (const address of machine.addresses(now)) {
				const other = all.indexOf(address);
				const [askedAt, asked] = [now, machine.state(now)];
				later(() => {
					const peer = machines.get(other);
					if (!peer) return;
					if (members.has(other)) {
						return later(() => {
							machine.memberHeard(address, now);
							later(() => void members.add(index)); // It asks the founder, and is admitted.
						});
					}

					peer.asked(id(index), addressOf(index), asked, now);
					const answer = peer.state(now);
					later(() => machine.answered(address, id(other), address, answer, askedAt, now));
				});
			}

			if (machine.decide(now).type !== 'found') continue;
			founded.push([index, now]);
			members.add(index);
		}

		for (const work of due.splice(0).toSorted((a, b) => a.atMs - b.atMs)) {
			if (work.atMs <= now) work.run();
			else due.push(work);
		}
	}

	return founded;
}

describe('nodes that start together found one cluster', () => {
	for (const mode of ['list', 'list without itself', 'expect', 'expect fewer', 'discovery'] as const) {
		test(`by ${mode}`, () => {
			fc.assert(
				fc.property(
					fc.integer({min: 2, max: 6}),
					fc.array(fc.integer({min: 0, max: 2000}), {minLength: 6, maxLength: 6}),
					fc.integer({min: 1, max: 300}),
					fc.integer({min: 0, max: 30}),
					fc.nat(),
					(nodes, startsMs, delayMs, lossPercent, seed) => {
						// Without a list or a number, a node that hears no other in time founds alone: the network must
						// deliver messages within that time.
						const isSparse = mode === 'discovery';
						expect(
							run({
								nodes,
								mode,
								startsMs,
								delayMs: isSparse ? Math.min(delayMs, 50) : delayMs,
								lossPercent: isSparse ? 0 : lossPercent,
								seed,
							}),
						).toHaveLength(1);
					},
				),
				{numRuns: 40},
			);
		});
	}
});

describe('a seeker', () => {
	const options = {self: id(1), address: addressOf(1), seeds: [], expect: 0, seekMs: 1500, nowMs: 0};

	test('without seeds founds after it has listened', () => {
		const alone = new Founding(options);
		expect(alone.decide(1499)).toEqual({type: 'wait', for: 'a cluster on the local network to be heard'});
		expect(alone.decide(1500)).toEqual({type: 'found'});
	});

	test('waits for all of its seeds, and reports the missing ones', () => {
		const seeker = new Founding({...options, seeds: [addressOf(0), addressOf(1), addressOf(2)]});
		seeker.answered(addressOf(0), id(3), addressOf(0), stateOf(undefined, false), 0, 10);
		expect(seeker.decide(1000)).toEqual({type: 'wait', for: '10.0.0.3:5000 to answer'});
	});

	test('waits for the number of expected nodes', () => {
		const seeker = new Founding({...options, expect: 3});
		expect(seeker.decide(9000)).toEqual({
			type: 'wait',
			for: '2 more nodes to start (1 of 3 expected nodes are here)',
		});
		seeker.answered(addressOf(2), id(2), addressOf(2), stateOf(undefined, false), 9000, 9010);
		expect(seeker.decide(9010)).toEqual({
			type: 'wait',
			for: '1 more node to start (2 of 3 expected nodes are here)',
		});
	});

	test('does not found on a vote that is older than a lease', () => {
		const seeker = new Founding({...options, seekMs: 0});
		seeker.answered(addressOf(2), id(2), addressOf(2), stateOf(id(1)), 0, 900);
		expect(seeker.decide(1000)).toEqual({type: 'found'});
		expect(seeker.decide(1001)).toMatchObject({type: 'wait', for: expect.stringContaining('to agree') as string});
	});

	test('keeps a vote that it sent until its lease ends, also when a lower id appears', () => {
		const seeker = new Founding({...options, self: id(5), seekMs: 100_000});
		seeker.asked(id(3), addressOf(3), stateOf(id(3)), 0);
		expect(seeker.state(0).choice).toBe(id(3));
		seeker.asked(id(2), addressOf(2), stateOf(id(2)), 100);
		seeker.asked(id(3), addressOf(3), stateOf(id(3)), 1900);
		seeker.asked(id(2), addressOf(2), stateOf(id(2)), 1900);
		expect(seeker.state(1999).choice).toBe(id(3));
	});

	test('founds no second cluster when it has heard one', () => {
		const seeker = new Founding({...options, seekMs: 0});
		seeker.memberHeard(addressOf(7), 0);
		expect(seeker.decide(29_999)).toEqual({
			type: 'wait',
			for: 'the cluster at 10.0.0.8:5000 to admit this node',
			isAdmission: true,
		});
		expect(seeker.decide(30_000)).toEqual({type: 'found'});
	});

	test('votes for no other founder when it has heard a cluster', () => {
		const seeker = new Founding({...options, self: id(5), seekMs: 0});
		seeker.asked(id(3), addressOf(3), stateOf(id(3)), 0);
		expect(seeker.state(0)).toMatchObject({choice: id(3), isAble: true});
		seeker.memberHeard(addressOf(7), 100);
		expect(seeker.state(100)).toMatchObject({choice: undefined, isAble: false});
		seeker.asked(id(3), addressOf(3), stateOf(id(3)), 30_100);
		expect(seeker.state(30_100)).toMatchObject({choice: id(3), isAble: true});
	});

	test('recognises itself among its seeds under another name', () => {
		const seeker = new Founding({...options, seeds: ['host.example:5000']});
		expect(seeker.addresses(0)).toEqual(['host.example:5000']);
		seeker.isSelf('host.example:5000');
		expect(seeker.addresses(0)).toEqual([]);
		expect(seeker.decide(0)).toEqual({type: 'found'});
	});
});
