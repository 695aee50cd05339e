/** Recordings of real nodes: a partition, a recorder that is killed, and the replay. */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';
import {expect, test} from 'vitest';
import {Cluster} from '../../bench/cluster.ts';
import type {NodeId} from '../../core/message.ts';
import {cli, run} from './support/command.ts';
import {CommandProcess} from './support/command-process.ts';
import {pollUntil} from './support/poll.ts';
import {Terminal} from './support/terminal.ts';

const linesOf = (path: string): number => readFileSync(path, 'utf8').split('\n').length;

test('recordings of a partition are readable after a kill, hold the rules, and are replayed without the cluster', async () => {
	await using running = new Cluster({cli, topics: ['news'], flags: ['--faults']});
	const paths = [0, 1, 2].map(index => join(running.folder, `${index}.jsonl`));
	const {env} = running;
	await running.startAll(3);
	const recorders = running.nodes.map(
		({port}, index) =>
			new CommandProcess(
				process.execPath,
				[cli, 'record', paths[index]!, '--server', String(port), ...running.clientFlags],
				{env},
			),
	);
	for (const recorder of recorders) await recorder.until(() => recorder.stderr.includes('Recording'), 'a recording');
	const brokers = await Promise.all(running.nodes.map(node => running.client(node)));
	await brokers[0]!.publish('news', ['one', 'two', 'three']);
	const [first, , last] = running.nodes;
	await brokers[2]!.fault({
		type: 'cut',
		peers: [first!.id, running.nodes[1]!.id] as NodeId[],
		direction: 'both',
		forMs: 60_000,
	});
	await first!.waitFor(event => event.type === 'partition' && event['state'] === 'detected', 'the partition');
	await Promise.all([brokers[0]!.publish('news', ['here']), brokers[2]!.publish('news', ['there'])]);
	await brokers[2]!.fault({type: 'heal'});
	for (const node of [first!, last!])
		await node.waitFor(event => event.type === 'partition' && event['state'] === 'repaired', 'the repair');
	const before = paths.map(path => linesOf(path));
	await pollUntil(
		async () => paths.every((path, index) => linesOf(path) > before[index]! + 4),
		isLater => isLater,
		'more records',
	);
	recorders[0]!.child.kill('SIGINT');
	recorders[1]!.child.kill('SIGTERM');
	recorders[2]!.child.kill('SIGKILL');
	expect(await Promise.all(recorders.map(({exited}) => exited))).toEqual([130, 143, null]);

	const checked = await run(['replay', ...paths, '--check', '-o', 'json']);
	expect(checked).toMatchObject({code: 0});
	expect(checked.stderr).toContain('2.jsonl has no end');
	const report = JSON.parse(checked.stdout.toString()) as {
		readonly files: ReadonlyArray<{readonly messages: number}>;
		readonly rules: ReadonlyArray<{readonly rule: string; readonly result: string}>;
	};
	expect(report.files.map(({messages}) => messages)).toEqual([5, 5, 5]);
	expect(report.rules.filter(({result}) => result === 'violated')).toEqual([]);
	await Promise.all(brokers.map(broker => broker[Symbol.asyncDispose]()));
	await Promise.all(running.nodes.map(node => node.kill('SIGKILL')));

	await using terminal = new Terminal(process.execPath, [cli, 'replay', paths[0]!], {
		columns: 100,
		rows: 30,
		env,
	});
	await terminal.waitFor(/REPLAY ‖/u);
	terminal.press('}');
	// The cut may have ended before the next snapshot of the recording: then its summary is shown.
	await terminal.waitFor(/PARTITION|NODE UNREACHABLE|did not answer for|partition until/u);
	terminal.press('G');
	await terminal.waitFor(/REPLAY ■/u);
	terminal.press('q');
	expect((await terminal.exited).exitCode).toBe(0);
}, 90_000);
