/**
Events as sentences for people: one function per event type, for the log of a node and for the console. Text from the
network is made printable here. Pure; the caller passes its own format of numbers and durations.
*/
import type {BrokerEvent, MemberState, PartitionEvent, RecordedEvent} from '../events.ts';
import type {NodeId} from '../message.ts';
import {accessText, auditText, keysText} from './access-text.ts';
import {deletedText, topicEventText} from './deleted-text.ts';
import {leaderText, transferText} from './leader-text.ts';
import {labelsIn, namedText, refusalReason, shortId, type Label} from './node-label.ts';
import {printable, printableBytes} from './printable.ts';
import {topicText} from './topic-text.ts';

/** The meaning of an event's colour; the log and the console choose the colours. */
export type EventTone = 'plain' | 'accent' | 'muted' | 'good' | 'warning' | 'bad';
export type EventText = {readonly text: string; readonly tone: EventTone};

export type EventFormat = {
	/** @param ms milliseconds */
	readonly duration: (ms: number) => string;
	readonly count: (value: number) => string;
	/** Nodes that one list names; the text gives the number of the others. */
	readonly nodesMax: number;
	/** Bytes of a message's body that the text shows. */
	readonly previewBytes: number;
};

type Writer = {
	readonly label: Label;
	readonly duration: EventFormat['duration'];
	readonly count: EventFormat['count'];
	readonly nodes: (ids: readonly NodeId[]) => string;
	/** `1 message`, `1,200 damaged messages`. */
	readonly messages: (value: number, kind?: string) => string;
	readonly previewBytes: number;
};

type EventOf<Type, Event = BrokerEvent> = Event extends {readonly type: infer Types}
	? Type extends Types
		? Event
		: never
	: never;
type Texts = {readonly [Type in BrokerEvent['type']]: (event: EventOf<Type>, writer: Writer) => EventText};

const withTone =
	(tone: EventTone) =>
	(text: string): EventText => ({text, tone});
const plain = withTone('plain');
const accent = withTone('accent');
const muted = withTone('muted');
const good = withTone('good');
const warning = withTone('warning');
const bad = withTone('bad');

export const memberTones: Readonly<Record<MemberState, EventTone>> = {
	alive: 'good',
	degraded: 'warning',
	suspect: 'warning',
	unreachable: 'bad',
	down: 'bad',
	left: 'muted',
};

const partitionTones = {detected: bad, healed: good, repaired: good, ended: warning};

const texts: Texts = {
	ready: ({id, port, cluster}, {label}) =>
		plain(`Ready: node ${label(id)} listens on port ${port} for the cluster ${printable(cluster)}`),
	admitted: ({id, clusterId}, {label}) =>
		good(`Running: node ${label(id)} is a member of the cluster ${shortId(clusterId)}`),
	leader: (event, {label, duration}) =>
		(event.leader === undefined ? warning : good)(leaderText(event, {name: label, duration})),
	quorum: ({held, state, reachable, voters}) => {
		const reached = `${reachable} of ${voters} voter${voters === 1 ? '' : 's'} reachable`;
		if (held) return good(`Quorum: ${reached}`);
		return bad(`${state === 'electing' ? 'No leader' : 'No quorum'}: ${reached}`);
	},
	member: ({id, address, state, why}, {label}) => {
		const node = `${label(id)} (${printable(address)})`;
		const text = state === 'left' ? `${node} has left` : `${node} is ${state}${why ? `: ${printable(why)}` : ''}`;
		return {text, tone: memberTones[state]};
	},
	voters: ({voters}, {nodes}) => accent(`Voters: ${nodes(voters)}`),
	subscribed: ({topic, node}, {label}) => plain(`${label(node)} subscribed to ${topicName(topic)}`),
	unsubscribed: ({topic, node}, {label}) => plain(`${label(node)} unsubscribed from ${topicName(topic)}`),
	topic: (event, {label}) => accent(topicEventText(event, label)),
	access: (event, {label}) => accent(accessText(event, label)),
	keys: (event, {label}) => accent(keysText(event, label)),
	audit: event => (event.outcome === 'done' ? plain : warning)(auditText(event)),
	message: ({message: {topic, origin, seq, body}}, {label, previewBytes}) => {
		const preview = previewBytes === 0 ? '' : `  ${printableBytes(body, previewBytes)}`;
		const rest = previewBytes > 0 && body.length > previewBytes ? `… (${body.length} bytes)` : '';
		return plain(`${printable(topic)}  ${label(origin)} #${seq}${preview}${rest}`);
	},
	partition: (event, writer) => partitionTones[event.state](partitionText(event, writer)),
	rejected: ({from, reason, count: times}, {count}) =>
		warning(`Rejected from ${printable(from)}: ${reason} (${count(times)} so far)`),
	discovered: ({cluster, clusterId, address, foreign}) =>
		foreign
			? warning(
					`Another cluster named ${printable(cluster)} (${shortId(clusterId)}) ` +
						`is at ${printable(address)}; it is not merged`,
				)
			: accent(`Found the cluster ${printable(cluster)} at ${printable(address)}`),
	lagged: ({dropped}, {count}) =>
		warning(`A reader is too slow: ${count(dropped)} ${dropped === 1 ? 'event was' : 'events were'} dropped`),
	missed: ({topic, origin, messages: missed, cause}, {label, messages}) => {
		const what = `${messages(missed)} of ${label(origin)} in ${topicName(topic)}`;
		return cause === 'retention'
			? plain(`${what} ${missed === 1 ? 'was' : 'were'} deleted by retention before this node got them`)
			: bad(`${what} ${missed === 1 ? 'is' : 'are'} lost for good`);
	},
	fault: ({text}) => warning(`Injected faults: ${printable(text)}`),
	quarantined: ({problem, folder, id, formerId}, {label}) =>
		bad(
			`Damaged: ${printable(problem)}. The files are kept in ${printable(folder)}; ` +
				`the node joins again as ${label(id)}${formerId === undefined ? '' : `, it was ${label(formerId)}`}`,
		),
	refilled: ({topic, messages: repaired, missing}, {count, messages}) => {
		const text = `${topicName(topic)}: ${messages(repaired, 'damaged')} restored from other nodes`;
		return missing === 0 ? good(`${text}, none missing`) : warning(`${text}, ${count(missing)} still missing`);
	},
	deleted: event => warning(deletedText(event)),
	transfer: (event, {label}) => accent(transferText(event, {name: label})),
	paused: ({forMs}, {duration}) => warning(`This node did not run for ${duration(forMs)}`),
	refused: ({by, address, reason}) =>
		warning(
			`Refused ${by === 'us' ? '' : 'by '}${printable(address)}: ${printable(refusalReason({address, reason}))}`,
		),
	duplicate: ({id, address, other}, {label}) =>
		bad(
			`Two processes use the identity ${label(id)}: ` +
				`${printable(address)} is kept, ${printable(other)} is refused`,
		),
	waiting: event => muted(`Waiting for ${printable(event.for)}`),
	named: event => plain(namedText(event)),
	protocol: ({protocol}) => accent(`The cluster uses protocol ${protocol} from now on`),
	warning: ({text}) => warning(printable(text)),
	stopped: ({reason}) => muted(`Stopped: ${printable(reason)}`),
};

/** One line, printable. For an event of a newer version the text is its type. */
export function eventText(event: RecordedEvent, {nodesMax, ...format}: EventFormat): EventText {
	const label = labelsIn(event);
	const {count} = format;
	// The table has one function per type, so the function fits the event.
	const text = Object.hasOwn(texts, event.type)
		? (texts[event.type] as (event: RecordedEvent, writer: Writer) => EventText)
		: undefined;
	if (!text) return muted(printable(String((event as {readonly type: unknown}).type)));
	return text(event, {
		...format,
		label,
		nodes: ids => {
			const named = ids.slice(0, nodesMax).map(id => label(id));
			return `${named.join(', ')}${ids.length > nodesMax ? ` and ${ids.length - nodesMax} more` : ''}`;
		},
		messages: (value, kind = '') =>
			`${count(value)} ${kind}${kind === '' ? '' : ' '}${value === 1 ? 'message' : 'messages'}`,
	});
}

function partitionText(event: PartitionEvent, {nodes, duration, messages}: Writer): string {
	const took = duration(event.tookMs);
	const {gone: missing = []} = event;
	const gone = missing.length === 0 ? '' : `${nodes(missing)} ${missing.length === 1 ? 'is' : 'are'} gone`;
	const sides = event.sides.map((side, index) => `${nodes(side)}${index === event.quorum ? ' (quorum)' : ''}`);
	switch (event.state) {
		case 'healed':
			return `Partition healed after ${took}: ${sides.join(' | ')}${gone === '' ? '' : `; ${gone}`}`;
		case 'ended':
			return `Partition ended after ${took}: ${gone}; this side: ${sides[0]}`;
		case 'repaired':
			return `Partition repaired after ${took}: ${messages(event.messages ?? 0)} received`;
		case 'detected':
			if (event.isFarHeard !== false) return `Partition detected after ${took}: ${sides.join(' | ')}`;
			return `No answer for ${took} from ${nodes(event.sides.slice(1).flat())}; this side: ${sides[0]}`;
		default:
			return event.state satisfies never;
	}
}

function topicName(topic: string): string {
	return printable(topicText(topic));
}
