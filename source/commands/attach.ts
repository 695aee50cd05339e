/**
`attach [host:port,…]`: the console of a running node. Closing it does not stop the node. When the connection is lost,
the console stays open and goes to another member of the cluster, to one of the given servers, or to the same one. It
switches between nodes, and between the named clusters of the preferences.
*/
import {DapssError} from '../../core/errors.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {attachTo, contextNamed, opener} from '../nodes/attaching.ts';
import {existingPreferences, type Preferences} from '../settings/preferences.ts';
import {addressOf} from '../settings/settings.ts';

export async function run(context: Context): Promise<number> {
	const {input, flags, terminal, env} = context;
	expectInput(context, 0, 1, 'attach [host:port,…]');
	const address = input[0]
		?.split(',')
		.map(one => addressOf(one.trim(), 'the address'))
		.join(',');
	if (flags.snapshot !== undefined) {
		const {frameWanted, printFrame} = await import('./frame.ts');
		frameWanted(context);
		const contexts = existingPreferences(env, line => terminal.say(`Warning: ${line}`))?.contexts ?? new Map();
		await using first = await attached(context, address, contexts);
		await printFrame(context, first.broker);
		return 0;
	}

	const isDumb = env['TERM'] === 'dumb';
	if (!terminal.isTerminal || !terminal.stdin.isTTY || isDumb)
		throw new DapssError(
			'failure',
			`Expected a terminal for the console${isDumb ? ' that can move its cursor, got TERM=dumb' : ''}; ` +
				'without one, dapss-tui status and dapss-tui events --watch show a node',
		);
	const [{showConsole}, {loadPreferences}, {createAttachedSource}] = await Promise.all([
		import('./console.ts'),
		import('../settings/preferences.ts'),
		import('../../tui/attached-source.ts'),
	]);
	const preferences = loadPreferences(env, line => terminal.say(line));
	const {contexts} = preferences;
	const first = await attached(context, address, contexts);
	const {broker} = first;
	await using source = createAttachedSource(first, opener(context, contexts));
	return await showConsole(context, broker, {
		name: `attach-${broker.server.replaceAll(/[^\w.-]/g, '_')}`,
		remote: true,
		source,
		preferences,
	});
}

/** The node at the address, or at that of the context or the environment. */
function attached(
	context: Context,
	address: string | undefined,
	contexts: Preferences['contexts'],
): ReturnType<typeof attachTo> {
	const {flags, env} = context;
	const chosen = flags.context === undefined ? undefined : contextNamed(context, flags.context, contexts, false);
	const servers = address ?? flags.server ?? chosen?.servers ?? (env['DAPSS_SERVER'] || undefined);
	return attachTo(chosen?.reaching ?? context, servers, chosen?.named);
}
