/**
What an operator does next in a situation, the most effective action first, each with its exact command. Pure.
*/
import type {NodeId} from '../message.ts';
import type {MemberSnapshot} from '../snapshot.ts';
import {findingsOf} from './findings.ts';
import type {FindingReason} from './finding-reasons.ts';
import {presentLeader} from './leaders.ts';
import {printable} from './printable.ts';
import {listed} from './quantity-text.ts';
import {refusalRemedies} from './quorum-health.ts';
import {nodesText, pairText, place, type SituationContext, type Statement} from './situation-context.ts';

/** Begins the advice to ask another node. */
const lookThere = 'Look from there:';
/** Actions that are shown; `check` has all of them. */
const actionsMax = 4;

/** The command that looks at the cluster from another node. */
const checkAt = ({address}: Pick<MemberSnapshot, 'address'>): string =>
	`\`dapss-tui check --server ${printable(address)}\``;

/** In the console the command needs a word more. */
const removal = (command: string, name: string): string =>
	`\`${command}peer remove ${name}${command === ':' ? ' yes' : ''}\``;

/** @param command the prefix of commands: `dapss-tui ` or `:` */
export function actionsOf(context: SituationContext, command: string): readonly Statement[] {
	const texts = [
		...faultActions(context, command),
		...refusalActions(context),
		...downActions(context, command),
		...networkActions(context),
		...linkActions(context),
		...stoppedActions(context, command),
		...findingActions(context, command),
		...waitActions(context),
	];
	const all = [...new Set(texts)];
	const shown = all.slice(0, actionsMax);
	if (shown.length === 0) shown.push(...newsActions(context, command));
	if (all.length > actionsMax) shown.push(`\`${command}check\` has ${all.length - actionsMax} more.`);
	return shown.map(text => ({about: 'do', tone: 'plain', text, isExtra: text.startsWith(lookThere)}));
}

function faultActions({snapshot: {faults}}: SituationContext, command: string): readonly string[] {
	if (faults.length === 0) return [];
	return [`End the injected ${faults.length === 1 ? 'fault' : 'faults'} of this node: \`${command}fault heal\`.`];
}

/** Members that run and refuse one another: a restart does not help. */
function refusalActions(context: SituationContext): readonly string[] {
	const refused = context.degraded.filter(({cause}) => refusalRemedies.has(cause));
	return [...new Set(refused.map(({cause}) => cause))].map(cause => {
		const ids = refused.filter(member => member.cause === cause).map(({id}) => id);
		if (cause === 'not-authenticated' && ids.length === 1 && context.snapshot.raft.quorum === 'held')
			return (
				`Only ${nodesText(context, ids)} has another secret: give it the secret file of the others ` +
				'(--secret-file), and restart it.'
			);
		return `${nodesText(context, ids)}: ${refusalRemedies.get(cause)!}.`;
	});
}

function downActions(context: SituationContext, command: string): readonly string[] {
	const {gone, quorum, label} = context;
	const down = gone.filter(({state}) => state === 'down');
	if (down.length === 0) return [];
	const start = listed(
		down.map(member => {
			const {host, port} = place(member);
			return `${label(member.id)} on host ${host} (port ${port})`;
		}),
		6,
	);
	const votes = down.filter(({voter}) => voter).length;
	const missing = quorum.needed - quorum.present;
	const bringing =
		missing === votes
			? votes === 1
				? 'it brings'
				: 'together they bring'
			: `${missing} of them ${missing === 1 ? 'brings' : 'bring'}`;
	const effect = missing > 0 && missing <= votes ? `: ${bringing} the quorum back` : '';
	const first = `Start the ${down.length === 1 ? 'process' : 'processes'} of ${start}${effect}.`;
	const lost = quorum.missing.find(({isLost, id}) => isLost && down.some(member => member.id === id));
	if (!lost) return [first];
	return [
		first,
		quorum.spare >= 0
			? `Only if its disk is gone for good: ${removal(command, label(lost.id))}, then start a new node.`
			: 'Only if their disks are gone for good: stop this node and run `dapss-tui recover` for it (unsafe).',
	];
}

function networkActions(context: SituationContext): readonly string[] {
	const {snapshot, far, gone} = context;
	const memberOf = (id: NodeId): MemberSnapshot | undefined => snapshot.members.find(member => member.id === id);
	const isApart = snapshot.partition.state === 'partitioned';
	const silent = (isApart ? far : gone.filter(({state}) => state === 'unreachable').map(({id}) => id)).filter(
		id => memberOf(id)?.state !== 'down' && !refusalRemedies.has(memberOf(id)?.cause ?? ''),
	);
	const first = silent.map(id => memberOf(id)).find(member => member !== undefined);
	if (!first) return [];
	const ports = [...new Set(silent.flatMap(id => memberOf(id) ?? []).map(member => place(member).port))].toSorted();
	const who = nodesText(context, silent);
	const isUnheard = !isApart || snapshot.partition.isFarHeard === false;
	const between = isApart && far.length > 1 ? 'between the sides' : `to ${who}`;
	if (isApart && snapshot.faults.length > 0)
		return ['If the sides stay apart, repair the network between them.', `${lookThere} ${checkAt(first)}.`];
	const repair =
		`Repair the network ${between} (TCP and UDP ${ports.length === 1 ? 'port' : 'ports'} ${listed(ports, 6)})` +
		`${isUnheard ? `, or resume the stopped ${silent.length === 1 ? 'process' : 'processes'}` : ''}.`;
	return [repair, `${lookThere} ${checkAt(first)}.`];
}

function stoppedActions({stopped, label}: SituationContext, command: string): readonly string[] {
	return stopped.map(({id}) => {
		const name = label(id);
		return `Start ${name} again, or take its vote away: ${removal(command, name)}.`;
	});
}

/** Cut and one-way links between nodes of one side. */
function linkActions(context: SituationContext): readonly string[] {
	const {snapshot, cuts, oneWays} = context;
	if (cuts.length + oneWays.length === 0) return [];
	const pairs = [...cuts.map(({between}) => between), ...oneWays];
	const ports = [
		...new Set(
			pairs
				.flat()
				.flatMap(id => snapshot.members.find(member => member.id === id) ?? [])
				.map(one => place(one).port),
		),
	].toSorted();
	const what = cuts.every(cut => cut.what === 'udp') && oneWays.length === 0 ? 'UDP' : 'TCP and UDP';
	const {label} = context;
	const where =
		cuts.length === 0
			? listed(
					oneWays.map(([deaf, heard]) => `from ${label(heard)} to ${label(deaf)}`),
					6,
				)
			: `between ${listed([...new Set(pairs.map(pair => pairText(context, pair)))].toSorted(), 6)}`;
	return [
		`Repair the network ${where}: a firewall or a route drops ${what}, ` +
			`${ports.length === 1 ? 'port' : 'ports'} ${listed(ports, 6)}.`,
	];
}

/** Problems whose advice in `check` is the next action. */
const advised: ReadonlySet<FindingReason> = new Set([
	'degraded',
	'two-clusters',
	'two-processes',
	'not-running',
	'disk-full',
]);

function findingActions({snapshot, degraded}: SituationContext, command: string): readonly string[] {
	// Those have an action that names all of them.
	const isRefused = degraded.every(({cause}) => refusalRemedies.has(cause));
	return findingsOf(snapshot, {command})
		.filter(({reason}) => advised.has(reason) && !(isRefused && reason === 'degraded'))
		.map(({advice}) => printable(advice).trim());
}

function waitActions(context: SituationContext): readonly string[] {
	const {snapshot, gone, far} = context;
	const {raft, partition, gossip, phase} = snapshot;
	const actions: string[] = [];
	if (phase === 'running' && raft.quorum === 'electing')
		actions.push('Wait: an election takes about a second. If it lasts, look at pane 6 (Events) of the voters.');
	if (partition.state === 'repairing' || (gossip.missing ?? 0) >= 1000)
		actions.push('Wait until the messages are here, before another node is stopped.');
	if (raft.isPromoting && gone.length === 0 && far.length === 0)
		actions.push('Wait: the new node becomes a voter when it has the log. Until then stop no voter.');
	return actions;
}

/** Nothing is broken: the leader has changed, or a node catches up. */
function newsActions({snapshot, label}: SituationContext, command: string): readonly string[] {
	const change = presentLeader(snapshot);
	const former = snapshot.members.find(({id}) => id === change?.previous);
	if (snapshot.raft.leader === undefined || former?.state !== 'alive' || former.id === snapshot.raft.leader)
		return ['Nothing: it passes by itself.'];
	return [`Nothing. To give the lead back: \`${command}leader transfer ${label(former.id)}\`.`];
}
