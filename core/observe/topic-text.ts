/**
Topics and counts of messages within sentences. Pure.
*/

/**
A topic within a sentence, to be made printable still: in quotation marks where it could be taken for other words, or
its ends cannot be seen.
*/
export function topicText(topic: string): string {
	return /^[\p{L}\p{N}\p{M}_./:@~$%&=-]+$/u.test(topic) ? topic : JSON.stringify(topic);
}

/** Such as `1 message`; `kind`: a word before it, such as `damaged`. */
export function messagesText(count: number, kind?: string): string {
	return `${count} ${kind === undefined ? '' : `${kind} `}${count === 1 ? 'message' : 'messages'}`;
}
