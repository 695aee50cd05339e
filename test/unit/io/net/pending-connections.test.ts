/** Which unauthenticated connections stay when there are too many: junk must not keep out honest callers. */
import {describe, expect, test} from 'vitest';
import {addressKey, PendingConnections, type DropReason} from '../../../../core/io/net/pending-connections.ts';
import {createRandom} from '../../../sim/random.ts';

type Caller = {readonly host: string; isAnswered: boolean};
type Pool = {
	readonly pending: PendingConnections<Caller>;
	readonly dropped: Map<Caller, DropReason>;
	call(host: string, isAnswered?: boolean): Caller;
};

function pool({max = 512, perAddressMax = 64, members = [] as readonly string[], seed = 20} = {}): Pool {
	const dropped = new Map<Caller, DropReason>();
	const pending = new PendingConnections<Caller>({
		max,
		perAddressMax,
		random: createRandom(seed),
		hasAnswer: ({isAnswered}) => isAnswered,
		isMember: host => members.includes(host),
		onDropped: (caller, reason) => void dropped.set(caller, reason),
	});
	return {
		pending,
		dropped,
		call(host, isAnswered = false) {
			const caller = {host, isAnswered};
			pending.add(caller, host);
			return caller;
		},
	};
}

/** The number of honest callers out of `honest` that are still there when their handshake ends. */
function survivors({
	junkPerSecond,
	addresses,
	honest,
	answeredAfterMs,
	doneAfterMs,
	isJunkAnswered = false,
	honestHost = (index: number) => `192.0.2.${index % 250}`,
	...options
}: {
	readonly junkPerSecond: number;
	readonly addresses: number;
	readonly honest: number;
	/** From the accepted connection until this side answers, and until the caller has authenticated. */
	readonly answeredAfterMs: number;
	readonly doneAfterMs: number;
	/** The junk repeats the recorded first flight of an honest caller. */
	readonly isJunkAnswered?: boolean;
	readonly honestHost?: (index: number) => string;
	readonly members?: readonly string[];
	readonly max?: number;
}): number {
	const {pending, dropped, call} = pool(options);
	const everyMs = 1000 / junkPerSecond;
	let nowMs = 0;
	let arrivals = 0;
	/** In the order in which the handshake timeout of 2 s ends them. */
	const junk: Array<{readonly caller: Caller; readonly atMs: number}> = [];
	let ended = 0;
	const junkUntil = (untilMs: number): void => {
		for (; nowMs < untilMs; nowMs += everyMs) {
			while (junk[ended] && junk[ended]!.atMs <= nowMs) pending.delete(junk[ended++]!.caller);
			const caller = call(`10.0.0.${arrivals++ % addresses}`, isJunkAnswered);
			junk.push({caller, atMs: nowMs + 2000});
		}
	};

	junkUntil(1000);
	let done = 0;
	for (let index = 0; index < honest; index++) {
		const caller = call(honestHost(index));
		const startMs = nowMs;
		junkUntil(startMs + answeredAfterMs);
		caller.isAnswered = true;
		junkUntil(startMs + doneAfterMs);
		if (!dropped.has(caller)) done++;
		pending.delete(caller);
	}

	return done;
}

describe('1,500 junk connections a second from 64 addresses, with a round trip of 80 ms', () => {
	const flood = {junkPerSecond: 1500, addresses: 64, honest: 100, doneAfterMs: 160};

	test('every honest caller whose first flight has come is served', () => {
		expect(survivors({...flood, answeredAfterMs: 1})).toBe(100);
	});

	test('of those whose first flight is still on the way for a round trip, four of five are served', () => {
		// (1 − 1/512)^120 = 79 %; each of them calls again.
		const served = survivors({...flood, honest: 400, answeredAfterMs: 80});
		expect(served / 400).toBeGreaterThan(0.73);
		expect(served / 400).toBeLessThan(0.86);
	});

	test('of honest callers nine of ten are served when the junk repeats a recorded first flight', () => {
		// They move to the answered by chance, and are dropped from these by chance.
		const served = survivors({...flood, honest: 400, answeredAfterMs: 1, isJunkAnswered: true});
		expect(served / 400).toBeGreaterThan(0.86);
		expect(served / 400).toBeLessThan(0.98);
	});

	test('every member is served in each of these cases, from its own address', () => {
		const members = ['192.0.2.1', '192.0.2.2'];
		for (const [answeredAfterMs, isJunkAnswered] of [
			[1, false],
			[80, false],
			[80, true],
		] as const)
			expect(
				survivors({
					...flood,
					answeredAfterMs,
					isJunkAnswered,
					members,
					honestHost: index => members[index % 2]!,
				}),
			).toBe(100);
	});

	test('an honest caller does not depend on luck: with room for 64, as once, most would be dropped', () => {
		expect(survivors({...flood, answeredAfterMs: 80, max: 64})).toBeLessThan(30);
	});
});

describe('bounds', () => {
	test('hold for silent and for answered callers, of one address and of all', () => {
		const {pending, dropped, call} = pool({max: 16, perAddressMax: 4});
		for (let index = 0; index < 100; index++) call('10.0.0.1');
		expect(pending.size).toBe(4);
		expect(new Set(dropped.values())).toEqual(new Set(['unauthenticated-per-address']));
		for (let index = 0; index < 100; index++) call(`10.0.1.${index}`);
		expect(pending.size).toBe(16);
		expect([...dropped.values()].filter(reason => reason === 'unauthenticated').length).toBe(88);
		for (let index = 0; index < 100; index++) call(`10.0.2.${index}`, true);
		expect(pending.size).toBeLessThanOrEqual(32);
		for (let index = 0; index < 100; index++) call(`10.0.3.${index}`);
		expect(pending.size).toBe(32);
	});

	test('are kept when connections end by themselves', () => {
		const {pending, call} = pool({max: 4, perAddressMax: 2});
		for (let round = 0; round < 50; round++) {
			const callers = ['a', 'a', 'b', 'b'].map((name, index) => call(`host-${name}`, index % 2 === 0));
			for (const caller of callers) pending.delete(caller);
			for (const caller of callers) pending.delete(caller); // Once more: nothing happens.
			expect(pending.size).toBe(0);
		}
	});

	test('of members are separate in both directions', () => {
		const {dropped, call} = pool({max: 8, perAddressMax: 8, members: ['10.0.0.1']});
		const member = call('10.0.0.1');
		const other = call('10.0.0.2');
		for (let index = 0; index < 6; index++) call('10.0.0.1');
		expect(dropped.has(other)).toBe(false);
		for (let index = 0; index < 100; index++) call(`10.0.1.${index}`);
		const ofMembers = [...dropped].filter(([{host}]) => host === '10.0.0.1');
		expect(ofMembers).toHaveLength(5); // A quarter of eight has room for two.
		expect(dropped.has(member) || ofMembers.length > 0).toBe(true);
	});

	test('of all connections drop an unauthenticated one, a silent one if there is one', () => {
		const {pending, dropped, call} = pool();
		const answered = call('10.0.0.1', true);
		const silent = ['2', '3', '4', '5'].map(digit => call(`10.0.0.${digit}`));
		for (let left = 4; left > 0; left--) expect(pending.dropOne()).toBe(true);
		expect([...dropped.keys()].toSorted((a, b) => (a.host < b.host ? -1 : 1))).toEqual(silent);
		expect(pending.dropOne()).toBe(true);
		expect(dropped.get(answered)).toBe('connections');
		expect(pending.dropOne()).toBe(false);
	});

	test('of all connections do not always hit the only silent one among many that were answered', () => {
		let hits = 0;
		for (let seed = 0; seed < 200; seed++) {
			const {pending, dropped, call} = pool({seed});
			for (let index = 0; index < 400; index++) call(`10.0.${index}.1`, true);
			const silent = call('10.1.0.1');
			pending.dropOne();
			if (dropped.has(silent)) hits++;
		}

		expect(hits).toBeLessThan(20);
	});
});

test('IPv6 addresses count by the network of one host', () => {
	for (const [host, key] of [
		['10.0.0.1', '10.0.0.1'],
		['2001:db8:1:2:3:4:5:6', '2001:db8:1:2'],
		['2001:db8:1:2::', '2001:db8:1:2'],
		['2001:db8::7', '2001:db8:0:0'],
		['::1', '0:0:0:0'],
		['fe80::1%eth0', 'fe80:0:0:0'],
		['', ''],
	] as const)
		expect(addressKey(host), host).toBe(key);
});
