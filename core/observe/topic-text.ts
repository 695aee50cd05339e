/** Texts for topics and counts of messages within a sentence. Pure. */

/**
A topic within a sentence: in quotation marks where it could be mistaken for other words, or its ends are invisible. The
result must still be made printable.
*/
export function topicText(topic: string): string {
	return /^[\p{L}\p{N}\p{M}_./:@~$%&=-]+$/u.test(topic) ? topic : JSON.stringify(topic);
}

/** Such as `1 message`. `kind` is a word before the noun, such as `damaged`. */
export function messagesText(count: number, kind?: string): string {
	return `${count} ${kind === undefined ? '' : `${kind} `}${count === 1 ? 'message' : 'messages'}`;
}
