/**
The simulated network: addresses that move between machines, machines that refuse or do not answer, copies of one id,
blocked transports, versions and secrets that do not match.
*/
import {expect, test} from 'vitest';
import type {Judgement} from '../../core/membership/duplicate-processes.ts';
import type {NodeId} from '../../core/message.ts';
import type {Links} from '../../core/ports.ts';
import {Fabric, type Beacon, type Endpoint} from './node/fabric.ts';
import type {Hello, Refusal} from './node/handshake.ts';
import {planOf} from './node/plan.ts';
import {createRandom} from './random.ts';
import {Schedule} from './schedule.ts';

type Options = {
	readonly key?: string;
	readonly protocols?: readonly [number, number];
	readonly secret?: number;
	readonly incarnation?: number;
};

/** A machine whose process records what it learns. */
class Machine implements Endpoint {
	readonly id: NodeId;
	readonly key: string;
	address: string;
	isOn = true;
	isUp = true;
	readonly keys: readonly string[];
	readonly log: string[] = [];
	readonly links: Links;
	/** Its decision about a second process that calls from `3`. Any other second process is refused. */
	judgement: Judgement = {type: 'take'};
	readonly datagrams;
	readonly dial: () => void;
	readonly #fabric: Fabric;
	readonly #hello: Hello;

	constructor(
		fabric: Fabric,
		id: string,
		address: string,
		{key = id, protocols = [1, 2], secret = 0, incarnation = 1}: Options = {},
	) {
		this.id = id as NodeId;
		this.key = key;
		this.address = address;
		this.keys = [String(secret)];
		this.#fabric = fabric;
		this.#hello = {
			id: this.id,
			address,
			clusterId: 'c',
			incarnation,
			instance: key,
			protocols,
			version: `v${protocols[1]}`,
		};
		fabric.add(this);
		({links: this.links, datagrams: this.datagrams, dial: this.dial} = fabric.linksOf(this));
	}

	hello(): Hello {
		return {...this.#hello, address: this.address};
	}

	run(work: () => void): void {
		if (this.isUp) work();
	}

	onFrame(from: NodeId, frame: Buffer): void {
		this.log.push(`${from}>${frame.toString()}`);
	}

	onDatagram(from: NodeId, bytes: Buffer): void {
		this.log.push(`${from}~${bytes.toString()}`);
	}

	onBeacon({id, address, phase}: Beacon): void {
		this.log.push(`${id}*${address} ${phase}`);
	}

	onLink(peer: NodeId, change: string): void {
		this.log.push(`${peer} ${change}`);
	}

	onUnknownPeer(peer: NodeId, address: string): void {
		this.log.push(`${peer} calls from ${address}`);
	}

	judge(peer: NodeId, caller: Hello, linked: Hello | undefined): Judgement {
		if (!linked) return {type: 'take'};
		this.log.push(`${peer} from ${caller.address} and ${linked.address}`);
		return caller.address === '3' ? this.judgement : {type: 'refuse', reason: 'one is enough', incarnation: 1};
	}

	onDuplicate(peer: NodeId, {reason}: Refusal): void {
		this.log.push(`${peer} says ${reason}`);
	}

	peers(...others: ReadonlyArray<readonly [string, string]>): this {
		this.links.setPeers(new Map(others as ReadonlyArray<readonly [NodeId, string]>));
		return this;
	}

	end(isPower = false): void {
		this.isUp = false;
		this.isOn = !isPower;
		this.#fabric.ended(this.key, !isPower);
	}

	taken(): string[] {
		return this.log.splice(0);
	}
}

function world(): {readonly fabric: Fabric; readonly schedule: Schedule; readonly settle: () => void} {
	const schedule = new Schedule();
	const fabric = new Fabric({
		seed: 1,
		schedule,
		random: createRandom('fabric'),
		link: {delayMs: [1, 3], ordered: true},
		loss: [0, 1],
	});
	return {fabric, schedule, settle: () => schedule.run(200)};
}

const a = 'a' as NodeId;
const b = 'b' as NodeId;
const c = 'c' as NodeId;

test('a link goes to the address, and both ends learn the identity of the peer', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1').peers([b, '2']);
	const other = new Machine(fabric, b, '2', {protocols: [1, 1]}).peers([a, 'elsewhere']);
	one.dial();
	settle();
	one.links.send(b, [Buffer.from('hello')]);
	settle();
	expect(one.taken()).toEqual(['b up']);
	expect(other.taken()).toEqual(['a up', 'a>hello']);
	expect(other.links.address(a)).toBe('1');
	expect(one.links.speaks(b)).toEqual({protocol: 1, version: 'v1'});
});

test('an address without a machine does not answer, a machine without a process refuses, one without power does not', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1').peers([b, '2'], [c, '3']);
	const other = new Machine(fabric, b, '2');
	other.end();
	one.dial();
	settle();
	expect(one.taken()).toEqual(['b refused']);
	expect([one.links.state(b).why, one.links.state(c).why]).toEqual(['connection refused', 'no answer']);
	other.end(true);
	one.dial();
	settle();
	expect(one.taken()).toEqual([]);
});

test('another node at the address is refused', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1').peers([b, '3'], [c, '2']);
	new Machine(fabric, b, '2').peers([a, '1']);
	one.dial();
	settle();
	expect(one.taken()).toEqual([]);
	expect(one.links.state(c)).toEqual({state: 'down', why: '2 is node b, not node c'});
	expect(fabric.refused.get('identity')).toBe(1);
});

test('a datagram goes to the present holder of the address', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1');
	const former = new Machine(fabric, b, '2');
	one.datagrams.send('2', Buffer.from('x'), b);
	settle();
	const next = new Machine(fabric, c, '2');
	one.datagrams.send('2', Buffer.from('y'), b);
	one.datagrams.send('9', Buffer.from('z'), b);
	settle();
	expect([former.taken(), next.taken(), fabric.lostDatagrams]).toEqual([
		['a~x'],
		['a~y'],
		{unknownAddress: 1, otherSecret: 0},
	]);
});

test('two machines of one id: the peer decides whether the second is refused or replaces the linked one', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1').peers([b, '2']);
	const original = new Machine(fabric, b, '2').peers([a, '1']);
	const copy = new Machine(fabric, b, '3', {key: 'b+', incarnation: 2}).peers([a, '1']);
	original.dial();
	settle();
	one.taken();
	for (const judgement of [
		{type: 'wait', reason: 'two'},
		{type: 'refuse', reason: 'two', incarnation: 1},
	] as const) {
		one.judgement = judgement;
		copy.dial();
		settle();
		expect([one.taken(), copy.taken()]).toEqual([
			['b from 3 and 2'],
			judgement.type === 'wait' ? [] : ['a says two'],
		]);
	}

	one.judgement = {type: 'take'};
	copy.dial();
	settle();
	copy.datagrams.send('1', Buffer.from('x'), a);
	settle();
	expect(one.taken()).toEqual(['b from 3 and 2', 'b down', 'b up', 'b from 2 and 3', 'b~x']);
	expect([original.taken(), copy.taken()]).toEqual([['a up', 'a down', 'a says one is enough'], ['a up']]);
	expect(one.links.address(b)).toBe('3');
	original.datagrams.send('1', Buffer.from('y'), a);
	settle();
	expect([one.taken(), fabric.isLinked('a', 'b+')]).toEqual([[], true]);
});

test('with TCP blocked datagrams pass, with UDP blocked frames pass', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1').peers([b, '2']);
	const other = new Machine(fabric, b, '2').peers([a, '1']);
	one.dial();
	settle();
	for (const machine of [one, other]) machine.taken();
	fabric.blockTcp('b', 'a');
	one.links.send(b, [Buffer.from('f')]);
	other.links.send(a, [Buffer.from('g')]);
	one.datagrams.send('2', Buffer.from('d'), b);
	settle();
	expect([one.taken(), other.taken(), fabric.isLinked('a', 'b')]).toEqual([[], ['a>f', 'a~d'], false]);
	fabric.heal();
	fabric.blockUdp('a', 'b');
	one.links.send(b, [Buffer.from('f')]);
	one.datagrams.send('2', Buffer.from('d'), b);
	other.datagrams.send('1', Buffer.from('e'), a);
	settle();
	expect([one.taken(), other.taken(), fabric.isLinked('a', 'b')]).toEqual([['b~e'], ['a>f'], true]);
});

test('another secret and another protocol are refused, and both sides count it', () => {
	const {fabric, settle} = world();
	const one = new Machine(fabric, a, '1').peers([b, '2'], [c, '3']);
	const foreign = new Machine(fabric, b, '2', {secret: 1}).peers([a, '1']);
	const newer = new Machine(fabric, c, '3', {protocols: [3, 3]}).peers([a, '1']);
	one.dial();
	one.datagrams.send('2', Buffer.from('x'), b);
	settle();
	expect([one.taken(), foreign.taken(), newer.taken()]).toEqual([[], [], []]);
	expect(one.links.state(c).why).toBe('peer 1 speaks protocol 1 to 2, node c 3 to 3');
	expect(Object.fromEntries(one.links.refusals)).toEqual({'call-not-authenticated': 1, 'call-protocol': 1});
	expect([
		foreign.links.refusals.get('not-authenticated'),
		newer.links.refusals.get('protocol'),
		fabric.lostDatagrams.otherSecret,
	]).toEqual([1, 1, 1]);
});

test('beacons reach all machines that are not cut off', () => {
	const {fabric, settle} = world();
	const [one, other, third] = [new Machine(fabric, a, '1'), new Machine(fabric, b, '2'), new Machine(fabric, c, '3')];
	fabric.cut('a', 'c');
	fabric.announce('a', {id: a, incarnation: 1, instance: 'i', clusterId: '', address: '1', phase: 'seeking'});
	settle();
	expect([one.taken(), other.taken(), third.taken()]).toEqual([[], ['a*1 seeking'], []]);
});

test.each([1, 2, 3, 4, 5, 6, 7, 8])('the time of an event in a plan is unique (seed %i)', seed => {
	const plan = planOf(seed, 40_000);
	expect(new Set(plan.map(({atMs}) => atMs)).size).toBe(plan.length);
});
