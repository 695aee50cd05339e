/**
The question of `q`: stop, leave or stay, each with its cost for the cluster. Pure: lines of spans.
*/
import {labelsOf} from '../../core/observe/node-label.ts';
import {leaveCost, stopCost} from '../../core/observe/stop-cost.ts';
import type {Snapshot} from '../../core/snapshot.ts';
import {hintsOf, type Keymap} from '../input/keymap.ts';
import type {Tone} from '../theme.ts';
import type {Span} from './columns.ts';
import {wrapWords} from './words.ts';

const costTones: Readonly<Record<ReturnType<typeof stopCost>['costs'], Tone>> = {
	nothing: 'plain',
	spare: 'warning',
	quorum: 'bad',
};
/** Cells before a sentence, for the key and its word. */
const indent = 13;

export function quitLines(snapshot: Snapshot, keymap: Keymap, width: number): ReadonlyArray<readonly Span[]> {
	const stop = stopCost(snapshot);
	const leave = leaveCost(snapshot);
	const choice = (word: string, texts: ReadonlyArray<readonly [string, Tone]>): ReadonlyArray<readonly Span[]> => {
		const key = hintsOf(keymap, 'confirm').find(hint => hint.word === word)?.key ?? '';
		const lines = texts.flatMap(([text, tone]) =>
			wrapWords(text, Math.max(20, width - indent)).map(line => ({text: line.trim(), tone})),
		);
		return lines.map((line, index): readonly Span[] =>
			index === 0
				? [{text: `  ${key.padEnd(3)} `, tone: 'accent'}, {text: word.padEnd(indent - 6), tone: 'title'}, line]
				: [{text: ' '.repeat(indent), tone: 'plain'}, line],
		);
	};

	return [
		[{text: `What should ${labelsOf(snapshot.members)(snapshot.self)} do?`, tone: 'plain'}],
		[],
		...choice('stop', [
			[
				snapshot.raft.voters.includes(snapshot.self)
					? 'It stays a member and keeps its vote, for a restart.'
					: 'It stays a member, for a restart.',
				'muted',
			],
			[`${stop.text}.`, costTones[stop.costs]],
		]),
		[],
		...choice(
			'leave',
			leave.isPossible
				? [
						['It gives back its leadership, its vote and its membership, then stops.', 'muted'],
						[`${leave.text}.`, 'plain'],
					]
				: [[`Not possible: ${leave.text}.`, 'muted']],
		),
		[],
		...choice('stay', [['Nothing changes.', 'muted']]),
	];
}

/** The question in the bottom row. */
export function quitQuestion(
	keymap: Keymap,
	node: 'own' | 'attached' | 'lost' | 'unreached' | 'demo',
): readonly Span[] {
	const hints = hintsOf(keymap, 'confirm').filter(({word}) => node === 'own' || word !== 'leave');
	const stop = {own: 'stop', attached: 'detach', lost: 'quit', unreached: 'detach', demo: 'quit'}[node];
	return [
		{
			text: {
				own: ' Quit? ',
				attached: ' Leave? The node continues to run. ',
				lost: ' Quit? The node is gone. ',
				unreached: ' Leave? The node is not reachable. ',
				demo: ' Quit? Its nodes stop, and their data are removed. ',
			}[node],
			tone: 'warning',
		},
		...hints.flatMap(({key, word}): readonly Span[] => [
			{text: ` ${key}`, tone: 'accent'},
			{text: ` ${word === 'stop' ? stop : word} `, tone: 'muted'},
		]),
	];
}
