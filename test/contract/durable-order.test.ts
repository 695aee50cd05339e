/**
Write, sync, then send: the order of calls at the `Files` port and in the kernel (where strace is available).
*/
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join, relative} from 'node:path';
import {fileURLToPath} from 'node:url';
import {afterEach, beforeEach, expect, test} from 'vitest';
import {realFiles, type Files} from '../../core/io/file-system.ts';
import {openActs} from './support/acts.ts';

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), 'dapss-order-'));
});
afterEach(() => rmSync(folder, {recursive: true, force: true}));

/** For each act: its events from the start of the act until its message is sent. */
const expected = {
	'a vote': ['write raft', 'synced raft', 'ack vote-reply'],
	'an append': ['write raft', 'synced raft', 'ack append-reply'],
	'a message': ['write topic', 'synced topic', 'ack published'],
	'a snapshot': ['write snapshot', 'synced snapshot', 'write raft', 'synced raft', 'ack snapshot'],
};

const kindOf = (name: string): string =>
	name.startsWith('raft/')
		? 'raft'
		: name.startsWith('topics/')
			? 'topic'
			: name.startsWith('snapshot-')
				? 'snapshot'
				: name;

/** The file system, with a line for each write that begins and each sync that has ended. */
function traced(trace: string[]): Files {
	return {
		...realFiles,
		async open(path, mode) {
			const file = await realFiles.open(path, mode);
			const kind = kindOf(relative(folder, path));
			return {
				size: file.size,
				read: (buffer, position) => file.read(buffer, position),
				truncate: size => file.truncate(size),
				close: () => file.close(),
				write(buffers, position) {
					trace.push(`write ${kind}`);
					return file.write(buffers, position);
				},
				async datasync() {
					await file.datasync();
					trace.push(`synced ${kind}`);
				},
			};
		},
	};
}

test('each act is synced before the node acknowledges it, at the `Files` port', async () => {
	const trace: string[] = [];
	await using opened = await openActs(folder, traced(trace), text => void trace.push(`ack ${text}`));
	for (const {name, ack, run} of opened.acts) {
		trace.length = 0;
		await run();
		expect([name, trace.slice(0, trace.indexOf(`ack ${ack}`) + 1)]).toEqual([
			name,
			expected[name as keyof typeof expected],
		]);
	}
});

test('each act is synced before the node acknowledges it, in the system calls', ({skip}) => {
	const output = join(folder, 'strace');
	const data = join(folder, 'data');
	if (spawnSync('strace', ['-f', '-o', '/dev/null', 'true']).status !== 0)
		skip('no strace here, or it may not look: the order of system calls was not seen from outside');
	const script = fileURLToPath(new URL('support/acts.ts', import.meta.url));
	const {status, stderr} = spawnSync(
		'strace',
		[
			'-f',
			'-y',
			'-s',
			'64',
			'-e',
			'trace=write,pwritev,pwrite64,fdatasync',
			'-o',
			output,
			process.execPath,
			script,
			data,
		],
		{env: {...process.env, UV_USE_IO_URING: '0'}, encoding: 'utf8'},
	);
	expect(status, stderr).toBe(0);
	const seen = new Map<string, string[]>();
	let act: string[] = [];
	for (const line of linesOf(readFileSync(output, 'utf8'), data)) {
		if (line.startsWith('ack begin ')) {
			act = [];
			seen.set(line.slice('ack begin '.length), act);
		} else act.push(line);
	}

	for (const [name, lines] of Object.entries(expected)) {
		const found = seen.get(name) ?? [];
		expect([name, found.slice(0, found.indexOf(lines.at(-1)!) + 1)]).toEqual([name, lines]);
	}
});

/** The same lines from the output of strace: a write where it begins, an fdatasync where it has succeeded. */
function linesOf(text: string, data: string): string[] {
	const lines: string[] = [];
	/** By thread: the file whose fdatasync has not returned. */
	const waiting = new Map<string, string>();
	for (const line of text.split('\n')) {
		const {thread = '', call = ''} = /^(?<thread>\d+) +(?<call>.*)$/.exec(line)?.groups ?? {};
		const acknowledged = /^write\(1<[^>]*>, "(?<text>ack [^"\\]*)/.exec(call)?.groups?.['text'];
		const {name, path} = /^(?<name>pwritev|pwrite64|write|fdatasync)\(\d+<(?<path>[^>]*)>/.exec(call)?.groups ?? {};
		const kind = path?.startsWith(`${data}/`) ? kindOf(relative(data, path)) : undefined;
		if (acknowledged !== undefined) lines.push(acknowledged);
		else if (/^<\.\.\. fdatasync resumed>.*= 0$/.test(call)) lines.push(`synced ${waiting.get(thread)}`);
		else if (kind !== undefined && name === 'fdatasync' && call.endsWith('<unfinished ...>'))
			waiting.set(thread, kind);
		else if (kind !== undefined && name === 'fdatasync' && call.endsWith('= 0')) lines.push(`synced ${kind}`);
		else if (kind !== undefined && name !== 'fdatasync') lines.push(`write ${kind}`);
	}

	return lines;
}
