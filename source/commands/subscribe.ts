/**
`subscribe TOPIC…`: prints messages as they are delivered, until `--count` is reached or the command is stopped.
*/
import {expectTopicCount} from '../../core/broker-arguments.ts';
import type {Broker, Delivery, Subscription} from '../../core/broker.ts';
import {DapssError, type ErrorDetails} from '../../core/errors.ts';
import {parseTopicName, type Topic} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {printable, printableBytes} from '../../core/observe/printable.ts';
import {messagesText, topicText} from '../../core/observe/topic-text.ts';
import type {From, SubscriptionStart} from '../../core/position.ts';
import type {MemberSnapshot} from '../../core/snapshot.ts';
import {expectInput} from '../arguments/input.ts';
import {parseNumber} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {reachAlways} from '../nodes/following.ts';
import {messageLine} from '../output/json-lines.ts';
import {parseTemplate, type Facts} from '../output/template.ts';
import {shortId, timestamp} from '../output/units.ts';
import {interruptible} from '../process/interruptible.ts';
import {interruptedBy} from '../process/signals.ts';
import {Wait} from '../process/wait.ts';

/** Origins whose names are remembered. */
const originsMax = 4096;

export async function run(context: Context): Promise<void> {
	const {flags, input, output, terminal} = context;
	expectInput(context, 1, Infinity, 'subscribe TOPIC…');
	expectTopicCount(input.length);
	const topics = input.map(name => topicOf(name));
	const form = formOf(context, topics.length > 1);
	const from = placeOf(flags.from ?? 'now');
	const wanted = flags.count === undefined ? undefined : parseNumber(flags.count, '--count', {min: 1});

	await using broker = await reachAlways(context, {topics});
	using wait = new Wait(context);
	const {signal} = wait;
	await using subscription = broker.subscribe(topics, {from});
	const stop = (): void => void subscription[Symbol.asyncDispose]();
	signal.addEventListener('abort', stop, {once: true});
	terminal.followReader();
	let starts: Awaited<Subscription['agreed']>;
	try {
		starts = await interruptible(subscription.agreed, signal);
	} catch (error) {
		if (!signal.aborted) throw error;
		return reportEnd(context, signal, 0, wanted);
	}

	reportBegin(context, {topics, from, starts: starts ?? [], server: broker.server});

	const nodes = new NodeNames();
	let received = 0;
	let dropped = 0;
	let forgotten = 0;
	const reportDropped = async (): Promise<void> => {
		if (subscription.dropped <= dropped) return;
		const missing = subscription.dropped - dropped;
		dropped = subscription.dropped;
		if (output === 'jsonl') await terminal.line(jsonText({type: 'lagged', at: Date.now(), dropped: missing}));
		terminal.say(
			missing === 1
				? '1 message was deleted before the command read it'
				: `${messagesText(missing)} were deleted before the command read them`,
		);
	};

	for await (const deliveries of subscription) {
		await reportDropped();
		if ((subscription.forgotten ?? 0) > forgotten) {
			if (forgotten === 0)
				terminal.say(
					'There are too many publishers to remember the position of each: ' +
						'after a change of the node, messages of some may be printed twice',
				);
			forgotten = subscription.forgotten!;
		}

		const taken =
			wanted !== undefined && deliveries.length > wanted - received
				? deliveries.slice(0, wanted - received)
				: deliveries;
		if (form.needsNames) await nodes.learn(taken, broker);
		const facts = {at: Date.now(), nodeOf: nodes.of};
		await terminal.print(form.render(taken, facts));
		if (!terminal.isClosed) received += taken.length;
		if (received === wanted) return;
		if (signal.aborted) break;
	}

	// Messages may be dropped after the last delivery, too.
	await reportDropped();
	if (signal.aborted) return reportEnd(context, signal, received, wanted);
	throw new DapssError('unreachable', `The connection to the node is lost: ${await broker.closed}`, {
		details: countsOf(received, wanted),
	});
}

/** The command is subscribed. An offset after the end of a log may be a mistake, or one of another node. */
function reportBegin(
	{terminal}: Context,
	{
		topics,
		from,
		starts,
		server,
	}: {
		readonly topics: readonly Topic[];
		readonly from: From;
		readonly starts: readonly SubscriptionStart[];
		readonly server: string;
	},
): void {
	terminal.say(`Subscribed to ${topics.map(topic => printable(topicText(topic))).join(', ')} at ${server}`);
	for (const {topic, end} of starts)
		if (typeof from === 'number' && end !== undefined && end < from)
			terminal.say(
				`The log of ${printable(topicText(topic))} at ${server} ends at offset ${end}: ` +
					`messages from offset ${from} on are printed when they arrive`,
			);
}

/**
The command was stopped, or the time of `--wait` is over.
@throws `wait-over`; `interrupted` when fewer messages than `--count` were received
*/
function reportEnd({terminal}: Context, signal: AbortSignal, received: number, wanted: number | undefined): void {
	const text = `${wanted === undefined ? messagesText(received) : `${received} of ${messagesText(wanted)}`} received`;
	if (wanted !== undefined || signal.reason === 'over') throw interruptedBy(signal, text, countsOf(received, wanted));
	if (signal.reason !== 'closed') terminal.say(text);
}

function countsOf(received: number, wanted: number | undefined): ErrorDetails {
	return {received, ...(wanted === undefined ? {} : {wanted})};
}

/** @throws `usage` */
export function topicOf(name: string): Topic {
	const topic = parseTopicName(name);
	if (typeof topic === 'string') return topic;
	throw new DapssError('usage', topic.problem);
}

function placeOf(text: string): From {
	if (text === 'now' || text === 'beginning') return text;
	if (/^\d+$/.test(text)) return parseNumber(text, '--from', {min: 0, max: 2 ** 48 - 1});
	throw new DapssError('usage', `Expected --from to be now, beginning or an offset, got ${JSON.stringify(text)}`);
}

type Form = {
	readonly needsNames: boolean;
	readonly render: (deliveries: readonly Delivery[], facts: Facts) => string | Uint8Array;
};

/** The output format of messages. @throws `usage` */
function formOf({flags, output, terminal}: Context, withTopic: boolean): Form {
	if ((flags.format !== undefined || flags.time) && output !== 'text')
		throw new DapssError(
			'usage',
			`Expected ${flags.format === undefined ? '--time' : '--format'} without -o ${output}: it is for text`,
		);
	if (output === 'raw')
		return {
			needsNames: false,
			render: deliveries => Buffer.concat(deliveries.flatMap(({body}) => [body, newline])),
		};
	if (output === 'jsonl') return lines((delivery, {at}) => messageLine(at, delivery));
	if (flags.format !== undefined) {
		if (flags.time)
			throw new DapssError('usage', 'Expected --format or --time, got both: {time} in the format is the same');
		const template = parseTemplate(flags.format);
		return {
			needsNames: template.has('node'),
			render: (deliveries, facts) =>
				Buffer.concat(deliveries.map(delivery => template.render(delivery, facts, terminal.isTerminal))),
		};
	}

	return lines(
		({topic, sentAtMs, body}) =>
			(flags.time ? `${timestamp(sentAtMs)}  ` : '') +
			(withTopic ? `${printable(topic)}  ` : '') +
			printableBytes(body),
	);
}

function lines(line: (delivery: Delivery, facts: Facts) => string): Form {
	return {
		needsNames: false,
		render(deliveries, facts) {
			let text = '';
			for (const delivery of deliveries) text += `${line(delivery, facts)}\n`;
			return text;
		},
	};
}

/** Names of the origins of messages. Members are requested as soon as an origin is unknown. */
class NodeNames {
	readonly #names = new Map<string, string>();

	readonly of = (origin: string): string => this.#names.get(origin) ?? shortId(origin);

	async learn(deliveries: readonly Delivery[], broker: Pick<Broker, 'snapshot'>): Promise<void> {
		const unknown = new Set(deliveries.map(({origin}) => origin).filter(origin => !this.#names.has(origin)));
		if (unknown.size === 0) return;
		const members = await membersOf(broker);
		if (!members) return; // The next messages request them again.
		if (this.#names.size > originsMax) this.#names.clear();
		for (const origin of unknown)
			this.#names.set(origin, members.find(({id}) => id === origin)?.name || shortId(origin));
	}
}

/** `undefined` when the connection is lost meanwhile. */
async function membersOf(broker: Pick<Broker, 'snapshot'>): Promise<readonly MemberSnapshot[] | undefined> {
	try {
		return (await broker.snapshot()).members;
	} catch (error) {
		if (error instanceof DapssError && (error.code === 'closed' || error.code === 'unreachable')) return undefined;
		throw error;
	}
}

const newline = Buffer.from('\n');
