/**
`completion bash|zsh|fish`: a script that lets a shell complete commands and flags.
*/
import {DapssError} from '../../core/errors.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {completionFor, shells} from './completion-script.ts';

export async function run(context: Context): Promise<void> {
	expectInput(context, 1, 1, `completion ${shells.join('|')}`);
	const shell = shells.find(one => one === context.input[0]);
	if (shell === undefined)
		throw new DapssError(
			'usage',
			`Expected completion ${shells.join(', ')}, got ${JSON.stringify(context.input[0])}`,
		);
	// The table loads this file.
	const {commands, start} = await import('./command-table.ts');
	await context.terminal.line(completionFor(shell, start, commands));
}
