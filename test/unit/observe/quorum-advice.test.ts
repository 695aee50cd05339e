/** The quorum advisor and the list of elections. */
import {describe, expect, test} from 'vitest';
import {electionsOf} from '../../../core/observe/elections.ts';
import {labelsOf} from '../../../core/observe/node-label.ts';
import {quorumAdvice} from '../../../core/observe/quorum-advice.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {catchingUp, majority, minority, quorumLost} from '../../tui/support/incidents.ts';

const advice = (snapshot: Snapshot): ReturnType<typeof quorumAdvice> =>
	quorumAdvice(snapshot, labelsOf(snapshot.members), ':');

describe('quorum advice', () => {
	test('with one voter too few to lose, a removal of a present voter costs the quorum', () => {
		const {state, previews, repairs} = advice(majority);
		expect(state).toBe('3 of 5 voters reachable, 3 needed: no further loss is tolerated.');
		expect(repairs).toEqual([]);
		expect(previews[0]).toMatchObject({
			isMissing: false,
			loss: '2 of 5: no quorum',
			removal: '2 of 4: no quorum',
			restart: 'no quorum until it is back',
		});
		expect(previews[4]).toMatchObject({
			isMissing: true,
			loss: 'it is lost already',
			removal: '3 of 4: no further loss is tolerated',
			restart: '4 of 5: 1 more can be lost',
		});
	});

	test('learners are no part of it', () => {
		expect(advice(catchingUp).previews).toHaveLength(4);
		expect(advice(catchingUp).previews[3]).toMatchObject({
			loss: '3 of 4: no further loss is tolerated',
			removal: '3 of 3: 1 more can be lost',
		});
	});

	test('repairs of a lost quorum are ranked: the unsafe one is the last', () => {
		expect(advice(minority).repairs.map(text => text.split('.')[0])).toEqual([
			'End the injected faults: `:fault heal`',
			'Repair the network to n1, n2 and n3, or resume them; 1 of them is enough',
			'Only if the disks of a majority are gone for good: stop this node and run `dapss-tui recover` for it',
		]);
		expect(advice(quorumLost).repairs[0]).toBe(
			'Start the processes of n1, n2 and n3 on their hosts; 1 of them is enough. Nothing is lost.',
		);
	});
});

test('elections have a lane for each term, with one sentence of cause', () => {
	expect(electionsOf(majority, labelsOf(majority.members))).toMatchObject([
		{
			term: 5,
			cause: 'n1 was silent for 550 ms; n2 won term 5 in 640 ms.',
			steps: [{text: 'n2 leads, after 640 ms without a leader'}],
		},
		{term: 4, cause: 'n1 led when this node started or the cluster was founded.', steps: [{text: 'n1 leads'}]},
	]);
	const [lane] = electionsOf(
		{...minority, raft: {...minority.raft, votes: [minority.self]}},
		labelsOf(minority.members),
	);
	expect(lane!.steps.map(({text}) => text)).toEqual([
		'n1 leads',
		'n1 is given up: n1 was silent for 825 ms',
		'this node asks for pre-votes; granted by n4',
	]);
});
