import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import {parseJoinAnswer, type JoinAnswer} from '../../../core/membership/joining.ts';
import {SeedWatch} from '../../../core/membership/seed-watch.ts';
import type {NodeId} from '../../../core/message.ts';
import {encodeControl} from '../../../core/wire/wire.ts';

const other = '000000000000000b' as NodeId;

/** A watch over the given seeds, for a node of the cluster `c` at `own`; `answers` by address. */
function setUp(seeds: readonly string[], answers: Readonly<Record<string, JoinAnswer | Error>>) {
	const state = {nowMs: 0, asked: [] as string[], foreign: [] as Array<readonly [string, string]>};
	const watch = new SeedWatch({
		seeds,
		address: 'own',
		clusterId: () => 'c',
		nowMs: () => state.nowMs,
		question: () => Buffer.of(0),
		foreign: (...foreign) => void state.foreign.push(foreign),
		peers: {
			async ask(address) {
				state.asked.push(address);
				const answer = answers[address]!;
				if (answer instanceof Error) throw answer;
				return {id: other, frame: encodeControl('joined', answer)};
			},
		},
	});
	/** Looks three times, at more than the retry interval. Returns the addresses that were asked each time. */
	const look = async (members: readonly string[] = []): Promise<readonly string[][]> => {
		const rounds: string[][] = [];
		for (let round = 0; round < 3; round++) {
			state.asked = [];
			watch.check(new Set(members));
			await Promise.resolve()
				.then(() => undefined)
				.then(() => undefined);
			rounds.push(state.asked);
			state.nowMs += 5000;
		}

		return rounds;
	};

	return {state, look, watch};
}

describe('the seeds of a member that has a leader', () => {
	test('another cluster is reported each time it answers, whether it refuses this node or not', async () => {
		const {state, look} = setUp(['refuses', 'takes'], {
			refuses: {type: 'refused', reason: 'no', clusterId: 'd'},
			takes: {type: 'joined', clusterId: 'e', members: []},
		});
		expect(await look()).toEqual([
			['refuses', 'takes'],
			['refuses', 'takes'],
			['refuses', 'takes'],
		]);
		expect(state.foreign.slice(0, 2)).toEqual([
			['d', 'refuses'],
			['e', 'takes'],
		]);
		expect(state.foreign).toHaveLength(6);
	});

	test('a seed of this cluster or of another secret is asked once, a silent seed repeatedly', async () => {
		const {state, look} = setUp(['ours', 'foreign', 'silent'], {
			ours: {type: 'joined', clusterId: 'c', members: []},
			foreign: new DapssError('not-authenticated', 'another secret'),
			silent: new DapssError('unreachable', 'no answer'),
		});
		expect(await look()).toEqual([['ours', 'foreign', 'silent'], ['silent'], ['silent']]);
		expect(state.foreign).toEqual([]);
	});

	test('a member and this node itself are not asked', async () => {
		expect(await setUp(['own', 'member'], {}).look(['member'])).toEqual([[], [], []]);
	});

	test('no seed is asked more often than the interval allows, nor after close', () => {
		const {state, watch} = setUp(['silent'], {silent: new DapssError('unreachable', 'no answer')});
		watch.check(new Set());
		watch.check(new Set());
		watch.close();
		state.nowMs += 5000;
		watch.check(new Set());
		expect(state.asked).toEqual(['silent']);
	});
});

test("a refusal names its cluster when that is the reason; an older node's refusal does not", () => {
	const parse = (answer: JoinAnswer): JoinAnswer | undefined => parseJoinAnswer(encodeControl('joined', answer));
	expect(parse({type: 'refused', reason: 'no', clusterId: 'd'})).toEqual({
		type: 'refused',
		reason: 'no',
		clusterId: 'd',
	});
	expect(parse({type: 'refused', reason: 'no'})).toEqual({type: 'refused', reason: 'no'});
	expect(parse({type: 'refused', reason: 'no', clusterId: 7 as unknown as string})).toEqual({
		type: 'refused',
		reason: 'no',
	});
});
