/** `check --wait-healthy` tries again to reach a node that does not run yet. */
import {spawn} from 'node:child_process';
import {expect, test} from 'vitest';
import {Cluster, freePorts} from '../../bench/cluster.ts';
import {cli, exitCodeOf, serverFlags} from './support/command.ts';

test('check --wait-healthy waits for a node that starts later', async () => {
	await using cluster = new Cluster({cli});
	const [port] = await freePorts(1);
	const child = spawn(
		process.execPath,
		[cli, 'check', '--wait-healthy', '--wait', '25s', ...serverFlags(cluster, {port: port!})],
		{stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, ...cluster.env, NO_COLOR: '1'}},
	);
	const exitCode = exitCodeOf(child);
	let stdout = '';
	child.stdout.on('data', (chunk: Buffer) => {
		stdout += chunk.toString();
	});
	const waiting = await new Promise<string>(resolve => {
		child.stderr.once('data', (chunk: Buffer) => resolve(chunk.toString()));
	});
	expect(waiting).toContain('nothing listens there');
	cluster.start(port!);
	expect(await exitCode).toBe(0);
	expect(stdout).toMatch(/^healthy: .* 1 of 1 members alive/u);
}, 60_000);
