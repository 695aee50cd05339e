/**
`events`: the latest events of a node, with `--watch` also new events, and with `--messages` also the messages of the
node's own topics.
*/
import {expectTopicCount} from '../../core/broker-arguments.ts';
import {DapssError} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/events.ts';
import {printable} from '../../core/observe/printable.ts';
import {topicText} from '../../core/observe/topic-text.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {reachAlways} from '../nodes/following.ts';
import {reach} from '../nodes/reach.ts';
import {eventLine} from '../output/json-lines.ts';
import {LineWriter} from '../output/terminal.ts';
import {eventLogLine} from '../output/event-log.ts';
import {interruptible} from '../process/interruptible.ts';
import {interruptedBy} from '../process/signals.ts';
import {Wait} from '../process/wait.ts';
import {topicOf} from './subscribe.ts';

export async function run(context: Context): Promise<void> {
	const {flags, input, output, terminal, signal} = context;
	const messages = flags.messages === true;
	expectInput(context, 0, messages ? Infinity : 0, 'events [--watch] [--wait TIME]; topics only after --messages');
	if (input.length > 0) expectTopicCount(input.length);
	const topics = new Set(input.map(name => topicOf(name)));
	if (flags.watch && output === 'json')
		throw new DapssError('usage', 'Expected -o jsonl or text with --watch: the output has no end');
	if (messages && !flags.watch)
		throw new DapssError(
			'usage',
			'Expected --watch with --messages: it prints new messages. ' +
				'dapss-tui subscribe TOPIC --from beginning reads stored messages',
		);
	if (flags.wait !== undefined && !flags.watch)
		throw new DapssError('usage', 'Expected --watch with --wait: without it the command does not wait');
	await using followed = flags.watch ? await reachAlways(context, {topics: [...topics]}) : undefined;
	await using broker = followed ?? (await reach(context));
	using wait = new Wait(context);
	// The stream starts first: an event between the two answers is in both, and is removed from the stream.
	const stream = followed?.events({messages, ...(topics.size > 0 && {topics: [...topics]})});
	const {events, topics: known} = await interruptible(broker.snapshot(), wait.signal);
	if (output === 'json') return await terminal.line(`[${events.map(event => eventLine(event)).join(',')}]`);

	const writer = new LineWriter(terminal);
	const render = output === 'jsonl' ? eventLine : eventLogLine(terminal.hasColour);
	const write = (event: RecordedEvent): Promise<void> | undefined => writer.add(render(event));

	const unread = [...topics].filter(topic => !known.some(({name, subscribed}) => name === topic && subscribed));
	if (unread.length > 0)
		terminal.say(
			`The node does not subscribe to ${unread.map(topic => printable(topicText(topic))).join(', ')}: ` +
				'their messages are not printed until it does. dapss-tui subscribe reads any topic',
		);
	const printed = new Set(events.map(event => eventLine(event)));
	for (const event of events) void write(event);
	if (stream) {
		const stop = (): void => void broker[Symbol.asyncDispose]();
		wait.signal.addEventListener('abort', stop, {once: true});
		terminal.followReader();
		for await (const event of stream) {
			if (event.type === 'message') {
				if (topics.size > 0 && !topics.has(event.message.topic)) continue;
			} else if (printed.size > 0 && printed.delete(eventLine(event))) continue;
			const room = write(event);
			if (room) await room;
		}
	}

	await writer.end();
	if (wait.signal.reason === 'over') throw interruptedBy(wait.signal);
	if (stream && !signal.aborted)
		throw new DapssError('unreachable', `The connection to the node is lost: ${await broker.closed}`);
}
