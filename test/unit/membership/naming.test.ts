/**
The protocol that a leader proposes, the name of a node, and the claim of a process.
*/
import {describe, expect, test} from 'vitest';
import type {AgreedInstance} from '../../../core/cluster-state/cluster-state.ts';
import {protocolRefusal, protocolToPropose} from '../../../core/membership/agreed-protocol.ts';
import {Claim} from '../../../core/membership/claim.ts';
import {freeName, Namer, namingStep} from '../../../core/membership/naming.ts';
import type {NodeId} from '../../../core/message.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;
const agreedOn = (names: Readonly<Record<string, NodeId>>, protocol = 2) => ({
	protocol,
	name: (node: NodeId) => Object.entries(names).find(([, holder]) => holder === node)?.[0] ?? '',
	nodeNamed: (name: string) => names[name],
});
const settled = (): Promise<void> => new Promise(resolve => void setImmediate(resolve));

describe('the protocol that a leader proposes', () => {
	test('is the newest that every member speaks, and none while one is unknown', () => {
		expect(protocolToPropose(1, 2, [2, 2])).toBe(2);
		expect(protocolToPropose(1, 2, [])).toBe(2);
		expect(protocolToPropose(1, 3, [2, 3])).toBe(2);
		expect(protocolToPropose(1, 2, [2, 1])).toBeUndefined();
		expect(protocolToPropose(1, 2, [2, undefined])).toBeUndefined();
		expect(protocolToPropose(2, 2, [2, 2])).toBeUndefined();
		expect(protocolToPropose(2, 1, [2])).toBeUndefined();
	});

	test('a node that speaks only an older one is refused, with both numbers', () => {
		expect(protocolRefusal(a, {protocol: 1, version: '0.1.0'}, 2)).toBe(
			`node ${a} speaks protocol 1 (version 0.1.0), this cluster has agreed on protocol 2: ` +
				'start a newer version of dapss-tui there',
		);
		expect(protocolRefusal(a, {protocol: 2}, 2)).toBeUndefined();
	});
});

describe('the name of a node', () => {
	const chosen = {text: 'db1', isChosen: true};
	const byDefault = {text: 'host-5000', isChosen: false};

	test('is proposed when it is free, and settled once it is agreed', () => {
		expect(namingStep(agreedOn({}), a, chosen)).toEqual({type: 'propose', name: 'db1'});
		expect(namingStep(agreedOn({db1: a}), a, chosen)).toEqual({type: 'settled'});
		expect(namingStep(agreedOn({old: a}), a, chosen)).toEqual({type: 'propose', name: 'db1'});
	});

	test('waits for protocol 2', () => expect(namingStep(agreedOn({}, 1), a, chosen)).toEqual({type: 'settled'}));

	test('gets a suffix when another member has the default name, and keeps it', () => {
		expect(namingStep(agreedOn({'host-5000': b}), a, byDefault)).toEqual({type: 'propose', name: 'host-5000-2'});
		expect(
			namingStep(agreedOn({'host-5000': b, 'host-5000-2': 'cccccccccccccccc' as NodeId}), a, byDefault),
		).toEqual({type: 'propose', name: 'host-5000-3'});
		expect(namingStep(agreedOn({'host-5000': b, 'host-5000-2': a}), a, byDefault)).toEqual({type: 'settled'});
		expect(namingStep(agreedOn({'host-5000-2': a}), a, byDefault)).toEqual({type: 'propose', name: 'host-5000'});
	});

	test('stays unchanged when another member has the chosen name; a node without a name takes a suffix', () => {
		expect(namingStep(agreedOn({db1: b, old: a}), a, chosen)).toEqual({type: 'taken', holder: b});
		expect(namingStep(agreedOn({db1: b}), a, chosen)).toEqual({type: 'propose', name: 'db1-2'});
	});

	test('stays within 63 characters with a suffix', () => {
		const long = 'x'.repeat(63);
		expect(freeName(agreedOn({[long]: b}), long)).toBe(`${'x'.repeat(61)}-2`);
		expect(namingStep(agreedOn({[long]: b, [`${'x'.repeat(61)}-2`]: a}), a, {text: long, isChosen: false})).toEqual(
			{type: 'settled'},
		);
	});

	test('is proposed by one proposal at a time; a conflict is reported once, with advice', async () => {
		const proposed: string[] = [];
		const warnings: string[] = [];
		const names: Record<string, NodeId> = {};
		const namer = new Namer({
			self: a,
			wanted: chosen,
			agreed: agreedOn(names),
			warn: text => warnings.push(text),
			propose: async name => {
				proposed.push(name);
				throw new Error('no leader');
			},
		});
		namer.housekeep();
		namer.housekeep();
		expect(proposed).toEqual(['db1']);
		await settled();
		namer.housekeep();
		expect(proposed).toEqual(['db1', 'db1']);
		await settled();
		Object.assign(names, {db1: b, old: a});
		namer.housekeep();
		namer.housekeep();
		expect(proposed).toHaveLength(2);
		expect(warnings).toEqual([
			`The name db1 belongs to node ${b}, so this node keeps the name old: ` +
				'choose another --name, or remove that node if it is gone for good: dapss-tui peer remove db1',
		]);
	});
});

describe('the claim of a process', () => {
	type World = {
		nowMs: number;
		leader: boolean;
		isLeaderOlder: boolean;
		member: boolean;
		protocol: number;
		current: AgreedInstance | undefined;
	};
	const make = (
		world: World,
	): {
		claim: Claim;
		proposals: () => number;
		lost: AgreedInstance[];
		fail: (error: Error) => void;
		caughtUp: () => void;
	} => {
		let proposals = 0;
		let caughtUp: () => void = () => undefined;
		let fail: (error: Error) => void = () => undefined;
		const lost: AgreedInstance[] = [];
		const claim = new Claim({
			self: a,
			incarnation: 4,
			instance: '00000000000000aa',
			nowMs: () => world.nowMs,
			hasLeader: () => world.leader,
			isLeaderOlder: () => world.isLeaderOlder,
			agreed: {
				get protocol() {
					return world.protocol;
				},
				instance: () => world.current,
				address: () => (world.member ? 'h:1' : undefined),
			},
			propose: () => {
				proposals++;
				return new Promise((_resolve, reject) => {
					fail = reject;
				});
			},
			catchUp: () =>
				new Promise(resolve => {
					caughtUp = () => resolve(undefined);
				}),
		});
		claim.onLost = by => lost.push(by);
		return {claim, lost, proposals: () => proposals, fail: error => fail(error), caughtUp: () => caughtUp()};
	};

	const ready = {nowMs: 1000, leader: true, isLeaderOlder: false, member: true, protocol: 2, current: undefined};

	test.each([
		['there is no leader', {leader: false}],
		['it is no member', {member: false}],
		['protocol 2 is not agreed', {protocol: 1}],
	] as const)('is not proposed while %s', (_name, lacks) => {
		const {claim, proposals} = make({...ready, ...lacks});
		claim.housekeep();
		expect(proposals()).toBe(0);
	});

	test('is held when the agreed instance is its own, for any answer to the proposal', async () => {
		const world: World = {...ready};
		const {claim, proposals} = make(world);
		claim.housekeep();
		claim.housekeep();
		expect([proposals(), claim.isHeld]).toEqual([1, false]);
		world.current = {incarnation: 4, instance: '00000000000000aa'};
		claim.update();
		expect(claim.isHeld).toBe(true);
	});

	test('counts after a pause only once the node has caught up', async () => {
		const world: World = {...ready, current: {incarnation: 4, instance: '00000000000000aa'}};
		const {claim, caughtUp} = make(world);
		claim.update();
		claim.doubt();
		claim.housekeep();
		claim.update();
		expect(claim.isHeld).toBe(false);
		caughtUp();
		await settled();
		expect(claim.isHeld).toBe(true);
	});

	test('is not missing from a log that ends before protocol 2 until the node has caught up', async () => {
		const world: World = {...ready, protocol: 1};
		const {claim, caughtUp, proposals} = make(world);
		claim.housekeep();
		expect(claim.isDoubted).toBe(true);
		world.protocol = 2;
		world.current = {incarnation: 4, instance: '00000000000000aa'};
		claim.update();
		expect(claim.isHeld).toBe(false);
		caughtUp();
		await settled();
		expect([claim.isDoubted, claim.isHeld, proposals()]).toEqual([false, true, 0]);
	});

	test('is proposed as soon as the node has caught up', async () => {
		const world: World = {...ready, protocol: 1};
		const {claim, caughtUp, proposals} = make(world);
		claim.housekeep();
		world.protocol = 2;
		caughtUp();
		await settled();
		claim.housekeep();
		expect(proposals()).toBe(1);
	});

	test('does not wait for the answer of a leader whose program knows no claims', async () => {
		const {claim} = make({...ready, protocol: 1, isLeaderOlder: true});
		claim.housekeep();
		await settled();
		expect(claim.isDoubted).toBe(false);
	});

	test('is proposed again after a failure, but not at every tick', async () => {
		const world: World = {...ready};
		const {claim, proposals, fail} = make(world);
		claim.housekeep();
		fail(new Error('no leader'));
		await settled();
		claim.housekeep();
		expect(proposals()).toBe(1);
		world.nowMs += 250;
		claim.housekeep();
		expect(proposals()).toBe(2);
	});

	test('supersedes an earlier incarnation, and is lost to another process of the same or a later one', () => {
		const world: World = {...ready, current: {incarnation: 3, instance: '00000000000000bb'}};
		const {claim, lost} = make(world);
		claim.update();
		expect(lost).toEqual([]);
		world.current = {incarnation: 4, instance: '00000000000000bb'};
		claim.update();
		claim.update();
		expect(lost).toEqual([world.current]);
		const holder: World = {...ready, current: {incarnation: 4, instance: '00000000000000aa'}};
		const held = make(holder);
		held.claim.update();
		holder.current = {incarnation: 5, instance: '00000000000000cc'};
		held.claim.update();
		expect([held.claim.isHeld, held.lost]).toEqual([false, [holder.current]]);
	});
});
