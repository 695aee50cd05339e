/**
The `:topic` command: create or delete a topic. Pure.
*/
import type {TopicSettings} from '../../core/broker.ts';
import {printable} from '../../core/observe/printable.ts';
import {isRetainAge, isRetainBytes, retainAgeRange, retainBytesRange} from '../../core/observe/retention-text.ts';
import {wordsOf} from './line.ts';
import type {PromptRequest} from './prompt-request.ts';

const problem = (text: string): PromptRequest => ({type: 'problem', text});
const usage =
	'Expected `:topic create NAME [--retain-age 12h] [--retain-bytes 64m] [--update]`, ' +
	'`:topic delete NAME [--force]` or `:topic list`';
const seconds: Readonly<Record<string, number>> = {s: 1, m: 60, h: 3600, d: 86_400};
const sizes: Readonly<Record<string, number>> = {
	'': 1,
	k: 1024,
	m: 1024 ** 2,
	g: 1024 ** 3,
	t: 1024 ** 4,
	p: 1024 ** 5,
};

export function parseTopic(rest: string): PromptRequest {
	const parsed = wordsOf(rest, {'retain-age': 'value', 'retain-bytes': 'value', update: 'switch', force: 'switch'});
	if ('problem' in parsed) return problem(parsed.problem);
	const {flags} = parsed;
	const [action, topic, sure, ...more] = parsed.words.map(({text}) => text);
	if (action === 'list' && topic === undefined) return {type: 'focus', pane: 'topics'};
	if (topic === undefined || more.length > 0) return problem(usage);
	if (action === 'delete' && Object.keys(flags).every(flag => flag === 'force')) {
		if (sure !== undefined) return problem(usage);
		return {
			type: 'confirm',
			command: {type: 'delete-topic', topic, force: 'force' in flags},
			name: topic,
			title: `Delete the topic ${printable(topic)}`,
			lines: [
				'Its messages are deleted on all nodes, permanently, with its settings.',
				'force' in flags
					? 'Nodes that are subscribed lose their subscription.'
					: 'It is refused while nodes are subscribed; --force ends their subscriptions.',
			],
		};
	}

	if (action !== 'create' || sure !== undefined || 'force' in flags) return problem(usage);
	const {'retain-age': age, 'retain-bytes': size} = flags;
	const retainAgeS = age === undefined ? undefined : valueOf(age, /^(\d+)([smhd])$/u, seconds);
	const retainBytes = size === undefined ? undefined : valueOf(size, /^(\d+)([kmgtp]?)(?:i?b)?$/iu, sizes);
	if (age !== undefined && retainAgeS === undefined)
		return problem(`Expected a time such as \`--retain-age 12h\`, got \`${age}\``);
	if (size !== undefined && retainBytes === undefined)
		return problem(`Expected a size such as \`--retain-bytes 64m\`, got \`${size}\``);
	if (retainAgeS !== undefined && !isRetainAge(retainAgeS))
		return problem(`Expected \`--retain-age\` to be ${retainAgeRange}, got \`${age}\``);
	if (retainBytes !== undefined && !isRetainBytes(retainBytes))
		return problem(`Expected \`--retain-bytes\` to be ${retainBytesRange}, got \`${size}\``);
	const settings: TopicSettings = {
		...(retainAgeS === undefined ? {} : {retainAgeS}),
		...(retainBytes === undefined ? {} : {retainBytes}),
	};
	return {type: 'run', command: {type: 'create-topic', topic, settings, update: 'update' in flags}};
}

function valueOf(text: string, pattern: RegExp, units: Readonly<Record<string, number>>): number | undefined {
	const match = pattern.exec(text);
	return match ? Number(match[1]) * units[match[2]!.toLowerCase()]! : undefined;
}
