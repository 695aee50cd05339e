/** `check --wait-healthy`, the built command: a node that does not run yet is called again. */
import {spawn} from 'node:child_process';
import {expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli} from './support/command.ts';

test('waits for a node that starts later', async () => {
	await using cluster = new Cluster({cli});
	const [port] = await freePorts(1);
	const child = spawn(
		process.execPath,
		[cli, 'check', '--wait-healthy', '--wait', '25s', '--server', String(port), ...cluster.clientFlags],
		{stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, ...cluster.env, NO_COLOR: '1'}},
	);
	const ended = new Promise<number | null>(resolve => {
		child.once('close', resolve);
	});
	let stdout = '';
	child.stdout.on('data', (chunk: Buffer) => {
		stdout += chunk.toString();
	});
	const waiting = await new Promise<string>(resolve => {
		child.stderr.once('data', (chunk: Buffer) => resolve(chunk.toString()));
	});
	expect(waiting).toContain('nothing listens there');
	cluster.start(port!);
	expect(await ended).toBe(0);
	expect(stdout).toMatch(/^healthy: .* 1 of 1 members alive/u);
}, 60_000);
