/**
`peer remove NODE`: remove a member from the cluster permanently.
*/
import {DapssError} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {memberOf} from '../nodes/members.ts';
import {withNode} from '../nodes/reach.ts';

export async function run(context: Context): Promise<void> {
	const [action, name] = context.input;
	if (action !== 'remove')
		throw new DapssError(
			'usage',
			action === undefined
				? 'Expected peer remove NODE'
				: `Expected peer remove NODE, got ${JSON.stringify(action)}`,
		);
	expectInput(context, 2, 2, 'peer remove NODE');
	const {
		id,
		name: called,
		address,
		state,
	} = await withNode(context, async broker => {
		const member = memberOf(name!, (await broker.snapshot()).members);
		await broker.removeMember(member.id);
		return member;
	});
	const unsent =
		state === 'alive' ? '' : '. Keep its data folder: messages that did not reach other nodes are only there';
	await context.terminal.line(
		context.output === 'json'
			? jsonText({removed: id, name: called, address})
			: `${labelOf(id, called)} (${printable(address)}) is no longer a member. ` +
					`To join again it needs an empty data folder${unsent}`,
	);
}
