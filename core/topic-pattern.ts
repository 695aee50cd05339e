/**
Patterns of topic names: a name consists of tokens with dots between them. In a pattern `*` stands for one token, and
`>` at the end for one or more (as the subjects of NATS).
*/
import {parseTopic, topicBytesMax} from './message.ts';

/** The rule that a pattern breaks; `undefined` for a valid pattern. */
export function problemOfPattern(pattern: string): string | undefined {
	if (pattern.length === 0 || Buffer.byteLength(pattern) > topicBytesMax) return `1 to ${topicBytesMax} bytes`;
	const tokens = pattern.split('.');
	if (tokens.some((token, index) => token.includes('>') && (token !== '>' || index < tokens.length - 1)))
		return 'a `>` only as the last token, as in orders.>';
	if (tokens.some(token => token.includes('*') && token !== '*'))
		return 'a `*` only as a whole token, as in orders.*';
	const parsed = parseTopic(pattern.replaceAll(/[*>]/g, 'x'));
	return typeof parsed === 'string' ? undefined : 'a topic name, with * or > as tokens';
}

/** Whether the pattern matches the name of the topic. */
export function matchesTopic(pattern: string, topic: string): boolean {
	if (!pattern.includes('*') && !pattern.includes('>')) return pattern === topic;
	const wanted = pattern.split('.');
	const tokens = topic.split('.');
	if (wanted.at(-1) === '>') {
		wanted.pop();
		return tokens.length > wanted.length && areAllMatched(wanted, tokens);
	}

	return tokens.length === wanted.length && areAllMatched(wanted, tokens);
}

function areAllMatched(wanted: readonly string[], tokens: readonly string[]): boolean {
	return wanted.every((token, index) => token === '*' || token === tokens[index]);
}
