/**
Whole nodes in virtual time, a few seeds of them (`npm run sim` runs more), and what earlier campaigns found.
*/
import {expect, test} from 'vitest';
import type {Outcome, RunOptions} from './node/cluster.ts';
import {planOf} from './node/plan.ts';
import {createRandom, seeds} from './random.ts';
import {attempt} from './worker.ts';

/** From a turn of its own: promise callbacks cannot be run from within one. */
async function run(options: RunOptions): Promise<Outcome> {
	const outcome = await new Promise<Outcome | string>(resolve => setImmediate(() => resolve(attempt(options))));
	if (typeof outcome === 'string') throw new Error(outcome);
	return outcome;
}

/** Drawn since scripts as a whole were told of: without them these stay what they were. */
const laterKinds: ReadonlySet<string> = new Set(['full-disk', 'follower']);
/** The seed; with times, only these events of its script. */
const only = (seed: number, ...times: readonly number[]): RunOptions => ({
	seed,
	plan: planOf(seed, 40_000).filter(({atMs, kind}) =>
		times.length === 0 ? !laterKinds.has(kind) : times.includes(atMs),
	),
});

test.each(seeds(8))('everything holds, and holds in the same way again (seed %i)', async seed => {
	const outcome = await run({seed});
	expect(outcome.work['released']).toBeGreaterThan(0);
	// What two processes of one id asked for is left out: they share a session.
	expect(outcome.work['operations']! + (outcome.faults['copy'] ?? 0)).toBeGreaterThan(0);
	expect((await run({seed})).fingerprint).toBe(outcome.fingerprint);
});

test('another seed is another run', async () => {
	expect((await run({seed: 1})).fingerprint).not.toBe((await run({seed: 2})).fingerprint);
});

// Links that lose nothing, so that one leader lasts. The second node is cut off for a minute; it is no leader.
test.each([4, 14, 24, 36, 37])(
	'who is cut off does not raise the term, and unseats nobody when it is back (seed %i)',
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

// The first node leads. Its connections close, calls to it are refused, and it is back three seconds later.
test.each([4, 15, 24, 36])(
	'followers whose calls to the leader are refused elect another one at once (seed %i)',
	async seed => {
		const {work} = await run({seed, forMs: 30_000, plan: [{kind: 'kill', atMs: 20_000, a: 0, b: 0, forMs: 3000}]});
		expect(work).toMatchObject({leaders: 2, terms: 3, 'cause-silent': 0});
		expect(work['cause-crashed']).toBeGreaterThan(1);
	},
);

// Half an hour in all, on seeds whose upkeep ends no process: a stall of the leader, with the wait for its next
// heartbeat, is shorter than an election timeout.
test.each([14, 36, 37])(
	'a healthy cluster keeps its leader over stalls of 300 ms (seed %i)',
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

// Each failed once. The script is what shrinking left of it.
test.each([
	['a node that joined forgot those it was told of, when the beginning of its own log named others', only(35)],
	['a node that was taken in, and had no log yet, refused others as strangers', only(68)],
	[
		'a segment whose name was not made to last took acknowledged messages with it',
		only(72, 25_242, 25_365, 26_356, 28_369, 28_684),
	],
	[
		'a node that was away refused the call of a leader that it did not know, for ever',
		only(164, 6786, 18_217, 32_269, 32_948),
	],
	[
		'a subscriber asked a holder for what it did not want, for ever, and did not get what lay behind a hole',
		only(295, 3529, 7483, 26_120, 30_055, 39_786),
	],
	[
		'a stream that was passed over told others too early a stamp, and they passed over what they wanted',
		only(786, 12_062),
	],
	['what damage took and nobody gave back was passed over in silence, when others had filled its place', only(811)],
	['more came back than a hole held, and what had no place was passed over in silence', only(876)],
	['a stream that began in a hole got its beginning back, and not what goes on behind it', only(1492)],
	[
		'what a node lost of its own was not asked for, and what it never had took the place',
		only(9851, 7661, 12_392, 14_839, 20_593),
	],
	[
		'what was said to be too early for a hole was asked for again at the pace of the answers',
		only(19_180, 8688, 10_788, 11_599, 13_169, 28_687, 30_307),
	],
	['an answer to an earlier subscription passed over what a later one wants', only(13_542, 12_371, 18_477)],
	['a node with a hole asked again and again for what it had been told is too early', only(655)],
	[
		'a node was refused for good that asked again before the leader, whose disk was slow, had applied that it is a member',
		only(5223),
	],
	['Lamport time went back over a power cut right after a stamp from far ahead', only(1559)],
	[
		'what damage took and came back while it was not wanted was released once more when it was wanted again',
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
		'the same in a log of which a bit had turned over, not the end gone',
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
		'a node that asked to be taken in heard of the leader that it is a member, and went on asking for ever',
		only(27_757, 23_073, 27_360, 27_744),
	],
	[
		'where datagrams were blocked and the link was busy, what others said of a member had no way',
		only(433, 18_350, 19_048, 28_847),
	],
	['the same, of a member to which no link leads', only(25_081, 8883, 12_247, 15_364, 19_764)],
	[
		'a subscription that ended while a reader was open began again later, and the messages between were lost',
		only(33_794, 7779, 9570, 10_268),
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
] as Array<[string, RunOptions]>)('%s', async (_name, options) => {
	await expect(run(options)).resolves.toMatchObject({seed: options.seed});
});

// Its log does not name those who ping it yet.
test.each([
	['clogged link', only(10_443, 5719, 6807, 17_237, 20_445, 20_943, 26_866, 29_401), {'wrongly-dead': 0}],
	['old log', only(10_648, 13_389, 21_568, 24_420, 26_877), {'wrongly-dead': 0}],
] as Array<[string, RunOptions, Record<string, number>]>)(
	'a newcomer answers pings, and takes back what is said of it (%s)',
	async (_name, options, work) => {
		await expect(run(options)).resolves.toMatchObject({work});
	},
);
