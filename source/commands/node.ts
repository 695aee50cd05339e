/**
The node: with the console on a terminal; alone with `--headless`, with `-o jsonl`, or without a terminal.
*/
import {leftReason, type Broker} from '../../core/broker.ts';
import {DapssError, exitCodes} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {NodeId} from '../../core/message.ts';
import type {Context} from '../context.ts';
import {leaveOrSay} from '../nodes/leaving.ts';
import {startNode} from '../nodes/start-node.ts';
import {printFailure} from '../output/failure.ts';
import {eventLine} from '../output/json-lines.ts';
import {LineWriter} from '../output/terminal.ts';
import {titleNode} from '../process/title.ts';

/** How long a stopped node waits for a reader of its output, milliseconds. */
const unreadMs = 2000;

export async function run(context: Context): Promise<number> {
	const {flags, output, terminal} = context;
	const isAlone = flags.headless === true || output === 'jsonl';
	const isDumb = context.env['TERM'] === 'dumb';
	if (!isAlone && terminal.isTerminal && terminal.stdin.isTTY && !isDumb) {
		const {runNodeConsole} = await import('./console.ts');
		return runNodeConsole(context);
	}

	const why = isDumb ? 'TERM=dumb cannot show the console' : 'No terminal';
	if (!isAlone) terminal.say(`${why}: the node runs without its console (--headless)`);
	return runHeadless(context);
}

/**
Print one event per line until the node stops. A slow reader delays the output, not the node: messages wait in its logs.
*/
async function runHeadless(context: Context): Promise<number> {
	const {terminal, signal, output} = context;
	const {openBroker} = await context.backend();
	const broker = await startNode(context, config => openBroker(config));
	const stop = (): void => void end(context, broker);
	if (signal.aborted) stop();
	signal.addEventListener('abort', stop, {once: true});

	// Both in one turn of the event loop, so that each event is either in the snapshot or in the stream.
	const stream = broker.events({messages: true, from: 'start'});
	const {events: past, name, cluster} = await broker.snapshot();
	titleNode({id: broker.id, name, port: broker.port, cluster});
	const writer = new LineWriter(terminal);
	// Loaded on demand: the Unicode tables for text take as long to load as the rest of the program.
	const render =
		output === 'jsonl' ? eventLine : (await import('../output/event-log.ts')).eventLogLine(terminal.hasColour);
	const write = (event: RecordedEvent): Promise<void> | undefined => writer.add(render(event));

	let unread: NodeJS.Timeout | undefined;
	void broker.closed.then(() => {
		unread = setTimeout(() => {
			terminal.say(
				'The node has stopped, but nobody reads its output: the remaining lines are in the logs of the node',
			);
			terminal.abandon();
		}, unreadMs);
	});

	if (!past.some(event => event.type === 'ready'))
		void write({
			at: Date.now(),
			type: 'ready',
			id: broker.id as NodeId,
			port: broker.port,
			cluster: context.settings().tunables.cluster,
		});
	for (const event of past) void write(event);
	for await (const event of stream) {
		if (event.type === 'named' && event.id === broker.id)
			titleNode({id: broker.id, name: event.name, port: broker.port, cluster});
		const room = write(event);
		if (room) await room;
	}

	const why = await broker.closed;
	await writer.end(); // Within the limit, or not at all.
	clearTimeout(unread);
	if (why === leftReason && !signal.aborted) return 0;
	if (signal.aborted && (why === 'stopped' || why === leftReason)) return 0;
	// `stopped` is the last line and has the reason, so that no error line follows it.
	await printFailure(terminal, new DapssError('failure', `The node stopped: ${why}`));
	return exitCodes.failure;
}

/** A signal stops the node: leave if `--leave` was given; else print what a stop costs the cluster, then stop. */
async function end({flags, terminal, signal}: Context, broker: Broker): Promise<void> {
	try {
		// A closed output stops the node, but it does not leave the cluster.
		if (flags.leave && signal.reason !== 'closed') await leaveOrSay(broker, terminal);
		else {
			const {stopCost} = await import('../../core/observe/stop-cost.ts');
			const {costs, text} = stopCost(await broker.snapshot());
			if (costs !== 'nothing') terminal.say(text);
		}
	} finally {
		await broker[Symbol.asyncDispose]();
	}
}
