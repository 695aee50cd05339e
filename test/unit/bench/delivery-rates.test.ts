import {expect, test} from 'vitest';
import {deliveryRates} from '../../../bench/measure.ts';

const received = (
	unique: number,
	firstMs: number,
	lastMs: number,
): {readonly unique: number; readonly firstNs: string; readonly lastNs: string} => ({
	unique,
	firstNs: String(BigInt(firstMs) * 1_000_000n),
	lastNs: String(BigInt(lastMs) * 1_000_000n),
});

test('delivered/s is the rate of the slowest subscriber, not the sum over all', () => {
	// All began at second 1; one finished after one second, one after two, the slowest after four.
	const three = [received(1000, 1000, 2000), received(1000, 1000, 3000), received(1000, 1000, 5000)];
	expect(deliveryRates(three)).toEqual({slowest: 250, all: 750});
	// A later begin does not make a subscriber faster.
	expect(deliveryRates([received(1000, 1000, 2000), received(1000, 4000, 5000)])).toEqual({slowest: 250, all: 500});
});

test('lost messages lower the rate of a subscriber, and a subscriber without messages has no rate', () => {
	expect(deliveryRates([received(1000, 0, 1000), received(500, 0, 1000)])).toEqual({slowest: 500, all: 1500});
	expect(deliveryRates([received(1000, 1000, 2000), received(0, 0, 0)])).toEqual({slowest: 0, all: 1000});
	expect(deliveryRates([received(0, 0, 0)])).toEqual({slowest: 0, all: 0});
});
