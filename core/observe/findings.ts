/**
The findings of `check`: the problems of the cluster in a snapshot, the most severe first, each with a reason code and
advice. `dapss-tui check` and `:check` in the console show the same findings.

Healthy means usable: the quorum is held, every voter is usable, and no pair of members is cut off from each other.
Pure.
*/
import {parseAddress} from '../address.ts';
import type {ErrorCode} from '../errors.ts';
import {isAdmission} from '../membership/founding.ts';
import {advertiseQuestion, ageText, diskFullWhy} from '../membership/reachability.ts';
import type {CutSnapshot, MemberSnapshot, Snapshot} from '../snapshot.ts';
import type {FindingReason} from './finding-reasons.ts';
import {diskAdvice, limitFindings} from './limits.ts';
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

/** The code `warning` does not make a cluster unhealthy. */
export type Finding = {
	readonly code: 'no-quorum' | 'no-leader' | 'unhealthy' | 'warning';
	readonly reason: FindingReason;
	readonly problem: string;
	readonly advice: string;
};

export type FindingsOptions = {
	/**
	The index that a quorum has just confirmed, or the code of the error; `undefined` when no confirmation was
	requested.
	*/
	readonly confirmed?: number | ErrorCode | undefined;
	/** The prefix of commands in advice: `dapss-tui ` or `:`. */
	readonly command: string;
};

type Context = {
	readonly snapshot: Snapshot;
	readonly quorum: QuorumHealth;
	readonly label: Label;
	readonly command: string;
};

/** Fewer missing messages are on their way in a running cluster. */
const copyingMessages = 1000;
/** A member that was down when this node started is noticed within this time, milliseconds. */
const startMs = 5000;

/** All findings, the quorum first. */
export function findingsOf(snapshot: Snapshot, {confirmed, command}: FindingsOptions): readonly Finding[] {
	const context: Context = {snapshot, command, quorum: quorumHealthOf(snapshot), label: labelsOf(snapshot.members)};
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
	} = context;
	// Without voters a node that is not running is still joining: `nodeFindings` reports the condition it waits for.
	if (raft.voters.length === 0) return phase === 'running' ? [noLogFinding] : [];
	const finding =
		noQuorumFinding(context) ??
		unconfirmedFinding(context, confirmed) ??
		noSpareVoterFinding(context) ??
		promotingFinding(context) ??
		catchingUpFinding(context);
	return finding ? [finding] : [];
}

/** This node was admitted, and stopped before it received the log of the cluster. */
const noLogFinding: Finding = {
	code: 'no-leader',
	reason: 'no-log',
	problem: 'This node was admitted but has no Raft log yet: no leader reaches it',
	advice: 'The leader sends the log once the two are connected. Check the voters: a majority of them must be up.',
};

function noQuorumFinding(context: Context): Finding | undefined {
	const {raft} = context.snapshot;
	if (raft.quorum === 'lost')
		return {
			code: 'no-quorum',
			reason: 'no-quorum',
			problem: `No quorum: ${votersText(context)}${missingVotersText(context)}`,
			advice:
				`${quorumAdvice(context)} Until then nothing can be agreed; ` +
				'live messages still flow among the nodes that reach one another.',
		};
	if (raft.quorum === 'electing')
		return {
			code: 'no-leader',
			reason: 'electing',
			problem: `No leader in term ${raft.term}: ${votersText(context)}, an election is under way`,
			advice: 'An election takes about a second. If it lasts, check the events of the voters.',
		};
	return undefined;
}

/** This node believes that the quorum is held, but a quorum did not confirm its read index. */
function unconfirmedFinding(context: Context, confirmed: number | ErrorCode | undefined): Finding | undefined {
	if (confirmed === 'no-quorum' || confirmed === 'no-leader')
		return {
			code: confirmed,
			reason: 'quorum-regained',
			problem: `The quorum did not confirm (${confirmed}), but is held again now: ${votersText(context)}`,
			advice: 'Check again in a moment.',
		};
	if (typeof confirmed === 'string')
		return {
			code: 'unhealthy',
			reason: 'unconfirmed',
			problem: `The quorum did not confirm: ${confirmed}`,
			advice: 'Try again. If it lasts, check the events of the node and of the leader.',
		};
	return undefined;
}

function noSpareVoterFinding(context: Context): Finding | undefined {
	const {missing, spare, present, voters, needed} = context.quorum;
	if (missing.length === 0 || spare > 0) return undefined;
	return {
		code: 'unhealthy',
		reason: 'no-spare-voter',
		problem:
			`No further voter may fail: ${present} of ${voters} are present, ` +
			`${needed} needed${missingVotersText(context)}`,
		advice: quorumAdvice(context),
	};
}

/** Until then the loss of a voter may cost the quorum, although enough members run. */
function promotingFinding({snapshot: {raft}}: Context): Finding | undefined {
	if (!raft.isPromoting) return undefined;
	return {
		code: 'unhealthy',
		reason: 'promoting',
		problem: `A member that runs is to become a voter, beside ${raft.voters.length}`,
		advice: 'Wait: it becomes one when it has the log of the cluster.',
	};
}

function catchingUpFinding({snapshot: {raft}}: Context): Finding | undefined {
	if (raft.applied >= raft.commit) return undefined;
	return {
		code: 'warning',
		reason: 'catching-up',
		problem: `The node has ${raft.commit - raft.applied} committed entries left to apply`,
		advice: 'It is catching up.',
	};
}

function votersText({snapshot: {raft}, quorum}: Context): string {
	return `${raft.reachableVoters} of ${raft.voters.length} voters reachable, ${quorum.needed} needed`;
}

/** Voters that left are not listed as missing: they have a finding of their own. */
function missingVotersText(context: Context): string {
	const missing = context.quorum.missing.filter(({state}) => state !== 'left');
	return missing.length === 0 ? '' : `; missing: ${missing.map(voter => missingText(voter, context)).join(', ')}`;
}

/** Another cluster of the same name, and other processes with the identity of a member. */
function identityFindings({
	snapshot: {foreign, duplicates, cluster, clusterId, address},
	label,
}: Context): readonly Finding[] {
	return [
		...foreign.map((other): Finding => ({
			code: 'unhealthy',
			reason: 'two-clusters',
			problem:
				`Two clusters have the name ${cluster}: ${clusterId.slice(0, 8)} (this node, ${address}) ` +
				`and ${other.clusterId.slice(0, 8)} (${other.address})`,
			advice:
				'They are not merged. Stop one side and start its nodes with empty data folders and --bootstrap ' +
				`${address} (or ${other.address}, to keep the other), or give it another --cluster.`,
		})),
		...duplicates.map(({id, address: kept, other}): Finding => ({
			code: 'unhealthy',
			reason: 'two-processes',
			problem: `Two processes use the identity of ${label(id)}: ${kept} is kept, ${other} is refused`,
			advice:
				`Stop the process at ${other} if it still runs. Its data folder is a copy: ` +
				'with an empty one it joins as a node of its own.',
		})),
	];
}

/**
One finding for each member that alone is blamed, with its faults to all other members; otherwise one for each pair.
*/
function cutFindings(context: Context): readonly Finding[] {
	const {
		snapshot: {cuts, members},
	} = context;
	const groups = new Map<string, CutSnapshot[]>();
	for (const cut of cuts) {
		// An address is wrong: the other faults of the pair follow from that.
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
				problem: `UDP is blocked between ${pair} for ${forText}: failure detection uses TCP`,
				advice:
					`Open UDP ${ports} between them, in both ` +
					`directions.${isUnsure ? ` Or no other node can call ${own!.address}: ${advertiseQuestion}` : ''}`,
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
	return context.snapshot.members.flatMap(member => memberFinding(member, context) ?? []);
}

function memberFinding(member: MemberSnapshot, context: Context): Finding | undefined {
	const {quorum, label, command} = context;
	const {id, state, voter, why, address} = member;
	const name = `${label(id)} (${address}${why === '' ? '' : `, ${why}`})`;
	const votes = voter ? `, and votes${quorum.spare > 0 ? `: ${meaningOf(quorum)}` : ''}` : '';
	const since = durationText(member, context);
	switch (state) {
		case 'alive':
			return undefined;
		// An operator stopped it, so only a missing vote is a problem.
		case 'left':
			if (!voter) return undefined;
			return {
				code: 'unhealthy',
				reason: 'stopped',
				problem: `${label(id)} (${address}) was stopped on purpose${since}${votes}`,
				advice: `Start it again, or take its vote away for good: ${command}peer remove ${label(id)}`,
			};
		case 'degraded':
			// Its own full disk is a finding of `nodeFindings`.
			if (hasCutFinding(member, context) || (member.self && why === diskFullWhy)) return undefined;
			return {
				code: 'unhealthy',
				reason: 'degraded',
				problem: `${name} is degraded${since}${votes}`,
				advice: degradedAdvice(member, context),
			};
		case 'suspect':
			return {
				code: 'unhealthy',
				reason: 'suspect',
				problem: `${name} is suspect${since}${votes}`,
				advice: 'It may be busy, or it may become unreachable: check again in a moment.',
			};
		case 'unreachable':
		case 'down':
			return {
				code: 'unhealthy',
				reason: state,
				problem: `${name} is ${state}${since}${votes}`,
				advice: goneAdvice(member, context),
			};
		default:
			return state satisfies never;
	}
}

/** The findings of the cuts report this degraded member already. */
function hasCutFinding({id, self, cause}: MemberSnapshot, {snapshot: {members, cuts}}: Context): boolean {
	const isSelf = (end: string): boolean => members.find(member => member.id === end)?.self ?? false;
	return (
		cause !== 'uncalled' &&
		cuts.some(
			({between, blamed}) =>
				between.includes(id) && (self || blamed.includes(id) || between.some(end => isSelf(end))),
		)
	);
}

function degradedAdvice({cause, address, id, voter}: MemberSnapshot, {label}: Context): string {
	switch (cause) {
		case 'uncalled':
			return (
				`Start ${label(id)} with --advertise and an address at which the other nodes reach it, ` +
				`or open TCP and UDP ${portsText([address])} to it.${voter ? '' : ' Until then it gets no vote.'}`
			);
		case 'not-authenticated':
		case 'flags':
			return sentence(refusalRemedies.get(cause)!);
		case 'protocol':
			return `${sentence(refusalRemedies.get(cause)!)} dapss-tui peers shows them.`;
		case 'cluster':
			return 'If it is meant to be a member here, stop it and start it with an empty data folder.';
		case 'disk-full':
			return diskAdvice;
		case 'behind':
			return `Check its disk and its events: dapss-tui events --server ${address}`;
		case 'leaderless':
			return `It takes no part in Raft. Check its events: dapss-tui events --server ${address}`;
		default:
			return `Repair the network between ${label(id)} and the other members.`;
	}
}

/** With a quorum, a member that is gone can be removed. Without one, only the advice of the quorum finding helps. */
function goneAdvice({cause, downMs, id, address}: MemberSnapshot, {quorum, label, command}: Context): string {
	if (cause === 'identity') return `Find out which node runs at ${address}, and start ${label(id)} again.`;
	const start = 'Start it again, or repair the network to it.';
	return quorum.spare >= 0 && (downMs ?? 0) >= lostMs
		? `${start} If it is gone for good: ${command}peer remove ${label(id)}`
		: start;
}

function partitionFindings(context: Context): readonly Finding[] {
	const {
		snapshot: {partition},
		label,
	} = context;
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
				problem:
					`A partition has healed and is being repaired, for ${since}: ` +
					`${messagesText(partition.backlog)} so far`,
				advice: 'Wait.',
			},
		];
	if (partition.isFarHeard === false) return silentFindings(context);

	return [
		{
			code: 'unhealthy',
			reason: 'partitioned',
			problem: `Partitioned for ${since}: ${sides}; ${waitingText(partition.waiting)} the far side`,
			advice: `Repair the network between the sides. ${waitingAdvice}`,
		},
	];
}

/** No member of the far sides is heard, so it is unknown whether they run. */
function silentFindings({snapshot: {partition, self, members}, label}: Context): readonly Finding[] {
	// Degraded members answer, and have a finding of their own.
	const far = partition.sides
		.filter(side => !side.includes(self))
		.flat()
		.filter(id => members.find(member => member.id === id)?.state !== 'degraded');
	if (far.length === 0) return [];
	const isOne = far.length === 1;
	const forText = ageText(partition.sinceMs + (partition.detectedMs ?? 0));
	const waiting = partition.waiting > 0 ? `; ${waitingText(partition.waiting)} ${isOne ? 'it' : 'them'}` : '';
	return [
		{
			code: 'unhealthy',
			reason: 'silent',
			problem:
				`${far.length} ${isOne ? 'member has' : 'members have'} not answered for ${forText}: ` +
				`${far.map(id => label(id)).join(', ')}; ` +
				`whether ${isOne ? 'it runs' : 'they run'} is unknown${waiting}`,
			advice:
				(isOne
					? 'Check its host: resume the process if it is stopped, or repair the network to it. '
					: 'Check their hosts: resume the processes that are stopped, or repair the network to them. ') +
				waitingAdvice,
		},
	];
}

const waitingAdvice = 'The waiting messages are delivered after that.';

function waitingText(waiting: number): string {
	return `at least ${messagesText(waiting, 'own')} ${waiting === 1 ? 'waits' : 'wait'} for`;
}
/** Whether this node has what its topics retain elsewhere: until then it is no replacement of another node. */
function copyFindings({gossip: {missing = 0, unsynced = 0, unsubscribed = 0}}: Snapshot): readonly Finding[] {
	const unhealthy = (reason: FindingReason, problem: string, advice: string): readonly Finding[] => [
		{code: 'unhealthy', reason, problem, advice},
	];
	if (unsubscribed > 0)
		return unhealthy(
			'subscribing',
			`Subscriptions of this node are not agreed yet: ${unsubscribed}`,
			'Wait: it takes a moment after a start.',
		);
	if (missing >= copyingMessages)
		return unhealthy(
			'copying',
			`${messagesText(missing)} of other nodes are still to be copied here`,
			'Wait until they are here, before another node that has them is stopped or replaced.',
		);
	return unsynced === 0
		? []
		: unhealthy(
				'comparing',
				`Nodes that appeared are not compared with yet: ${unsynced}`,
				'Wait: it takes a moment after a node appears.',
			);
}

/** Keys of callers that were refused, and a secret file that a rotation left behind. */
function keyFindings({keys, members}: Snapshot): readonly Finding[] {
	if (!keys) return [];
	const {active, valid, file, secretFile, wrong} = keys;
	const hosts = new Set(members.map(({address}) => parseAddress(address)?.host));
	const removed = wrong.filter(({state}) => state === 'removed');
	// Anybody can show some key: only a caller on the host of a member is likely to be a node or client of the cluster.
	const unknown = wrong.filter(
		({state, address}) => state === 'unknown' && hosts.has(parseAddress(address)?.host ?? ''),
	);
	return [
		...(file === 'outdated'
			? ([
					{
						code: 'warning',
						reason: 'secret-outdated',
						problem: `The secret file ${secretFile} does not have the key ${active} of the cluster`,
						advice:
							'Put the present secret into it. Commands that read it are refused once its key is ' +
							'removed. This node has the present key in its data folder.',
					},
				] as const)
			: []),
		...removed.map(({key, address}): Finding => ({
			code: 'warning',
			reason: 'removed-key',
			problem:
				`A caller at ${address} uses the key ${key}, which was removed from the cluster: ` +
				`its key is ${active}`,
			advice: 'Put the present secret into the secret file of that node or user.',
		})),
		...unknown.map(({key, address}): Finding => ({
			code: 'warning',
			reason: 'unknown-key',
			problem:
				`A caller at ${address} uses the key ${key}, which this node does not know: ` +
				`here ${valid.join(' and ')} ${valid.length === 1 ? 'is' : 'are'} valid`,
			advice:
				'Give it the secret of this cluster. If the key was rotated while this node was down or cut off: ' +
				`put the present secret into ${secretFile || 'the secret file of this node'}.`,
		})),
	];
}

function nodeFindings({snapshot, command}: Context): readonly Finding[] {
	const {phase, detail, faults, insecure, counters, topics, fullDisk} = snapshot;
	const holes = topics.filter(topic => topic.missing > 0);
	return [
		...(phase === 'running'
			? []
			: ([
					{
						code: 'unhealthy',
						reason: 'not-running',
						problem: `The node is ${phase}${detail === '' ? '' : `: ${detail}`}`,
						advice: phase === 'joining' ? joiningAdvice(detail) : 'Check again in a moment.',
					},
				] as const)),
		...copyFindings(snapshot),
		...keyFindings(snapshot),
		...(fullDisk === undefined
			? []
			: ([{code: 'unhealthy', reason: 'disk-full', problem: fullDisk, advice: diskAdvice}] as const)),
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
						problem:
							'The disk lost messages that no other node has returned: ' +
							holes.map(({name, missing}) => `${missing} of ${name}`).join(', '),
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
		: 'Start the nodes that it waits for, and check the addresses after --bootstrap.';
}

function quorumAdvice({quorum, command}: Context): string {
	const remedy = remedyOf(quorum, command).replaceAll('`', '');
	return remedy === '' ? 'Check again in a moment.' : sentence(remedy);
}

function sentence(text: string): string {
	return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

function missingText({id, address, state, downMs}: MissingVoter, context: Context): string {
	const {
		snapshot: {members},
		label,
	} = context;
	const member = members.find(one => one.id === id);
	const why = member?.why ?? '';
	const stateText = `${state}${durationText({downMs, heardMsAgo: member?.heardMsAgo}, context)}`;
	return `${label(id)} (${[address, why, stateText].filter(part => part !== '').join(', ')})`;
}

/**
For how long a member has not been alive; empty when that is unknown. A node that has not heard the member since its own
start cannot know how long the member was down before.
*/
function durationText(
	{downMs, heardMsAgo}: Pick<MemberSnapshot, 'downMs' | 'heardMsAgo'>,
	{snapshot: {uptimeMs}}: Context,
): string {
	if (downMs === undefined) return '';
	const isSinceStart = heardMsAgo === undefined && uptimeMs - downMs < startMs;
	return isSinceStart ? ` for at least ${ageText(downMs)}, since this node started` : ` for ${ageText(downMs)}`;
}

function portsText(addresses: readonly string[]): string {
	const ports = [...new Set(addresses.flatMap(address => parseAddress(address)?.port ?? []))];
	return ports.length === 1 ? `port ${ports[0]}` : `ports ${listText(ports.map(String))}`;
}

function listText(items: readonly string[]): string {
	return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
