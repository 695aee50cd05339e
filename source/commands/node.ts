/**
The node itself: with the console on a terminal, alone with `--headless`, with `-o jsonl`, or where there is no
terminal.
*/
import {leftReason, type Broker} from '../../core/broker.ts';
import {DapssError, exitCodes} from '../../core/errors.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {NodeId} from '../../core/message.ts';
import type {Context} from '../context.ts';
import {leaveOrSay} from '../nodes/leaving.ts';
import {startNode} from '../nodes/start-node.ts';
import {sayFailure} from '../output/failure.ts';
import {eventLine} from '../output/json-lines.ts';
import {LineWriter} from '../output/terminal.ts';
import {titleNode} from '../process/title.ts';

/** For the output of a node that has stopped to be read. */
const unreadMs = 2000;

export async function run(context: Context): Promise<number> {
	const {flags, output, terminal} = context;
	const isAlone = flags.headless === true || output === 'jsonl';
	if (!isAlone && terminal.isTerminal && terminal.stdin.isTTY) {
		const {runNodeConsole} = await import('./console.ts');
		return runNodeConsole(context);
	}

	if (!isAlone) terminal.say('No terminal here: the node runs without its console (--headless)');
	return runHeadless(context);
}

/**
One event a line until the node stops. Who reads slowly makes the output late, not the node: messages wait in its logs.
*/
async function runHeadless(context: Context): Promise<number> {
	const {terminal, signal, output} = context;
	const {openBroker} = await context.backend();
	const broker = await startNode(context, config => openBroker(config));
	const stop = (): void => void end(context, broker);
	if (signal.aborted) stop();
	signal.addEventListener('abort', stop, {once: true});

	// Both in one turn: what is in the snapshot has happened before the stream begins, and nothing is in neither.
	const stream = broker.events({messages: true, from: 'start'});
	const {events: past, name, cluster} = await broker.snapshot();
	titleNode({id: broker.id, name, port: broker.port, cluster});
	const writer = new LineWriter(terminal);
	// Words need tables of Unicode, which take as long to load as all the rest.
	const render =
		output === 'jsonl' ? eventLine : (await import('../output/event-log.ts')).eventLogLine(terminal.hasColour);
	const write = (event: RecordedEvent): Promise<void> | undefined => writer.add(render(event));

	let unread: NodeJS.Timeout | undefined;
	void broker.closed.then(() => {
		unread = setTimeout(() => {
			terminal.say(
				'The node has stopped, but its output is not read: what is left of it is in the logs of the node',
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
	await writer.end(); // In time, or given up.
	clearTimeout(unread);
	if (why === leftReason && !signal.aborted) return 0;
	if (signal.aborted && (why === 'stopped' || why === leftReason)) return 0;
	// `stopped` is the last of the lines, and says why: no line of an error follows it.
	await sayFailure(terminal, new DapssError('failure', `The node stopped: ${why}`));
	return exitCodes.failure;
}

/** A signal ended the node: leave if that was asked for, else say what it costs, then stop. */
async function end({flags, terminal, signal}: Context, broker: Broker): Promise<void> {
	try {
		// When nobody reads the output any more, that is no wish to leave.
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
