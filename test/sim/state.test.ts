import {expect, test} from 'vitest';
import {simulateState} from './state-run.ts';

test('the replicated state: 300 logs, each read whole, from a snapshot, and by the previous release', () => {
	for (let seed = 1; seed <= 300; seed++) expect(() => simulateState(seed)).not.toThrow();
});
