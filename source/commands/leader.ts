/**
`leader`: who leads. `leader transfer [NODE]`: hand the lead over, for a restart without an election.
*/
import {DapssError} from '../../core/errors.ts';
import {expectInput, withNode, type Context} from '../context.ts';
import {memberOf} from '../members.ts';
import {shortId} from '../units.ts';
import {runView} from './views.ts';

export async function run(context: Context): Promise<number | void> {
	const [action, name] = context.input;
	if (action === undefined) return runView('leader')(context);
	if (action !== 'transfer') throw new DapssError('usage', `Expected leader, or leader transfer [NODE], got ${JSON.stringify(action)}`);
	expectInput(context, 1, 2, 'leader transfer [NODE]');
	const startMs = performance.now();
	const {leader, members} = await withNode(context, async broker => {
		const {members: before} = await broker.snapshot();
		return {leader: await broker.transferLeadership(name === undefined ? undefined : memberOf(name, before).id), members: before};
	});
	const tookMs = Math.round(performance.now() - startMs);
	const address = members.find(({id}) => id === leader)?.address;
	await context.terminal.line(context.output === 'json' ? JSON.stringify({leader: leader ?? null, address: address ?? null, tookMs}) : `${shortId(leader)} (${address ?? '?'}) leads now`);
}
