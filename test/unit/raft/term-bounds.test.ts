import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {NodeId} from '../../../core/message.ts';
import {TermBounds, termMax} from '../../../core/raft/term-bounds.ts';

const electionTicks = 20;
const peer = (index: number): NodeId => index.toString(16).padStart(16, '0') as NodeId;

describe('the terms that a peer may set', () => {
	test('may be far ahead once, as for a node that joins an old cluster', () => {
		expect(new TermBounds(electionTicks).raise(peer(1), 0, 2 ** 47 - 1, 0)).toBeUndefined();
		expect(new TermBounds(electionTicks).raise(peer(1), 0, 2 ** 47, 0)).toBe('term-jump');
		expect(new TermBounds(electionTicks).raise(peer(1), 1, 2 ** 44 - 1, 0)).toBeUndefined();
		expect(new TermBounds(electionTicks).raise(peer(1), 1, 2 ** 44 + 1, 0)).toBe('term-jump');
	});

	test('leave fifteen of sixteen terms after any packets of one peer', () => {
		fc.assert(
			fc.property(fc.array(fc.integer({min: 1, max: 2 ** 48}), {maxLength: 200}), jumps => {
				const bounds = new TermBounds(electionTicks);
				let term = 7;
				for (const [index, jump] of jumps.entries())
					if (bounds.raise(peer(1), term, term + jump, index * 10_000) === undefined) term += jump;
				expect(term).toBeLessThanOrEqual(7 + (termMax - 7) / 16);
			}),
		);
	});

	test('leave terms after many peers and many starts have taken their share', () => {
		let term = 0;
		for (let start = 0; start < 50; start++) {
			const bounds = new TermBounds(electionTicks);
			for (let index = 0; index < 4; index++) {
				const higher = term + Math.floor((termMax - term) / 16);
				expect(bounds.raise(peer(index), term, higher, 0)).toBeUndefined();
				term = higher;
			}
		}

		// Two hundred times a sixteenth of the rest.
		expect(termMax - term).toBeGreaterThan(500_000_000);
	});

	test('may be as far ahead as two peers have shown', () => {
		const bounds = new TermBounds(electionTicks);
		expect(bounds.raise(peer(1), 7, termMax, 0)).toBe('term-jump');
		expect(bounds.raise(peer(1), 7, 2 ** 46, 0), 'the same peer again').toBe('term-jump');
		expect(bounds.raise(peer(2), 7, 2 ** 47, 0), 'over half').toBe('term-jump');
		expect(bounds.raise(peer(2), 7, 2 ** 46, 0)).toBeUndefined();
	});

	test('are ignored for 120 election timeouts after 32 raises, and then accepted again', () => {
		const bounds = new TermBounds(electionTicks);
		let term = 1;
		for (let count = 0; count < 32; count++) expect(bounds.raise(peer(1), term, ++term, count)).toBeUndefined();
		const untilTick = 31 + 120 * electionTicks;
		for (const tick of [32, untilTick - 1]) expect(bounds.raise(peer(1), term, term + 1, tick)).toBe('term-raises');
		expect(bounds.raise(peer(2), term, term + 1, 33), 'another peer is not concerned').toBeUndefined();
		expect(bounds.raise(peer(1), term, term + 1, untilTick)).toBeUndefined();
	});

	test('are accepted from a peer that campaigns once in an election timeout for ever', () => {
		const bounds = new TermBounds(electionTicks);
		for (let term = 1; term < 2000; term++)
			expect(bounds.raise(peer(1), term, term + 1, term * electionTicks)).toBeUndefined();
	});
});
