/** Nothing that comes from other nodes or publishers reaches the output as a control character, in any format. */
import {PassThrough} from 'node:stream';
import fc from 'fast-check';
import {describe, expect, test} from 'vitest';
import type {RecordedEvent} from '../../../core/events.ts';
import type {Snapshot} from '../../../core/snapshot.ts';
import {jsonText} from '../../../core/observe/json-text.ts';
import {eventLine, messageLine} from '../../../source/output/json-lines.ts';
import {harmless, LineWriter, paint, Terminal} from '../../../source/output/terminal.ts';
import {delivery, FakeBroker, Sink} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';
import {commandLine} from './support/command-line.ts';

const {dapss} = commandLine();

/** OSC 52, CSI of C1, DEL, an override of direction, an isolate, a separator, an invisible tag, a byte order mark. */
const hostile = '\u001B]52;c;eA==\u0007\u009B2J\u007F\u202Eevil\u2066\u2028\u{E0041}\uFEFF\u200B\rgone';
// oxlint-disable-next-line no-control-regex
const raw = /[\u0000-\u0009\u000B-\u001F\u007F-\u009F\u061C\u200E\u200F\u2028-\u202E\u2066-\u2069]/u;
const invisible = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

describe('JSON', () => {
	test('has no character that is invisible or a control, and reads as before', () => {
		fc.assert(
			fc.property(fc.string({unit: 'binary'}), fc.string({unit: 'grapheme'}), (one, two) => {
				const value = {[one]: [two, one], text: `${one}${hostile}${two}`};
				const text = jsonText(value);
				expect(text).not.toMatch(invisible);
				expect(JSON.parse(text)).toEqual(value);
			}),
		);
	});

	test('of messages and events escapes the payload, the topic and each other text', () => {
		const message = delivery(1, hostile, hostile);
		const lines = [
			messageLine(1, message),
			eventLine({at: 1, type: 'message', message}),
			eventLine({at: 1, type: 'warning', text: hostile}),
		];
		for (const line of lines) expect(line).not.toMatch(invisible);
		expect(lines.map(line => JSON.parse(line) as unknown)).toMatchObject([
			{payload: hostile, topic: hostile},
			{payload: hostile, topic: hostile},
			{text: hostile},
		]);
	});

	test('without such characters is as JSON.stringify makes it', () => {
		for (const value of [{a: 'täglich 日本 😀', b: [1, null, '\n"\\']}, [], 'x'])
			expect(jsonText(value)).toBe(JSON.stringify(value));
	});
});

/** The snapshot with this text in place of every text that comes from others. */
function poisoned(text: string): Snapshot {
	const {healthy} = snapshots;
	const foreign = {
		...healthy.members[1]!,
		address: text,
		name: text,
		version: text,
		why: text,
		cause: 'tcp' as const,
	};
	return {
		...healthy,
		detail: text,
		members: [healthy.members[0]!, {...foreign, state: 'degraded'}, ...healthy.members.slice(2)],
		topics: healthy.topics.map(topic => ({...topic, name: text})),
		insecure: [text],
		faults: [text],
		foreign: [{clusterId: text, address: text, heardMsAgo: 1}],
		duplicates: [{id: snapshots.b, address: text, other: text, msAgo: 1}],
		fullDisk: text,
		events: [
			{at: 1, type: 'warning', text},
			{at: 2, type: 'refused', id: undefined, address: text, code: 'cluster', reason: text, by: 'peer'},
			{at: 3, type: 'discovered', cluster: text, clusterId: text, address: text, foreign: true},
		] satisfies RecordedEvent[],
	} as unknown as Snapshot;
}

describe('commands', () => {
	test.each([
		'status',
		'status -o json',
		'peers',
		'peers -o json',
		'leader',
		'leader -o json',
		'topics',
		'topics -o json',
		'topic list -o json',
		'access list',
		'access list -o json',
		'check',
		'check -o json',
		'events',
		'events -o json',
		'events -o jsonl',
	])('%s prints no control of others', async line => {
		const {out, err} = await dapss(line, {broker: new FakeBroker(poisoned(hostile))});
		expect(out).not.toBe('');
		for (const text of [out, err]) expect(text).not.toMatch(raw); // Without a terminal there are no colours.
	});

	test.each(['subscribe news --count 1', 'subscribe news --count 1 -o jsonl', 'subscribe news --count 1 --time'])(
		'%s prints no control of a publisher',
		async line => {
			const broker = Object.assign(new FakeBroker(snapshots.healthy), {deliveries: [[delivery(1, hostile)]]});
			const {out} = await dapss(line, {broker});
			expect(out).not.toBe('');
			expect(out).not.toMatch(raw);
		},
	);

	test('an error of a node is printed without its controls, in text and in JSON', async () => {
		const broker = new FakeBroker(snapshots.healthy);
		broker.manageAnswer = () => Promise.reject(new Error(hostile));
		const {out, err} = await dapss('leader transfer -o json', {broker});
		expect(out).not.toMatch(raw);
		expect(err.replaceAll('\u001B[31m', '')).not.toMatch(raw);
		expect(JSON.parse(out)).toMatchObject({type: 'error', message: hostile});
	});
});

describe('the last barrier of text output', () => {
	test('shows controls that came through as their codes, and keeps colours and lines', () => {
		expect(harmless('\u001B]52;c;eA==\u0007 \u009B2J\u007F \u202Eevil\u2028 \r')).toBe(
			'‹U+001B›]52;c;eA==‹U+0007› ‹U+009B›2J‹U+007F› ‹U+202E›evil‹U+2028› ‹U+000D›',
		);
		const coloured = `${paint(true, 'bad', 'täglich')}\n\t${paint(true, 'muted', '日本')}`;
		expect(harmless(coloured)).toBe(coloured);
		// Conceal is no colour of this program.
		expect(harmless('\u001B[8mhidden')).toBe('‹U+001B›[8mhidden');
	});

	test('is in the way of lines for people, lines of data and gathered lines', async () => {
		const [stdout, stderr] = [new Sink(), new Sink()];
		const terminal = new Terminal({stdin: new PassThrough(), stdout, stderr, env: {}});
		terminal.say(hostile);
		await terminal.line(hostile);
		const writer = new LineWriter(terminal);
		await writer.add(hostile);
		await writer.end();
		expect(stdout.text.split('\n')).toHaveLength(3);
		for (const text of [stdout.text, stderr.text]) expect(text).not.toMatch(raw);
	});
});
