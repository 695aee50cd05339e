import {PassThrough} from 'node:stream';
import {describe, expect, test} from 'vitest';
import type {RecordedEvent} from '../../../core/events.ts';
import {delivery} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine, healthy} from './support/command-line.ts';

const {dapss} = commandLine();

describe('events', () => {
	test('prints past events, and new events without duplicates', async () => {
		const last = snapshots.events.at(-1)!;
		const next: RecordedEvent = {at: snapshots.atMs, type: 'leader', term: 5, leader: undefined};
		const broker = Object.assign(healthy(), {
			snapshotValue: {...snapshots.healthy, events: snapshots.events},
			stream: [last, next],
		});
		const past = (await dapss('events -o jsonl', {broker})).out.trimEnd().split('\n');
		expect(past).toHaveLength(snapshots.events.length);
		const stop = new AbortController();
		const stdout = new PassThrough();
		const lines: string[] = [];
		stdout.on('data', (chunk: Buffer) => {
			lines.push(...chunk.toString().trimEnd().split('\n'));
			if (lines.some(line => line.includes('"term":5'))) stop.abort('SIGTERM');
		});
		expect(
			(
				await dapss('events --watch -o jsonl', {
					broker: Object.assign(healthy(), {snapshotValue: broker.snapshotValue, stream: broker.stream}),
					stop,
					stdout,
				})
			).code,
		).toBe(143);
		expect(lines.slice(0, -1)).toEqual([
			...past,
			JSON.stringify({type: 'leader', at: snapshots.atMs, term: 5, leader: null}),
		]);
	});
});

test('events --watch --messages prints messages of the given topics, and all other events', async () => {
	const messages = ['news', 'jobs', 'news'].map((topic, index): RecordedEvent => ({
		at: 5,
		type: 'message',
		message: delivery(index + 1, 'x', topic),
	}));
	const printed = async (line: string): Promise<readonly string[]> => {
		const stop = new AbortController();
		const stdout = new PassThrough();
		let text = '';
		stdout.on('data', (chunk: Buffer) => {
			text += chunk.toString();
			if (text.includes('"dropped":7')) stop.abort('SIGTERM');
		});
		const broker = Object.assign(healthy(), {
			snapshotValue: {...snapshots.healthy, events: []},
			stream: [...messages, {at: 6, type: 'lagged', dropped: 7}],
		});
		await dapss(line, {broker, stop, stdout});
		return text
			.trimEnd()
			.split('\n')
			.map(one => JSON.parse(one) as {readonly type: string; readonly seq?: number})
			.filter(({type}) => type === 'message' || type === 'lagged')
			.map(({type, seq}) => `${type} ${seq ?? ''}`.trim());
	};

	expect(await printed('events --watch --messages -o jsonl')).toEqual([
		'message 1',
		'message 2',
		'message 3',
		'lagged',
	]);
	expect(await printed('events --watch --messages news -o jsonl')).toEqual(['message 1', 'message 3', 'lagged']);
	expect((await dapss('events --watch --messages nowhere -o jsonl --wait 20ms', {broker: healthy()})).err).toContain(
		'The node does not subscribe to nowhere',
	);
});
