/**
The request that a line of the `:` prompt makes.
*/
import type {PaneId} from '../layout.ts';
import type {ConsoleCommand} from '../source/source.ts';

export type Report = 'status' | 'check' | 'leader' | 'counters' | 'quorum' | 'elections';
export type Question = {
	readonly command: ConsoleCommand;
	readonly name: string;
	readonly title: string;
	readonly lines: readonly string[];
};
export type PromptRequest =
	| {readonly type: 'run'; readonly command: ConsoleCommand}
	/** Dangerous: it runs after the name was typed. `lines`: what it breaks. */
	| ({readonly type: 'confirm'} & Question)
	| {readonly type: 'focus'; readonly pane: PaneId}
	| {readonly type: 'report'; readonly report: Report}
	| {readonly type: 'help' | 'doctor'}
	| {readonly type: 'quit' | 'leave'}
	| {readonly type: 'filter'; readonly text: string}
	| {readonly type: 'pause'}
	| {readonly type: 'zoom'}
	| {readonly type: 'nothing'}
	| {readonly type: 'problem'; readonly text: string};
