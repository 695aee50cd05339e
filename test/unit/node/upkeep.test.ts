import {expect, test} from 'vitest';
import type {Control} from '../../../core/control/control.ts';
import type {DesiredSubscriptions} from '../../../core/control/desired-subscriptions.ts';
import type {Data} from '../../../core/data/data.ts';
import type {NodeId} from '../../../core/message.ts';
import {Upkeep} from '../../../core/node/upkeep.ts';
import {Journal} from '../../../core/observe/journal.ts';

const peer = '0000000000000009' as NodeId;

test('the bounds that the machines reach are counted, and an event names the peer that announces too much', async () => {
	const gossip = {bounds: new Map<string, number>(), claimsRefused: new Map<NodeId, number>()};
	const raft: Record<string, number> = {};
	let incarnationsRefused = 0;
	const journal = new Journal({wallMs: () => 0, feedMax: 10, eventsMax: 10, previewBytes: 10});
	const data = {
		isWanted: () => false,
		sampleRates: () => undefined,
		retain: async () => undefined,
		gossip: {status: () => gossip},
	} as unknown as Data;
	const control = {raft: {leader: undefined, status: () => ({bounds: raft})}} as unknown as Control;
	const upkeep = new Upkeep({
		data,
		control,
		desired: {} as DesiredSubscriptions,
		journal,
		topicsMax: 10,
		room: undefined,
		incarnationsRefused: () => incarnationsRefused,
		failed: error => expect.unreachable(String(error)),
	});
	let nowMs = 0;
	const turn = async (): Promise<Record<string, number>> => {
		upkeep.tick((nowMs += 10_000));
		await new Promise(setImmediate);
		return Object.fromEntries(journal.bounds);
	};

	expect(await turn()).toEqual({});
	for (const name of ['streams', 'incarnations', 'false-claims']) gossip.bounds.set(name, 3);
	gossip.claimsRefused.set(peer, 7);
	raft['term-raises'] = 1;
	raft['no-voter'] = 1;
	incarnationsRefused = 1;
	const once = {
		streams: 1,
		incarnations: 1,
		'false-claims': 1,
		terms: 1,
		'false-leaders': 1,
		'incarnation-jumps': 1,
		'claimed-streams': 1,
	};
	expect(await turn()).toEqual(once);
	expect(await turn(), 'nothing new').toEqual(once);
	gossip.claimsRefused.set(peer, 8);
	expect(await turn()).toEqual({...once, 'claimed-streams': 2});
	expect(journal.events().map(event => ('text' in event ? event.text : ''))).toEqual([
		expect.stringContaining(`Member ${peer} announces more than 16384 streams`),
	]);
});
