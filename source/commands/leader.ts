/**
`leader`: the current leader. `leader transfer [NODE]`: transfer leadership, for a restart without an election.
*/
import {DapssError} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {memberOf} from '../nodes/members.ts';
import {withNode} from '../nodes/reach.ts';
import {runView} from './views.ts';

export async function run(context: Context): Promise<number | void> {
	const {
		input: [action, name],
		output,
		terminal,
	} = context;
	if (action === undefined) return runView('leader')(context);
	if (action !== 'transfer')
		throw new DapssError('usage', `Expected leader, or leader transfer [NODE], got ${JSON.stringify(action)}`);
	expectInput(context, 1, 2, 'leader transfer [NODE]');
	const {
		leader,
		tookMs,
		snapshot: {
			members,
			raft: {term},
		},
	} = await withNode(context, async broker => {
		const to = name === undefined ? undefined : memberOf(name, (await broker.snapshot()).members).id;
		const startMs = performance.now();
		const next = await broker.transferLeadership(to);
		return {leader: next, tookMs: Math.round(performance.now() - startMs), snapshot: await broker.snapshot()};
	});
	const {address, name: called} = members.find(({id}) => id === leader) ?? {};
	await terminal.line(
		output === 'json'
			? jsonText({leader: leader ?? null, name: called ?? '', address: address ?? null, term, tookMs})
			: `${leader === undefined ? 'another node' : labelsOf(members)(leader)} (${printable(address ?? '?')}) ` +
					`leads now, in term ${term}, after ${tookMs} ms`,
	);
}
