/**
`attach [host:port,…]`: the console of a running node. Closing it does not stop the node. When the connection is lost,
the console stays open and goes to another member of the cluster, to one of the given servers, or to the same one. It
switches between nodes, and between the named clusters of the preferences.
*/
import {DapssError} from '../../core/errors.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {attachTo, contextNamed, opener} from '../nodes/attaching.ts';
import {addressOf} from '../settings/settings.ts';

export async function run(context: Context): Promise<number> {
	const {input, flags, terminal, env} = context;
	expectInput(context, 0, 1, 'attach [host:port,…]');
	const address = input[0]
		?.split(',')
		.map(one => addressOf(one.trim(), 'the address'))
		.join(',');
	if (!terminal.isTerminal || !terminal.stdin.isTTY)
		throw new DapssError(
			'failure',
			'Expected a terminal for the console; ' +
				'without one, dapss-tui status and dapss-tui events --watch show a node',
		);
	const [{showConsole}, {loadPreferences}, {createAttachedSource}] = await Promise.all([
		import('./console.ts'),
		import('../settings/preferences.ts'),
		import('../../tui/attached-source.ts'),
	]);
	const preferences = loadPreferences(env, line => terminal.say(line));
	const {contexts} = preferences;
	const chosen = flags.context === undefined ? undefined : contextNamed(context, flags.context, contexts, false);
	const servers = address ?? flags.server ?? chosen?.servers ?? (env['DAPSS_SERVER'] || undefined);
	const first = await attachTo(chosen?.reaching ?? context, servers, chosen?.named);
	const {broker} = first;
	await using source = createAttachedSource(first, opener(context, contexts));
	return await showConsole(context, broker, {
		name: `attach-${broker.server.replaceAll(/[^\w.-]/g, '_')}`,
		remote: true,
		source,
		preferences,
	});
}
