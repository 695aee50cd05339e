/**
Events in words, for people who watch a node without the console. Text from the network is made printable here.
*/
import type {RecordedEvent} from '../core/observe/events.ts';
import {printable, printableBytes} from '../core/observe/printable.ts';
import {shortId, timeText} from './units.ts';
import {paint, type Tone} from './terminal.ts';

const previewBytes = 512;

/** One event as one line: the time of day and what happened. */
export function eventText(hasColour: boolean): (event: RecordedEvent) => string {
	return event => {
		const {text, tone} = eventWords(event);
		return `${new Date(event.at).toTimeString().slice(0, 8)}  ${tone === undefined ? text : paint(hasColour, tone, text)}`;
	};
}

export function eventWords(event: RecordedEvent): {readonly text: string; readonly tone: Tone | undefined} {
	const say = (text: string, tone?: Tone): {readonly text: string; readonly tone: Tone | undefined} => ({text, tone});
	switch (event.type) {
		case 'ready': return say(`ready: node ${shortId(event.id)} of cluster ${printable(event.cluster)} on port ${event.port}`, 'good');
		case 'leader': return event.leader === undefined ? say(`term ${event.term}: no leader`, 'warning') : say(`term ${event.term}: ${shortId(event.leader)} leads`);
		case 'quorum': return event.held ? say(`quorum: ${event.reachable} of ${event.voters} voters reachable`, 'good') : say(`${event.state === 'electing' ? 'no leader' : 'no quorum'}: ${event.reachable} of ${event.voters} voters reachable`, 'bad');
		case 'member': return say(`${shortId(event.id)} (${printable(event.address)}) is ${event.state}${event.why ? `: ${printable(event.why)}` : ''}`, event.state === 'alive' ? 'good' : (event.state === 'unreachable' || event.state === 'down' ? 'bad' : 'warning'));
		case 'voters': return say(`voters: ${event.voters.map(id => shortId(id)).join(', ')}`);
		case 'subscribed': return say(`${shortId(event.node)} subscribed to ${printable(event.topic)}`);
		case 'unsubscribed': return say(`${shortId(event.node)} unsubscribed from ${printable(event.topic)}`);
		case 'message': {
			const {topic, origin, seq, body} = event.message;
			return say(`${printable(topic)}  ${shortId(origin)} #${seq}  ${printableBytes(body, previewBytes)}${body.length > previewBytes ? `… (${body.length} bytes)` : ''}`);
		}

		case 'partition': {
			const sides = event.sides.map((side, index) => `${side.map(id => shortId(id)).join(' ')}${index === event.quorum ? ' (quorum)' : ''}`).join(' | ');
			const backlog = event.messages === undefined ? '' : `, ${event.messages} messages came in`;
			return say(`partition ${event.state} after ${timeText(event.tookMs)}: ${sides}${backlog}`, event.state === 'detected' ? 'bad' : 'good');
		}

		case 'rejected': return say(`refused from ${printable(event.from)}: ${event.reason} (${event.count} so far)`, 'warning');
		case 'discovered': return say(`${event.foreign ? 'another cluster' : 'the cluster'} ${printable(event.cluster)} is at ${printable(event.address)}`, event.foreign ? 'warning' : undefined);
		case 'lagged': return say(`too slow: ${event.dropped} events were left out`, 'warning');
		case 'missed': return say(`${event.messages} messages of ${shortId(event.origin)} in ${printable(event.topic)} are gone for good`, 'bad');
		case 'fault': return say(`faults: ${printable(event.text)}`, 'warning');
		case 'quarantined': return say(`damaged: ${printable(event.problem)}. The files are kept in ${printable(event.folder)}; the node joins again as ${shortId(event.id)}${event.formerId === undefined ? '' : `, it was ${shortId(event.formerId)}`}`, 'bad');
		case 'refilled': return say(`${printable(event.topic)}: ${event.messages} damaged messages came back from other nodes${event.missing === 0 ? ', nothing is missing' : `, ${event.missing} are missing`}`, event.missing === 0 ? 'good' : 'warning');
		case 'transfer': return say(`${shortId(event.by)} asked ${shortId(event.from)} to hand leadership to ${shortId(event.to)}`);
		case 'paused': return say(`this node did not run for ${timeText(event.forMs)}`, 'warning');
		case 'refused': return say(`refused ${event.by === 'us' ? '' : 'by '}${printable(event.address)}: ${printable(event.reason)}`, 'warning');
		case 'duplicate': return say(`two processes use the identity ${shortId(event.id)}: ${printable(event.address)} is kept, ${printable(event.other)} is refused`, 'bad');
		case 'waiting': return say(`waiting for ${printable(event.for)}`);
		case 'named': return say(`${shortId(event.id)} is named ${printable(event.name)}`);
		case 'protocol': return say(`the cluster uses protocol ${event.protocol} from now on`);
		case 'warning': return say(printable(event.text), 'warning');
		case 'stopped': return say(`stopped: ${printable(event.reason)}`);
		default: return event satisfies never;
	}
}
