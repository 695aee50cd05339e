/** The output of `subscribe`: both times, and templates. */
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import fc from 'fast-check';
import {afterAll, beforeAll, describe, expect, test} from 'vitest';
import {commands} from '../../../source/commands/command-table.ts';
import {fields, parseTemplate} from '../../../source/output/template.ts';
import {delivery, FakeBroker, run, Sink, type Outcome, type RunOptions} from '../../support/fakes.ts';
import * as snapshots from '../../tui/support/fixtures.ts';

let home: string;
beforeAll(() => {
	home = mkdtempSync(join(tmpdir(), 'dapss-output-'));
	writeFileSync(join(home, 'secret'), 'q8Jw0zvN3Vb6sYk1XhT5mRc2LdPf7UaE9gQiOxCtB4M', {mode: 0o600});
});
afterAll(() => rmSync(home, {recursive: true, force: true}));

const sentAtMs = Date.UTC(2026, 1, 3, 4, 5, 6, 7);
const sent = '2026-02-03T04:05:06.007Z';
const message = {...delivery(7, 'r\u001B[2Jain\n'), sentAtMs};
const named = {
	...snapshots.healthy,
	members: snapshots.healthy.members.map(member => ({...member, name: member.id === snapshots.a ? 'oslo-1' : ''})),
};
const subscribed = (flags: readonly string[], options: RunOptions = {}): Promise<Outcome> =>
	run(['subscribe', 'news', '--count', '1', ...flags], {
		broker: Object.assign(new FakeBroker(named), {deliveries: [[message]]}),
		cwd: home,
		env: {HOME: home, DAPSS_SECRET_FILE: join(home, 'secret')},
		...options,
	});

describe('times', () => {
	test("lines of JSON have the publisher's time as sentAt and the time of printing as at", async () => {
		const before = Date.now();
		const {at, sentAt} = JSON.parse((await subscribed(['-o', 'jsonl'])).out) as Record<string, number>;
		expect(sentAt).toBe(sentAtMs);
		expect(at).toBeGreaterThanOrEqual(before);
	});

	test("--time prints the publisher's time before the text", async () => {
		expect((await subscribed(['--time'])).out).toBe(`${sent}  r␛[2Jain␤\n`);
		expect(await subscribed(['--time', '-o', 'raw'])).toMatchObject({
			code: 2,
			err: expect.stringContaining('--time without -o raw') as string,
		});
	});
});

describe('templates', () => {
	test('print every field', async () => {
		const {out} = await subscribed([
			'-f',
			'{topic}|{time}|{node}|{origin}|{incarnation}|{seq}|{lamport}|{offset}|{size}',
		]);
		expect(out).toBe(`news|${sent}|oslo-1|${snapshots.a}|1|7|17|6|9\n`);
		expect((await subscribed(['-f', '{at}'])).out).toMatch(/^\d{4}-.*Z\n$/);
		// The help lists all fields.
		for (const field of Object.keys(fields))
			expect(commands.find(({name}) => name === 'subscribe')!.notes!.join(' ')).toContain(`{${field}}`);
	});

	test('print the bytes of the message without a terminal, and printable text on a terminal', async () => {
		expect((await subscribed(['-f', '<{body}>'])).out).toBe('<r\u001B[2Jain\n>\n');
		const stdout = new Sink();
		await subscribed(['-f', '<{body}>\\t{seq}'], {stdout, isTerminal: true});
		expect(stdout.text).toBe('<r␛[2Jain␤>\t7\n');
	});

	test('print the first digits of the id for an origin without a name, or that is no member', async () => {
		expect(
			(
				await subscribed(['-f', '{node}'], {
					broker: Object.assign(new FakeBroker(snapshots.healthy), {deliveries: [[message]]}),
				})
			).out,
		).toBe(`${snapshots.a.slice(0, 8)}\n`);
	});

	test.each([
		['{tpoic}', 'got {tpoic}; did you mean {topic}?'],
		['{TIME}', 'got {TIME}; did you mean {time}? There are {'],
		['{}', 'got {}'],
		['{constructor}', 'got {constructor}. There are {'],
		['{topic', 'Expected --format to close every brace, got "{topic"'],
		['a}b', 'got "}b"'],
	])('%s is refused with the available fields', async (template, problem) => {
		expect(await subscribed(['-f', template])).toMatchObject({
			code: 2,
			err: expect.stringContaining(problem) as string,
		});
	});

	test('are refused with other formats than text, and with --time', async () => {
		expect(await subscribed(['-f', '{body}', '-o', 'jsonl'])).toMatchObject({code: 2});
		expect(await subscribed(['-f', '{body}', '--time'])).toMatchObject({code: 2});
	});

	test('print a doubled brace or backslash as one', () => {
		const text = (template: string): string =>
			Buffer.from(parseTemplate(template).render(message, {at: 0, nodeOf: id => id}, false)).toString();
		expect(text('{{"seq":{seq}}}')).toBe('{"seq":7}\n');
		expect(text(String.raw`a\nb\\nc\d`)).toBe('a\nb\\nc\\d\n');
		expect(text('valueOf')).toBe('valueOf\n');
		fc.assert(
			fc.property(
				fc.string({unit: 'binary'}).filter(plain => plain.isWellFormed()),
				plain => {
					const template = plain.replaceAll(/[{}\\]/g, character => character + character);
					expect(text(template)).toBe(`${plain}\n`);
				},
			),
		);
	});
});
