/**
Cases of the Raft machine that a transcript cannot show: bounds of flow control, and changes of the log between ready
and advance.
*/
import {describe, expect, it} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import type {PacketOf, RaftPacket} from '../../../core/raft/packet.ts';
import {inflightMax, Progress} from '../../../core/raft/progress.ts';
import {createRaft, type Raft} from '../../../core/raft/raft.ts';
import {readsOfPeerMax} from '../../../core/raft/reads.ts';

const [one, two, three] = ['1', '2', '3'].map(digit => digit.padStart(16, '0') as NodeId) as [NodeId, NodeId, NodeId];
const group = 0;

function create(id: NodeId, voters: readonly NodeId[]): Raft {
	return createRaft({
		id,
		group,
		electionTicks: 10,
		heartbeatTicks: 2,
		random: {below: () => 0},
		recovered: {
			hardState: {term: 0, vote: undefined, commit: 0},
			snapshot: {index: 0, term: 0, configuration: {voters, learners: []}, data: new Uint8Array(0)},
			entries: [],
		},
	});
}

/** Performs all ready work. Returns the sent packets. */
function settle(raft: Raft): RaftPacket[] {
	const packets: RaftPacket[] = [];
	for (let ready = raft.ready(); ready; ready = raft.ready()) {
		packets.push(...[...ready.packetsBeforePersist, ...ready.packets].map(({packet}) => packet));
		raft.advance(ready);
	}

	return packets;
}

function lead(): Raft {
	const raft = create(one, [one, two, three]);
	raft.campaign();
	settle(raft);
	raft.step(two, {group, term: 1, type: 'vote-reply', granted: true});
	settle(raft);
	raft.step(two, {group, term: 1, type: 'append-reply', ok: true, index: 1, hintTerm: 0, rejected: 0});
	settle(raft);
	return raft;
}

describe('pre-votes', () => {
	it('count only for the term of their request', () => {
		const raft = create(one, [one, two, three]);
		const campaign = (): void => {
			for (let tick = 0; tick < 20 && raft.status().role !== 'pre-candidate'; tick++) raft.tick();
			settle(raft);
		};

		campaign();
		raft.step(two, {group, term: 1, type: 'pre-vote-reply', granted: true});
		settle(raft);
		raft.step(three, {group, term: 1, type: 'vote-reply', granted: false});
		campaign();
		expect(raft.status()).toMatchObject({role: 'pre-candidate', term: 1});
		// A late reply to the previous campaign.
		raft.step(three, {group, term: 1, type: 'pre-vote-reply', granted: true});
		expect(raft.status()).toMatchObject({role: 'pre-candidate', term: 1});
		raft.step(three, {group, term: 2, type: 'pre-vote-reply', granted: true});
		expect(raft.status()).toMatchObject({role: 'candidate', term: 2});
	});
});

describe('a peer with a new link', () => {
	it('may be a process with an older log, so its former match does not count for a commit', () => {
		const raft = lead();
		raft.propose(Uint8Array.of(1));
		settle(raft);
		raft.step(two, {group, term: 1, type: 'append-reply', ok: true, index: 2, hintTerm: 0, rejected: 0});
		settle(raft);
		raft.linkUp(two);
		for (let tick = 0; tick < 2; tick++) raft.tick();
		expect(raft.status().progress).toContainEqual(expect.objectContaining({id: two, match: 0, state: 'probe'}));
		// One at once, before any append, and the regular one to each of the two.
		expect(settle(raft).filter(({type}) => type === 'heartbeat')).toEqual([
			expect.objectContaining({commit: 0}),
			expect.objectContaining({commit: 0}),
			expect.objectContaining({commit: 0}),
		]);
		raft.step(two, {group, term: 1, type: 'append-reply', ok: false, index: 1, hintTerm: 1, rejected: 2});
		expect(settle(raft)).toContainEqual(
			expect.objectContaining({type: 'append', prevIndex: 1, entries: [expect.objectContaining({index: 2})]}),
		);
		raft.step(two, {group, term: 1, type: 'append-reply', ok: true, index: 2, hintTerm: 0, rejected: 0});
		expect(raft.status().progress).toContainEqual(expect.objectContaining({id: two, match: 2}));
	});
});

describe('flow control', () => {
	it('bounds the appends in flight, and continues when they are acknowledged', () => {
		const raft = lead();
		let appends = 0;
		for (let count = 0; count < 100; count++) {
			raft.propose(Uint8Array.of(count));
			appends += settle(raft).filter(
				packet => packet.type === 'append' && packet.prevIndex > 0 && packet.entries.length > 0,
			).length;
		}

		expect(appends).toBe(inflightMax);
		raft.step(two, {group, term: 1, type: 'append-reply', ok: true, index: 65, hintTerm: 0, rejected: 0});
		const next = settle(raft).filter(
			(packet): packet is PacketOf<'append'> & RaftPacket =>
				packet.type === 'append' && packet.entries.length > 0,
		);
		// The entries that waited share an append.
		expect(next.map(({prevIndex, entries}) => [prevIndex, entries.length])).toEqual([[65, 36]]);
	});

	it('sends all proposals between two calls of ready in one append', () => {
		const raft = lead();
		for (let count = 0; count < 50; count++) raft.propose(Uint8Array.of(count));
		// To `two`; `three` has not answered its first append.
		expect(settle(raft).filter(packet => packet.type === 'append')).toHaveLength(1);
	});

	it('never moves next below match', () => {
		const progress = new Progress(10, 0);
		progress.matched(8, 0);
		expect(progress.rejected(7, 3)).toBe(false);
		progress.sent(12, 100, 0, 1);
		expect(progress.rejected(12, 2)).toBe(true);
		expect(progress.next).toBe(9);
	});
});

describe('work between ready and advance', () => {
	const append = (term: number, prevIndex: number, prevTerm: number, ...terms: number[]): RaftPacket => ({
		group,
		term,
		type: 'append',
		prevIndex,
		prevTerm,
		commit: 0,
		entries: terms.map((of, at) => ({
			term: of,
			index: prevIndex + 1 + at,
			kind: 'command',
			data: Uint8Array.of(of),
		})),
	});

	it('is one batch at a time', () => {
		const raft = create(one, [one, two]);
		raft.campaign();
		const ready = raft.ready();
		raft.tick();
		expect(raft.ready()).toBeUndefined();
		expect(() => raft.advance({...ready!})).toThrow('Expected `advance`');
	});

	it('does not count replaced entries as written', () => {
		const raft = create(one, [one, two, three]);
		raft.step(two, append(1, 0, 0, 1, 1, 1));
		const ready = raft.ready()!;
		raft.step(three, append(2, 1, 1, 2)); // Replaces entries 2 and 3 while the disk writes them.
		raft.advance(ready);
		expect(raft.ready()?.entries.map(({term, index}) => [term, index])).toEqual([
			[1, 1],
			[2, 2],
		]);
	});

	it('does not count entries as written after a snapshot replaced the log, even if they are equal', () => {
		const raft = create(one, [one, two, three]);
		raft.step(two, append(1, 0, 0, 1, 1));
		const ready = raft.ready()!;
		// Replaces both, and is itself replaced by a snapshot of the leader that wrote them.
		raft.step(three, append(2, 0, 0, 2));
		raft.step(two, {
			group,
			term: 3,
			type: 'snapshot',
			index: 1,
			snapshotTerm: 1,
			configuration: {voters: [one, two, three], learners: []},
			offset: 0,
			size: 1,
			data: Uint8Array.of(7),
		});
		raft.step(two, append(3, 1, 1, 1));
		raft.advance(ready);
		const next = raft.ready()!;
		expect(next.snapshot?.index).toBe(1);
		// An installed snapshot restarts the log on disk: 1/2 is not there, although it was written before.
		expect(next.entries.map(({term, index}) => [term, index])).toEqual([[1, 2]]);
	});

	it('does not count the own vote of an earlier term', () => {
		const raft = create(one, [one]);
		raft.campaign();
		const ready = raft.ready()!;
		raft.campaign();
		raft.advance(ready);
		expect(raft.status()).toMatchObject({role: 'candidate', term: 2, votes: []});
		settle(raft);
		expect(raft.status()).toMatchObject({role: 'leader', term: 2});
	});
});

describe('reads', () => {
	it('of one node leave room for those of the others', () => {
		const raft = lead();
		for (let count = 0; count < 2000; count++)
			raft.step(two, {group, term: 1, type: 'read', context: `flood ${count}`});
		expect(raft.status().bounds).toEqual({reads: 2000 - readsOfPeerMax});
		raft.step(three, {group, term: 1, type: 'read', context: 'other'});
		raft.readIndex('own');
		const beat = settle(raft).find(packet => packet.type === 'heartbeat');
		raft.step(three, {group, term: 1, type: 'heartbeat-reply', round: beat!.round});
		const answers = raft.ready()!;
		expect(answers.reads).toEqual([{context: 'own', index: 1}]);
		expect(answers.packets.filter(({to}) => to === three).map(({packet}) => packet.type)).toEqual(['read-reply']);
	});

	it('are answered only by the leader that was asked', () => {
		const raft = create(one, [one, two, three]);
		raft.step(two, {group, term: 1, type: 'heartbeat', commit: 0, round: 1});
		settle(raft);
		expect(raft.readIndex('read')).toBe('accepted');
		settle(raft);
		raft.step(three, {group, term: 1, type: 'read-reply', context: 'read', index: 0});
		expect([raft.ready()?.reads ?? [], raft.status().bounds]).toEqual([[], {odd: 1}]);
		raft.step(two, {group, term: 1, type: 'read-reply', context: 'read', index: 0});
		expect(raft.ready()?.reads).toEqual([{context: 'read', index: 0}]);
	});
});

describe('time', () => {
	it('since the last contact of a leader with a majority is in the status', () => {
		const raft = lead();
		for (let ticks = 0; ticks < 4; ticks++) raft.tick();
		expect(raft.status().contactTicks).toBe(4);
		raft.step(three, {group, term: 1, type: 'heartbeat-reply', round: 1});
		expect(raft.status().contactTicks).toBe(0);
	});
});
