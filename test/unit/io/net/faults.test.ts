import {expect, test} from 'vitest';
import {systemClock} from '../../../../core/io/clock.ts';
import {DelayLine, Faults} from '../../../../core/io/net/faults.ts';
import {ManualClock} from '../../../../core/io/net/memory-network.ts';
import type {NodeId} from '../../../../core/message.ts';
import {createRandom} from '../../../sim/random.ts';

const a = 'aaaaaaaaaaaaaaaa' as NodeId;
const b = 'bbbbbbbbbbbbbbbb' as NodeId;

test('a cut has peers and a direction', () => {
	const faults = new Faults(new ManualClock(), createRandom(1));
	faults.apply({type: 'cut', peers: [a], direction: 'in', forMs: 0});
	expect([faults.isCut(a, 'in'), faults.isCut(a, 'out'), faults.isCut(b, 'in')]).toEqual([true, false, false]);
	expect(faults.frameOut(a)).toBe(0);
	expect(faults.isDatagramLost(a)).toBe(true);
	faults.apply({type: 'cut', peers: [a, b], direction: 'both', forMs: 0});
	expect([faults.frameOut(a), faults.frameOut(b), faults.datagramOut(b), faults.datagramOut(undefined)]).toEqual([
		'lost',
		'lost',
		'lost',
		0,
	]);
});

test('a peer is reported as healed when its last cut ends', () => {
	const clock = new ManualClock();
	const faults = new Faults(clock, createRandom(1));
	const healed: Array<readonly NodeId[]> = [];
	faults.onHealed = peers => {
		healed.push(peers);
	};

	faults.apply({type: 'cut', peers: [a, b], direction: 'both', forMs: 5});
	faults.apply({type: 'cut', peers: [b], direction: 'out', forMs: 0});
	clock.advance(5);
	expect(healed).toEqual([[a]]);
	expect(faults.isCut(b, 'out')).toBe(true);
	faults.apply({type: 'heal'});
	expect(healed).toEqual([[a], [b]]);
	expect(faults.active()).toEqual([]);
});

test('a fault says who asked for it and how long it lasts, and reports its end', () => {
	const clock = new ManualClock();
	const faults = new Faults(clock, createRandom(1));
	let expired = 0;
	faults.onExpired = () => {
		expired++;
	};

	faults.apply({type: 'delay', ms: 50, forMs: 10_000}, 'alice at 10.0.0.7:4711');
	expect(faults.active()).toEqual(['delay 50 ms (10.0 s left, by alice at 10.0.0.7:4711)']);
	clock.advance(10_000);
	expect([faults.active(), expired]).toEqual([[], 1]);
	faults.apply({type: 'delay', ms: 50, forMs: 10_000});
	faults.apply({type: 'heal'});
	clock.advance(10_000);
	expect(expired).toBe(1); // Who heals it records that.
});

test('dropped packets are lost datagrams and late frames, in about the requested share', () => {
	const faults = new Faults(new ManualClock(), createRandom(5));
	faults.apply({type: 'drop', percent: 30, forMs: 0});
	let lost = 0;
	let late = 0;
	for (let round = 0; round < 10_000; round++) {
		if (faults.datagramOut(a) === 'lost') lost++;
		const fate = faults.frameOut(a);
		expect([0, 200]).toContain(fate);
		if (fate === 200) late++;
	}

	expect(lost).toBeGreaterThan(2700);
	expect(lost).toBeLessThan(3300);
	expect(late).toBeGreaterThan(2700);
	expect(late).toBeLessThan(3300);
});

test('faults are listed with their remaining time, and bounded in number', () => {
	const clock = new ManualClock();
	const faults = new Faults(clock, createRandom(1));
	faults.apply({type: 'cut', peers: [a], direction: 'out', forMs: 10_000});
	faults.apply({type: 'delay', ms: 40, forMs: 0});
	faults.apply({type: 'drop', percent: 5, forMs: 2000});
	clock.advance(1000);
	expect(faults.active()).toEqual([
		'cut what goes to aaaaaa (9.0 s left)',
		'delay 40 ms (until healed)',
		'drop 5 % (1.0 s left)',
	]);
	for (let round = 0; round < 200; round++) faults.apply({type: 'delay', ms: round, forMs: 0});
	expect(faults.active()).toHaveLength(64);
	expect(faults.frameOut(a)).toBe(199);
	faults[Symbol.dispose]();
	expect(faults.active()).toEqual([]);
});

test('a delay line keeps the order although later delays are shorter', async () => {
	const line = new DelayLine(systemClock);
	const got: number[] = [];
	await new Promise<void>(resolve => {
		line.add(20, 10, () => got.push(1));
		line.add(0, 5, () => got.push(2));
		expect(line.queuedBytes).toBe(15);
		line.add(5, 1, () => {
			got.push(3);
			resolve();
		});
	});
	expect(got).toEqual([1, 2, 3]);
	expect([line.queuedBytes, line.isEmpty]).toEqual([0, true]);
	line.add(1, 1, () => got.push(4));
	line.clear();
	expect(line.isEmpty).toBe(true);
});
