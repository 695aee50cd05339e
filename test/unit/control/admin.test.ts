/** Commands of an operator on one node, with a fake of Raft's status and of the agreed state. */
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
	readonly bounds: string[] = [];
	readonly sent: Array<readonly [NodeId, string, Record<string, unknown>]> = [];
	isBusy = false;
	hasLink = true;
	readonly admin: Admin;

	constructor() {
		// oxlint-disable-next-line typescript/no-this-alias -- getters of an object literal have their own
		const world = this;
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
		this.admin = new Admin({
			self: a,
			control,
			label: id => this.names.get(id) ?? id,
			awakeMs: () => this.nowMs,
			isReachable: id => !this.away.has(id),
			send: (to, kind, packet) => {
				if (this.hasLink) this.sent.push([to, kind, packet as Record<string, unknown>]);
				return this.hasLink;
			},
			bound: name => this.bounds.push(name),
		});
	}

	setLeader(leader: NodeId): void {
		this.role = leader === a ? 'leader' : 'follower';
		this.leader = leader;
		this.term++;
		this.admin.check();
	}
}

let world: World;
beforeEach(() => {
	world = new World();
});

describe('the leader', () => {
	test('transfers leadership to the voter with the longest matching log, and answers once it leads', async () => {
		const answer = world.admin.run({type: 'transfer', to: undefined});
		expect(world.transfers).toEqual([c]);
		expect(world.askedBy).toEqual([a]);
		world.admin.check();
		world.setLeader(c);
		await expect(answer).resolves.toEqual({leader: c});
	});

	test.each([
		[a, 'leads already'],
		[d, 'is a learner: only a voter can lead'],
		[b, 'cannot be reached: it could not take over'],
		['eeeeeeeeeeeeeeee' as NodeId, 'Expected a member'],
	])('refuses a transfer to %s', async (to, why) => {
		world.away.add(b);
		await expect(world.admin.run({type: 'transfer', to})).rejects.toThrow(why);
		expect(world.transfers).toEqual([]);
	});

	test('fails when no other node can lead, and after a timeout', async () => {
		world.away.add(b).add(c);
		await expect(world.admin.run({type: 'transfer', to: undefined})).rejects.toMatchObject({code: 'refused'});
		world.away.clear();
		const answer = world.admin.run({type: 'transfer', to: b});
		world.nowMs = 5000;
		world.admin.check();
		await expect(answer).rejects.toMatchObject({code: 'timeout'});
	});

	test('repeats a removal until it is accepted, and answers when it is agreed', async () => {
		world.isBusy = true;
		const answer = world.admin.run({type: 'remove', node: d});
		world.isBusy = false;
		world.admin.check();
		world.admin.check();
		expect(world.proposals).toEqual([d, d]);
		world.removed.add(d);
		world.admin.check();
		await expect(answer).resolves.toEqual({leader: a});
		await expect(world.admin.run({type: 'remove', node: d})).resolves.toEqual({leader: a});
		expect(world.proposals).toEqual([d, d]);
	});

	test('does not remove a voter that the others need for a quorum, and names the unreachable voters', async () => {
		world.away.add(c);
		await expect(world.admin.run({type: 'remove', node: b})).rejects.toThrow(
			`Without ${b} the cluster would have no quorum: of the 2 other voters ${c} cannot be reached. ` +
				'Start it again, or remove it first',
		);
		world.names.set(b, 'n2').set(c, 'n3');
		await expect(world.admin.run({type: 'remove', node: b})).rejects.toThrow(
			'Without n2 the cluster would have no quorum: of the 2 other voters n3 cannot be reached',
		);
		world.voters = [a];
		world.learners = [];
		await expect(world.admin.run({type: 'remove', node: a})).rejects.toThrow('is the only voter');
		expect(world.proposals).toEqual([]);
	});

	test('that is to be removed transfers leadership first: the next leader removes it', async () => {
		const answer = world.admin.run({type: 'remove', node: a});
		expect([world.transfers, world.proposals]).toEqual([[c], []]);
		world.setLeader(c);
		await expect.poll(() => world.sent).toEqual([[c, 'manage', {seq: 2, type: 'remove', node: a}]]);
		world.admin.removed();
		await expect(answer).resolves.toEqual({leader: c});
	});

	test('that leaves as the only voter promotes a learner, then transfers leadership to it', async () => {
		world.voters = [a];
		const answer = world.admin.leave();
		expect([world.successors, world.transfers]).toEqual([[d], []]);
		world.voters = [a, d];
		world.admin.check();
		await expect.poll(() => world.transfers).toEqual([d]);
		world.setLeader(d);
		await expect.poll(() => world.sent).toEqual([[d, 'manage', {seq: 3, type: 'remove', node: a}]]);
		world.removed.add(a);
		world.admin.check();
		await expect(answer).resolves.toBeUndefined();
	});

	test('does not leave as the only voter without a learner that can succeed it', async () => {
		world.voters = [a];
		world.away.add(d);
		await expect(world.admin.leave()).rejects.toMatchObject({
			code: 'refused',
			message: expect.stringContaining(`the other member ${d} cannot be reached to take over`) as string,
		});
		expect([world.successors, world.proposals]).toEqual([[], []]);
	});

	test('accepts a bounded number of commands, and fails all when it stops', async () => {
		world.isBusy = true;
		const waiting = Array.from({length: 64}, () => world.admin.run({type: 'remove', node: d}));
		await expect(world.admin.run({type: 'remove', node: d})).rejects.toThrow('at most 64 such commands');
		world.admin.close();
		for (const answer of waiting) await expect(answer).rejects.toMatchObject({code: 'closed'});
	});
});

describe('a follower', () => {
	beforeEach(() => {
		world.role = 'follower';
		world.leader = b;
	});

	test('forwards a command, and answers when it sees the effect', async () => {
		const transfer = world.admin.run({type: 'transfer', to: c});
		expect(world.sent).toEqual([[b, 'manage', {seq: 1, type: 'transfer', to: c}]]);
		expect(world.admin.onAnswer(b, encodeControl('managed', {seq: 1}))).toBe(true);
		world.setLeader(c);
		await expect(transfer).resolves.toEqual({leader: c});
		const removal = world.admin.run({type: 'remove', node: d});
		world.removed.add(d); // The answer is lost.
		world.admin.check();
		await expect(removal).resolves.toEqual({leader: c});
	});

	test('passes on the refusal of the leader with its code', async () => {
		const answer = world.admin.run({type: 'transfer', to: d});
		world.admin.onAnswer(b, encodeControl('managed', {seq: 1, code: 'refused', reason: 'a learner'}));
		await expect(answer).rejects.toMatchObject({code: 'refused', message: 'a learner'});
		const odd = world.admin.run({type: 'transfer', to: d});
		world.admin.onAnswer(b, encodeControl('managed', {seq: 2, code: '__proto__', reason: 'x'.repeat(5000)}));
		await expect(odd).rejects.toMatchObject({code: 'failure', message: 'x'.repeat(1000)});
	});

	test('believes the leader that it asked, and no other member', async () => {
		const transfer = world.admin.run({type: 'transfer', to: c});
		const refusal = encodeControl('managed', {seq: 1, code: 'refused', reason: 'made up'});
		expect(world.admin.onAnswer(d, refusal)).toBe(true);
		expect(world.bounds).toEqual(['foreign-answers']);
		world.setLeader(c);
		await expect(transfer).resolves.toEqual({leader: c});
		// A late answer is of no use, and is no fault of a member.
		expect(world.admin.onAnswer(b, refusal)).toBe(true);
		expect(world.bounds).toHaveLength(1);
	});

	test('that was removed reports this when other nodes refuse it', async () => {
		const answer = world.admin.run({type: 'remove', node: a});
		world.admin.removed();
		await expect(answer).resolves.toEqual({leader: b});
	});

	test('without a leader, or a link to the leader, fails with the reason', async () => {
		world.hasLink = false;
		await expect(world.admin.run({type: 'transfer', to: undefined})).rejects.toMatchObject({
			code: 'no-leader',
		});
		world.leader = undefined;
		await expect(world.admin.run({type: 'transfer', to: undefined})).rejects.toMatchObject({
			code: 'no-quorum',
		});
	});

	test('that leaves asks the next leader when the leader changes', async () => {
		const answer = world.admin.leave();
		expect(world.sent).toEqual([[b, 'manage', {seq: 1, type: 'remove', node: a}]]);
		world.admin.onAnswer(
			b,
			encodeControl('managed', {seq: 1, code: 'no-leader', reason: 'The leader has just changed: try again'}),
		);
		await new Promise(setImmediate);
		world.setLeader(c);
		await expect.poll(() => world.sent.at(-1)).toEqual([c, 'manage', {seq: 3, type: 'remove', node: a}]);
		world.admin.removed();
		await expect(answer).resolves.toBeUndefined();
	});

	test('does not leave without a quorum, and names the remedy', async () => {
		world.leader = undefined;
		await expect(world.admin.leave()).rejects.toMatchObject({
			code: 'no-quorum',
			message:
				'This node cannot leave: no quorum: 1 of 3 voters reachable. ' +
				'Start the missing voters, or stop this node without leaving',
		});
	});

	test('does not forward a command that was forwarded to it', async () => {
		expect(world.admin.onCommand(c, encodeControl('manage', {seq: 7, type: 'transfer'}))).toBe(true);
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
])('%o is no valid request', packet => {
	expect(world.admin.onCommand(b, encodeControl('manage', packet))).toBe(false);
	expect(world.sent).toEqual([]);
});
