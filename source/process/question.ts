/**
Questions to the user of a command, on a terminal.
*/
import type {Terminal} from '../output/terminal.ts';
import {linesOf} from './batches.ts';
import {interruptible} from './interruptible.ts';

const answerBytesMax = 1024;

/**
The answer, one line; empty at the end of the input.
@throws `interrupted`
*/
export async function answerTo(
	question: string,
	{terminal, signal}: {readonly terminal: Pick<Terminal, 'say' | 'stdin'>; readonly signal: AbortSignal},
): Promise<string> {
	terminal.say(question);
	return interruptible(firstLine(terminal.stdin), signal);
}

async function firstLine(stdin: AsyncIterable<Uint8Array>): Promise<string> {
	for await (const [line] of linesOf(stdin, answerBytesMax)) return Buffer.from(line!).toString().trim();
	return '';
}
