/**
A member that claims incarnations far ahead, for itself or for others. No claim may be the last word about a member.
*/
import fc from 'fast-check';
import {expect, test} from 'vitest';
import {defaults} from '../../../core/config.ts';
import {JumpBounds, shares} from '../../../core/swim/jump-bounds.ts';
import {hashMembers, u32Max, type Standing, type SwimPacket} from '../../../core/swim/packet.ts';
import {bitmap} from '../../../core/swim/rows.ts';
import {createSwim, type Swim} from '../../../core/swim/swim.ts';
import {createRandom} from '../../sim/random.ts';
import {idOf} from '../../sim/swim-cluster.ts';

const names = ['n1', 'n2', 'n3', 'n4'] as const;
type Name = (typeof names)[number];
const liar = 'n4';

/** Three honest machines that exchange all their packets at once; `n4` sends what the test says. */
function cluster() {
	const order = names.map(name => idOf(name));
	const create = (name: Name, incarnation: number): Swim => {
		const random = createRandom(`jumps/${name}`);
		const swim = createSwim({id: idOf(name), incarnation, random, tickMs: 25, config: defaults.swim});
		swim.setMembers(order);
		return swim;
	};

	const machines = new Map(names.slice(0, 3).map(name => [idOf(name), create(name, 5)]));
	const settle = (): void => {
		for (let isIdle = false; !isIdle;) {
			isIdle = true;
			for (const [from, swim] of machines) {
				for (const {to, packet} of swim.ready(0)?.packets ?? []) {
					isIdle = false;
					machines.get(to)?.step(from, packet, 0);
				}
			}
		}
	};

	return {
		ticks(count: number, each: () => void = () => undefined) {
			for (let tick = 0; tick < count; tick++) {
				each();
				for (const swim of machines.values()) swim.tick();
				settle();
			}
		},
		lie(packet: Partial<SwimPacket>) {
			for (const swim of machines.values())
				swim.step(
					idOf(liar),
					{type: 'gossip', incarnation: 5, updates: [], rows: [], ...packet} as SwimPacket,
					0,
				);
		},
		/** The liar starts again, as an honest node. */
		honest() {
			machines.set(idOf(liar), create(liar, 6));
			for (const [id, swim] of machines) if (id !== idOf(liar)) swim.linkUp(idOf(liar), 5);
		},
		states: () =>
			[...machines].map(([, swim]) =>
				swim
					.status()
					.members.map(({state}) => state)
					.join(' '),
			),
		swim: (name: Name) => machines.get(idOf(name))!,
	};
}

const alive = 'alive alive alive alive';

test.each<[Standing, number]>([
	['left', u32Max],
	['dead', u32Max],
	['suspect', u32Max],
	['alive', u32Max],
	['left', u32Max / 16],
	['left', u32Max / 17],
	['dead', 2 ** 20],
])('members that are called %s at incarnation %i by a liar are alive soon after it stops', (standing, incarnation) => {
	const {ticks, lie, honest, states} = cluster();
	ticks(100);
	ticks(100, () =>
		lie({
			updates: (['n1', 'n2', 'n3'] as const).map(name => [
				idOf(name),
				standing,
				Math.floor(incarnation),
				idOf(liar),
			]),
		}),
	);
	honest();
	ticks(400);
	expect(states()).toEqual([alive, alive, alive, alive]);
});

test('a member that took the last incarnation for itself is alive again after a restart', () => {
	const {ticks, lie, honest, states} = cluster();
	ticks(100);
	lie({incarnation: u32Max, updates: [[idOf(liar), 'left', u32Max, idOf(liar)]]});
	ticks(100);
	expect(states()).toEqual(Array(3).fill('alive alive alive left'));
	honest();
	ticks(400);
	expect(states()).toEqual([alive, alive, alive, alive]);
});

test('rows of another member far ahead do not outlive the lie', () => {
	const {ticks, lie, honest, swim} = cluster();
	ticks(100);
	const {order} = swim('n1').status().matrix;
	const members = hashMembers(order);
	const of = order.indexOf(idOf('n2'));
	let counter = 2 ** 31;
	const unheard = bitmap(order, id => id !== idOf('n2'));
	ticks(100, () => lie({rows: [[idOf('n2'), 1000, counter++, members, unheard]]}));
	expect(swim('n1').status().matrix.sees[of]).toEqual(order.map(id => id === idOf('n2')));
	honest();
	ticks(400);
	expect(swim('n1').status().matrix.sees.flat()).toEqual(Array(16).fill(true));
});

test('the claims of a peer leave the incarnations that a member needs to refute them', () => {
	const peer = idOf('n2');
	fc.assert(
		fc.property(fc.array(fc.integer({min: 0, max: u32Max}), {maxLength: 100}), claims => {
			const [hearsay, refuted] = [new JumpBounds(), new JumpBounds()];
			let believed = 5;
			let own = 5;
			for (const claim of claims) {
				if (!hearsay.accepts(peer, 'hearsay', believed, claim)) continue;
				believed = Math.max(believed, claim);
				// The member hears what another one believes, and goes beyond it.
				expect(refuted.accepts(peer, 'refuted', own, believed)).toBe(true);
				own = Math.max(own, believed + 1);
			}

			expect(believed).toBeLessThanOrEqual(5 + u32Max * shares.hearsay);
		}),
	);
});
