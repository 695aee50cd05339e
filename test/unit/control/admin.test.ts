/** Wishes of an operator on one node, with Raft's status and the agreed state given by hand. */
import {beforeEach, describe, expect, test} from 'vitest';
import {Admin} from '../../../core/control/admin.ts';
import type {Control} from '../../../core/control/control.ts';
import {DapssError} from '../../../core/errors.ts';
import type {NodeId} from '../../../core/message.ts';
import {encodeControl} from '../../../core/wire/wire.ts';

const [a, b, c, d] = ['aaaaaaaaaaaaaaaa', 'bbbbbbbbbbbbbbbb', 'cccccccccccccccc', 'dddddddddddddddd'] as [
	NodeId,
	NodeId,
	NodeId,
	NodeId,
];

/** Node a of the voters a, b, c and the learner d. */
class World {
	role = 'leader';
	leader: NodeId | undefined = a;
	term = 3;
	nowMs = 0;
	voters = [a, b, c];
	learners = [d];
	readonly successors: NodeId[] = [];
	readonly removed = new Set<NodeId>();
	readonly names = new Map<NodeId, string>();
	readonly away = new Set<NodeId>();
	readonly transfers: NodeId[] = [];
	readonly askedBy: NodeId[] = [];
	readonly proposals: NodeId[] = [];
	readonly sent: Array<readonly [NodeId, string, Record<string, unknown>]> = [];
	isBusy = false;
	hasLink = true;
	readonly management: Admin;

	constructor() {
		const world = this; // oxlint-disable-line typescript/no-this-alias -- getters of an object literal have their own
		const control = {
			raft: {
				get role() {
					return world.role;
				},
				get leader() {
					return world.leader;
				},
				get term() {
					return world.term;
				},
				get configuration() {
					return {voters: world.voters, learners: world.learners};
				},
				status: () => ({
					term: world.term,
					configuration: {voters: world.voters, learners: world.learners},
					progress:
						world.role === 'leader'
							? [
									{id: b, match: 9},
									{id: c, match: 12},
									{id: d, match: 12},
								]
							: [],
				}),
			},
			state: {
				isRemoved: (id: NodeId) => world.removed.has(id),
				address: (id: NodeId) =>
					[a, b, c, d].includes(id) && !world.removed.has(id) ? '127.0.0.1:1' : undefined,
			},
			transfer(to: NodeId, by: NodeId) {
				world.transfers.push(to);
				world.askedBy.push(by);
			},
			promoteSuccessor(node: NodeId) {
				world.successors.push(node);
				return 'accepted';
			},
			remove(node: NodeId) {
				world.proposals.push(node);
				return world.isBusy ? 'busy' : 'accepted';
			},
			quorum: () => ({state: 'held'}),
			unavailableError: () => new DapssError('no-quorum', 'no quorum: 1 of 3 voters reachable'),
		} as unknown as Control;
		this.management = new Admin({
			self: a,
			control,
			label: id => this.names.get(id) ?? id,
			nowMs: () => this.nowMs,
			isReachable: id => !this.away.has(id),
			send: (to, kind, packet) => {
				if (this.hasLink) this.sent.push([to, kind, packet as Record<string, unknown>]);
				return this.hasLink;
			},
		});
	}

	leads(leader: NodeId): void {
		this.role = leader === a ? 'leader' : 'follower';
		this.leader = leader;
		this.term++;
		this.management.check();
	}
}

let world: World;
beforeEach(() => {
	world = new World();
});

describe('the leader', () => {
	test('hands over to the voter that is furthest, and answers when it leads', async () => {
		const answer = world.management.run({type: 'transfer', to: undefined});
		expect(world.transfers).toEqual([c]);
		expect(world.askedBy).toEqual([a]);
		world.management.check();
		world.leads(c);
		await expect(answer).resolves.toEqual({leader: c});
	});

	test.each([
		[a, 'leads already'],
		[d, 'is a learner: only a voter can lead'],
		[b, 'cannot be reached: it could not take over'],
		['eeeeeeeeeeeeeeee' as NodeId, 'Expected a member'],
	])('does not hand over to %s', async (to, why) => {
		world.away.add(b);
		await expect(world.management.run({type: 'transfer', to})).rejects.toThrow(why);
		expect(world.transfers).toEqual([]);
	});

	test('says so when nobody can take over, and when it took too long', async () => {
		world.away.add(b).add(c);
		await expect(world.management.run({type: 'transfer', to: undefined})).rejects.toMatchObject({code: 'refused'});
		world.away.clear();
		const answer = world.management.run({type: 'transfer', to: b});
		world.nowMs = 5000;
		world.management.check();
		await expect(answer).rejects.toMatchObject({code: 'timeout'});
	});

	test('proposes a removal until it is taken, once, and answers when it is agreed', async () => {
		world.isBusy = true;
		const answer = world.management.run({type: 'remove', node: d});
		world.isBusy = false;
		world.management.check();
		world.management.check();
		expect(world.proposals).toEqual([d, d]);
		world.removed.add(d);
		world.management.check();
		await expect(answer).resolves.toEqual({leader: a});
		await expect(world.management.run({type: 'remove', node: d})).resolves.toEqual({leader: a});
		expect(world.proposals).toEqual([d, d]);
	});

	test('removes nobody whom the quorum of the rest needs, and names who is missing', async () => {
		world.away.add(c);
		await expect(world.management.run({type: 'remove', node: b})).rejects.toThrow(
			`Without ${b} the cluster would have no quorum: of the 2 other voters ${c} cannot be reached. Start it again, or remove it first`,
		);
		world.names.set(b, 'n2').set(c, 'n3');
		await expect(world.management.run({type: 'remove', node: b})).rejects.toThrow(
			'Without n2 the cluster would have no quorum: of the 2 other voters n3 cannot be reached',
		);
		world.voters = [a];
		world.learners = [];
		await expect(world.management.run({type: 'remove', node: a})).rejects.toThrow('is the only voter');
		expect(world.proposals).toEqual([]);
	});

	test('hands over before it goes itself: the next one removes it', async () => {
		const answer = world.management.run({type: 'remove', node: a});
		expect([world.transfers, world.proposals]).toEqual([[c], []]);
		world.leads(c);
		await expect.poll(() => world.sent).toEqual([[c, 'manage', {seq: 2, type: 'remove', node: a}]]);
		world.management.removed();
		await expect(answer).resolves.toEqual({leader: c});
	});

	test('that leaves as the only voter gives its vote to a learner, then its leadership', async () => {
		world.voters = [a];
		const answer = world.management.leave();
		expect([world.successors, world.transfers]).toEqual([[d], []]);
		world.voters = [a, d];
		world.management.check();
		await expect.poll(() => world.transfers).toEqual([d]);
		world.leads(d);
		await expect.poll(() => world.sent).toEqual([[d, 'manage', {seq: 3, type: 'remove', node: a}]]);
		world.removed.add(a);
		world.management.check();
		await expect(answer).resolves.toBeUndefined();
	});

	test('does not leave as the only voter when nobody can take over', async () => {
		world.voters = [a];
		world.away.add(d);
		await expect(world.management.leave()).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining(`the other member ${d} cannot be reached to take over`) as string,
		});
		expect([world.successors, world.proposals]).toEqual([[], []]);
	});

	test('takes a bounded number of wishes, and refuses all when it stops', async () => {
		world.isBusy = true;
		const waiting = Array.from({length: 64}, () => world.management.run({type: 'remove', node: d}));
		await expect(world.management.run({type: 'remove', node: d})).rejects.toThrow('at most 64 such wishes');
		world.management.close();
		for (const answer of waiting) await expect(answer).rejects.toMatchObject({code: 'closed'});
	});
});

describe('a follower', () => {
	beforeEach(() => {
		world.role = 'follower';
		world.leader = b;
	});

	test('passes a wish on, and answers when it sees that it has come true', async () => {
		const transfer = world.management.run({type: 'transfer', to: c});
		expect(world.sent).toEqual([[b, 'manage', {seq: 1, type: 'transfer', to: c}]]);
		expect(world.management.onAnswer(encodeControl('managed', {seq: 1}))).toBe(true);
		world.leads(c);
		await expect(transfer).resolves.toEqual({leader: c});
		const removal = world.management.run({type: 'remove', node: d});
		world.removed.add(d); // The answer is lost.
		world.management.check();
		await expect(removal).resolves.toEqual({leader: c});
	});

	test('hands on what the leader refuses, whole and with its code', async () => {
		const answer = world.management.run({type: 'transfer', to: d});
		world.management.onAnswer(encodeControl('managed', {seq: 1, code: 'refused', reason: 'a learner'}));
		await expect(answer).rejects.toMatchObject({code: 'refused', message: 'a learner'});
		const odd = world.management.run({type: 'transfer', to: d});
		world.management.onAnswer(encodeControl('managed', {seq: 2, code: '__proto__', reason: 'x'.repeat(5000)}));
		await expect(odd).rejects.toMatchObject({code: 'failure', message: 'x'.repeat(1000)});
	});

	test('that is taken out learns so from those who refuse it', async () => {
		const answer = world.management.run({type: 'remove', node: a});
		world.management.removed();
		await expect(answer).resolves.toEqual({leader: b});
	});

	test('without a leader, or a link to it, says so', async () => {
		world.hasLink = false;
		await expect(world.management.run({type: 'transfer', to: undefined})).rejects.toMatchObject({
			code: 'no-leader',
		});
		world.leader = undefined;
		await expect(world.management.run({type: 'transfer', to: undefined})).rejects.toMatchObject({
			code: 'no-quorum',
		});
	});

	test('that leaves asks the next leader when the leader changes meanwhile', async () => {
		const answer = world.management.leave();
		expect(world.sent).toEqual([[b, 'manage', {seq: 1, type: 'remove', node: a}]]);
		world.management.onAnswer(
			encodeControl('managed', {seq: 1, code: 'no-leader', reason: 'The leader has just changed: try again'}),
		);
		await new Promise(setImmediate);
		world.leads(c);
		await expect.poll(() => world.sent.at(-1)).toEqual([c, 'manage', {seq: 3, type: 'remove', node: a}]);
		world.management.removed();
		await expect(answer).resolves.toBeUndefined();
	});

	test('does not leave without a quorum, and says what helps', async () => {
		world.leader = undefined;
		await expect(world.management.leave()).rejects.toMatchObject({
			code: 'no-quorum',
			message:
				'This node cannot leave: no quorum: 1 of 3 voters reachable. Start the missing voters, or stop this node without leaving',
		});
	});

	test('does not pass on what was passed on to it', async () => {
		expect(world.management.onWish(c, encodeControl('manage', {seq: 7, type: 'transfer'}))).toBe(true);
		await expect
			.poll(() => world.sent)
			.toEqual([[c, 'managed', {seq: 7, code: 'no-leader', reason: 'The leader has just changed: try again'}]]);
	});
});

test.each([
	{},
	{seq: 1},
	{seq: 'x', type: 'transfer'},
	{seq: 1, type: 'transfer', to: 'nobody'},
	{seq: 1, type: 'remove'},
	{seq: 1, type: 'promote', node: b},
	[],
	7,
])('%o is no wish', packet => {
	expect(world.management.onWish(b, encodeControl('manage', packet))).toBe(false);
	expect(world.sent).toEqual([]);
});
