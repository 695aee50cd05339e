import {describe, expect, test} from 'vitest';
import {DapssError} from '../../../core/errors.ts';
import type {BrokerEvent} from '../../../core/events.ts';
import {Bootstrapping} from '../../../core/membership/bootstrapping.ts';
import {Founding} from '../../../core/membership/founding.ts';
import {JoinRefusals} from '../../../core/membership/join-refusals.ts';
import type {JoinAnswer} from '../../../core/membership/joining.ts';
import type {NodeId} from '../../../core/message.ts';
import type {Clock} from '../../../core/ports.ts';
import {encodeControl} from '../../../core/wire/wire.ts';

const self = '000000000000000a' as NodeId;
const member = '000000000000000b' as NodeId;
const refused: JoinAnswer = {type: 'refused', reason: 'the name web is taken'};
const ask: JoinAnswer = {type: 'ask', leader: member, address: 'h:1'};
const silent = new DapssError('unreachable', 'peer h:9 cannot be reached (ENOTFOUND)', {
	cause: Object.assign(new Error('x'), {code: 'ENOTFOUND'}),
});

/** A node without data that asks these addresses. The test advances its timer. */
function setUp(
	answers: Readonly<Record<string, JoinAnswer | Error>>,
	seeds: readonly string[] = Object.keys(answers),
	isAddressGiven = false,
	candidates: readonly string[] = Object.keys(answers),
) {
	const reported = {waits: [] as string[], ended: undefined as string | undefined};
	let nowMs = 0;
	let turn = (): void => undefined;
	const nothing = {[Symbol.dispose]: () => undefined};
	const clock: Clock = {
		monotonicMs: () => nowMs,
		wallMs: () => nowMs,
		after: () => nothing,
		soon: run => run(),
		every(_ms, run) {
			turn = run;
			return nothing;
		},
	};
	const bootstrapping = new Bootstrapping({
		address: 'own:1',
		isAddressGiven,
		clock,
		aloneAdvice: '',
		founding: new Founding({self, address: 'own:1', seeds, expect: 0, seekMs: 0, nowMs: 0}),
		peers: {
			candidates: async () => candidates.map(address => ({address, isMember: false})),
			async ask(address) {
				const answer = answers[address] ?? new Promise<never>(() => undefined); // Hangs.
				if (answer instanceof Promise) return answer;
				if (answer instanceof Error) throw answer;
				return {id: member, frame: encodeControl('joined', answer)};
			},
		},
		request: () => ({id: self, address: 'own:1', clusterId: ''}),
		onWaiting: waits => void reported.waits.push(waits),
		found: () => void (reported.ended = 'founded'),
		joined: () => void (reported.ended = 'joined'),
		refused: error => {
			reported.ended = error.message;
		},
	});
	bootstrapping.start();
	const run = async (): Promise<typeof reported> => {
		for (let round = 0; round < 20; round++) {
			await new Promise(setImmediate);
			nowMs += 100;
			turn();
		}

		return reported;
	};
	return {run};
}

describe('a node that the cluster refuses (case A)', () => {
	test.each<[string, Readonly<Record<string, JoinAnswer | Error>>]>([
		['the leader alone', {'h:1': refused}],
		['the leader, to which its followers redirect', {'h:2': ask, 'h:1': refused, 'h:3': ask}],
		['the leader, while another address is silent', {'h:1': refused, 'h:9': silent}],
		[
			'the leader, while another node seeks a cluster too',
			{
				'h:1': refused,
				'h:8': {type: 'seeking', address: 'h:8', word: {choice: undefined, isAble: false, seekers: []}},
			},
		],
	])('ends with the reason if it is refused by %s', async (_name, answers) => {
		expect((await setUp(answers).run()).ended).toBe('the name web is taken');
	});

	test.each<[string, Readonly<Record<string, JoinAnswer | Error>>]>([
		[
			'while another member reports that it may yet be admitted',
			{'h:1': refused, 'h:2': {type: 'wait', reason: 'an election is under way'}},
		],
		[
			'when another cluster of the name refuses it, while its own is silent',
			{'h:1': {...refused, clusterId: 'd'}, 'h:9': silent},
		],
		['when all are silent', {'h:9': silent}],
	])('continues %s', async (_name, answers) => {
		expect((await setUp(answers).run()).ended).toBeUndefined();
	});

	test('reports, while it continues, why members do not admit it, and leaves out silent addresses', async () => {
		const {waits} = await setUp({
			'h:1': refused,
			'h:2': {type: 'wait', reason: 'an election is under way'},
			'h:9': silent,
		}).run();
		expect(waits.at(-1)).toMatch(
			/^the cluster at h:[12] to admit this node: the name web is taken; an election is under way$/,
		);
	});

	test('reports the reason of the leader to which the asked members redirect', async () => {
		const reason = 'an operator must admit this node';
		const {waits} = await setUp({'h:2': ask, 'h:1': {type: 'wait', reason}}, ['h:2'], false, []).run();
		// Once the reason is known, each report has it, also while the leader is not asked.
		const known = waits.slice(waits.findIndex(text => text.endsWith(reason)));
		expect(known.length).toBeGreaterThan(1);
		expect(known.filter(text => !text.endsWith(`to admit this node: ${reason}`))).toEqual([]);
	});

	test('that waits for seeds reports the error of another silent address with that address', async () => {
		const {waits} = await setUp({'h:9': silent}, ['h:7']).run();
		expect(waits.at(-1)).toBe('h:7 to answer (h:9: ENOTFOUND)');
	});
});

test('a node that would found reports the check of its own address, which has not ended', async () => {
	const {waits} = await setUp({}, ['own:1'], true).run();
	expect(waits.at(-1)).toBe('the check that no other node answers at own:1');
});

test('a member reports a node that it does not admit once a minute, and a new reason at once (case A)', () => {
	const events: BrokerEvent[] = [];
	const refusals = new JoinRefusals(event => void events.push(event));
	for (const [reason, atMs] of [
		['a', 0],
		['a', 59_000],
		['b', 59_500],
		['a', 60_000],
	] as const)
		refusals.report(self, 'h:1', reason, atMs);
	expect(events.map(event => event.type === 'refused' && event.reason)).toEqual([
		'is not admitted: a',
		'is not admitted: b',
		'is not admitted: a',
	]);
});
