/**
`trace TOPIC ORIGIN SEQ`: which members have a message, and why the others do not. Each member that subscribes to the
topic is asked as by any client: for its position, and then for the message. Members that do not subscribe are not
asked, because a reader would subscribe them.
*/
import type {Broker, Delivery} from '../../core/broker.ts';
import {DapssError, errorMessage, exitCodes} from '../../core/errors.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {topicText} from '../../core/observe/topic-text.ts';
import type {StreamPosition, TopicPosition} from '../../core/position.ts';
import type {MemberSnapshot, Snapshot} from '../../core/snapshot.ts';
import {expectInput} from '../arguments/input.ts';
import {parseNumber} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {memberOf} from '../nodes/members.ts';
import {reach, withNode} from '../nodes/reach.ts';
import {table} from '../output/table.ts';
import {timestamp} from '../output/units.ts';
import {topicOf} from './subscribe.ts';

/** How long a member may take to give a message that it has, milliseconds. */
const readMs = 3000;

type Wanted = {readonly topic: Topic; readonly origin: NodeId; readonly incarnation: number; readonly seq: number};
/** `unknown`: the member was not reached, or did not answer. */
type Coverage = 'has it' | 'not yet' | 'not kept' | 'not subscribed' | 'unknown';
type Traced = {
	readonly member: MemberSnapshot;
	readonly coverage: Coverage;
	readonly detail: string;
	readonly message?: Delivery | undefined;
};
/** What a member has of the streams of the origin, or why it was not asked. */
type Position = {readonly member: MemberSnapshot} & (
	| {readonly start: TopicPosition; readonly streams: readonly StreamPosition[]}
	| {readonly coverage: Coverage; readonly detail: string}
);

export async function run(context: Context): Promise<number> {
	const {input, flags} = context;
	expectInput(context, 3, 3, 'trace TOPIC ORIGIN SEQ [--incarnation N]');
	const topic = topicOf(input[0]!);
	const seq = parseNumber(input[2]!, 'SEQ', {min: 1});
	const incarnation =
		flags.incarnation === undefined ? undefined : parseNumber(flags.incarnation, '--incarnation', {min: 1});
	return withNode(context, async broker => {
		const snapshot = await broker.snapshot();
		const origin = memberOf(input[1]!, snapshot.members).id;
		const positions = await Promise.all(
			snapshot.members.map(member => positionOf(context, member, {topic, origin, snapshot})),
		);
		const wanted = {topic, origin, seq, incarnation: incarnation ?? incarnationOf(positions, seq)};
		const traced = await Promise.all(positions.map(position => trace(context, position, wanted)));
		await print(context, wanted, traced, snapshot);
		return traced.some(({coverage}) => coverage === 'has it') ? 0 : exitCodes.failure;
	});
}

/** Asks a member that subscribes for its position. */
async function positionOf(
	context: Context,
	member: MemberSnapshot,
	{topic, origin, snapshot}: {readonly topic: Topic; readonly origin: NodeId; readonly snapshot: Snapshot},
): Promise<Position> {
	const isSubscribed = snapshot.topics.find(({name}) => name === topic)?.subscribers.includes(member.id) ?? false;
	if (!isSubscribed) return {member, coverage: 'not subscribed', detail: 'not asked: it does not subscribe'};
	try {
		await using broker = await reach(context, member.address);
		await using subscription = broker.subscribe([topic], {from: 'now', isTracked: true});
		const starts = await within(subscription.agreed, readMs);
		const [start] = starts ?? [];
		if (!start) return {member, coverage: 'unknown', detail: 'it does not report positions: an earlier release'};
		return {member, start, streams: start.streams.filter(([id]) => id === origin)};
	} catch (error) {
		return {member, coverage: 'unknown', detail: member.why || errorMessage(error)};
	}
}

/** The newest incarnation of the origin that has the number; or the newest one. */
function incarnationOf(positions: readonly Position[], seq: number): number {
	const streams = positions.flatMap(position => ('streams' in position ? position.streams : []));
	const having = streams.filter(([, , last]) => last >= seq);
	return Math.max(1, ...(having.length > 0 ? having : streams).map(([, incarnation]) => incarnation));
}

async function trace(context: Context, position: Position, wanted: Wanted): Promise<Traced> {
	const {member} = position;
	if ('coverage' in position) return position;
	const {incarnation, seq} = wanted;
	const last = position.streams.find(([, one]) => one === incarnation)?.[2] ?? 0;
	if (last < seq)
		return {
			member,
			coverage: 'not yet',
			detail: `it has the messages of the origin up to #${last}${whyBehind(member)}`,
		};
	try {
		await using broker = await reach(context, member.address);
		const {message, isGone} = await readOne(broker, wanted, position.start);
		if (message?.seq === seq) return {member, coverage: 'has it', detail: pathText(message), message};
		return isGone
			? {member, coverage: 'not kept', detail: `it had it (it is at #${last}); retention or damage removed it`}
			: {member, coverage: 'unknown', detail: `it is at #${last}, and gave nothing within ${readMs / 1000} s`};
	} catch (error) {
		return {member, coverage: 'unknown', detail: errorMessage(error)};
	}
}

function whyBehind({state, why}: MemberSnapshot): string {
	return state === 'alive' ? '' : `; ${state}${why === '' ? '' : `: ${why}`}`;
}

/** The first message of the stream at or after the number. `isGone`: the member keeps later ones only. */
async function readOne(
	broker: Broker,
	{topic, origin, incarnation, seq}: Wanted,
	{since, streams}: TopicPosition,
): Promise<{readonly message: Delivery | undefined; readonly isGone: boolean}> {
	// Of all other streams everything counts as read, so the member begins at the message.
	const others = streams.filter(([id, one]) => id !== origin || one !== incarnation);
	const after = [{topic, since, streams: [...others, [origin, incarnation, seq - 1] as const]}];
	await using subscription = broker.subscribe([topic], {from: 'beginning', after, isTracked: true});
	const read = async (): Promise<Delivery | undefined> => {
		for await (const deliveries of subscription) {
			const found = deliveries.find(
				one => one.origin === origin && one.incarnation === incarnation && one.seq >= seq,
			);
			if (found) return found;
		}

		return undefined;
	};
	const message = await within(read(), readMs).catch(() => undefined);
	return {message, isGone: message !== undefined || subscription.dropped > 0};
}

async function within<Value>(promise: Promise<Value>, ms: number): Promise<Value> {
	const {promise: late, reject} = Promise.withResolvers<never>();
	const timer = setTimeout(() => reject(new DapssError('timeout', `no answer within ${ms / 1000} s`)), ms);
	promise.catch(() => undefined); // A late failure has no reader.
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function pathText({hops, repaired}: Delivery): string {
	if (hops === 0) return 'published here';
	return `${hops} ${hops === 1 ? 'hop' : 'hops'}, ${repaired ? 'pulled by repair' : 'pushed'}`;
}

async function print(
	{output, terminal}: Context,
	wanted: Wanted,
	traced: readonly Traced[],
	{members}: Snapshot,
): Promise<void> {
	const message = traced.find(one => one.message)?.message;
	if (output === 'json') {
		await terminal.line(
			jsonText({
				...wanted,
				lamport: message?.lamport ?? null,
				sentAt: message?.sentAtMs ?? null,
				size: message?.body.length ?? null,
				members: traced.map(({member, coverage, detail, message: own}) => ({
					id: member.id,
					name: member.name,
					coverage,
					detail,
					hops: own?.hops ?? null,
					repaired: own?.repaired ?? null,
					offset: own?.offset ?? null,
				})),
			}),
		);
		return;
	}

	const label = labelsOf(members);
	const {topic, origin, incarnation, seq} = wanted;
	const facts = message
		? `, published ${timestamp(message.sentAtMs)}, lamport ${message.lamport}, ${message.body.length} B`
		: ': no member that was asked has it';
	await terminal.line(
		`#${seq} of ${label(origin)} (incarnation ${incarnation}) in ${printable(topicText(topic))}${facts}`,
	);
	await terminal.line(
		table(
			['NODE', 'MESSAGE', 'PATH OR REASON'],
			traced.map(({member, coverage, detail}) => [label(member.id), coverage, printable(detail)]),
		),
	);
}
