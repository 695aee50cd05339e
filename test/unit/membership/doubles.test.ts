import {describe, expect, test} from 'vitest';
import {Doubles, type Process} from '../../../core/membership/doubles.ts';
import type {NodeId} from '../../../core/message.ts';

const peer = '00000000000000aa' as NodeId;
const original: Process = {instance: '1111111111111111', incarnation: 4, address: '10.0.0.1:5000'};
const copy: Process = {instance: '2222222222222222', incarnation: 5, address: '10.0.0.9:5000'};

function setUp(agreed: Process | undefined) {
	const state = {nowMs: 0, agreed, log: [] as string[]};
	const doubles = new Doubles({
		nowMs: () => state.nowMs,
		agreed: () => state.agreed,
		ask: (_peer, other) => state.log.push(`ask about ${other}`),
		drop: () => state.log.push('drop'),
		found: (_id, kept, refused) => state.log.push(`${kept} is kept, ${refused} is refused`),
	});
	return {state, doubles};
}

describe('a process that calls under the id of a linked peer', () => {
	test('is refused when the linked process answers, and both are named', () => {
		const {state, doubles} = setUp(original);
		expect(doubles.judge(peer, copy, original).type).toBe('wait');
		doubles.answered(peer);
		expect(doubles.judge(peer, copy, original)).toEqual({
			type: 'refuse',
			reason: expect.stringMatching(
				/runs at 10\.0\.0\.1:5000 already: this process, at 10\.0\.0\.9:5000, uses a copy/,
			) as string,
			incarnation: 4,
		});
		expect(state.log).toEqual(['ask about 10.0.0.9:5000', '10.0.0.1:5000 is kept, 10.0.0.9:5000 is refused']);
	});

	test('takes the place of a process that does not answer for a second', () => {
		const {state, doubles} = setUp(original);
		doubles.judge(peer, copy, original);
		state.nowMs = 999;
		expect(doubles.judge(peer, copy, original).type).toBe('wait');
		state.nowMs = 1000;
		expect(doubles.judge(peer, copy, original)).toEqual({type: 'take'});
		expect(state.log).toEqual(['ask about 10.0.0.9:5000', 'drop']);
	});

	test('waits while it is not agreed which of the two is kept', () => {
		const {state, doubles} = setUp(undefined);
		doubles.judge(peer, copy, original);
		doubles.answered(peer);
		expect(doubles.judge(peer, copy, original).type).toBe('wait');
		expect(state.log.at(-1)).toBe('10.0.0.1:5000 is kept, 10.0.0.9:5000 is refused');
	});

	test('is taken when it is the one that the cluster agreed on: the linked one was cut off meanwhile', () => {
		const {state, doubles} = setUp(copy);
		doubles.judge(peer, copy, original);
		doubles.answered(peer);
		expect(doubles.judge(peer, copy, original)).toEqual({type: 'take'});
		expect(state.log.slice(1)).toEqual(['10.0.0.9:5000 is kept, 10.0.0.1:5000 is refused', 'drop']);
	});

	test('is judged by an answer to this question, not by one to an earlier process', () => {
		const {state, doubles} = setUp(original);
		doubles.judge(peer, copy, {...original, instance: '3333333333333333'});
		doubles.answered(peer);
		expect(doubles.judge(peer, copy, original).type).toBe('wait');
		expect(state.log).toHaveLength(2);
	});
});

describe('a process that calls while no other one of its node is linked', () => {
	const judged = (caller: Process, agreed: Process | undefined): unknown =>
		setUp(agreed).doubles.judge(peer, caller, undefined);
	test('is refused when the cluster agreed on another one of its incarnation or a later one: that may have crashed', () => {
		for (const incarnation of [4, 3]) {
			expect(judged({...copy, incarnation}, original)).toEqual({
				type: 'refuse',
				incarnation: 4,
				reason: expect.stringMatching(/at 10\.0\.0\.9:5000, uses an older copy/) as string,
			});
		}
	});

	test('is taken when it is the agreed one, can become it, or none is agreed', () => {
		expect([
			judged(original, original),
			judged({...copy, incarnation: 5}, original),
			judged(copy, undefined),
		]).toEqual([{type: 'take'}, {type: 'take'}, {type: 'take'}]);
	});
});
