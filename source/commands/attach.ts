/**
`attach [host:port]`: the console on a node that runs elsewhere. Leaving it does not stop the node.
*/
import {DapssError} from '../../core/errors.ts';
import {addressOf} from '../settings.ts';
import {expectInput, reach, type Context} from '../context.ts';

export async function run(context: Context): Promise<number> {
	const {input, terminal, env} = context;
	expectInput(context, 0, 1, 'attach [host:port]');
	const address = input[0] === undefined ? undefined : addressOf(input[0], 'the address');
	if (!terminal.isTerminal || !terminal.stdin.isTTY) throw new DapssError('failure', 'Expected a terminal for the console; without one, dapss-tui status and dapss-tui events --watch show a node');
	await using broker = await reach(context, address);
	const [{showConsole}, {loadPreferences}] = await Promise.all([import('./console.ts'), import('../preferences.ts')]);
	return await showConsole(context, broker, {name: `attach-${broker.server.replaceAll(/[^\w.-]/g, '_')}`, remote: true, preferences: loadPreferences(env, line => terminal.say(line))});
}
