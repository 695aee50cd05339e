import {describe, expect, test} from 'vitest';
import {DuplicateProcesses, type Process} from '../../../core/membership/duplicate-processes.ts';
import type {NodeId} from '../../../core/message.ts';

const peer = '00000000000000aa' as NodeId;
const original: Process = {instance: '1111111111111111', incarnation: 4, address: '10.0.0.1:5000'};
const copy: Process = {instance: '2222222222222222', incarnation: 5, address: '10.0.0.9:5000'};

function setUp(agreed: Process | undefined) {
	const state = {nowMs: 0, agreed, log: [] as string[]};
	const duplicates = new DuplicateProcesses({
		nowMs: () => state.nowMs,
		agreed: () => state.agreed,
		ask: (_peer, other) => state.log.push(`ask about ${other}`),
		drop: () => state.log.push('drop'),
		found: (_id, kept, refused) => state.log.push(`${kept} is kept, ${refused} is refused`),
	});
	return {state, duplicates};
}

describe('a process that calls under the id of a linked peer', () => {
	test('is refused when the linked process answers, and both are reported', () => {
		const {state, duplicates} = setUp(original);
		expect(duplicates.judge(peer, copy, original).type).toBe('wait');
		duplicates.answered(peer);
		expect(duplicates.judge(peer, copy, original)).toEqual({
			type: 'refuse',
			reason: expect.stringMatching(
				/runs at 10\.0\.0\.1:5000 already: this process, at 10\.0\.0\.9:5000, uses a copy/,
			) as string,
			incarnation: 4,
		});
		expect(state.log).toEqual(['ask about 10.0.0.9:5000', '10.0.0.1:5000 is kept, 10.0.0.9:5000 is refused']);
	});

	test('takes the place of a process that does not answer for a second', () => {
		const {state, duplicates} = setUp(original);
		duplicates.judge(peer, copy, original);
		state.nowMs = 999;
		expect(duplicates.judge(peer, copy, original).type).toBe('wait');
		state.nowMs = 1000;
		expect(duplicates.judge(peer, copy, original)).toEqual({type: 'take'});
		expect(state.log).toEqual(['ask about 10.0.0.9:5000', 'drop']);
	});

	test('waits until the cluster has agreed on one of the two', () => {
		const {state, duplicates} = setUp(undefined);
		duplicates.judge(peer, copy, original);
		duplicates.answered(peer);
		expect(duplicates.judge(peer, copy, original).type).toBe('wait');
		expect(state.log.at(-1)).toBe('10.0.0.1:5000 is kept, 10.0.0.9:5000 is refused');
	});

	test('is accepted when the cluster agreed on it: the linked process was cut off meanwhile', () => {
		const {state, duplicates} = setUp(copy);
		duplicates.judge(peer, copy, original);
		duplicates.answered(peer);
		expect(duplicates.judge(peer, copy, original)).toEqual({type: 'take'});
		expect(state.log.slice(1)).toEqual(['10.0.0.9:5000 is kept, 10.0.0.1:5000 is refused', 'drop']);
	});

	test('is judged by the answer of the process with the present link, not of an earlier one', () => {
		const {state, duplicates} = setUp(original);
		duplicates.judge(peer, copy, {...original, instance: '3333333333333333'});
		duplicates.answered(peer);
		expect(duplicates.judge(peer, copy, original).type).toBe('wait');
		expect(state.log).toHaveLength(2);
	});
});

describe('a process that calls while no other one of its node is linked', () => {
	const judged = (caller: Process, agreed: Process | undefined): unknown =>
		setUp(agreed).duplicates.judge(peer, caller, undefined);
	test('is refused when the cluster agreed on another process of the same or a later incarnation', () => {
		for (const incarnation of [4, 3]) {
			expect(judged({...copy, incarnation}, original)).toEqual({
				type: 'refuse',
				incarnation: 4,
				reason: expect.stringMatching(/at 10\.0\.0\.9:5000, uses an older copy/) as string,
			});
		}
	});

	test('is accepted when it is the agreed process, can become it, or none is agreed', () => {
		expect([
			judged(original, original),
			judged({...copy, incarnation: 5}, original),
			judged(copy, undefined),
		]).toEqual([{type: 'take'}, {type: 'take'}, {type: 'take'}]);
	});
});
