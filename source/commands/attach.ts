/**
`attach [host:port,…]`: the console of a running node. Closing it does not stop the node. When the connection is lost,
the console stays open and reconnects, to another of the given servers or to the same one.
*/
import {DapssError} from '../../core/errors.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {reachAlways} from '../nodes/following.ts';
import {addressOf} from '../settings/settings.ts';

export async function run(context: Context): Promise<number> {
	const {input, terminal, env} = context;
	expectInput(context, 0, 1, 'attach [host:port,…]');
	const address = input[0]
		?.split(',')
		.map(one => addressOf(one.trim(), 'the address'))
		.join(',');
	if (context.flags.snapshot !== undefined) {
		const {frameWanted, printFrame} = await import('./frame.ts');
		frameWanted(context);
		await using node = await reachAlways(context, {address, isSilent: true});
		await printFrame(context, node);
		return 0;
	}

	const isDumb = env['TERM'] === 'dumb';
	if (!terminal.isTerminal || !terminal.stdin.isTTY || isDumb)
		throw new DapssError(
			'failure',
			`Expected a terminal for the console${isDumb ? ' that can move its cursor, got TERM=dumb' : ''}; ` +
				'without one, dapss-tui status and dapss-tui events --watch show a node',
		);
	await using broker = await reachAlways(context, {address, isSilent: true});
	const [{showConsole}, {loadPreferences}] = await Promise.all([
		import('./console.ts'),
		import('../settings/preferences.ts'),
	]);
	return await showConsole(context, broker, {
		name: `attach-${broker.server.replaceAll(/[^\w.-]/g, '_')}`,
		remote: true,
		preferences: loadPreferences(env, line => terminal.say(line)),
	});
}
