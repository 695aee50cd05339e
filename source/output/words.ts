/**
Events in words, for people who watch a node without the console. Text from the network is made printable here.
*/
import type {RecordedEvent} from '../../core/events.ts';
import {deletedWords, topicWords} from '../../core/observe/deleted-words.ts';
import {leaderWords, transferWords} from '../../core/observe/leader-words.ts';
import {levelOf} from '../../core/observe/levels.ts';
import {labelsIn, namedWords, refusalReason} from '../../core/observe/node-label.ts';
import {printable, printableBytes} from '../../core/observe/printable.ts';
import {messagesText, topicText} from '../../core/observe/topic-text.ts';
import {paint, type Tone} from './terminal.ts';
import {timestamp, timeText} from './units.ts';

const previewBytes = 512;

/** One event as one line: date and time (UTC), level, and what happened. */
export function eventText(hasColour: boolean): (event: RecordedEvent) => string {
	return event => {
		const {text, tone} = eventWords(event);
		return `${timestamp(event.at)} ${levelOf(event).toUpperCase().padEnd(5)} ${tone === undefined ? text : paint(hasColour, tone, text)}`;
	};
}

export function eventWords(event: RecordedEvent): {readonly text: string; readonly tone: Tone | undefined} {
	const label = labelsIn(event);
	const say = (text: string, tone?: Tone): {readonly text: string; readonly tone: Tone | undefined} => ({text, tone});
	switch (event.type) {
		case 'ready':
			return say(
				`ready: node ${label(event.id)} listens on port ${event.port} for the cluster ${printable(event.cluster)}`,
			);
		case 'admitted':
			return say(
				`running: node ${label(event.id)} is a member of the cluster ${event.clusterId.slice(0, 8)}`,
				'good',
			);
		case 'leader':
			return say(
				leaderWords(event, {name: label, duration: timeText}),
				event.leader === undefined ? 'warning' : undefined,
			);
		case 'quorum':
			return event.held
				? say(`quorum: ${event.reachable} of ${event.voters} voters reachable`, 'good')
				: say(
						`${event.state === 'electing' ? 'no leader' : 'no quorum'}: ${event.reachable} of ${event.voters} voters reachable`,
						'bad',
					);
		case 'member':
			return say(
				`${label(event.id)} (${printable(event.address)}) ${event.state === 'left' ? 'has left' : `is ${event.state}`}${event.why && event.state !== 'left' ? `: ${printable(event.why)}` : ''}`,
				event.state === 'alive'
					? 'good'
					: event.state === 'unreachable' || event.state === 'down'
						? 'bad'
						: 'warning',
			);
		case 'voters':
			return say(`voters: ${event.voters.map(id => label(id)).join(', ')}`);
		case 'subscribed':
			return say(`${label(event.node)} subscribed to ${printable(event.topic)}`);
		case 'unsubscribed':
			return say(`${label(event.node)} unsubscribed from ${printable(event.topic)}`);
		case 'topic':
			return say(topicWords(event, label));
		case 'message': {
			const {topic, origin, seq, body} = event.message;
			return say(
				`${printable(topic)}  ${label(origin)} #${seq}  ${printableBytes(body, previewBytes)}${body.length > previewBytes ? `… (${body.length} bytes)` : ''}`,
			);
		}

		case 'partition': {
			const sides = event.sides
				.map(
					(side, index) =>
						`${side.map(id => label(id)).join(' ')}${index === event.quorum ? ' (quorum)' : ''}`,
				)
				.join(' | ');
			const backlog = event.messages === undefined ? '' : `, ${messagesText(event.messages)} came in`;
			if (event.state === 'detected' && event.isFarHeard === false)
				return say(
					`no answer for ${timeText(event.tookMs)}: ${event.sides
						.slice(1)
						.flat()
						.map(id => label(id))
						.join(
							' ',
						)}; this side: ${event.sides[0]?.map(id => label(id)).join(' ')}${event.quorum === 0 ? ' (quorum)' : ''}`,
					'bad',
				);
			return say(
				`partition ${event.state} after ${timeText(event.tookMs)}: ${sides}${backlog}`,
				event.state === 'detected' ? 'bad' : 'good',
			);
		}

		case 'rejected':
			return say(`refused from ${printable(event.from)}: ${event.reason} (${event.count} so far)`, 'warning');
		case 'discovered':
			return say(
				`${event.foreign ? 'another cluster' : 'the cluster'} ${printable(event.cluster)} is at ${printable(event.address)}`,
				event.foreign ? 'warning' : undefined,
			);
		case 'lagged':
			return say(`too slow: ${event.dropped} events were left out`, 'warning');
		case 'missed':
			return say(
				`${messagesText(event.messages)} of ${label(event.origin)} in ${printable(topicText(event.topic))} ${event.messages === 1 ? 'is' : 'are'} gone for good`,
				'bad',
			);
		case 'fault':
			return say(`faults: ${printable(event.text)}`, 'warning');
		case 'quarantined':
			return say(
				`damaged: ${printable(event.problem)}. The files are kept in ${printable(event.folder)}; the node joins again as ${label(event.id)}${event.formerId === undefined ? '' : `, it was ${label(event.formerId)}`}`,
				'bad',
			);
		case 'refilled':
			return say(
				`${printable(topicText(event.topic))}: ${messagesText(event.messages, 'damaged')} came back from other nodes${event.missing === 0 ? ', nothing is missing' : `, ${event.missing} ${event.missing === 1 ? 'is' : 'are'} missing`}`,
				event.missing === 0 ? 'good' : 'warning',
			);
		case 'deleted':
			return say(deletedWords(event), 'warning');
		case 'transfer':
			return say(transferWords(event, {name: label}));
		case 'paused':
			return say(`this node did not run for ${timeText(event.forMs)}`, 'warning');
		case 'refused':
			return say(
				`refused ${event.by === 'us' ? '' : 'by '}${printable(event.address)}: ${printable(refusalReason(event))}`,
				'warning',
			);
		case 'duplicate':
			return say(
				`two processes use the identity ${label(event.id)}: ${printable(event.address)} is kept, ${printable(event.other)} is refused`,
				'bad',
			);
		case 'waiting':
			return say(`waiting for ${printable(event.for)}`);
		case 'named':
			return say(namedWords(event));
		case 'protocol':
			return say(`the cluster uses protocol ${event.protocol} from now on`);
		case 'warning':
			return say(printable(event.text), 'warning');
		case 'stopped':
			return say(`stopped: ${printable(event.reason)}`);
		default: {
			const newer: never = event; // Of a newer node.
			return say(printable(String((newer as {readonly type?: unknown}).type)));
		}
	}
}
