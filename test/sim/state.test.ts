import {expect, test} from 'vitest';
import {simulateState} from './state-run.ts';

test('the replicated state: 100 logs, each applied completely, from a snapshot, and by earlier releases', () => {
	for (let seed = 1; seed <= 100; seed++) expect(() => simulateState(seed)).not.toThrow();
}, 30_000);
