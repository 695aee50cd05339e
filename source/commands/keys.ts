/**
`keys list|add|use|remove`: the keys of the cluster, for operators. A rotation is `add`, `use` and `remove`; between
them both keys are valid.
*/
import {randomBytes} from 'node:crypto';
import type {ChangedKey, KeyId, KeysReport, KeyState} from '../../core/cluster-keys.ts';
import {secretBytesRange} from '../../core/cluster-keys.ts';
import type {Broker} from '../../core/broker.ts';
import {DapssError} from '../../core/errors.ts';
import {openSecret} from '../../core/io/files/secret.ts';
import type {NodeId} from '../../core/message.ts';
import {jsonText} from '../../core/observe/json-text.ts';
import {labelsOf, type Label} from '../../core/observe/node-label.ts';
import {printable} from '../../core/observe/printable.ts';
import {expectInput} from '../arguments/input.ts';
import type {Context} from '../context.ts';
import {withNode} from '../nodes/reach.ts';
import {table} from '../output/table.ts';

const actions = {list, add, use, remove} as const;
/** Digits of an id that name a key. */
const prefixMin = 4;

export async function run(context: Context): Promise<void> {
	const {
		input: [action = 'list'],
	} = context;
	if (!Object.hasOwn(actions, action))
		throw new DapssError(
			'usage',
			`Expected keys ${Object.keys(actions).join(', ')}, got ${JSON.stringify(action)}`,
		);
	await actions[action as keyof typeof actions](context);
}

async function list(context: Context): Promise<void> {
	const {output, terminal} = context;
	expectInput(context, 0, 1, 'keys list');
	const {report, label} = await withNode(context, async broker => ({
		report: await broker.keys(),
		label: await labelOf(broker),
	}));
	await terminal.line(output === 'json' ? jsonText(report) : listText(report, label));
}

const stateTexts: Readonly<Record<KeyState, string>> = {
	active: 'active',
	valid: 'accepted too',
	removed: 'removed',
};

function listText({keys, outdatedFiles, connections, away}: KeysReport, label: Label): string {
	const rows = keys.map(({id, state, sinceMs, usedBy}) => [
		id,
		stateTexts[state] ?? printable(state),
		sinceMs === 0 ? 'the start' : dateText(sinceMs),
		usedBy.map(node => label(node)).join(', '),
	]);
	const names = (nodes: readonly NodeId[]): string => nodes.map(node => label(node)).join(', ');
	return [
		table(['key', 'state', 'since', 'used by'], rows),
		...(outdatedFiles.length === 0
			? []
			: [`The secret file is outdated at ${names(outdatedFiles)}: put the present secret into it`]),
		...connections.map(
			({key, kind, who, at}) =>
				`${kind === 'node' ? `Node ${label(who as NodeId)}` : `Client ${printable(who)}`} ` +
				`is connected to ${label(at)} under the key ${key}`,
		),
		...(away.length === 0 ? [] : [`No answer from ${names(away)}`]),
	].join('\n');
}

async function add(context: Context): Promise<void> {
	const {flags, output, terminal} = context;
	expectInput(context, 1, 1, 'keys add [--file FILE]');
	const {file} = flags;
	const {secret, created} =
		file === undefined
			? {secret: Buffer.from(randomBytes(secretBytesRange[0]).toString('base64url')), created: false}
			: openSecret(file);
	const {changed, label} = await withNode(context, async broker => ({
		changed: await broker.changeKeys({type: 'add', secret}),
		label: await labelOf(broker),
	}));
	await terminal.line(
		output === 'json' ? jsonText(changed) : `The key ${changed.key} is accepted too now${lateText(changed, label)}`,
	);
	if (output === 'json') return;
	if (created) terminal.say(`Wrote its secret to ${file!} (mode 0600): other users and machines need a copy`);
	terminal.say(`Next: dapss-tui keys use ${changed.key}`);
}

async function use(context: Context): Promise<void> {
	const {output, terminal} = context;
	const {changed, report, label} = await change(context, 'use');
	await terminal.line(
		output === 'json' ? jsonText(changed) : `The nodes use the key ${changed.key} now${lateText(changed, label)}`,
	);
	const former = report.keys.find(({id, state}) => state !== 'removed' && id !== changed.key);
	if (output !== 'json' && former)
		terminal.say(
			'Give users and nodes whose secret file is outdated the present secret (see `keys list`). ' +
				`Next: dapss-tui keys remove ${former.id}`,
		);
}

async function remove(context: Context): Promise<void> {
	const {output, terminal} = context;
	const {changed, label} = await change(context, 'remove');
	await terminal.line(
		output === 'json' ? jsonText(changed) : `The key ${changed.key} is removed${lateText(changed, label)}`,
	);
}

async function change(
	context: Context,
	type: 'use' | 'remove',
): Promise<{readonly changed: ChangedKey; readonly report: KeysReport; readonly label: Label}> {
	expectInput(context, 2, 2, `keys ${type} KEY [--force]`);
	const wanted = context.input[1]!;
	return withNode(context, async broker => {
		const report = await broker.keys();
		const key = keyNamed(wanted, report);
		const changed = await broker.changeKeys({type, key, force: context.flags.force === true});
		return {changed, report, label: await labelOf(broker)};
	});
}

/** The key whose id begins with these digits. @throws `usage` */
function keyNamed(wanted: string, {keys}: KeysReport): KeyId {
	const found = keys.filter(({id}) => id.startsWith(wanted));
	if (/^[\da-f]+$/.test(wanted) && wanted.length >= prefixMin && found.length === 1) return found[0]!.id;
	throw new DapssError(
		'usage',
		found.length > 1
			? `${JSON.stringify(wanted)} fits ${found.length} keys: give more digits`
			: `Expected a key of \`keys list\`, or at least its first ${prefixMin} digits, ` +
					`got ${JSON.stringify(wanted)}. The keys are ${keys.map(({id}) => id).join(', ')}`,
	);
}

async function labelOf(broker: Pick<Broker, 'snapshot'>): Promise<Label> {
	return labelsOf((await broker.snapshot()).members);
}

function lateText({missing}: ChangedKey, label: Label): string {
	if (missing.length === 0) return '';
	const names = missing.map(node => label(node)).join(', ');
	return `; ${names} ${missing.length === 1 ? 'has' : 'have'} not applied it yet`;
}

/** Date and time (UTC), without seconds. */
function dateText(ms: number): string {
	return new Date(ms).toISOString().replace(/:\d\d\.\d+Z$/, 'Z');
}
