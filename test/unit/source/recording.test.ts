/** Recordings: the file, what a reader gets back, and the rules that are checked in it. */
import {appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {afterAll, describe, expect, test} from 'vitest';
import type {RecordedEvent} from '../../../core/events.ts';
import type {NodeId, Topic} from '../../../core/message.ts';
import {snapshotOf} from '../../../core/remote/received.ts';
import type {MessageSnapshot, Snapshot} from '../../../core/snapshot.ts';
import {formatName, formatVersion, Recorder, type FileRecord} from '../../../source/recording/format.ts';
import {checkRecordings, type RuleResult} from '../../../source/recording/invariants.ts';
import {difference, patched} from '../../../source/recording/merge-patch.ts';
import {RecordingFile} from '../../../source/recording/recording-file.ts';
import {Recording} from '../../../source/recording/recording.ts';
import {shivizOf} from '../../../source/recording/shiviz.ts';
import {FakeBroker} from '../../support/fakes.ts';
import {a, atMs, b, c, healthy, member, message, partitioned} from '../../tui/support/fixtures.ts';
import {commandLine} from './support/command-line.ts';

const folder = mkdtempSync(join(tmpdir(), 'dapss-recording-'));
afterAll(() => rmSync(folder, {recursive: true, force: true}));
let files = 0;
const newPath = (): string => join(folder, `${++files}.jsonl`);
const header: FileRecord = {
	type: 'header',
	recording: formatName,
	format: formatVersion,
	version: '0.2.0',
	cluster: 'dapss',
	at: atMs,
};

function recordAll(snapshots: readonly Snapshot[], path = newPath()): Recording {
	const recorder = new Recorder();
	{
		using file = new RecordingFile(path, 1e9);
		file.add(header);
		for (const snapshot of snapshots) file.add(recorder.record(snapshot)!);
		file.add({type: 'end', at: snapshots.at(-1)!.atMs, why: 'stopped'});
	}

	return new Recording(path, snapshotOf);
}

/** Snapshots of a node, a second apart, that deliver these messages. */
function course(
	steps: ReadonlyArray<readonly MessageSnapshot[]>,
	changes: Partial<Snapshot> = {},
	eventsAt: Readonly<Record<number, readonly RecordedEvent[]>> = {},
): readonly Snapshot[] {
	const feed: MessageSnapshot[] = [];
	const events: RecordedEvent[] = [];
	return steps.map((messages, index) => {
		feed.push(...messages);
		events.push(...(eventsAt[index] ?? []));
		return {
			...healthy,
			...changes,
			atMs: atMs + index * 1000,
			uptimeMs: 10_000 + index * 1000,
			counters: {...healthy.counters, delivered: feed.length},
			feed: feed.slice(-50),
			events: [...events],
		};
	});
}

const news = (seq: number, changes: Partial<MessageSnapshot> = {}): MessageSnapshot =>
	message(seq, `text ${seq}`, {topic: 'weather' as Topic, sentAtMs: atMs + 1500, ...changes});
const ruleOf = (recordings: readonly Recording[], name: RuleResult['rule']): RuleResult =>
	checkRecordings(recordings).rules.find(({rule}) => rule === name)!;
/** As it comes out of a connection: without fields that are `undefined`. */
const plain = (snapshot: Snapshot): unknown =>
	JSON.parse(JSON.stringify({...snapshot, feed: [], partition: undefined}));

describe('a patch', () => {
	const value = fc.letrec(tie => ({
		value: fc.oneof(
			{maxDepth: 3},
			fc.integer({min: 0, max: 3}),
			fc.string({maxLength: 2}),
			fc.boolean(),
			fc.array(tie('value'), {maxLength: 3}),
			fc.dictionary(fc.constantFrom('a', 'b', '0', '1'), tie('value')),
		),
	})).value;

	test('turns one value into the other', () => {
		fc.assert(
			fc.property(fc.dictionary(fc.string(), value), fc.dictionary(fc.string(), value), (one, other) => {
				const patch: unknown = JSON.parse(JSON.stringify(difference(one, other) ?? {}));
				expect(patched(one, patch)).toEqual(JSON.parse(JSON.stringify(other)));
			}),
		);
	});

	test('makes no list longer', () => {
		expect(patched({list: [1]}, {list: {'999999999': 2, '0': 3}})).toEqual({list: [3]});
	});
});

describe('a recording', () => {
	const snapshots = [
		...course([[news(1)], [news(2), news(3)], [], [news(4)]]),
		{...partitioned, atMs: atMs + 9000, uptimeMs: 90_000, counters: {...healthy.counters, delivered: 100}},
	];

	test('gives each snapshot back, in any order', () => {
		const recording = recordAll(snapshots);
		expect(recording.length).toBe(snapshots.length);
		for (const index of [4, 0, 3, 2, 4, 1]) {
			const {snapshot} = recording.frame(index);
			expect(plain(snapshot!)).toEqual(plain(snapshots[index]!));
			expect(snapshot!.partition.sees).toEqual(snapshots[index]!.partition.sees);
			expect(snapshot!.feed).toEqual(snapshots[index]!.feed);
			expect(recording.atMs(index)).toBe(snapshots[index]!.atMs);
		}
	});

	test('may be read by its user only', () => {
		expect(statSync(recordAll(snapshots).path).mode & 0o777).toBe(0o600);
	});

	test.each([1, 7, 40])('is readable after a crash that tears %i bytes off', torn => {
		const {path} = recordAll(snapshots);
		truncateSync(path, statSync(path).size - torn);
		const recording = new Recording(path, snapshotOf);
		expect(recording.torn).toBeGreaterThan(0);
		expect(recording.ended).toBeUndefined();
		expect(recording.length).toBe(snapshots.length);
	});

	test('is continued after its last whole record', () => {
		const {path} = recordAll(snapshots.slice(0, 2));
		appendFileSync(path, '{"type":"chan');
		{
			using file = new RecordingFile(path, 1e9);
			expect(file.torn).toBe(13);
			expect(file.isContinued).toBe(true);
			file.add(header);
			file.add(new Recorder().record(snapshots[2]!)!);
		}

		const recording = new Recording(path, snapshotOf);
		expect(recording.length).toBe(3);
		expect(recording.torn).toBe(0);
		expect(recording.frame(2).snapshot?.atMs).toBe(snapshots[2]!.atMs);
	});

	test('is not written over another file', () => {
		const path = newPath();
		writeFileSync(path, 'notes\n');
		expect(() => new RecordingFile(path, 1e9)).toThrow(/something else/u);
		expect(readFileSync(path, 'utf8')).toBe('notes\n');
	});

	test('is refused when it is no recording, of a newer format, or damaged within', () => {
		const path = newPath();
		const read = (text: string): Recording => {
			writeFileSync(path, text);
			return new Recording(path, snapshotOf);
		};
		expect(() => read('')).toThrow(/Expected a recording/u);
		expect(() => read('{"type":"state","at":1}\n')).toThrow(/Expected a recording/u);
		expect(() => read(`${JSON.stringify({...header, format: 2})}\n`)).toThrow(/format 1, got format 2/u);
		const lines = readFileSync(recordAll(snapshots).path, 'utf8').split('\n');
		expect(() => read(lines.with(2, 'x').join('\n'))).toThrow(/Expected a record in line 3/u);
		const malformed = read(lines.with(2, '{"type":"change","at":1,"change":{"members":7}}').join('\n'));
		expect(() => malformed.frame(1)).toThrow(/malformed/u);
	});

	test('of someone else is refused or read, whatever its bytes are', () => {
		const original = readFileSync(recordAll(snapshots).path);
		const path = newPath();
		const deep = `${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}`;
		const lines = original.toString().split('\n');
		const changed = [
			lines.with(3, `{"type":"change","at":1,"change":${deep}}`).join('\n'),
			lines.with(2, '{"type":"state","at":1,"state":null,"messages":[null],"events":{}}').join('\n'),
			lines.with(2, '{"type":"change","at":1,"messages":[{"preview":7}],"kept":1e9}').join('\n'),
			lines
				.with(2, '{"type":"change","at":1,"change":{"__proto__":{"self":1},"partition":{"sees":[[null,7]]}}}')
				.join('\n'),
		];
		const read = (content: string | Uint8Array): void => {
			writeFileSync(path, content);
			try {
				const recording = new Recording(path, snapshotOf);
				for (let index = 0; index < recording.length; index++) recording.frame(index);
				checkRecordings([recording]);
				shivizOf([recording]);
			} catch (error) {
				expect(error).toMatchObject({code: 'usage'});
			}
		};
		for (const content of changed) read(content);
		fc.assert(
			fc.property(fc.nat(original.length - 1), fc.nat(255), fc.nat(60), (at, byte, count) => {
				const bytes = Buffer.from(original);
				bytes.fill(byte, at, Math.min(bytes.length, at + count));
				read(bytes);
			}),
			{numRuns: 300},
		);
		expect(({} as {self?: unknown}).self).toBeUndefined();
	});

	test('marks changes of the leader and partitions', () => {
		const recording = recordAll(
			course(
				[[], [], [], []],
				{},
				{
					1: [{at: atMs, type: 'leader', term: 9, leader: b}],
					3: [{at: atMs, type: 'partition', state: 'detected', sides: [[a], [b]], quorum: -1, tookMs: 1}],
				},
			),
		);
		expect([0, 1, 2, 3].map(index => recording.isMark(index))).toEqual([false, true, false, true]);
	});
});

describe('the check', () => {
	test('holds for a healthy course, and says what it does not show', () => {
		const recording = recordAll(course([[news(1)], [news(2), news(3)], [news(1, {origin: c})]]));
		const {
			rules,
			files: [file],
		} = checkRecordings([recording]);
		expect(rules.map(({rule, result}) => [rule, result])).toEqual([
			['one-leader-per-term', 'held'],
			['no-duplicates', 'held'],
			['order-of-origin', 'held'],
			['delivered-everywhere', 'not shown'],
		]);
		expect(file).toMatchObject({frames: 3, messages: 4, skipped: 0});
	});

	test('finds two leaders in a term, also in different recordings', () => {
		const leader = (id: NodeId): RecordedEvent => ({at: atMs + 500, type: 'leader', term: 9, leader: id});
		const one = recordAll(course([[], []], {}, {1: [leader(a)]}));
		const other = recordAll(course([[], []], {self: b}, {1: [leader(b)]}));
		expect(ruleOf([one], 'one-leader-per-term').result).toBe('held');
		expect(ruleOf([one, other], 'one-leader-per-term').violations).toEqual([
			{at: atMs + 500, file: other.path, text: expect.stringMatching(/^Term 9 has two leaders/u) as string},
		]);
	});

	test('finds a message that is delivered twice, and one out of order, with their times', () => {
		const twice = recordAll(course([[news(1)], [news(2)], [news(1)]]));
		expect(ruleOf([twice], 'no-duplicates').violations).toMatchObject([{at: atMs + 2000, text: /twice/u}]);
		const disordered = recordAll(course([[news(1)], [news(3)], [news(2)]]));
		expect(ruleOf([disordered], 'order-of-origin').violations).toMatchObject([
			{at: atMs + 2000, text: /after #3/u},
		]);
	});

	test('does not take the feed of a restarted node for duplicates', () => {
		const before = course([[news(1)], [news(2)]]);
		const after = course([[news(2)]]).map(snapshot => ({...snapshot, atMs: atMs + 60_000, uptimeMs: 10}));
		expect(ruleOf([recordAll([...before, ...after])], 'no-duplicates').result).toBe('held');
	});

	test('finds a message that another recorded node did not deliver', () => {
		const quiet = Array.from({length: 14}, () => []);
		const one = recordAll(course([[], [], [news(1)], ...quiet]));
		const same = recordAll(course([[], [], [news(1)], ...quiet], {self: b}));
		const without = recordAll(course([[], [], [], ...quiet], {self: b}));
		expect(ruleOf([one, same], 'delivered-everywhere')).toMatchObject({result: 'held', checked: 2});
		expect(ruleOf([one, without], 'delivered-everywhere').violations).toMatchObject([
			{at: atMs + 2000, file: without.path, text: /#1 of .* is not at/u},
		]);
		// A sample that left messages out shows nothing.
		const gap = course([[], [], [], ...quiet], {self: b}).map((snapshot, index) =>
			index < 5 ? snapshot : {...snapshot, counters: {...snapshot.counters, delivered: 1000}},
		);
		expect(ruleOf([one, recordAll(gap)], 'delivered-everywhere').result).toBe('not shown');
	});

	test('finds messages that no node has any more', () => {
		const missed: RecordedEvent = {
			at: atMs + 900,
			type: 'missed',
			topic: 'weather' as Topic,
			origin: b,
			messages: 3,
		};
		const recording = recordAll(course([[], [], []], {}, {1: [missed]}));
		expect(ruleOf([recording], 'delivered-everywhere').violations).toMatchObject([
			{at: atMs + 900, text: /^3 messages/u},
		]);
		const retention = recordAll(course([[], [], []], {}, {1: [{...missed, cause: 'retention'}]}));
		expect(ruleOf([retention], 'delivered-everywhere').violations).toEqual([]);
	});
});

describe('the causal order for ShiViz', () => {
	const named = [member(a, {name: 'one', self: true}), member(b, {name: 'two'}), member(c, {name: 'three'})];
	const parsed = (log: string): Array<{host: string; clock: Record<string, number>; event: string}> =>
		[...log.matchAll(/(?<host>\S*) (?<clock>\{.*\})\n(?<event>.*)/gu)].map(({groups}) => ({
			host: groups!['host']!,
			clock: JSON.parse(groups!['clock']!) as Record<string, number>,
			event: groups!['event']!,
		}));

	test('puts a publication before its deliveries, and an answer after what was received before it', () => {
		const question = news(1, {origin: a, lamport: 5});
		const answer = news(1, {origin: b, lamport: 7});
		const one = recordAll(course([[], [question], [answer]], {members: named}));
		const two = recordAll(course([[], [question], [answer]], {members: named, self: b}));
		const {log, events, hosts} = shivizOf([two, one]);
		expect({events, hosts}).toEqual({events: 4, hosts: 2});
		expect(parsed(log)).toEqual([
			{host: 'one', clock: {one: 1}, event: 'published weather #1 of one, lamport 5'},
			{host: 'two', clock: {one: 1, two: 1}, event: 'received weather #1 of one, lamport 5'},
			{host: 'two', clock: {one: 1, two: 2}, event: 'published weather #1 of two, lamport 7'},
			{host: 'one', clock: {one: 2, two: 2}, event: 'received weather #1 of two, lamport 7'},
		]);
	});

	test('gives nodes without a recording their publications only, and ends when a sample lacks one', () => {
		const one = recordAll(course([[], [news(1, {origin: c}), news(9, {origin: b})]], {members: named}));
		const two = recordAll(course([[], []], {members: named, self: b}));
		const log = parsed(shivizOf([one, two]).log);
		expect(log.map(({host}) => host)).toEqual(['three', 'one', 'two', 'one']);
		expect(log.at(-1)!.clock).toEqual({three: 1, two: 1, one: 2});
	});
});

describe('the commands', () => {
	const {dapss} = commandLine();

	test('record until the time is over, continue the file, and replay --check', async () => {
		const path = newPath();
		const first = await dapss(['record', path, '--for', '50ms']);
		expect(first).toMatchObject({code: 0, out: expect.stringMatching(/: 1 snapshots, /u) as string});
		const stop = new AbortController();
		const broker = new FakeBroker(healthy);
		setTimeout(() => {
			broker.show({...healthy, atMs: atMs + 1000, uptimeMs: 200_000});
			stop.abort('SIGINT');
		}, 300);
		const second = await dapss(['record', path, '-o', 'json'], {broker, stop});
		expect(second.code).toBe(130);
		expect(JSON.parse(second.out.split('\n')[0]!)).toMatchObject({file: path, why: 'stopped', snapshots: 2});
		const checked = await dapss(['replay', path, '--check']);
		expect(checked).toMatchObject({code: 0, out: expect.stringContaining('held') as string});
	});

	test('record says when the file is full', async () => {
		const path = newPath();
		const big = {...healthy, topics: Array.from({length: 8000}, () => healthy.topics[0]!)};
		const {code, err} = await dapss(['record', path, '--max-bytes', '1m'], {broker: new FakeBroker(big)});
		expect(code).toBe(0);
		expect(err).toMatch(/The recording is full: --max-bytes/u);
	});

	test('replay --check ends with 1 for a violation, and names it with its time', async () => {
		const {path} = recordAll(course([[news(1)], [news(2)], [news(1)]]));
		const text = await dapss(['replay', path, '--check']);
		expect(text.code).toBe(1);
		expect(text.out).toMatch(/VIOLATED .*twice.*\n {4}2026-05-04T09:41:09\.250Z .*#1 of/u);
		const json = await dapss(['replay', path, '--check', '-o', 'json']);
		expect(json.code).toBe(1);
		expect(JSON.parse(json.out)).toMatchObject({result: 'violated', files: [{file: path}]});
	});

	test('replay says what is wrong', async () => {
		expect(await dapss(['replay', newPath(), '--check'])).toMatchObject({code: 2});
		expect(await dapss(['replay', recordAll(course([[]])).path])).toMatchObject({
			code: 1,
			err: expect.stringMatching(/Expected a terminal.*--check/u) as string,
		});
	});
});
