/**
`recover`: unsafe recovery of a stopped node, when the quorum is lost for good. Says what is lost, and wants the cluster's name typed.
*/
import {createInterface} from 'node:readline/promises';
import {DapssError} from '../../core/errors.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput, type Context} from '../context.ts';
import {shortId} from '../units.ts';

export async function run(context: Context): Promise<void> {
	const {flags, terminal, output} = context;
	expectInput(context, 0, 0, 'recover without more');
	const {tunables, data} = context.settings();
	const folder = data(tunables.port);
	const {openRefounding} = await context.backend();
	await using found = await openRefounding({data: folder, storage: tunables.storage, limits: tunables.limits});
	const others = found.formerVoters.filter(id => id !== found.node);
	const rows = [
		`Node ${found.node} in ${printable(folder)}`,
		`  becomes the only voter of a new cluster ${printable(tunables.cluster)}, with ${found.topics} topics and its log up to entry ${found.lastIndex} (agreed for sure: ${found.commit}).`,
		`  Lost: whatever was agreed and is not in this log. If another node's log reaches further, recover that one instead.`,
		`  ${others.length === 0 ? 'It was the only voter.' : `The former voters ${others.map(id => shortId(id)).join(', ')} and all other members are out: they join again with empty data folders.`}`,
	];
	for (const row of rows) terminal.say(row);
	const word = flags.confirm ?? await ask(context, tunables.cluster);
	if (word !== tunables.cluster) throw new DapssError('usage', `Expected the cluster's name, ${tunables.cluster}, got ${JSON.stringify(word)}: nothing was changed`);
	const clusterId = await found.carryOut();
	await terminal.line(output === 'json' ? JSON.stringify({node: found.node, clusterId, formerClusterId: found.formerClusterId, formerVoters: found.formerVoters, lastIndex: found.lastIndex}) : `Done: start node ${shortId(found.node)} as before; it leads cluster ${clusterId.slice(0, 8)} alone`);
}

async function ask({terminal, signal}: Context, cluster: string): Promise<string> {
	if (!terminal.stdin.isTTY) throw new DapssError('usage', `Expected --confirm ${cluster}, since there is no terminal to type the name on: nothing was changed`);
	const lines = createInterface({input: terminal.stdin, output: process.stderr});
	try {
		return (await lines.question(`Type the cluster's name (${cluster}) to go on: `, {signal})).trim();
	} finally {
		lines.close();
	}
}
