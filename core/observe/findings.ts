/**
Is the cluster well? A snapshot → findings, worst first, each with its reason and with what to do. `dapss-tui check` and
the console's `:check` draw the same ones.

Healthy means usable: the quorum is held, every voter can be worked with, and no pair of members is cut off from each
other. Pure.
*/
import {parseAddress} from '../address.ts';
import type {ErrorCode} from '../errors.ts';
import {isAdmission} from '../membership/founding.ts';
import {advertiseQuestion, ageText} from '../membership/reachability.ts';
import type {CutSnapshot, MemberSnapshot, Snapshot} from '../snapshot.ts';
import type {FindingReason} from './finding-reasons.ts';
import {limitFindings} from './limits.ts';
import {labelsOf, type Label} from './node-label.ts';
import {
	hasUnauthenticatedPeers,
	lostMs,
	meaningOf,
	quorumHealthOf,
	refusalRemedies,
	remedyOf,
	unauthenticatedReasons,
	type MissingVoter,
	type QuorumHealth,
} from './quorum-health.ts';
import {messagesText} from './topic-text.ts';

/** `warning` does not make a cluster unhealthy. */
export type Finding = {
	readonly code: 'no-quorum' | 'no-leader' | 'unhealthy' | 'warning';
	readonly reason: FindingReason;
	readonly problem: string;
	readonly advice: string;
};

export type FindingsOptions = {
	/**
	Index that a quorum confirmed just now, or the code of the error that it answered with; `undefined`: it was not
	asked.
	*/
	readonly confirmed?: number | ErrorCode | undefined;
	/** What commands begin with: `dapss-tui ` or `:`. */
	readonly command: string;
};

type Context = {
	readonly snapshot: Snapshot;
	readonly outlook: QuorumHealth;
	readonly label: Label;
	readonly command: string;
};

export function findingsOf(snapshot: Snapshot, {confirmed, command}: FindingsOptions): readonly Finding[] {
	const context: Context = {snapshot, command, outlook: quorumHealthOf(snapshot), label: labelsOf(snapshot.members)};
	return [
		...quorumFindings(context, confirmed),
		...identityFindings(context),
		...cutFindings(context),
		...memberFindings(context),
		...partitionFindings(context),
		...nodeFindings(context),
	];
}

function quorumFindings(context: Context, confirmed: number | ErrorCode | undefined): readonly Finding[] {
	const {
		snapshot: {raft, phase},
		outlook,
	} = context;
	// Admitted, and stopped before the log of the cluster came.
	if (raft.voters.length === 0 && phase === 'running')
		return [
			{
				code: 'no-leader',
				reason: 'no-log',
				problem: 'This node was admitted and has nothing of the agreed log yet: no leader reaches it',
				advice: 'The leader sends the log once the two are connected. Look at the voters: the majority of them must be up.',
			},
		];
	if (raft.voters.length === 0) return []; // What the node waits for is said below.
	const count = `${raft.reachableVoters} of ${raft.voters.length} voters reachable, ${outlook.needed} needed`;
	const away = outlook.missing.filter(({state}) => state !== 'left');
	const missing = away.length === 0 ? '' : `; missing: ${away.map(voter => missingText(voter, context)).join(', ')}`;
	if (raft.quorum === 'lost') {
		return [
			{
				code: 'no-quorum',
				reason: 'no-quorum',
				problem: `No quorum: ${count}${missing}`,
				advice: `${adviceOf(context)} Until then nothing can be agreed; messages go on flowing among the nodes that reach one another.`,
			},
		];
	}

	if (raft.quorum === 'electing')
		return [
			{
				code: 'no-leader',
				reason: 'electing',
				problem: `No leader in term ${raft.term}: ${count}, an election is under way`,
				advice: 'An election takes about a second. If it lasts, look at the events of the voters.',
			},
		];
	if (confirmed === 'no-quorum' || confirmed === 'no-leader')
		return [
			{
				code: confirmed,
				reason: 'quorum-regained',
				problem: `The quorum did not confirm (${confirmed}); by now it is held again: ${count}`,
				advice: 'Look again in a moment.',
			},
		];
	if (typeof confirmed === 'string')
		return [
			{
				code: 'unhealthy',
				reason: 'unconfirmed',
				problem: `The quorum did not confirm: ${confirmed}`,
				advice: 'Try again; if it lasts, look at the events of the node and of the leader.',
			},
		];
	if (outlook.missing.length > 0 && outlook.spare <= 0)
		return [
			{
				code: 'unhealthy',
				reason: 'no-spare-voter',
				problem: `No further voter may fail: ${outlook.present} of ${outlook.voters} are there, ${outlook.needed} needed${missing}`,
				advice: adviceOf(context),
			},
		];
	if (raft.applied < raft.commit)
		return [
			{
				code: 'warning',
				reason: 'catching-up',
				problem: `The node is ${raft.commit - raft.applied} agreed entries behind`,
				advice: 'It is catching up.',
			},
		];
	return [];
}

/** Another cluster of the name, or another process under the identity of a member. */
function identityFindings({
	snapshot: {foreign, duplicates, cluster, clusterId, address},
	label,
}: Context): readonly Finding[] {
	return [
		...foreign.map((other): Finding => ({
			code: 'unhealthy',
			reason: 'two-clusters',
			problem: `Two clusters of the name ${cluster} meet: ${clusterId.slice(0, 8)} (this node, ${address}) and ${other.clusterId.slice(0, 8)} (${other.address})`,
			advice: `They are not merged. Stop one side and start its nodes with empty data folders and --bootstrap ${address} (or ${other.address}, to keep the other), or give it another --cluster.`,
		})),
		...duplicates.map(({id, address: kept, other}): Finding => ({
			code: 'unhealthy',
			reason: 'two-processes',
			problem: `Two processes use the identity of ${label(id)}: ${kept} is kept, ${other} is refused`,
			advice: `Stop the process at ${other} if it still runs. Its data folder is a copy: with an empty one it joins as a node of its own.`,
		})),
	];
}

/**
One finding for each member that is to blame alone, and what is between it and the others; one for each pair else.
*/
function cutFindings(context: Context): readonly Finding[] {
	const {
		snapshot: {cuts, members},
	} = context;
	const groups = new Map<string, CutSnapshot[]>();
	for (const cut of cuts) {
		// Its address is wrong: what else is said of the pair follows from that.
		if (
			cut.what === 'udp' &&
			cut.between.some(id => members.find(member => member.id === id)?.cause === 'uncalled')
		)
			continue;
		const key = `${cut.blamed.join(' ')} ${cut.what}`;
		const group = groups.get(key);
		if (group) group.push(cut);
		else groups.set(key, [cut]);
	}

	return [...groups.values()].map(group => cutFinding(group, context));
}

function cutFinding(group: readonly CutSnapshot[], {snapshot: {members}, label}: Context): Finding {
	const [first] = group;
	const one = first!.blamed[0]!;
	const others = group.map(({between}) => between.find(id => id !== one)!);
	const memberOf = (id: string): MemberSnapshot | undefined => members.find(member => member.id === id);
	const place = (id: string): string => `${label(id)} (${memberOf(id)?.address ?? 'no address'})`;
	const pair = `${place(one)} and ${others.length > 1 ? 'each of ' : ''}${listText(others.map(id => place(id)))}`;
	const forText = ageText(Math.max(...group.map(({forMs}) => forMs)));
	const vias = [...new Set(group.flatMap(({via}) => via ?? []))];
	const served =
		first!.what === 'udp' || vias.length === 0 ? '' : `: served through ${listText(vias.map(id => label(id)))}`;
	const ports = portsText([one, ...others].map(id => memberOf(id)?.address ?? ''));
	const why = [one, ...others]
		.map(id => memberOf(id))
		.find(member => member && !member.self && /\(\w+\)/.test(member.why))?.why;
	const own = [one, ...others].map(id => memberOf(id)).find(member => member?.self);
	const isUnsure = own?.why.includes(advertiseQuestion) ?? false;
	const code = why === undefined ? '' : ` ${/\(\w+\)/.exec(why)![0]}`;
	switch (first!.what) {
		case 'tcp':
			return {
				code: 'unhealthy',
				reason: 'tcp-blocked',
				problem: `TCP is blocked between ${pair} for ${forText}${code}${served}`,
				advice: `Open TCP ${ports} between them: a firewall or a route drops it, while UDP passes.`,
			};
		case 'udp':
			return {
				code: 'unhealthy',
				reason: 'udp-blocked',
				problem: `UDP is blocked between ${pair} for ${forText}: failure detection goes over TCP`,
				advice: `Open UDP ${ports} between them, in both directions.${isUnsure ? ` Or no other node can call ${own!.address}: ${advertiseQuestion}` : ''}`,
			};
		case 'all':
			return {
				code: 'unhealthy',
				reason: 'cut-off',
				problem: `${pair} do not reach each other for ${forText}${served}`,
				advice: `Repair the network between them: TCP and UDP ${ports}, in both directions.`,
			};
		default:
			return first!.what satisfies never;
	}
}

function memberFindings(context: Context): readonly Finding[] {
	const {
		snapshot: {members, cuts},
		outlook,
		label,
	} = context;
	return members.flatMap((member): Finding[] => {
		const {id, state, voter, why, downMs, address, self} = member;
		const name = `${label(id)} (${address}${why === '' ? '' : `, ${why}`})`;
		const votes = voter ? `, and votes${outlook.spare > 0 ? `: ${meaningOf(outlook)}` : ''}` : '';
		const since = downMs === undefined ? '' : ` for ${ageText(downMs)}`;
		switch (state) {
			case 'alive':
				return [];
			// Somebody stopped it; only a vote is missed.
			case 'left':
				return voter
					? [
							{
								code: 'unhealthy',
								reason: 'stopped',
								problem: `${label(id)} (${address}) was stopped on purpose${since}${votes}`,
								advice: `Start it again, or take its vote away for good: ${context.command}peer remove ${label(id)}`,
							},
						]
					: [];
			case 'degraded': {
				const isSaid =
					member.cause !== 'uncalled' &&
					cuts.some(
						cut =>
							cut.between.includes(id) &&
							(self ||
								cut.blamed.includes(id) ||
								cut.between.some(end => members.find(other => other.id === end)?.self)),
					);
				return isSaid
					? []
					: [
							{
								code: 'unhealthy',
								reason: 'degraded',
								problem: `${name} is degraded${since}${votes}`,
								advice: degradedAdvice(member, context),
							},
						];
			}

			case 'suspect':
				return [
					{
						code: 'unhealthy',
						reason: 'suspect',
						problem: `${name} is suspect${since}${votes}`,
						advice: 'It may be busy or about to be found unreachable: look again in a moment.',
					},
				];
			case 'unreachable':
			case 'down':
				return [
					{
						code: 'unhealthy',
						reason: state,
						problem: `${name} is ${state}${since}${votes}`,
						advice: goneAdvice(member, context),
					},
				];
			default:
				return state satisfies never;
		}
	});
}

function degradedAdvice({cause, address, id, voter}: MemberSnapshot, {label}: Context): string {
	switch (cause) {
		case 'uncalled':
			return `Start ${label(id)} with --advertise and an address at which the other nodes reach it, or open TCP and UDP ${portsText([address])} to it.${voter ? '' : ' Until then it gets no vote.'}`;
		case 'not-authenticated':
		case 'flags':
			return sentence(refusalRemedies.get(cause)!);
		case 'protocol':
			return `${sentence(refusalRemedies.get(cause)!)} dapss-tui peers shows them.`;
		case 'cluster':
			return 'If it is meant to be a member here, stop it and start it with an empty data folder.';
		case 'behind':
			return `Look at its disk and at its events: dapss-tui events --server ${address}`;
		case 'leaderless':
			return `It takes part in no agreement. Look at its events: dapss-tui events --server ${address}`;
		default:
			return `Repair the network between ${label(id)} and the other members.`;
	}
}

/**
With a quorum a member that is gone can be taken out; without one, only what the finding about the quorum says helps.
*/
function goneAdvice({cause, downMs, id, address}: MemberSnapshot, {outlook, label, command}: Context): string {
	if (cause === 'identity') return `Find out which node runs at ${address}, and start ${label(id)} again.`;
	const start = 'Start it again, or repair the network to it.';
	return outlook.spare >= 0 && (downMs ?? 0) >= lostMs
		? `${start} If it is gone for good: ${command}peer remove ${label(id)}`
		: start;
}

function partitionFindings({snapshot: {partition, self, members}, label}: Context): readonly Finding[] {
	if (partition.state === 'whole') return [];
	const sides = partition.sides
		.map((side, index) => `${side.map(id => label(id)).join(' ')}${index === partition.quorum ? ' (quorum)' : ''}`)
		.join(' | ');
	const since = ageText(partition.sinceMs);
	if (partition.state === 'repairing')
		return [
			{
				code: 'unhealthy',
				reason: 'repairing',
				problem: `A partition has healed and is being repaired, for ${since}: ${messagesText(partition.backlog)} so far`,
				advice: 'Wait.',
			},
		];
	if (partition.isFarHeard === false) {
		// What answers the call and is refused is said of the member.
		const far = partition.sides
			.filter(side => !side.includes(self))
			.flat()
			.filter(id => members.find(member => member.id === id)?.state !== 'degraded');
		if (far.length === 0) return [];
		const silent = ageText(partition.sinceMs + (partition.detectedMs ?? 0));
		const waiting =
			partition.waiting > 0
				? `; at least ${messagesText(partition.waiting, 'own')} ${partition.waiting === 1 ? 'waits' : 'wait'} for ${far.length === 1 ? 'it' : 'them'}`
				: '';
		return [
			{
				code: 'unhealthy',
				reason: 'silent',
				problem: `${far.length} ${far.length === 1 ? 'member does' : 'members do'} not answer for ${silent}: ${far.map(id => label(id)).join(', ')}; whether ${far.length === 1 ? 'it runs' : 'they run'} is not known here${waiting}`,
				advice: `Look at ${far.length === 1 ? 'its host: go on with it if it is stopped, or repair the network to it' : 'their hosts: go on with those that are stopped, or repair the network to them'}. What waits is delivered after that.`,
			},
		];
	}

	return [
		{
			code: 'unhealthy',
			reason: 'partitioned',
			problem: `Partitioned for ${since}: ${sides}; at least ${messagesText(partition.waiting, 'own')} ${partition.waiting === 1 ? 'waits' : 'wait'} for the far side`,
			advice: 'Repair the network between the sides. What waits is delivered after that.',
		},
	];
}

function nodeFindings({snapshot, command}: Context): readonly Finding[] {
	const {phase, detail, faults, insecure, counters, topics} = snapshot;
	const holes = topics.filter(({missing}) => missing > 0);
	return [
		...(phase === 'running'
			? []
			: ([
					{
						code: 'unhealthy',
						reason: 'not-running',
						problem: `The node is ${phase}${detail === '' ? '' : `: ${detail}`}`,
						advice: phase === 'joining' ? joiningAdvice(detail) : 'Look again in a moment.',
					},
				] as const)),
		...(hasUnauthenticatedPeers(counters)
			? ([
					{
						code: 'warning',
						reason: 'left-behind',
						problem: unauthenticatedReasons.problem,
						advice: sentence(unauthenticatedReasons.advice),
					},
				] as const)
			: []),
		...(faults.length > 0
			? ([
					{
						code: 'warning',
						reason: 'faults',
						problem: `Faults are injected: ${faults.join(', ')}`,
						advice: `${command}fault heal ends them.`,
					},
				] as const)
			: []),
		...(insecure.length > 0
			? ([
					{
						code: 'warning',
						reason: 'insecure',
						problem: `Not secure: ${insecure.join(', ')} is off`,
						advice: 'Switch it on again in config.json and restart the nodes.',
					},
				] as const)
			: []),
		...(holes.length > 0
			? ([
					{
						code: 'warning',
						reason: 'messages-lost',
						problem: `The disk lost messages that no other node has given back: ${holes.map(({name, missing}) => `${missing} of ${name}`).join(', ')}`,
						advice: 'Start the nodes that are down: they may have them. Check the disk.',
					},
				] as const)
			: []),
		...limitFindings(snapshot).map(finding => ({...finding, code: 'warning'}) as const),
	];
}

function joiningAdvice(detail: string): string {
	return isAdmission(detail)
		? 'Members of the cluster answer. If it lasts, the events of the leader say why they do not admit this node.'
		: 'Start the nodes that it waits for; are the addresses after --bootstrap right?';
}

function adviceOf({outlook, command}: Context): string {
	const remedy = remedyOf(outlook, command).replaceAll('`', '');
	return remedy === '' ? 'Look again in a moment.' : sentence(remedy);
}

function sentence(text: string): string {
	return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

function missingText({id, address, state, downMs}: MissingVoter, {snapshot: {members}, label}: Context): string {
	const why = members.find(member => member.id === id)?.why ?? '';
	return `${label(id)} (${[address, why, `${state}${downMs === undefined ? '' : ` for ${ageText(downMs)}`}`].filter(part => part !== '').join(', ')})`;
}

function portsText(addresses: readonly string[]): string {
	const ports = [...new Set(addresses.flatMap(address => parseAddress(address)?.port ?? []))];
	return ports.length === 1 ? `port ${ports[0]}` : `ports ${listText(ports.map(String))}`;
}

function listText(items: readonly string[]): string {
	return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
