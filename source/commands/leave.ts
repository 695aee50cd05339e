/**
`leave`: the node gives back its leadership, its vote and its membership, then stops.
*/
import {jsonText} from '../../core/observe/json-text.ts';
import {labelsOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {withNode} from '../nodes/reach.ts';

export async function run(context: Context): Promise<void> {
	expectInput(context, 0, 0, 'leave without arguments; --server names the node');
	const {
		snapshot: {self, address, members, cluster},
		tookMs,
	} = await withNode(
		context,
		async broker => {
			const snapshot = await broker.snapshot();
			const startMs = performance.now();
			await broker.leave();
			return {snapshot, tookMs: Math.round(performance.now() - startMs)};
		},
		{isSearching: false, isForOne: true},
	); // The command must not pick an arbitrary node of this machine or of the network.
	const name = members.find(({id}) => id === self)?.name ?? '';
	await context.terminal.line(
		context.output === 'json'
			? jsonText({left: self, name, address, cluster, tookMs})
			: `${labelsOf(members)(self)} (${printable(address)}) left the cluster ${printable(cluster)} after ` +
					`${tookMs} ms and stops. Started again with its data folder it joins as a new member`,
	);
}
