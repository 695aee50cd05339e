/**
Whole nodes in virtual time: a few seeds (`npm run sim` runs more), and failures that earlier campaigns found.
*/
import {expect, test} from 'vitest';
import type {Outcome, RunOptions} from './node/cluster.ts';
import {planOf} from './node/plan.ts';
import {createRandom, seeds} from './random.ts';
import {attempt} from './worker.ts';

/** Run in an event of its own, because promise callbacks cannot be drained from within one. */
async function run(options: RunOptions): Promise<Outcome> {
	const outcome = await new Promise<Outcome | string>(resolve => setImmediate(() => resolve(attempt(options))));
	if (typeof outcome === 'string') throw new Error(outcome);
	return outcome;
}

/** Kinds added after the seeds below were recorded as whole plans. Without them, those plans stay the same. */
const laterKinds: ReadonlySet<string> = new Set(['full-disk', 'follower']);
/** A seed with its whole plan or, given times, with only these events. */
const only = (seed: number, ...times: readonly number[]): RunOptions => ({
	seed,
	plan: planOf(seed, 40_000).filter(({atMs, kind}) =>
		times.length === 0 ? !laterKinds.has(kind) : times.includes(atMs),
	),
});

test.each(seeds(8))('all checks pass, and a second run is identical (seed %i)', async seed => {
	const outcome = await run({seed});
	expect(outcome.work['released']).toBeGreaterThan(0);
	// Operations of two processes with one id are not counted, because they share a session.
	expect(outcome.work['operations']! + (outcome.faults['copy'] ?? 0)).toBeGreaterThan(0);
	expect((await run({seed})).fingerprint).toBe(outcome.fingerprint);
});

test('another seed gives another run', async () => {
	expect((await run({seed: 1})).fingerprint).not.toBe((await run({seed: 2})).fingerprint);
});

// Links with so little loss that one leader lasts without the cut. The second node, a follower, is cut off for a
// minute.
test.each([4, 14, 24, 36, 66])(
	'an isolated node does not raise the term, and its return unseats nobody (seed %i)',
	async seed => {
		const plan: RunOptions['plan'] = [
			{kind: 'isolate', atMs: 10_000, a: 1, b: 0, forMs: 0},
			{kind: 'heal', atMs: 70_000, a: 0, b: 0, forMs: 0},
		];
		const {faults, work} = await run({seed, forMs: 80_000, plan});
		expect(faults['net-cut']).toBeGreaterThan(100);
		expect(work).toMatchObject({leaders: 1, terms: 2});
	},
);

// The first node leads. Its connections close, calls to it are refused, and it returns three seconds later.
test.each([4, 15, 24, 36])(
	'followers whose calls to the leader are refused elect another leader at once (seed %i)',
	async seed => {
		const {work} = await run({seed, forMs: 30_000, plan: [{kind: 'kill', atMs: 20_000, a: 0, b: 0, forMs: 3000}]});
		expect(work).toMatchObject({leaders: 2, terms: 3, 'cause-silent': 0});
		expect(work['cause-crashed']).toBeGreaterThan(1);
	},
);

// Another program fills the disk of the second node for 18 s. `healthy means usable` fails where a node hides it.
test.each([4, 14, 24, 36])(
	'while the disk of a member is full, no node reports a healthy cluster (seed %i)',
	async seed => {
		const {work, faults} = await run({
			seed,
			plan: [{kind: 'full-disk', atMs: 15_000, a: 1, b: 0, forMs: 3000}],
		});
		expect(faults['full-disk']).toBe(1);
		expect(work['saidHealthy']).toBeGreaterThan(0);
		expect(work['fullDisk-refused']).toBeGreaterThan(0);
	},
);

// Half an hour in all, on seeds where no process ends at a snapshot or retention. A stall of the leader plus the wait
// for its next heartbeat is shorter than an election timeout.
test.each([14, 36, 37])(
	'a healthy cluster keeps its leader through stalls of 300 ms (seed %i)',
	async seed => {
		const random = createRandom(`${seed}/stalls`);
		const plan: RunOptions['plan'] = Array.from({length: 100}, (_, index) => ({
			kind: 'pause' as const,
			atMs: 10_000 + index * 5900 + random.below(5000),
			a: random.below(5),
			b: 0,
			forMs: 300,
		}));
		const {faults, work} = await run({seed, forMs: 600_000, plan});
		expect(faults).toMatchObject({pause: 100, 'end-killed': 0, 'end-power': 0, 'end-storage': 0});
		expect(work).toMatchObject({leaders: 1, terms: 2});
	},
	60_000,
);

// Each of these failed once. Shrinking left these events.
test.each([
	['a joined node forgot the reported members as soon as the beginning of its own log named others', only(35)],
	['an admitted node without a log rejected others as unauthenticated peers', only(68)],
	['a segment without a durable name lost acknowledged messages', only(72, 25_242, 25_365, 26_356, 28_369, 28_684)],
	['a node that had been away rejected an unknown leader forever', only(164, 6786, 18_217, 32_269, 32_948)],
	[
		'a subscriber requested unwanted messages forever, and did not get the messages after a hole',
		only(295, 3529, 7483, 26_120, 30_055, 39_786),
	],
	[
		'a skipped stream reported too early a stamp, and other nodes skipped messages that they wanted',
		only(786, 12_062),
	],
	['messages lost to damage were skipped without a report when others had filled their hole', only(811)],
	['more messages came back than a hole could hold, and the rest was skipped without a report', only(876)],
	['a stream that started in a hole got its beginning back, but not the messages after it', only(1492)],
	[
		'a node did not request its own lost messages, and messages that it never had took their place',
		only(9851, 7661, 12_392, 14_839, 20_593),
	],
	[
		'messages reported as too early for a hole were requested again after each answer',
		only(19_180, 8688, 10_788, 11_599, 13_169, 28_687, 30_307),
	],
	['an answer to an earlier subscription skipped messages that a later one wants', only(13_542, 12_371, 18_477)],
	['a node with a hole kept requesting messages that had been reported as too early', only(655)],
	[
		'a node that retried its join before a slow leader had applied the first attempt was permanently rejected',
		only(5223),
	],
	['Lamport time went back across a power cut right after a stamp from far ahead', only(1559)],
	[
		'messages backfilled while unwanted were released again after a new subscription (end of a log gone)',
		only(
			12_919,
			3936,
			4108,
			5066,
			5757,
			6215,
			8229,
			8679,
			9479,
			12_588,
			12_769,
			13_208,
			14_090,
			14_158,
			15_510,
			15_793,
			16_164,
			17_917,
			19_409,
			19_814,
			19_986,
		),
	],
	[
		'the same after a flipped bit',
		only(
			13_052,
			3591,
			3848,
			4377,
			4614,
			5332,
			6198,
			6583,
			7514,
			7565,
			9259,
			12_827,
			13_224,
			14_112,
			14_577,
			15_150,
			15_799,
			16_029,
			17_574,
			22_484,
		),
	],
	[
		'a joining node that learned from the leader that it is a member kept asking forever',
		only(27_757, 23_073, 27_360, 27_744),
	],
	['with datagrams blocked and a busy link, rumours about a member were not sent', only(433, 18_350, 19_048, 28_847)],
	['the same for a member without a link', only(25_081, 8883, 12_247, 15_364, 19_764)],
	[
		'a subscription that ended while a reader was open began again later, and the messages between were lost',
		only(33_794, 7779, 9570, 10_268),
	],
	[
		'a reader from an offset after the end of the log was not given the beginning of the batch that reached it',
		only(35_641, 6672, 8062),
	],
	[
		'the same after swaps of addresses and a blackout',
		only(35_658, 4171, 9022, 11_336, 18_556, 21_375, 21_713, 26_039, 27_617),
	],
	[
		'messages of a deleted topic that waited to be written were not counted as deleted',
		only(
			36_419,
			5769,
			7032,
			8517,
			9435,
			10_980,
			11_535,
			13_916,
			14_992,
			15_554,
			16_285,
			18_504,
			18_523,
			22_228,
			24_985,
			28_856,
			29_820,
			34_663,
			35_874,
		),
	],
	['a peer answers a digest of an earlier process of the node', only(45_670, 6881, 8656, 9357)],
	[
		'a relayed heartbeat reaches the second process of a copied identity',
		only(45_840, 11_578, 13_184, 16_138, 18_316),
	],
] as Array<[string, RunOptions]>)('%s', async (_name, options) => {
	await expect(run(options)).resolves.toMatchObject({seed: options.seed});
});

// Its log does not yet name the members that ping it.
test.each([
	['clogged link', only(10_443, 5719, 6807, 17_237, 20_445, 20_943, 26_866, 29_401), {'wrongly-dead': 0}],
	['old log', only(10_648, 13_389, 21_568, 24_420, 26_877), {'wrongly-dead': 0}],
] as Array<[string, RunOptions, Record<string, number>]>)(
	'a new node answers pings and refutes rumours about itself (%s)',
	async (_name, options, work) => {
		await expect(run(options)).resolves.toMatchObject({work});
	},
);
