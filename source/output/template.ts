/**
Templates of `subscribe -f`: `{topic} {time} {body}`. `{{` and `}}` are braces; `\n`, `\t` and `\\` are as in `printf`.
*/
import type {Delivery} from '../../core/broker.ts';
import {nearest} from '../../core/config-schema.ts';
import {DapssError} from '../../core/errors.ts';
import {printable, printableBytes} from '../../core/observe/printable.ts';
import {timestamp} from './units.ts';

export type Facts = {
	/** Time of the output, milliseconds since 1970. */
	readonly at: number;
	/** The name of the origin. */
	readonly nodeOf: (origin: string) => string;
};
type Field = {readonly text: string; readonly value: (message: Delivery, facts: Facts) => string | Uint8Array};

export const fields = {
	topic: {text: 'topic', value: ({topic}) => topic},
	body: {text: 'the message', value: ({body}) => body},
	time: {text: "time of publication, by the publisher's clock (UTC)", value: ({sentAtMs}) => timestamp(sentAtMs)},
	at: {text: 'time of output (UTC)', value: (_, {at}) => timestamp(at)},
	node: {text: 'name of the node of the publisher', value: ({origin}, {nodeOf}) => nodeOf(origin)},
	origin: {text: 'id of that node', value: ({origin}) => origin},
	incarnation: {text: 'incarnation of that node', value: ({incarnation}) => String(incarnation)},
	seq: {text: 'number among the messages of that incarnation in the topic', value: ({seq}) => String(seq)},
	lamport: {text: 'logical time', value: ({lamport}) => String(lamport)},
	offset: {text: 'position in the log of the asked node', value: ({offset}) => String(offset)},
	size: {text: 'bytes of the message', value: ({body}) => String(body.length)},
} as const satisfies Readonly<Record<string, Field>>;

export type Template = {
	has(field: keyof typeof fields): boolean;
	/**
	One message with a newline.
	@param isTerminal text from outside is made printable; otherwise its bytes stay unchanged
	*/
	render(message: Delivery, facts: Facts, isTerminal: boolean): Uint8Array;
};

const escapes: ReadonlyMap<string, string> = new Map([
	['\\n', '\n'],
	['\\t', '\t'],
	['\\\\', '\\'],
	['{{', '{'],
	['}}', '}'],
]);

/** @throws `usage` for an unknown field, and for an unbalanced brace */
export function parseTemplate(text: string): Template {
	const parts: string[] = [];
	const isField: boolean[] = [];
	let end = 0;
	for (const match of text.matchAll(/\\[nt\\]|\{\{|\}\}|\{([^{}]*)\}|[^\\{}]+|\\/gu)) {
		if (match.index !== end) break;
		end += match[0].length;
		const name = match[1];
		if (name !== undefined && !Object.hasOwn(fields, name)) {
			const near = nearest(name.toLowerCase(), Object.keys(fields));
			const didYouMean = near === undefined ? '.' : `; did you mean {${near}}?`;
			const known = Object.keys(fields).map(field => `{${field}}`);
			throw new DapssError(
				'usage',
				`Expected a field in --format, got {${name}}${didYouMean} There are ${known.join(' ')}`,
			);
		}

		parts.push(name ?? escapes.get(match[0]) ?? match[0]);
		isField.push(name !== undefined);
	}

	if (end !== text.length)
		throw new DapssError(
			'usage',
			`Expected --format to close every brace, got ${JSON.stringify(text.slice(end))}; ` +
				'{{ and }} are braces themselves',
		);
	return {
		has: field => parts.some((part, index) => isField[index] && part === field),
		render(message, facts, isTerminal) {
			const pieces = parts.map((part, index) => {
				const value = isField[index] ? fields[part as keyof typeof fields].value(message, facts) : part;
				if (typeof value === 'string')
					return Buffer.from(isField[index] && isTerminal ? printable(value) : value);
				return isTerminal ? Buffer.from(printableBytes(value)) : value;
			});
			return Buffer.concat([...pieces, newline]);
		},
	};
}

const newline = Buffer.from('\n');
