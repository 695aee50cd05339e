/**
A topic's folder whose `topic.json` is damaged, missing or unreadable. The file is written again from another source of
the name, the damaged file is set aside, and no message is changed. Without a source, that topic alone is skipped and
reported. Uses real files, and a disk that fails.
*/
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	truncateSync,
	writeFileSync,
} from 'node:fs';
import {tmpdir} from 'node:os';
import {basename, join} from 'node:path';
import {afterEach, beforeEach, describe, expect, test} from 'vitest';
import {isNoFolder, realFiles, type Files} from '../../core/io/file-system.ts';
import {Folder} from '../../core/io/files/data-folder.ts';
import {NodeFiles, type TopicAids} from '../../core/io/files/node-files.ts';
import {openLog, type SegmentedLog} from '../../core/io/log/log.ts';
import type {NodeId, Topic} from '../../core/message.ts';
import {openTopicLog} from '../../core/topic-log/topic-log.ts';
import {encodeMark, encodeStored} from '../../core/topic-log/topic-record.ts';
import {createRandom} from '../sim/random.ts';
import {CrashDisk} from './support/crash-disk.ts';
import {batchOf} from '../support/batches.ts';

/** The name of its folder contains the whole name. */
const plain = 'news' as Topic;
/** The name of its folder contains a part of the name. */
const long = `weather/${'long'.repeat(20)}` as Topic;
const origin = 'aaaaaaaaaaaaaaaa' as NodeId;
let path: string;
let reports: string[];
beforeEach(() => {
	path = mkdtempSync(join(tmpdir(), 'dapss-topics-'));
	reports = [];
});
afterEach(() => rmSync(path, {recursive: true, force: true}));

const open = (): NodeFiles => new NodeFiles(realFiles, path, text => reports.push(text));
const openAt = (folder: string): Promise<SegmentedLog> => openLog({folder, segmentBytes: 1e6, writeDeadlineMs: 5000});
const aids: TopicAids = {openLog: openAt};

/** Makes a topic with these records, or three messages, in its log. Resolves with its folder. */
async function topicOf(topic: Topic, records = [1, 2, 3].map(seq => stored(topic, seq))): Promise<string> {
	const folder = await open().topicFolder(topic);
	await using log = await openAt(folder);
	if (records.length > 0) await log.append(records).synced;
	return folder;
}

function stored(topic: Topic, seq: number): Buffer {
	const batch = batchOf({topic, origin, firstSeq: seq, sentAtMs: 1}, [Buffer.from(`message ${seq}`)]);
	return encodeStored(batch, {offset: seq - 1, hops: 0, repaired: false, arrivedMs: 0});
}

async function messagesIn(folder: string): Promise<number> {
	await using log = await openTopicLog(await openAt(folder), () => undefined);
	return log.messages;
}

const damages: ReadonlyArray<readonly [string, string, (file: string) => void]> = [
	[
		'has a flipped bit',
		'is damaged',
		file => {
			const bytes = readFileSync(file);
			bytes[bytes.indexOf('":"') + 3]! ^= 1; // Another valid name.
			writeFileSync(file, bytes);
		},
	],
	['is no JSON', 'is damaged', file => writeFileSync(file, '{"topic":')],
	['names nothing', 'is damaged', file => writeFileSync(file, 'null')],
	['names no topic', 'is damaged', file => writeFileSync(file, '{"topic": ""}')],
	['is empty', 'is damaged', file => truncateSync(file, 0)],
	['is gone', 'is missing', file => rmSync(file)],
	[
		'is a folder',
		'cannot be read',
		file => {
			rmSync(file);
			mkdirSync(file);
		},
	],
];

describe.each(damages)('a topic.json that %s', (_name, problem, damage) => {
	test.each([
		['the name of its folder', plain, undefined, {}],
		['what the node knows', long, undefined, {known: () => ['other' as Topic, long]}],
		['its messages', long, undefined, aids],
		[
			'what retention left',
			long,
			[encodeMark({offset: 3, topic: long, streams: [{origin, incarnation: 1, next: 4, lamport: 3}]})],
			aids,
		],
	] as const)('is written again from %s', async (_from, topic, records, given: TopicAids) => {
		const other = await topicOf('other' as Topic);
		const folder = await topicOf(topic, records?.slice());
		const messages = await messagesIn(folder);
		const file = join(folder, 'topic.json');
		const whole = readFileSync(file);
		damage(file);
		const damaged = existsSync(file) && problem !== 'cannot be read' ? readFileSync(file) : undefined;
		expect(await open().topics(given)).toEqual([topic, 'other'].toSorted());
		expect(reports).toEqual([
			expect.stringMatching(
				new RegExp(
					`^The file ${file} ${problem}.*It was written again for the topic "${topic}".*the messages ` +
						'are kept$',
				),
			),
		]);
		expect(readFileSync(file)).toEqual(whole);
		expect(existsSync(`${file}.corrupt`)).toBe(problem !== 'is missing');
		if (damaged) expect(readFileSync(`${file}.corrupt`)).toEqual(damaged);
		expect([await messagesIn(folder), await messagesIn(other)]).toEqual([messages, 3]);
		// The next start has the same result.
		expect(await open().topics(given)).toEqual([topic, 'other'].toSorted());
		expect(reports).toHaveLength(1);
	});

	test('is reported if no file names the topic; other topics open, and a use of the topic restores it', async () => {
		await topicOf(plain);
		const folder = await topicOf(long);
		const file = join(folder, 'topic.json');
		damage(file);
		const left = readdirSync(folder);
		expect(await open().topics({known: () => [plain]})).toEqual([plain]);
		expect(reports).toEqual([
			expect.stringMatching(
				new RegExp(
					`^The topic of the folder ${folder} is unknown: ` +
						`its topic.json (?:${problem}|names ).*write \\{"topic": "its name"\\} into ${file}`,
				),
			),
		]);
		expect(readdirSync(folder)).toEqual(left);
		expect(await open().topicFolder(long)).toBe(folder);
		expect(reports[1]).toContain(`It was written again for the topic ${JSON.stringify(long)}`);
		expect(await open().topics()).toEqual([long, plain].toSorted());
		expect(await messagesIn(folder)).toBe(3);
	});
});

test('a log that cannot be opened gives no name, and has no effect on other topics', async () => {
	await topicOf(plain);
	writeFileSync(join(await topicOf(long), 'topic.json'), '');
	expect(await open().topics({openLog: () => Promise.reject(new Error('EIO'))})).toEqual([plain]);
	expect(reports).toHaveLength(1);
});

test('an empty folder is no topic, and is not reported', async () => {
	const folder = await topicOf(plain, []);
	rmSync(join(folder, 'topic.json'));
	expect(await open().topics(aids)).toEqual([]);
	expect(await open().topicFolder(plain)).toBe(folder);
	expect([await open().topics(aids), reports]).toEqual([[plain], []]);
});

test('a topic without messages may lose its name, and is made again when it is used', async () => {
	const folder = await topicOf(long, []);
	const file = join(folder, 'topic.json');
	truncateSync(file, 0);
	expect(await open().topics(aids)).toEqual([]);
	expect(reports).toEqual([
		`The file ${file} is damaged. Nothing else names its topic, which has no messages there: ` +
			'the file is written again when the topic is used again',
	]);
	expect(await open().topicFolder(long)).toBe(folder);
	expect(await open().topics(aids)).toEqual([long]);
	expect(readdirSync(folder).toSorted()).toEqual(['topic.json', 'topic.json.corrupt']);
});

test('an entry that is no folder of a topic is left unchanged, and reported', async () => {
	const folder = await topicOf(plain);
	const topics = join(path, 'topics');
	writeFileSync(join(topics, 'notes'), 'mine');
	mkdirSync(join(topics, 'copy'));
	for (const name of readdirSync(folder)) writeFileSync(join(topics, 'copy', name), readFileSync(join(folder, name)));
	expect(await open().topics(aids)).toEqual([plain]);
	expect(reports.toSorted()).toEqual([
		`Expected nothing but folders of topics in ${topics}: "notes" is none, and is left as it is`,
		expect.stringContaining(
			`The topic of the folder ${join(topics, 'copy')} is unknown: ` +
				`its topic.json names "news", whose folder is ${basename(folder)}`,
		),
	]);
	expect(readFileSync(join(topics, 'notes'), 'utf8')).toBe('mine');
});

test('it is reported on Windows, too, which reports a file below a file as missing', async () => {
	await topicOf(plain);
	const topics = join(path, 'topics');
	writeFileSync(join(topics, 'desktop.ini'), 'mine');
	const onWindows: Files = {
		...realFiles,
		open: (file, mode) =>
			realFiles.open(file, mode).catch((error: unknown) => {
				throw isNoFolder(error) ? Object.assign(new Error('ENOENT'), {code: 'ENOENT'}) : error;
			}),
	};
	expect(await new NodeFiles(onWindows, path, text => reports.push(text)).topics(aids)).toEqual([plain]);
	expect(reports).toEqual([
		`Expected nothing but folders of topics in ${topics}: "desktop.ini" is none, and is left as it is`,
	]);
});

test('a repair that is interrupted at any call is completed at the next start', async () => {
	for (let calls = 1; ; calls++) {
		const random = createRandom(calls);
		const files = new CrashDisk({random});
		await files.makeFolder('/data');
		const folder = await new NodeFiles(files, '/data').topicFolder(plain);
		await using log = await openLog({folder, segmentBytes: 1e6, writeDeadlineMs: 5000, files});
		await log.append([stored(plain, 1)]).synced;
		files.medium.file(join(folder, 'topic.json'))!.cut(3);
		const failing = new CrashDisk({random, diesAt: calls}, files.medium);
		const isDone = await Promise.race([
			new NodeFiles(failing, '/data').topics().then(() => true),
			failing.died.then(() => false),
		]);
		const image = new CrashDisk({random}, failing.image(random, random.pick(['all', 'writes', 'sectors', 'none'])));
		expect(await new NodeFiles(image, '/data').topics(), `died at call ${calls}`).toEqual([plain]);
		if (!isDone) continue;
		expect(calls).toBeGreaterThan(8);
		return;
	}
});

describe('the other small files', () => {
	const taken = async (): Promise<void> => (await Folder.open(path))[Symbol.dispose]();

	test('the start succeeds with an unreadable pid file; a pid that is no number is not shown', async () => {
		using _folder = await Folder.open(path);
		for (const text of ['\u001B[31mred', '', '12 34\n']) {
			writeFileSync(join(path, 'pid'), text);
			await expect(Folder.open(path)).rejects.toMatchObject({
				code: 'locked',
				message: `The data folder ${path} is in use by another node: stop it, or choose another --data`,
			});
		}

		rmSync(join(path, 'pid'));
		mkdirSync(join(path, 'pid'));
		await expect(Folder.open(path)).rejects.toMatchObject({code: 'locked'});
		_folder[Symbol.dispose]();
		await taken();
	});

	test('the error of a file that is no lock has its path and a remedy', async () => {
		await taken();
		for (const damage of [
			(file: string) => writeFileSync(file, 'x'.repeat(5000)),
			(file: string) => mkdirSync(file),
		]) {
			const file = join(path, 'lock');
			rmSync(file, {recursive: true});
			damage(file);
			await expect(Folder.open(path)).rejects.toMatchObject({
				code: 'storage',
				message: expect.stringMatching(
					new RegExp(
						`^The lock ${file} cannot be taken: .*When no node uses the folder, remove it, ` +
							`nothing is lost with it: rm -r ${file}$`,
					),
				) as string,
			});
			rmSync(file, {recursive: true});
			await taken();
		}
	});

	test.each(['node.json', 'snapshot-0000000000000016'])(
		'the error of an unreadable %s has its path and a remedy',
		async name => {
			mkdirSync(join(path, name));
			const reading = name === 'node.json' ? open().readJson(name) : open().blobs.read(name);
			await expect(reading).rejects.toMatchObject({
				code: 'storage',
				message: expect.stringMatching(
					new RegExp(`^The file ${join(path, name)} cannot be read: EISDIR.*move it away.*Without the file`),
				) as string,
			});
		},
	);

	test('the error of an unreadable note of a log has its path', async () => {
		const folder = await topicOf(plain);
		rmSync(join(folder, 'synced'));
		mkdirSync(join(folder, 'synced'));
		await expect(openAt(folder)).rejects.toMatchObject({
			code: 'storage',
			message: expect.stringMatching(
				new RegExp(
					`^The log ${folder} cannot be opened: EISDIR.* '${join(folder, 'synced')}'\\. .*move it away`,
				),
			) as string,
		});
	});
});
