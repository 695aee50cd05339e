/**
`topic create|delete|list`: creates topics that stay without subscribers, with their retention, and deletes topics.
*/
import type {TopicSettings} from '../../core/broker.ts';
import {DapssError} from '../../core/errors.ts';
import type {Topic} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {messagesText, topicText} from '../../core/observe/topic-text.ts';
import {expectInput} from '../arguments/input.ts';
import {bytesOf, msOf} from '../arguments/values.ts';
import type {Context} from '../context.ts';
import {withNode} from '../nodes/reach.ts';
import {isRetainAge, isRetainBytes, keptText, retainAgeRange, retainBytesRange} from '../output/units.ts';
import {answerTo} from '../process/question.ts';
import {runView} from './views.ts';

const actions = {create: createTopic, delete: deleteTopic, list: listTopics} as const;

export async function run(context: Context): Promise<number | void> {
	const {
		input: [action],
	} = context;
	if (action === undefined || !Object.hasOwn(actions, action))
		throw new DapssError(
			'usage',
			'Expected topic create, topic delete or topic ' +
				`list${action === undefined ? '' : `, got ${JSON.stringify(action)}`}`,
		);
	return actions[action as keyof typeof actions](context);
}

function listTopics(context: Context): Promise<number | void> {
	expectInput(context, 1, 1, 'topic list');
	return runView('topics')({...context, input: []});
}

async function createTopic(context: Context): Promise<void> {
	const {flags, output, terminal} = context;
	expectInput(context, 2, 2, 'topic create NAME [--retain-age TIME] [--retain-bytes SIZE]');
	const topic = context.input[1]!.normalize('NFC') as Topic; // The node validates the name.
	const settings: TopicSettings = {
		...(flags.retainAge === undefined ? {} : {retainAgeS: retainAgeOf(flags.retainAge)}),
		...(flags.retainBytes === undefined ? {} : {retainBytes: retainBytesOf(flags.retainBytes)}),
	};
	const {change, retention} = await withNode(context, async broker => {
		const made = await broker.createTopic(topic, settings, {update: flags.update ?? false});
		return {change: made, retention: (await broker.snapshot()).topics.find(({name}) => name === topic)?.retention};
	});
	const kept = retention === undefined ? '' : `: each node keeps ${keptText(retention)}`;
	const what = change === 'unchanged' ? 'exists already, with these settings' : change;
	await terminal.line(
		output === 'json'
			? jsonText({topic, change, settings, retention: retention ?? null})
			: `topic ${printable(topicText(topic))} ` +
					`${change === 'created' ? 'is created' : change === 'changed' ? 'is changed' : what}${kept}`,
	);
}

function retainAgeOf(text: string): number {
	const seconds = msOf(text) / 1000;
	if (!isRetainAge(seconds))
		throw new DapssError(
			'usage',
			`Expected --retain-age to be whole seconds, ${retainAgeRange}, such as 90s, 30m, 12h or 7d, ` +
				`got ${JSON.stringify(text)}`,
		);
	return seconds;
}

function retainBytesOf(text: string): number {
	const bytes = bytesOf(text);
	if (!isRetainBytes(bytes))
		throw new DapssError(
			'usage',
			`Expected --retain-bytes to be a size, ${retainBytesRange}, such as 64k, 64m or 1g, ` +
				`got ${JSON.stringify(text)}`,
		);
	return bytes;
}

async function deleteTopic(context: Context): Promise<void> {
	const {flags, output, terminal} = context;
	expectInput(context, 2, 2, 'topic delete NAME [--yes] [--force]');
	const topic = context.input[1]!.normalize('NFC') as Topic;
	if (flags.yes !== true && !terminal.stdin.isTTY)
		throw new DapssError('usage', 'Nothing was deleted: without a terminal, expected --yes');
	const {messages, missing, label} = await withNode(context, async broker => {
		const {topics, members} = await broker.snapshot();
		if (flags.yes !== true) {
			const known = topics.find(({name}) => name === topic);
			const answer = await answerTo(
				'Delete the topic ' +
					`${printable(topicText(topic))}${known ? ` with ${messagesText(known.messages)}` : ''} on all ` +
					'nodes, permanently? Type yes to continue:',
				context,
			);
			if (answer !== 'yes')
				throw new DapssError('usage', `Nothing was deleted: expected yes, got ${JSON.stringify(answer)}`);
		}

		return {...(await broker.deleteTopic(topic, {force: flags.force ?? false})), label: labelsOf(members)};
	});
	const away =
		missing.length === 0
			? ''
			: `. Not confirmed yet by ${missing.map(id => label(id)).join(', ')}: they delete it when they learn of it`;
	await terminal.line(
		output === 'json'
			? jsonText({deleted: topic, messages, missing})
			: `topic ${printable(topicText(topic))} is deleted, with ${messagesText(messages)}${away}`,
	);
}
