/**
Events and messages as JSON lines: a contract with scripts. One function for `--headless`, `subscribe` and `events`.
*/
import {isUtf8} from 'node:buffer';
import type {Delivery} from '../../core/broker.ts';
import type {RecordedEvent} from '../../core/events.ts';
import type {Message} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';

/** One event as one line, without the newline. */
export function eventLine(event: RecordedEvent): string {
	if (event.type === 'message') return messageLine(event.at, event.message);
	const {type, at, ...rest} = event;
	return jsonText({type, at, ...rest, ...('leader' in rest ? {leader: rest.leader ?? null} : {})});
}

/**
One message as one line. `at`: the time of its delivery or output here. `sentAt`: the time of its publication, by the
publisher's clock. The payload is text if it is valid UTF-8, else base64; both decode to the same bytes.
*/
export function messageLine(at: number, message: Message & Partial<Pick<Delivery, 'offset'>>): string {
	const {topic, origin, incarnation, seq, lamport, sentAtMs, body, offset} = message;
	const payload = isUtf8(body)
		? `"payload":${jsonText(textOf(body))}`
		: `"payload64":"${bufferOf(body).toString('base64')}"`;
	return (
		`{"type":"message","at":${at},"sentAt":${sentAtMs},"topic":${jsonText(topic)},` +
		`"origin":"${origin}","incarnation":${incarnation},"seq":${seq},"lamport":${lamport}` +
		`,"size":${body.length},${payload}${offset === undefined ? '' : `,"offset":${offset}`}}`
	);
}

function textOf(body: Uint8Array): string {
	return bufferOf(body).toString('utf8');
}

function bufferOf(body: Uint8Array): Buffer {
	return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
}
