/**
`events`: what happened lately on a node, and with `--watch` what happens from now on.
*/
import {DapssError} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/observe/events.ts';
import type {Context} from '../context.ts';
import {reachAlways} from '../following.ts';
import {expectInput} from '../input.ts';
import {interruptible} from '../interruptible.ts';
import {eventLine} from '../lines.ts';
import {reach} from '../reach.ts';
import {interruptedBy} from '../signals.ts';
import {LineWriter} from '../terminal.ts';
import {Wait} from '../wait.ts';
import {eventText} from '../words.ts';

export async function run(context: Context): Promise<void> {
	const {flags, output, terminal, signal} = context;
	expectInput(context, 0, 0, 'events [--watch] [--wait TIME]');
	if (flags.watch && output === 'json') throw new DapssError('usage', 'Expected -o jsonl or text with --watch: the output has no end');
	if (flags.wait !== undefined && !flags.watch) throw new DapssError('usage', 'Expected --watch with --wait: without it the command does not wait');
	await using broker = flags.watch ? await reachAlways(context) : await reach(context);
	using wait = new Wait(context);
	// Asked for first: what happens between the two answers is in both, and left out of the second.
	const stream = flags.watch ? broker.events() : undefined;
	const {events} = await interruptible(broker.snapshot(), wait.signal);
	if (output === 'json') return await terminal.line(`[${events.map(event => eventLine(event)).join(',')}]`);

	const writer = new LineWriter(terminal);
	const render = output === 'jsonl' ? eventLine : eventText(terminal.hasColour);
	const write = (event: RecordedEvent): Promise<void> | undefined => writer.add(render(event));

	const told = new Set(events.map(event => eventLine(event)));
	for (const event of events) void write(event);
	if (stream) {
		const stop = (): void => void broker[Symbol.asyncDispose]();
		wait.signal.addEventListener('abort', stop, {once: true});
		terminal.followReader();
		for await (const event of stream) {
			if (told.size > 0 && told.delete(eventLine(event))) continue;
			const room = write(event);
			if (room) await room;
		}
	}

	await writer.end();
	if (wait.signal.reason === 'over') throw interruptedBy(wait.signal);
	if (stream && !signal.aborted) throw new DapssError('unreachable', `The link to the node is gone: ${await broker.closed}`);
}
