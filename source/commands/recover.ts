/**
`recover`: the quorum is lost permanently, and this stopped node survives. The command shows what is kept and what is
lost, asks for the name of the cluster, and makes the node the only voter of a new cluster.
*/
import {DapssError} from '../../core/errors.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelOf} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import type {SurvivorReport} from '../../core/recover.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {paint} from '../output/terminal.ts';
import {answerTo} from '../process/question.ts';

export async function run(context: Context): Promise<void> {
	const {flags, terminal, output} = context;
	expectInput(context, 0, 0, 'recover --data DIR');
	const {
		tunables: {cluster, port, storage, limits},
		data,
	} = context.settings();
	// A data folder is never chosen by default: the user names it.
	if (data(1) !== data(2) && flags.port === undefined)
		throw new DapssError('usage', 'Expected --data DIR or --port PORT: the stopped node to recover');
	const path = data(port);
	const {openSurvivor} = await context.backend();
	await using survivor = await openSurvivor({data: path, storage, limits});
	const {report: remains} = survivor;
	terminal.say(plan(cluster, remains, terminal.hasColour));
	await confirm(context, cluster);
	const clusterId = await survivor.forceNewCluster();
	const {node, name, address, clusterId: formerClusterId, voters: formerVoters, lost, topics, last} = remains;
	if (output === 'json')
		return await terminal.line(
			jsonText({
				cluster,
				clusterId,
				formerClusterId,
				node,
				address,
				formerVoters,
				lost: lost.map(({id}) => id),
				topics,
				last,
			}),
		);
	await terminal.line(
		[
			`Node ${labelOf(node, name)} is the only voter of the new cluster ${clusterId.slice(0, 8)} now. Next:`,
			`  1. Start it as before (its data are in ${printable(path)}): it leads alone.`,
			`  2. Start each other node with an empty data folder and --bootstrap ${printable(address)}: ` +
				'it joins under a new id. Keep the old folders until you are sure that nothing is missing.',
			`  A node that still runs with data of the old cluster (${formerClusterId.slice(0, 8)}) ` +
				'is refused and reports that.',
		].join('\n'),
	);
}

function plan(
	cluster: string,
	{node, name, address, clusterId, last, commit, lost, topics}: SurvivorReport,
	hasColour: boolean,
): string {
	const rest = last.index - commit;
	const lastText = rest === 1 ? 'of them was' : `${rest} of them were`;
	const uncertain = rest > 0 ? `; this node does not know whether the last ${lastText} committed` : '';
	const others = lost
		.map(
			({id, name: called, address: at, voter}) =>
				`${labelOf(id, called)} (${printable(at)}${voter ? ', voter' : ''})`,
		)
		.join(', ');
	return [
		`Node ${labelOf(node, name)} (${printable(address)}) of the cluster ${printable(cluster)} ` +
			`(${clusterId.slice(0, 8)}): its log ends with entry ${last.index} of term ${last.term}.`,
		`  kept      ${topics.length === 1 ? '1 topic' : `${topics.length} topics`}, ` +
			`the messages in this folder, and every entry of the log${uncertain}`,
		`  left out  ${others === '' ? 'none' : others}`,
		`  ${paint(hasColour, 'bad', 'LOST')}      committed changes that are not in this log, ` +
			'and messages that only other nodes have',
		'If the missing voters can be started again, start them: ' +
			'then nothing is lost, and no recovery is needed. Else recover only one survivor, the one',
		'whose log ends in the highest term and, within it, with the highest entry. ' +
			'Two recovered nodes are two clusters.',
	].join('\n');
}

/** @throws `usage` without a terminal, or for another answer */
async function confirm(context: Context, cluster: string): Promise<void> {
	const {flags, terminal} = context;
	let answer = flags.confirm;
	if (answer === undefined) {
		if (!terminal.stdin.isTTY)
			throw new DapssError('usage', `Nothing was changed: without a terminal, expected --confirm ${cluster}`);
		answer = await answerTo(`Type the name of the cluster, ${printable(cluster)}, to continue:`, context);
	}

	if (answer !== cluster)
		throw new DapssError(
			'usage',
			`Nothing was changed: expected the name of the cluster, ${printable(cluster)}, ` +
				`got ${JSON.stringify(answer)}`,
		);
}
